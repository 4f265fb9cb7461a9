"""The texture atlas of all parts of a person except the hair."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from shared.actors.features import smooth_step
from shared.actors.head import Head
from shared.actors.look import Look, skin_colour
from shared.actors.noise import fractal_field, smooth_field
from shared.actors.skin import paint_skin

# Tiles as (left, top, width, height) in units of the head's tile.
TILES: dict[str, tuple[float, float, float, float]] = {
    "head": (0.0, 0.0, 1.0, 1.0),
    "torso": (1.0, 0.0, 0.5, 0.5),
    "eye": (1.0, 0.5, 0.25, 0.25),
    "teeth": (1.25, 0.5, 0.25, 0.125),
    "tongue": (1.25, 0.625, 0.25, 0.125),
    "ear": (1.0, 0.75, 0.25, 0.25),
    "rim": (1.25, 0.75, 0.25, 0.25),
}
_WIDTH = 1.5


@dataclass(frozen=True, eq=False)
class Atlas:
    """Convention: colour (T, 1.5 T, 4) uint8, sRGB albedo and ambient light; gloss (T, 1.5 T) uint8, 255 is 1.5."""

    colour: np.ndarray
    gloss: np.ndarray

    @property
    def size(self) -> int:
        """T, texels per side of the head's tile."""
        return self.colour.shape[0]


def tile_uv(name: str, u: np.ndarray, v: np.ndarray) -> np.ndarray:
    """(..., 2) float32 in units of T: tile coordinates in [0, 1] to the atlas, half a texel off the tile's border."""
    left, top, width, height = TILES[name]
    inset = 0.004
    u = inset + (1 - 2 * inset) * np.asarray(u)
    v = inset + (1 - 2 * inset) * np.asarray(v)
    return np.stack([left + width * u, top + height * v], axis=-1).astype(np.float32)


def paint_atlas(head: Head, look: Look, seed: int, size: int) -> Atlas:
    """The atlas of a person, with ``size`` texels per side of the head's tile."""
    colour = np.ones((size, int(size * _WIDTH), 4), dtype=np.float32)
    gloss = np.full(colour.shape[:2], 0.3, dtype=np.float32)
    painters = {
        "head": lambda rng, h, w: paint_skin(head, look, rng, h),
        "torso": lambda rng, h, w: _torso(look, rng, h, w),
        "eye": lambda rng, h, w: _eye(look, rng, h),
        "teeth": lambda rng, h, w: _teeth(rng, h, w),
        "tongue": lambda rng, h, w: _tongue(rng, h, w),
        "ear": lambda rng, h, w: _ear(look, rng, h),
        "rim": lambda rng, h, w: _rim(look, h, w),
    }
    for index, (name, paint) in enumerate(painters.items()):
        left, top, width, height = (round(value * size) for value in TILES[name])
        picture, shine = paint(np.random.default_rng([seed, 77, index]), height, width)
        colour[top : top + height, left : left + width, : picture.shape[2]] = picture
        gloss[top : top + height, left : left + width] = shine
    return Atlas(
        np.clip(colour * 255 + 0.5, 0, 255).astype(np.uint8), np.clip(gloss * 170 + 0.5, 0, 255).astype(np.uint8)
    )


def _eye(look: Look, rng: np.random.Generator, size: int) -> tuple[np.ndarray, np.ndarray]:
    """The eyeball seen from the front, 100 degrees of arc from the pupil at the tile's border."""
    v, u = np.mgrid[0:size, 0:size].astype(np.float32)
    dx, dy = (u + 0.5) / size * 2 - 1, (v + 0.5) / size * 2 - 1
    degrees = np.hypot(dx, dy) * 100.0
    angle = np.arctan2(dy, dx)
    veins = fractal_field(rng, (size, size), 18, 3)
    white = np.array([0.83, 0.80, 0.775], dtype=np.float32)
    out = np.broadcast_to(white, (size, size, 3)).copy()
    pink = np.clip(0.10 + 0.35 * smooth_step(degrees, 35, 75) + 0.05 * veins, 0, 1)[..., None]
    out = out * (1 - pink) + np.array([0.80, 0.55, 0.50], dtype=np.float32) * pink
    table = rng.standard_normal((6, 129)).astype(np.float32)
    table[:, -1] = table[:, 0]
    fibre = cv2.remap(
        table,
        ((angle + np.pi) / (2 * np.pi) * 128).astype(np.float32),
        (degrees / 28 * 4).astype(np.float32),
        cv2.INTER_LINEAR,
    )
    inner = np.exp(-0.5 * ((degrees - 13.5) / 4.0) ** 2)
    tone = (1.0 + 0.22 * fibre + 0.40 * inner)[..., None]
    iris = np.array(look.iris, dtype=np.float32) * tone
    limbus = smooth_step(degrees, 21.5, 26.5)[..., None]
    iris = iris * (1 - 0.72 * limbus)
    pupil = 1 - smooth_step(degrees, 9.5, 11.0)[..., None]
    iris = iris * (1 - pupil) + 0.012 * pupil
    in_iris = (1 - smooth_step(degrees, 25.8, 28.4))[..., None]
    out = out * (1 - in_iris) + iris * in_iris
    return np.dstack([out, np.ones((size, size), np.float32)]), np.full((size, size), 1.5, np.float32)


def _teeth(rng: np.random.Generator, height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    """A row of teeth with gums at the top of the tile."""
    v, u = np.mgrid[0:height, 0:width].astype(np.float32)
    u, v = (u + 0.5) / width, (v + 0.5) / height
    edges = np.array([0.0, 0.06, 0.13, 0.20, 0.275, 0.345, 0.41, 0.5, 0.59, 0.655, 0.725, 0.80, 0.87, 0.94, 1.0])
    nearest = np.abs(u[..., None] - edges).min(axis=-1)
    gap = np.exp(-0.5 * (nearest / 0.0055) ** 2)
    shade = (1 - 0.55 * np.abs(u - 0.5) * 2 * 0.7)[..., None]
    tooth = np.array([0.95, 0.92, 0.85], dtype=np.float32) * shade
    tooth = tooth * (1 - 0.40 * gap[..., None] * smooth_step(v, 0.15, 0.4)[..., None])
    scallop = 0.33 + 0.10 * np.cos(np.clip(nearest / 0.045, 0, 1) * np.pi)
    gum = 1 - smooth_step(v, scallop - 0.05, scallop + 0.05)
    out = tooth * (1 - gum[..., None]) + np.array([0.62, 0.33, 0.33], dtype=np.float32) * gum[..., None] * shade
    return np.dstack([out, np.ones((height, width), np.float32)]), np.full((height, width), 0.9, np.float32)


def _tongue(rng: np.random.Generator, height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    grain = smooth_field(rng, (height, width), (60, 60))
    colour = np.array([0.62, 0.30, 0.30], dtype=np.float32) * (1 + 0.06 * grain)[..., None]
    return np.dstack([colour, np.full((height, width), 0.8, np.float32)]), np.full((height, width), 0.5, np.float32)


def _ear(look: Look, rng: np.random.Generator, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Redder than the cheek, dark in the bowl. The tile is polar: v runs from the middle to the rim."""
    v = ((np.arange(size, dtype=np.float32) + 0.5) / size)[:, None] * np.ones((1, size), np.float32)
    skin = np.array(skin_colour(look.tone, look.undertone), dtype=np.float32)
    out = np.broadcast_to(skin, (size, size, 3)) * np.array([1.0, 0.93, 0.93], dtype=np.float32)
    out = out * (1 + 0.02 * fractal_field(rng, (size, size), 6, 3))[..., None]
    light = 0.45 + 0.5 * smooth_step(v, 0.2, 0.62) - 0.28 * np.exp(-0.5 * ((v - 0.75) / 0.06) ** 2)
    return np.dstack([out, light]), np.full((size, size), 0.4, np.float32)


def _rim(look: Look, height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    """Three bands, top to bottom: upper lid's rim, lower lid's rim, lips' inner side."""
    skin = np.array(skin_colour(look.tone, 0.0), dtype=np.float32)
    out = np.ones((height, width, 4), np.float32)
    third = height // 3
    corner = 1 - smooth_step(np.linspace(0, 1, width, dtype=np.float32), 0.08, 0.24)[None, :, None]
    flesh = np.array([0.66, 0.40, 0.37], dtype=np.float32) * (1 - 0.35 * look.tone)
    out[:third, :, :3] = np.array([0.12, 0.07, 0.06], dtype=np.float32) * (1 - corner) + flesh * corner
    out[third : 2 * third, :, :3] = skin * 0.55 + np.array([0.30, 0.14, 0.13], dtype=np.float32)
    dark = np.linspace(1.0, -0.7, height - 2 * third, dtype=np.float32)[:, None, None]
    lips = np.array([0.62, 0.30, 0.30], dtype=np.float32) * (1 - 0.45 * look.tone)
    out[2 * third :, :, :3] = lips * np.clip(dark, 0.04, 1.0)
    return out, np.full((height, width), 0.8, np.float32)


def _torso(look: Look, rng: np.random.Generator, height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    """Neck above, cloth below a neckline. u runs round the body (the middle in front), v from the jaw downwards."""
    v, u = np.mgrid[0:height, 0:width].astype(np.float32)
    u, v = (u + 0.5) / width * 2 - 1, (v + 0.5) / height
    skin = np.array(skin_colour(look.tone, look.undertone), dtype=np.float32) * 0.97
    out = np.broadcast_to(skin, (height, width, 3)) * (1 + 0.02 * fractal_field(rng, (height, width), 8, 3))[..., None]
    front = np.clip(1 - np.abs(u) / 0.42, 0, 1)
    dips = (0.50 + 0.07 * front**0.8, 0.49 + 0.22 * front**1.0, 0.40 + 0.10 * front, 0.36 + 0.0 * front)
    edge = dips[look.neckline % len(dips)]
    cloth = smooth_step(v, edge - 0.004, edge + 0.004)[..., None]
    weave = (
        1
        + 0.05 * smooth_field(rng, (height, width), (height // 2, width // 2))
        + 0.07 * fractal_field(rng, (height, width), 6, 3)
    )
    colour = np.array(look.cloth, dtype=np.float32) * weave[..., None]
    band = (smooth_step(v, edge, edge + 0.002) * (1 - smooth_step(v, edge + 0.028, edge + 0.032)))[..., None]
    colour = colour * (1 - band) + np.array(look.cloth_second, dtype=np.float32) * weave[..., None] * band
    out = out * (1 - cloth) + colour * cloth
    light = 1 - 0.45 * np.exp(-0.5 * ((v - edge + 0.012) / 0.012) ** 2) * (1 - cloth[..., 0])
    light = light * (0.55 + 0.45 * smooth_step(v, 0.10, 0.34))
    return np.dstack([out, light]), 0.35 - 0.30 * cloth[..., 0]
