"""Scenes: background, lighting, camera and its noise, sampled from a seed."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from shared.actors.look import Colour
from shared.actors.noise import fractal_field
from shared.actors.render import Camera
from shared.actors.shade import Lights, as_linear, direction

_WALLS: tuple[Colour, ...] = (
    (0.55, 0.57, 0.60), (0.70, 0.66, 0.60), (0.42, 0.48, 0.55), (0.58, 0.52, 0.48), (0.44, 0.52, 0.46),
    (0.33, 0.35, 0.40), (0.75, 0.75, 0.73), (0.50, 0.42, 0.40),
)  # fmt: skip
_PAPERS: tuple[Colour, ...] = (
    (0.55, 0.30, 0.22), (0.22, 0.32, 0.42), (0.30, 0.38, 0.26), (0.78, 0.72, 0.60), (0.25, 0.22, 0.20),
    (0.62, 0.52, 0.34), (0.48, 0.50, 0.52),
)  # fmt: skip


@dataclass(frozen=True, eq=False)
class Scene:
    """A background, lighting and camera.

    Convention:
        backdrop: (px, px, 3) float32, linear light
        grain, banding: strength of the sensor's shot and row noise
        exposure: factor on linear light before the film curve
    """

    lights: Lights
    camera: Camera
    backdrop: np.ndarray
    grain: float
    exposure: float
    falloff: np.ndarray


def sample_scene(rng: np.random.Generator, px: int, tone: float) -> Scene:
    """A random scene for images of side ``px``, exposed for a face of skin ``tone``."""
    lights = _sample_lights(rng)
    camera = Camera(
        scale=float(rng.uniform(0.79, 0.87)) / 256,
        eye_line=float(rng.uniform(0.455, 0.485)),
        middle=float(rng.uniform(0.47, 0.53)),
    )
    backdrop = _sample_backdrop(rng, px)
    y, x = np.mgrid[0:px, 0:px].astype(np.float32) / px - 0.5
    falloff = 1 - np.float32(rng.uniform(0.15, 0.45)) * (x * x + y * y)
    exposure = float(rng.uniform(0.92, 1.12)) * (1 + 0.42 * max(tone - 0.35, 0.0))
    return Scene(lights, camera, backdrop, float(rng.uniform(0.004, 0.010)), exposure, falloff)


def _sample_lights(rng: np.random.Generator) -> Lights:
    warmth = rng.uniform(-1, 1)
    key_side = rng.choice([-1.0, 1.0])
    key = np.array([1.0 + 0.07 * warmth, 1.0, 1.0 - 0.12 * warmth]) * rng.uniform(0.80, 1.05)
    fill = np.array([1.0 - 0.08 * warmth, 1.0, 1.0 + 0.10 * warmth]) * rng.uniform(0.14, 0.32)
    sky = np.array([0.95, 1.0, 1.06]) * rng.uniform(0.24, 0.36)
    ground = np.array([1.06, 1.0, 0.92]) * rng.uniform(0.10, 0.18)
    rim = np.array([1.0, 1.0, 1.0]) * rng.uniform(0.1, 0.8)
    single = np.float32
    return Lights(
        key=direction(key_side * rng.uniform(12, 52), rng.uniform(18, 44)),
        key_colour=key.astype(single),
        fill=direction(-key_side * rng.uniform(35, 75), rng.uniform(-5, 20)),
        fill_colour=fill.astype(single),
        sky=sky.astype(single),
        ground=ground.astype(single),
        rim=direction(-key_side * rng.uniform(115, 160), rng.uniform(10, 45)),
        rim_colour=rim.astype(single),
    )


def _sample_backdrop(rng: np.random.Generator, px: int) -> np.ndarray:
    """A wall with objects, out of focus."""
    size = (px, px)
    y, x = np.mgrid[0:px, 0:px].astype(np.float32) / px
    wall = as_linear(_WALLS[int(rng.integers(len(_WALLS)))])
    slope = 1.0 + np.float32(rng.uniform(-0.5, 0.5)) * (x - 0.5) + np.float32(rng.uniform(-0.4, 0.25)) * (y - 0.5)
    picture = wall * slope[..., None] * (1 + 0.03 * fractal_field(rng, size, 5, 4))[..., None]
    kind = int(rng.integers(4))
    if kind == 0:
        picture = _shelf(picture, rng, x, y)
    elif kind == 1:
        picture = _window(picture, rng, x, y)
    elif kind == 2:
        picture = _frames(picture, rng, x, y)
    blur = px * rng.uniform(0.010, 0.028)
    picture = cv2.GaussianBlur(picture.astype(np.float32), (0, 0), blur)
    return np.clip(picture * np.float32(0.62), 0.004, 1.4).astype(np.float32)


def _box(x: np.ndarray, y: np.ndarray, left: float, top: float, right: float, bottom: float) -> np.ndarray:
    return ((x >= left) & (x < right) & (y >= top) & (y < bottom))[..., None]


def _shelf(picture: np.ndarray, rng: np.random.Generator, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Rows of books."""
    top = rng.uniform(0.02, 0.12)
    for row in range(4):
        base = top + 0.24 * (row + 1)
        at = rng.uniform(-0.05, 0.05)
        while at < 1.0:
            wide, high = rng.uniform(0.018, 0.05), rng.uniform(0.12, 0.20)
            colour = as_linear(_PAPERS[int(rng.integers(len(_PAPERS)))]) * np.float32(rng.uniform(0.5, 1.1))
            if rng.random() < 0.86:
                picture = np.where(_box(x, y, at, base - high, at + wide, base), colour, picture)
            at += wide + rng.uniform(0.0, 0.006)
        board = as_linear((0.30, 0.22, 0.16))
        picture = np.where(_box(x, y, 0.0, base, 1.0, base + 0.018), board, picture)
    return picture


def _window(picture: np.ndarray, rng: np.random.Generator, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """A bright window with bars at one side, trees behind it."""
    left = rng.choice([rng.uniform(-0.15, 0.05), rng.uniform(0.62, 0.8)])
    right, bottom = left + rng.uniform(0.32, 0.42), rng.uniform(0.65, 0.85)
    leaves = fractal_field(rng, (picture.shape[0], picture.shape[1]), 6, 5)[..., None]
    green = as_linear((0.45, 0.58, 0.40)) * np.clip(1 + 0.4 * leaves, 0.3, 2.0)
    view = np.where(y[..., None] + 0.06 * leaves > 0.45, green, as_linear((0.86, 0.91, 0.97)))
    picture = np.where(_box(x, y, left, -0.1, right, bottom), view * np.float32(1.4), picture)
    bar = as_linear((0.82, 0.81, 0.78))
    middle = 0.5 * (left + right)
    for a, b in ((left - 0.015, left + 0.015), (middle - 0.008, middle + 0.008), (right - 0.015, right + 0.015)):
        picture = np.where(_box(x, y, a, -0.1, b, bottom), bar, picture)
    return np.where(_box(x, y, left - 0.03, bottom, right + 0.03, bottom + 0.025), bar, picture)


def _frames(picture: np.ndarray, rng: np.random.Generator, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Pictures on the wall, and the edge of a door."""
    for _ in range(int(rng.integers(2, 5))):
        left, top = rng.uniform(-0.05, 0.9), rng.uniform(0.0, 0.5)
        wide, high = rng.uniform(0.12, 0.25), rng.uniform(0.14, 0.3)
        edge = as_linear(_PAPERS[int(rng.integers(len(_PAPERS)))])
        inner = as_linear(_WALLS[int(rng.integers(len(_WALLS)))]) * np.float32(1.1)
        picture = np.where(_box(x, y, left, top, left + wide, top + high), edge, picture)
        rim = 0.018
        picture = np.where(_box(x, y, left + rim, top + rim, left + wide - rim, top + high - rim), inner, picture)
    door = rng.uniform(0.7, 1.2)
    wood = as_linear((0.46, 0.36, 0.27))
    return np.where(_box(x, y, door, 0.05, 1.1, 1.0), wood, picture)


def develop(light: np.ndarray, scene: Scene, rng: np.random.Generator) -> np.ndarray:
    """(H, W, 3) uint8 sRGB of linear light: vignette, exposure, film shoulder, shot noise."""
    value = light * (scene.falloff * np.float32(scene.exposure))[..., None]
    noise = rng.standard_normal(value.shape, dtype=np.float32)
    value = np.maximum(value, 0.0)
    value = value + noise * np.float32(scene.grain) * np.sqrt(value + np.float32(0.01))
    value = np.clip(value, 0.0, None)
    value = value * (1 + value * np.float32(0.08)) / (1 + value * np.float32(0.28))
    place = np.minimum(value * np.float32(_CURVE_STEPS), np.float32(_CURVE_STEPS)).astype(np.int32)
    return _CURVE[place]


_CURVE_STEPS = 8192


def _curve() -> np.ndarray:
    linear = np.arange(_CURVE_STEPS + 1) / _CURVE_STEPS
    srgb = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * np.maximum(linear, 1e-9) ** (1 / 2.4) - 0.055)
    return np.clip(np.rint(srgb * 255), 0, 255).astype(np.uint8)


_CURVE = _curve()
