"""The head's skin, painted where the features are: tone, lips, brows, lids, beard, scalp, freckles, folds.

The texture follows the grid's rows and columns, which are densest in the face, so detail is where it is visible.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from shared.actors.features import bump, lip_heights, smooth_step
from shared.actors.head import Head
from shared.actors.lattice import head_normals
from shared.actors.look import Look, skin_colour
from shared.actors.noise import fractal_field, smooth_field, strands


@dataclass(frozen=True, eq=False)
class SkinMaps:
    """Position on the head of each texel; all (T, T) float32.

    Convention:
        x, y, z: millimetres, eyes open, mouth shut
        above: millimetres above the mouth's slit
        lid_upper, lid_lower: millimetres above the upper and below the lower lid's edge
        lid_s: 0 at the inner, 1 at the outer canthus
        row, column: lattice parameters
        hollow: height of the surroundings above the point, in millimetres
    """

    x: np.ndarray
    y: np.ndarray
    z: np.ndarray
    above: np.ndarray
    lid_upper: np.ndarray
    lid_lower: np.ndarray
    lid_s: np.ndarray
    row: np.ndarray
    column: np.ndarray
    hollow: np.ndarray

    @property
    def size(self) -> tuple[int, int]:
        """(T, T)."""
        return self.x.shape[0], self.x.shape[1]


def spread(values: np.ndarray, size: int) -> np.ndarray:
    """(T, T) float32: (R, C) values at the grid's vertices, between them bilinear."""
    rows, columns = values.shape
    at_x = np.linspace(0, columns - 1, size, dtype=np.float32)
    at_y = np.linspace(0, rows - 1, size, dtype=np.float32)
    grid_x, grid_y = np.meshgrid(at_x, at_y)
    return cv2.remap(values.astype(np.float32), grid_x, grid_y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)


def skin_maps(head: Head, size: int) -> SkinMaps:
    """The maps of one head for a texture of ``size`` texels a side."""
    points = head.surface(0.0)
    grid = head.grid
    y = points[..., 1]
    rows, columns = np.meshgrid(grid.row, grid.column, indexing="ij")
    hollow = _hollow(points, head_normals(points, grid))
    maps = {
        "x": points[..., 0],
        "y": y,
        "z": points[..., 2],
        "above": y - y[grid.mouth_rows[0]][None],
        "lid_upper": y - y[grid.eye_rows[0]][None],
        "lid_lower": y[grid.eye_rows[1]][None] - y,
        "lid_s": np.broadcast_to(head.lid_s[None], y.shape),
        "row": rows,
        "column": columns,
        "hollow": hollow,
    }
    return SkinMaps(**{name: spread(value, size) for name, value in maps.items()})


def _hollow(points: np.ndarray, normals: np.ndarray) -> np.ndarray:
    total = np.zeros(points.shape[:2])
    for sigma, weight in ((2.0, 1.0), (5.0, 0.7), (10.0, 0.35)):
        around = np.stack([cv2.GaussianBlur(points[..., k], (0, 0), sigma) for k in range(3)], axis=-1)
        total += weight * ((around - points) * normals).sum(axis=-1)
    front = smooth_step(points[..., 2], -70.0, -40.0)
    return total * front


def paint_skin(head: Head, look: Look, rng: np.random.Generator, size: int) -> tuple[np.ndarray, np.ndarray]:
    """The head's texture.

    Returns:
        (T, T, 4) float32 in [0, 1]: sRGB albedo and ambient light; (T, T) float32: gloss.
    """
    maps = skin_maps(head, size)
    skin = np.empty((size, size, 3), dtype=np.float32)
    skin[:] = np.array(skin_colour(look.tone, look.undertone), dtype=np.float32)
    skin = _complexion(skin, maps, head, look, rng)
    skin = _folds(skin, maps, head, look)
    skin = _spots(skin, maps, look, rng)
    skin = _facial_hair(skin, maps, head, look, rng)
    skin, lips = _lips(skin, maps, head, look, rng)
    skin = _eyes(skin, maps, head, look)
    skin = _brows(skin, maps, head, look, rng)
    skin = _scalp(skin, maps, head, look, rng)
    gloss = _gloss(maps, head, rng, lips)
    plain = float(np.mean(skin_colour(look.tone, look.undertone)))
    gloss = gloss * np.maximum(np.clip(skin.mean(axis=2) / plain * 1.15 - 0.1, 0.0, 1.0) ** 1.5, lips)
    light = np.clip(1.0 - 0.16 * np.clip(maps.hollow, -0.6, 4.0), 0.25, 1.06)
    return np.dstack([np.clip(skin, 0.0, 1.0), light]).astype(np.float32), gloss


def _mix(skin: np.ndarray, mask: np.ndarray, colour: np.ndarray | tuple[float, ...]) -> np.ndarray:
    mask = mask[..., None].astype(np.float32)
    return skin * (1 - mask) + np.asarray(colour, dtype=np.float32) * mask


def _tint(skin: np.ndarray, mask: np.ndarray, factors: tuple[float, float, float]) -> np.ndarray:
    return skin * (1 + mask[..., None].astype(np.float32) * (np.array(factors, dtype=np.float32) - 1))


def _complexion(skin: np.ndarray, maps: SkinMaps, head: Head, look: Look, rng: np.random.Generator) -> np.ndarray:
    """Blood in cheeks, nose and ears, paler forehead, patches and pores."""
    ax, y = np.abs(maps.x), maps.y
    tip = head.plan.nose_tip_y
    red = 0.9 * bump(ax, y, (42.0, -32.0), (15.0, 13.0)) + 0.8 * bump(ax, y, (5.0, tip), (11.0, 8.0))
    red += 0.4 * bump(ax, y, (0.0, -104.0), (14.0, 8.0)) + 0.25 * bump(ax, y, (0.0, 40.0), (40.0, 18.0))
    strength = (0.30 + 0.7 * look.redness) * (1.0 - 0.45 * look.tone)
    skin = _tint(skin, red * strength, (1.0, 0.80, 0.80))
    pale = bump(ax, y, (0.0, 45.0), (45.0, 20.0)) + 0.6 * bump(ax, y, (20.0, -14.0), (10.0, 6.0))
    skin = _tint(skin, 0.35 * pale, (1.03, 1.03, 1.0))
    patches = fractal_field(rng, maps.size, 9, 5)
    pores = smooth_field(rng, maps.size, (420, 420))
    skin = skin * (1 + 0.018 * patches + 0.014 * pores)[..., None]
    blood = fractal_field(rng, maps.size, 14, 3)
    skin = _tint(skin, 0.05 * blood, (1.1, 0.85, 0.85))
    return skin


def _folds(skin: np.ndarray, maps: SkinMaps, head: Head, look: Look) -> np.ndarray:
    """Lines of age: forehead, crow's feet, between the brows."""
    age = float(np.clip(head.shape.age + 0.6, 0.0, 2.6))
    ax, y = np.abs(maps.x), maps.y
    wave = 1.6 * np.sin(ax / 17.0) + 0.9 * np.sin(maps.x / 9.0 + 1.3)
    lines = np.zeros_like(y)
    for height, weight in ((37.0, 1.0), (45.0, 0.9), (53.0, 0.6)):
        lines += weight * np.exp(-0.5 * ((y - height - wave) / 0.85) ** 2)
    lines *= bump(ax, y, (0.0, 44.0), (26.0, 14.0)) * 0.55
    for slope in (-0.35, 0.05, 0.45):
        foot = np.exp(-0.5 * ((y - head.plan.eye[1] - slope * (ax - 47.0)) / 0.7) ** 2)
        lines += 0.5 * foot * smooth_step(ax, 48.0, 51.0) * (1 - smooth_step(ax, 54.0, 60.0))
    lines += 0.5 * np.exp(-0.5 * ((ax - 5.0) / 0.9) ** 2) * np.exp(-0.5 * ((y - 17.0) / 5.0) ** 2)
    under = np.exp(-0.5 * ((maps.lid_lower - 7.0 - 4 * (1 - np.clip(maps.lid_s, 0, 1))) / 1.3) ** 2)
    lines += 0.6 * under * smooth_step(maps.lid_s, 0.0, 0.2) * (1 - smooth_step(maps.lid_s, 0.6, 1.0))
    return _tint(skin, 0.20 * age * lines, (0.72, 0.62, 0.60))


def _spots(skin: np.ndarray, maps: SkinMaps, look: Look, rng: np.random.Generator) -> np.ndarray:
    """Freckles over nose and cheeks, and a few moles."""
    ax, y = np.abs(maps.x), maps.y
    grains = smooth_field(rng, maps.size, (230, 230))
    where = bump(ax, y, (26.0, -22.0), (22.0, 13.0)) + 0.45 * bump(ax, y, (0.0, 35.0), (40.0, 16.0))
    freckles = smooth_step(grains, 1.25, 2.3) * np.clip(where, 0, 1) * look.freckles
    skin = _tint(skin, 0.75 * freckles, (0.72, 0.56, 0.45))
    for _ in range(look.moles):
        cx, cy = rng.uniform(-52, 52), rng.uniform(-95, 40)
        radius = rng.uniform(0.7, 1.5)
        clear = abs(cx) > 18 or cy > 10
        mole = np.exp(-0.5 * (((maps.x - cx) ** 2 + (y - cy) ** 2) / radius**2)) * (maps.z > -60) * clear
        skin = _tint(skin, 0.8 * mole, (0.42, 0.30, 0.26))
    return skin


def _lips(
    skin: np.ndarray, maps: SkinMaps, head: Head, look: Look, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Vermilion with a soft border, creases down the lips and a dark line between them."""
    s = np.abs(maps.x) / float(head.plan.mouth_corner[0])
    upper, lower = lip_heights(s, head.shape)
    height = np.where(maps.above >= 0, upper, lower)
    border = smooth_step(height - np.abs(maps.above), -0.7, 0.9) * (1 - smooth_step(s, 0.93, 1.03)) * (maps.z > -40)
    base = np.array(skin_colour(look.tone, 0.0), dtype=np.float32)
    pink = np.array([0.70, 0.36, 0.36], dtype=np.float32)
    dark = np.array([0.36, 0.20, 0.19], dtype=np.float32)
    flesh = pink * (1 - look.tone) + dark * look.tone
    colour = base * (0.55 - 0.45 * look.lip_colour) + flesh * (0.45 + 0.45 * look.lip_colour)
    creases = strands(rng, maps.size, 330, 40)
    shade = 1.0 + 0.045 * creases - 0.10 * (maps.above >= 0)
    skin = skin * (1 - border[..., None]) + (colour * shade[..., None]) * border[..., None]
    line = np.exp(-0.5 * (maps.above / 0.65) ** 2) * (1 - smooth_step(s, 0.9, 1.12)) * (maps.z > -40)
    skin = _tint(skin, 0.75 * line, (0.40, 0.28, 0.28))
    wide = 1.0 + 0.17 * head.shape.nose_width
    hole = bump(np.abs(maps.x), maps.y, (6.5 * wide, head.plan.nose_base_y + 2.0), (2.9 * wide, 1.5))
    skin = _tint(skin, np.clip(1.25 * hole, 0, 1), (0.22, 0.13, 0.12))
    return skin, border


def _eyes(skin: np.ndarray, maps: SkinMaps, head: Head, look: Look) -> np.ndarray:
    """Thin, darker skin round the eye; the lash line."""
    ax = np.abs(maps.x)
    ex, ey = float(head.plan.eye[0]), float(head.plan.eye[1])
    ring = bump(ax, maps.y, (ex - 2.0, ey - 1.0), (17.0, 10.0)) * (maps.z > -50)
    skin = _tint(skin, (0.30 + 0.10 * max(head.shape.age, 0.0)) * ring, (0.86, 0.74, 0.74))
    inside = smooth_step(maps.lid_s, 0.02, 0.2) * (1 - smooth_step(maps.lid_s, 0.97, 1.06))
    upper = np.exp(-0.5 * (maps.lid_upper / (0.75 + 0.45 * look.lashes)) ** 2) * (maps.lid_upper > -0.5) * inside
    lower = np.exp(-0.5 * (maps.lid_lower / 0.6) ** 2) * (maps.lid_lower > -0.5) * inside
    rows_up = maps.row <= 6.0
    skin = _mix(skin, np.where(rows_up, (0.55 + 0.4 * look.lashes) * upper, 0.0), (0.07, 0.05, 0.045))
    return _mix(skin, np.where(rows_up, 0.0, (0.25 + 0.2 * look.lashes) * lower), (0.14, 0.09, 0.085))


def brow_line(head: Head, look: Look, ax: np.ndarray) -> np.ndarray:
    """Height of the brow's middle, in millimetres, over ``|x|``."""
    t = np.clip((ax - 12.0) / 43.0, -0.2, 1.2)
    arch = 1.0 + 0.55 * look.brow_arch
    lift = 2.8 * head.shape.brow_height
    return 17.2 + lift + 6.6 * arch * np.sin(np.pi * np.clip(t, 0, 1) ** 1.25 * 0.93) - 5.2 * np.clip(t, 0, 2) ** 2.2


def brow_half(look: Look, ax: np.ndarray) -> np.ndarray:
    """Millimetres from the brow's middle to its edge, over ``|x|``."""
    t = np.clip((ax - 11.0) / 45.0, 0, 1)
    return np.maximum((3.5 + 2.2 * (look.brow_weight - 1.0)) * np.clip(1.05 - 0.85 * t**1.6, 0.05, None), 0.8)


def _brows(skin: np.ndarray, maps: SkinMaps, head: Head, look: Look, rng: np.random.Generator) -> np.ndarray:
    """Hairs slanting outwards along an arch, dense inside, thin at the tail."""
    ax = np.abs(maps.x)
    t = (ax - 11.0) / 45.0
    offset = maps.y - brow_line(head, look, ax)
    half = brow_half(look, ax)
    ends = smooth_step(t, -0.06, 0.10) * (1 - smooth_step(t, 0.86, 1.04))
    body = np.exp(-0.5 * np.abs(offset / half) ** 2.6) * ends * (maps.z > -60)
    lean = ax * 2.6 - offset * (2.2 + 2.5 * (1 - np.clip(t, 0, 1)))
    hairs = _comb(rng, lean, offset)
    density = np.clip(0.62 * look.brow_weight, 0.25, 0.95)
    cover = np.clip(body * (density + 0.42 * hairs), 0, 0.96)
    return _mix(skin, cover, look.brow_colour)


def _comb(rng: np.random.Generator, across: np.ndarray, along: np.ndarray) -> np.ndarray:
    """Streaks that run where ``across`` (in half millimetres) is constant."""
    table = rng.standard_normal((24, 257)).astype(np.float32)
    u = np.mod(across, 256.0).astype(np.float32)
    v = np.mod(along * 0.6, 23.0).astype(np.float32)
    return cv2.remap(table, u, v, cv2.INTER_LINEAR)


def beard_masks(maps: SkinMaps, head: Head) -> tuple[np.ndarray, np.ndarray]:
    """(T, T), (T, T): where a beard and where a moustache grow, 0 to 1."""
    ax, y = np.abs(maps.x), maps.y
    corner, mouth = float(head.plan.mouth_corner[0]), head.plan.mouth_y
    front = smooth_step(maps.z, -92.0, -72.0)
    cheek_line = mouth + 9.0 + 0.0105 * np.clip(ax - 18.0, 0, None) ** 2
    s = ax / corner
    upper, lower = lip_heights(s, head.shape)
    off_lips = smooth_step(np.abs(maps.above) - np.where(maps.above >= 0, upper, lower), 0.2, 2.2)
    off_lips = np.maximum(off_lips, smooth_step(s, 1.0, 1.15))
    low = (1 - smooth_step(y, cheek_line - 9.0, cheek_line + 4.0)) * front
    bare_chin_sides = 1 - 0.75 * bump(ax, y, (12.0, mouth - 16.0), (6.0, 4.0))
    beard = low * bare_chin_sides * np.where((maps.above > 0) & (ax < corner + 4), 0.0, 1.0) * off_lips
    tip = head.plan.nose_base_y
    # From under the nose, sloping to beyond the mouth's corners, with a bare philtrum.
    top = tip - 2.5 - 0.30 * np.clip(ax - 9.0, 0, None) - 0.010 * np.clip(ax - 9.0, 0, None) ** 2
    moustache = smooth_step(top - y, -1.2, 2.2) * (1 - smooth_step(ax, corner + 1.0, corner + 8.0))
    bottom = mouth - 5.0 * smooth_step(ax, corner - 4.0, corner + 4.0)
    moustache = moustache * smooth_step(y, bottom - 3.0, bottom + 1.0) * off_lips * front
    moustache = moustache * (0.55 + 0.45 * smooth_step(ax, 1.0, 4.5))
    return np.clip(beard, 0, 1), np.clip(moustache, 0, 1)


def _facial_hair(skin: np.ndarray, maps: SkinMaps, head: Head, look: Look, rng: np.random.Generator) -> np.ndarray:
    beard, moustache = beard_masks(maps, head)
    fine = smooth_field(rng, maps.size, (460, 460))
    both = np.clip(beard + moustache, 0, 1)
    shadow = both * look.stubble * (0.42 + 0.16 * fine)
    colour = np.array(look.hair_colour, dtype=np.float32) * 0.55
    skin = _mix(skin, np.clip(shadow, 0, 0.7), colour * 0.6 + skin.mean(axis=(0, 1)) * 0.25)
    hairs = strands(rng, maps.size, 300, 60)
    grown = np.clip(beard * look.beard + moustache * look.moustache, 0, 1)
    cover = np.clip(grown * 1.5 * (0.75 + 0.25 * hairs), 0, 0.93)
    return _mix(skin, cover, colour * 1.25)


def hairline_row(column: np.ndarray, hairline: float) -> np.ndarray:
    """Lattice row at which the scalp's hair ends, over the lattice column."""
    column = np.abs(column)
    at = np.array([0.0, 1.0, 2.0, 3.0, 3.8, 4.5, 5.0, 5.35, 5.7, 6.2, 7.0, 8.0])
    # In the middle, the temple's bay, the sideburn, over the ear, the nape.
    row = np.array([3.25, 3.22, 3.05, 2.95, 3.45, 4.4, 5.6, 7.0, 6.2, 5.9, 8.2, 9.0])
    recede = np.array([1.0, 1.0, 1.25, 1.35, 1.0, 0.5, 0.2, 0.0, 0.0, 0.0, 0.0, 0.0])
    return np.interp(column, at, row - 0.55 * hairline * recede)


def _scalp(skin: np.ndarray, maps: SkinMaps, head: Head, look: Look, rng: np.random.Generator) -> np.ndarray:
    """Roots under the hair, with an edge of single hairs."""
    edge = hairline_row(maps.column, look.hair.hairline)
    ragged = 0.10 * strands(rng, maps.size, 380, 30) + 0.05 * fractal_field(rng, maps.size, 20, 3)
    inside = smooth_step(edge - maps.row + ragged, -0.12, 0.22)
    grain = smooth_field(rng, maps.size, (480, 480))
    thick = np.clip(look.hair.density * 1.15, 0, 1) * (0.86 + 0.10 * grain)
    colour = np.array(look.hair_colour, dtype=np.float32) * 0.62
    return _mix(skin, np.clip(inside * thick, 0, 0.95), colour)


def _gloss(maps: SkinMaps, head: Head, rng: np.random.Generator, lips: np.ndarray) -> np.ndarray:
    """Oil on forehead and nose, moisture on the lips, broken up by pores."""
    ax, y = np.abs(maps.x), maps.y
    shine = 0.42 + 0.35 * bump(ax, y, (0.0, 40.0), (34.0, 18.0))
    shine += 0.5 * bump(ax, y, (0.0, head.plan.nose_tip_y), (9.0, 16.0)) + 0.25 * bump(
        ax, y, (44.0, -16.0), (14.0, 9.0)
    )
    shine = shine + 0.35 * lips
    grain = smooth_field(rng, maps.size, (300, 300))
    return np.clip(shine * (1 + 0.22 * grain), 0.0, 1.5).astype(np.float32)
