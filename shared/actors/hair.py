"""Hair as transparent sheets: a cap over the skull that may hang down, a beard's shell, lashes."""

from __future__ import annotations

import cv2
import numpy as np

from shared.actors.features import smooth_step
from shared.actors.head import Head
from shared.actors.lattice import head_normals
from shared.actors.look import Hair, Look
from shared.actors.noise import fractal_field, smooth_field, strands
from shared.actors.skin import beard_masks, hairline_row, skin_maps

CAP_ROWS, FALL_ROWS, COLUMNS = 30, 20, 91
LONG = 5.0  # millimetres from which hair hangs
# Tiles of the hair's atlas in units of its side: (left, top, width, height).
HAIR_TILES: dict[str, tuple[float, float, float, float]] = {
    "cap": (0.0, 0.0, 1.0, 1.0),
    "beard": (1.0, 0.0, 1.0, 1.0),
    "lash": (2.0, 0.0, 0.25, 0.25),
}
HAIR_ATLAS_WIDTH = 2.25


def hair_uv(name: str, u: np.ndarray, v: np.ndarray) -> np.ndarray:
    """(..., 2) float32 in units of the atlas' side."""
    left, top, width, height = HAIR_TILES[name]
    inset = 0.004
    return np.stack(
        [left + width * (inset + (1 - 2 * inset) * u), top + height * (inset + (1 - 2 * inset) * v)], axis=-1
    ).astype(np.float32)


def _sample_grid(values: np.ndarray, grid_lines: np.ndarray, at: np.ndarray, axis_index: np.ndarray) -> np.ndarray:
    """(…, K): grid values (R, C, K) at lattice rows ``at`` and fractional column indices ``axis_index``."""
    unique, index = np.unique(grid_lines, return_index=True)
    rows = np.interp(at, unique, index).astype(np.float32)
    columns = axis_index.astype(np.float32)
    layers = [
        cv2.remap(values[..., k].astype(np.float32), columns, rows, cv2.INTER_LINEAR) for k in range(values.shape[-1])
    ]
    return np.stack(layers, axis=-1)


def hair_sheet(head: Head, hair: Hair, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The hair over the skull and, if long, hanging down.

    Returns:
        (R, C, 3) float64 points at rest, (R, C, 2) tile coordinates, (R,) how much each row follows the head.
    """
    grid = head.grid
    half = np.linspace(0, 1, COLUMNS // 2 + 1) ** 0.9 * 8.0
    column = np.concatenate([-half[:0:-1], half])
    index = np.interp(column, grid.column, np.arange(len(grid.column)))
    t = np.linspace(0.0, 1.0, CAP_ROWS)[:, None]
    over_brow = 1 - smooth_step(np.abs(column), 2.6, 4.4)[None]
    end = _end_row(hair, column, over_brow)
    row = 0.02 + (end - 0.02) * t
    columns = np.broadcast_to(index[None], row.shape)
    skin = _sample_grid(head.flat, grid.row, row, columns)
    normal = _sample_grid(head_normals(head.flat, grid), grid.row, row, columns)
    cap = skin + normal * _stand_off(hair, rng, row, column, t, over_brow)[..., None]
    cap[..., 1] += 0.15 * hair.top * (1 - smooth_step(row, 1.0, 3.2))
    points = np.concatenate([cap, _fall(cap, hair, column)])
    v = np.concatenate([0.55 * t[:, 0], 0.55 + 0.45 * np.linspace(0, 1, FALL_ROWS + 1)[1:]])
    u = (column / 8.0 + 1) / 2
    uv = np.stack(np.broadcast_arrays(u[None], v[:, None]), axis=-1)
    follow = np.concatenate([np.ones(CAP_ROWS), 1 - 0.5 * smooth_step(np.linspace(0, 1, FALL_ROWS), 0.3, 1.0)])
    return points, uv, follow


def _end_row(hair: Hair, column: np.ndarray, over_brow: np.ndarray) -> np.ndarray:
    """(1, C): lattice row at which the cap ends: the hairline, a fringe below it, or the ears where hair hangs on."""
    end = hairline_row(column, hair.hairline)[None] + 0.12
    end = end + 1.25 * hair.fringe * over_brow * (1 + 0.12 * np.sin(column * 3.1 + hair.part)[None])
    if hair.length > LONG:
        behind = smooth_step(np.abs(column), 4.6, 5.3)[None]
        end = end * (1 - behind) + 5.9 * behind
    return end


def _stand_off(
    hair: Hair, rng: np.random.Generator, row: np.ndarray, column: np.ndarray, t: np.ndarray, over_brow: np.ndarray
) -> np.ndarray:
    """(R, C) millimetres between skull and hair."""
    away = np.abs(column)[None]
    side = smooth_step(away, 3.0, 5.0) * smooth_step(row, 1.5, 3.5)
    thick = hair.top * (1 - side) + hair.sides * side
    taper = 1 - smooth_step(t, 0.62, 1.0) * (1 - 0.25 * hair.fringe * over_brow)
    if hair.length > LONG:
        taper = np.maximum(taper, 0.3 * smooth_step(away, 4.2, 5.0) + 0.4 * smooth_step(away, 5.0, 6.0))
    else:
        # Short hair lies close over the ears; round hair draws in towards its edge.
        temple = smooth_step(away, 3.2, 4.4) * (1 - smooth_step(away, 5.6, 6.6))
        taper = taper * (1 - temple * smooth_step(t, 0.25 + 0.35 * hair.curl, 0.85 + 0.1 * hair.curl))
        taper = taper * (1 - 0.5 * hair.curl * smooth_step(row, 3.4, 6.0))
    thick = 1.2 + thick * taper
    if hair.part:
        at = 1.7 * hair.part
        low = smooth_step(row, 2.6, 3.4)
        groove = np.exp(-0.5 * ((column - at) / 0.28) ** 2)[None] * (1 - low) * smooth_step(row, 0.4, 1.4)
        swept = 1 + 0.28 * np.tanh((column - at) * -np.sign(hair.part))[None] * (1 - smooth_step(row, 2.5, 4.5))
        thick = thick * swept * (1 - 0.62 * groove)
    clumps = 0.07 * smooth_field(rng, row.shape, (5, 30)) + 0.05 * hair.curl * fractal_field(rng, row.shape, 22, 2)
    return thick * (1 + clumps * smooth_step(row, 0.2, 1.4))


def _fall(cap: np.ndarray, hair: Hair, column: np.ndarray) -> np.ndarray:
    """(FALL_ROWS, C, 3): hair hanging from the cap's edge beside and behind the face; of no length in front."""
    start = cap[-1]
    away = np.abs(column)
    hangs = smooth_step(away, 4.3, 4.9) * (hair.length > LONG)
    drop = np.clip(start[:, 1] + 10.0 + hair.length, 0.0, None) * hangs
    u = np.linspace(0, 1, FALL_ROWS + 1)[1:, None]
    wave = (1.0 + 4.5 * hair.curl) * np.sin(u * (4 + 9 * hair.curl) + column[None] * 1.9)
    ragged = 1 + 0.05 * np.sin(column * 5.3) + 0.03 * np.sin(column * 17.0)
    swell = 0.4 * hair.sides * np.sin(np.pi * u**0.7) + 7.0 * u
    outward = np.sign(start[:, 0]) * smooth_step(np.abs(start[:, 0]), 4, 50)
    # Towards the tips the sides come forward over the shoulders, and the front edge curls inwards.
    forward = 26.0 * smooth_step(-away, -7.0, -4.6) * min(hair.length / 110.0, 1.0)
    inward = 10.0 * (1 - smooth_step(away, 4.3, 5.3))
    out = np.empty((FALL_ROWS, len(column), 3))
    out[..., 0] = start[None, :, 0] + hangs * (outward * (swell + 0.5 * wave) - np.sign(start[:, 0]) * inward * u**2)
    out[..., 1] = start[None, :, 1] - (drop * ragged)[None] * u
    out[..., 2] = start[None, :, 2] + hangs * (forward[None] * u**1.5 + 0.6 * wave)
    return out


def lash_strip(edge: np.ndarray, centre: np.ndarray, reach: float) -> np.ndarray:
    """(3, N, 3): lashes of the upper lid, curved up from its edge (N, 3)."""
    away = edge - centre
    away = away / np.linalg.norm(away, axis=-1, keepdims=True)
    grow = np.sin(np.pi * np.linspace(0.12, 0.97, len(edge)))[:, None] * reach
    up = np.array([0.0, 1.0, 0.0])
    return np.stack(
        [edge + 0.1 * away, edge + grow * (0.55 * away + 0.05 * up), edge + grow * (0.85 * away + 0.55 * up)]
    )


def paint_hair_atlas(head: Head, look: Look, seed: int, size: int) -> np.ndarray:
    """(S, 2.25 S, 4) uint8: sRGB and opacity of hair, beard and lashes."""
    rng = np.random.default_rng([seed, 91])
    atlas = np.zeros((size, int(size * HAIR_ATLAS_WIDTH), 4), dtype=np.float32)
    atlas[:, :size] = _paint_cap(look, rng, size)
    atlas[:, size : 2 * size] = _paint_beard(head, look, rng, size)
    quarter = size // 4
    atlas[:quarter, 2 * size : 2 * size + quarter] = _paint_lashes(look, rng, quarter)
    return np.clip(atlas * 255 + 0.5, 0, 255).astype(np.uint8)


def _paint_cap(look: Look, rng: np.random.Generator, size: int) -> np.ndarray:
    v = ((np.arange(size, dtype=np.float32) + 0.5) / size)[:, None]
    u = ((np.arange(size, dtype=np.float32) + 0.5) / size * 2 - 1)[None]
    straight = strands(rng, (size, size), 330, 5)
    curly = fractal_field(rng, (size, size), 60, 3)
    curl = min(look.hair.curl, 1.0)
    grain = straight * (1 - 0.75 * curl) + curly * 0.9 * curl
    base = np.array(look.hair_colour, dtype=np.float32)
    contrast = 0.30 - 0.22 * float(base.mean())
    tone = 0.92 + contrast * grain + 0.12 * smooth_step(v, 0.1, 0.9)
    colour = base * np.clip(tone, 0.25 + 0.5 * float(base.mean()), 1.7)[..., None]
    # The cap ends at v = 0.55; what hangs below fades strand by strand.
    fine = strands(rng, (size, size), 460, 8)
    long_side = smooth_step(np.abs(u) * 8, 3.9, 4.3) if look.hair.length > LONG else np.zeros_like(u)
    tip = 0.55 * (1 - long_side) + 1.0 * long_side
    front = 1 - smooth_step(np.abs(u) * 8, 2.8, 4.0)
    soft = (0.025 + 0.045 * front * (1 - 0.6 * curl)) * (1 - long_side) + 0.08 * long_side
    opacity = smooth_step(tip - v + 0.30 * soft * fine, 0.0, soft)
    opacity = opacity * np.clip(0.2 + look.hair.density * (1.3 + 0.2 * grain), 0, 1)
    if look.hair.density < 0.3:
        opacity = opacity * 0
    return np.dstack([colour, opacity.astype(np.float32)])


def _paint_beard(head: Head, look: Look, rng: np.random.Generator, size: int) -> np.ndarray:
    maps = skin_maps(head, size)
    beard, moustache = beard_masks(maps, head)
    hairs = strands(rng, (size, size), 300, 70)
    grown = beard * look.beard + moustache * look.moustache
    opacity = np.clip((grown * 1.5 - 0.45) * 1.6 + 0.35 * hairs * (grown > 0.1), 0, 0.95)
    colour = np.array(look.hair_colour, dtype=np.float32) * np.clip(0.85 + 0.32 * hairs, 0.3, 1.7)[..., None]
    return np.dstack([colour, opacity.astype(np.float32)])


def _paint_lashes(look: Look, rng: np.random.Generator, size: int) -> np.ndarray:
    v = ((np.arange(size, dtype=np.float32) + 0.5) / size)[:, None]
    comb = smooth_field(rng, (size, size), (2, 60))
    opacity = np.clip((1 - v) * 1.1 + 0.55 * comb - 0.15, 0, 1) * (1 - smooth_step(v, 0.75, 1.0)) * look.lashes
    return np.dstack([np.full((size, size, 3), 0.05, np.float32), opacity.astype(np.float32)])
