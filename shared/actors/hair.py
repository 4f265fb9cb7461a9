"""Hair as sheets with transparency: a cap over the skull that may hang down, a beard's shell, lashes."""

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
    """The hair over the skull and, when it is long, down from there.

    Returns:
        (R, C, 3) float64 points at rest, (R, C, 2) tile coordinates, (R,) how far each row follows the head.
    """
    grid = head.grid
    half = np.linspace(0, 1, COLUMNS // 2 + 1) ** 0.9 * 8.0
    column = np.concatenate([-half[:0:-1], half])
    index = np.interp(column, grid.column, np.arange(len(grid.column)))
    t = np.linspace(0.0, 1.0, CAP_ROWS)[:, None]
    end = hairline_row(column, hair.hairline)[None] - 0.05
    over_brow = 1 - smooth_step(np.abs(column), 2.6, 4.4)[None]
    end = end + 1.25 * hair.fringe * over_brow * (1 + 0.12 * np.sin(column * 3.1 + hair.part)[None])
    lift_ear = smooth_step(np.abs(column), 4.9, 5.2)[None] * (1 - smooth_step(np.abs(column), 5.5, 5.9)[None])
    end = end - 0.9 * lift_ear * (0.3 + 0.7 * smooth_step(np.array(hair.length), 0, 40))
    row = 0.02 + (end - 0.02) * t
    columns = np.broadcast_to(index[None], row.shape)
    skin = _sample_grid(head.flat, grid.row, row, columns)
    normal = _sample_grid(head_normals(head.flat, grid), grid.row, row, columns)
    stand_off = _stand_off(hair, rng, row, column, t, over_brow)
    cap = skin + normal * stand_off[..., None]
    cap[..., 1] += 0.25 * hair.top * (1 - smooth_step(row, 1.0, 3.2)) * 0.6
    points = np.concatenate([cap, _fall(cap, hair, column, rng)])
    v = np.concatenate([0.55 * t[:, 0], 0.55 + 0.45 * np.linspace(0, 1, FALL_ROWS + 1)[1:]])
    u = (column / 8.0 + 1) / 2
    uv = np.stack(np.broadcast_arrays(u[None], v[:, None]), axis=-1)
    follow = np.concatenate([np.ones(CAP_ROWS), 1 - 0.5 * smooth_step(np.linspace(0, 1, FALL_ROWS), 0.3, 1.0)])
    return points, uv, follow


def _stand_off(
    hair: Hair, rng: np.random.Generator, row: np.ndarray, column: np.ndarray, t: np.ndarray, over_brow: np.ndarray
) -> np.ndarray:
    """(R, C) millimetres between skull and hair."""
    side = smooth_step(np.abs(column), 3.0, 5.0)[None] * smooth_step(row, 1.5, 3.5)
    thick = hair.top * (1 - side) + hair.sides * side
    taper = 1 - smooth_step(t, 0.62, 1.0) * (1 - 0.25 * hair.fringe * over_brow)
    if hair.length > 5:
        taper = np.maximum(taper, 0.45 * smooth_step(np.abs(column), 4.0, 5.0)[None])
    temple = smooth_step(np.abs(column), 3.2, 4.4)[None] * (1 - smooth_step(np.abs(column), 5.6, 6.6))[None]
    taper = taper * (1 - (hair.length <= 5) * temple * smooth_step(t, 0.25, 0.8))
    thick = 1.2 + thick * taper
    if hair.part:
        at = 1.7 * hair.part
        groove = (
            np.exp(-0.5 * ((column - at) / 0.28) ** 2)[None]
            * (1 - smooth_step(row, 2.6, 3.4))
            * smooth_step(row, 0.4, 1.4)
        )
        sweep = 1 + 0.28 * np.tanh((column - at) * -np.sign(hair.part))[None] * (1 - smooth_step(row, 2.5, 4.5))
        thick = thick * sweep * (1 - 0.62 * groove)
    size = row.shape
    clumps = smooth_field(rng, size, (5, 30)) * 0.06 + fractal_field(rng, size, 12, 3) * 0.20 * hair.curl
    return thick * (1 + clumps)


def _fall(cap: np.ndarray, hair: Hair, column: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """(FALL_ROWS, C, 3): hair hanging from the cap's edge beside and behind the face; of no length in front."""
    start = cap[-1]
    hangs = smooth_step(np.abs(column), 4.25, 5.0)
    length = hair.length * hangs * (1 + 0.05 * rng.standard_normal(len(column)))
    low_end = start[:, 1].min() - 20.0
    target = np.where(hair.length > 5, -hair.length - 15.0, low_end)
    drop = np.where(hair.length > 5, np.clip(start[:, 1] - target, 0, None) * hangs, length)
    u = np.linspace(0, 1, FALL_ROWS + 1)[1:, None]
    wave = (1.5 + 5.0 * hair.curl) * np.sin(u * (5 + 8 * hair.curl) + column[None] * 1.7)
    out = np.empty((FALL_ROWS, len(column), 3))
    swell = hair.sides * 0.9 * np.sin(np.pi * np.clip(u, 0, 1) ** 0.7) + 6.0 * u
    outward = np.sign(start[:, 0]) * smooth_step(np.abs(start[:, 0]), 8, 40)
    out[..., 0] = start[None, :, 0] + hangs * (outward * swell + 0.5 * wave * outward)
    out[..., 1] = start[None, :, 1] - drop[None] * u
    forward = 10.0 * smooth_step(-np.abs(column), -6.0, -4.6)
    out[..., 2] = start[None, :, 2] + hangs * (forward[None] * u * min(hair.length / 100.0, 1.0) + 0.6 * wave)
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
    straight = strands(rng, (size, size), 330, 14)
    curly = fractal_field(rng, (size, size), 60, 3)
    curl = min(look.hair.curl, 1.0)
    grain = straight * (1 - 0.75 * curl) + curly * 0.9 * curl
    base = np.array(look.hair_colour, dtype=np.float32)
    tone = 0.92 + 0.30 * grain + 0.12 * smooth_step(v, 0.1, 0.9)
    colour = base * np.clip(tone, 0.25, 1.8)[..., None]
    # The cap ends at v = 0.55; what hangs below fades strand by strand.
    fine = strands(rng, (size, size), 460, 8)
    long_side = smooth_step(np.abs(u) * 8, 4.25, 5.0) if look.hair.length > 5 else np.zeros_like(u)
    tip = 0.55 * (1 - long_side) + 1.0 * long_side
    soft = 0.10 * (1 - long_side) + 0.16 * long_side
    opacity = smooth_step(tip - v + 0.30 * soft * fine, 0.0, soft)
    opacity = opacity * np.clip(0.45 + look.hair.density * (0.85 + 0.35 * grain), 0, 1)
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
