"""Shading of skin, eyes, cloth and hair: a key light with cast shadows, a fill, and the sky; in linear light."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from shared.actors.lattice import turned, unit
from shared.actors.look import Colour

_SHADOW_TEXELS = 128
_SHADOW_REACH = 230.0  # millimetres from the head's middle to the shadow map's edge
_SHADOW_CENTRE = np.array([0.0, -40.0, -70.0], dtype=np.float32)
_TAPS = ((-1.0, -0.4), (0.4, -1.0), (1.0, 0.4), (-0.4, 1.0), (-1.6, 1.2), (1.6, -1.2), (1.2, 1.6), (-1.2, -1.6))
# Red light scatters farther under skin than blue, so shadow edges are red.
_WRAP = np.array([0.30, 0.14, 0.09], dtype=np.float32)


@dataclass(frozen=True, eq=False)
class Lights:
    """The lighting of a scene.

    Convention: directions (3,) float32, unit, towards the light; colours linear RGB strengths.
    """

    key: np.ndarray
    key_colour: np.ndarray
    fill: np.ndarray
    fill_colour: np.ndarray
    sky: np.ndarray
    ground: np.ndarray
    rim: np.ndarray
    rim_colour: np.ndarray


def dot(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """(N,): products of the rows of two (N, 3)."""
    return np.einsum("nk,nk->n", a, b)


def along_axis(vectors: np.ndarray, axis: np.ndarray) -> np.ndarray:
    """(N,): products of rows (N, 3) with one vector (3,)."""
    return np.einsum("nk,k->n", vectors, axis)


def direction(azimuth: float, elevation: float) -> np.ndarray:
    """(3,) float32 towards ``azimuth`` degrees to the viewer's right and ``elevation`` degrees up."""
    a, e = np.deg2rad([azimuth, elevation])
    return np.array([np.sin(a) * np.cos(e), np.sin(e), np.cos(a) * np.cos(e)], dtype=np.float32)


def to_linear(srgb: np.ndarray) -> np.ndarray:
    """Linear light, float32, of sRGB values in [0, 1] (IEC 61966-2-1)."""
    srgb = np.asarray(srgb, dtype=np.float32)
    return np.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4).astype(np.float32)


_LINEAR = to_linear(np.arange(256) / 255.0)


def bytes_to_linear(srgb: np.ndarray) -> np.ndarray:
    """Linear light, float32, of uint8 sRGB."""
    return _LINEAR[srgb]


def as_linear(colour: Colour) -> np.ndarray:
    """(3,) float32."""
    return to_linear(np.array(colour))


def cast_shadow(points: np.ndarray, toward: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The shadow map: depth of the nearest surface from the light.

    Args:
        points: (V, 3) float32, dense enough to represent the surface.
        toward: (3,) unit, towards the light.

    Returns:
        (S, S) float32 depth along ``toward``, and (3, 3) rows: right, up and towards of the light's view.
    """
    up = np.array([0.0, 1.0, 0.0], dtype=np.float32)
    right = np.cross(up, toward)
    right /= np.linalg.norm(right)
    view = np.stack([right, np.cross(toward, right), toward]).astype(np.float32)
    seen = turned(points - _SHADOW_CENTRE, view)
    scale = _SHADOW_TEXELS / (2 * _SHADOW_REACH)
    at = np.floor((seen[:, :2] + _SHADOW_REACH) * scale).astype(np.int64)
    inside = ((at >= 0) & (at < _SHADOW_TEXELS)).all(axis=1)
    depth = np.full(_SHADOW_TEXELS * _SHADOW_TEXELS, -1e3, dtype=np.float32)
    np.maximum.at(depth, at[inside, 1] * _SHADOW_TEXELS + at[inside, 0], seen[inside, 2])
    depth = cv2.dilate(depth.reshape(_SHADOW_TEXELS, _SHADOW_TEXELS), np.ones((3, 3), np.uint8))
    return depth, view


def lit_share(positions: np.ndarray, depth: np.ndarray, view: np.ndarray) -> np.ndarray:
    """(N,) float32: 1 where the key light reaches a position (N, 3), 0 in its shadow, soft between."""
    seen = turned(positions - _SHADOW_CENTRE, view)
    scale = np.float32(_SHADOW_TEXELS / (2 * _SHADOW_REACH))
    at = (seen[:, :2] + np.float32(_SHADOW_REACH)) * scale - np.float32(0.5)
    total = np.zeros(len(positions), dtype=np.float32)
    for dx, dy in _TAPS:
        nearest = _look_up(depth, at[:, 0] + np.float32(dx), at[:, 1] + np.float32(dy))
        total += np.clip((seen[:, 2] - nearest + np.float32(13.0)) * np.float32(1 / 8), 0.0, 1.0)
    return total * np.float32(1 / len(_TAPS))


def _look_up(picture: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Bilinear samples at (N,) positions, through OpenCV's ``remap``."""
    width = 1024
    count = len(x)
    rows = -(-count // width)
    maps = np.zeros((2, rows * width), dtype=np.float32)
    maps[0, :count], maps[1, :count] = x, y
    found = cv2.remap(
        picture,
        maps[0].reshape(rows, width),
        maps[1].reshape(rows, width),
        cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_REPLICATE,
    )
    return found.reshape(rows * width, *found.shape[2:])[:count]


def look_up(picture: np.ndarray, uv: np.ndarray, side: int) -> np.ndarray:
    """(N, K): texels of ``picture`` at uv (N, 2) given in units of ``side`` texels, bilinear."""
    return _look_up(
        picture, uv[:, 0] * np.float32(side) - np.float32(0.5), uv[:, 1] * np.float32(side) - np.float32(0.5)
    )


def shade_solid(
    albedo: np.ndarray, normal: np.ndarray, toward_eye: np.ndarray, light: np.ndarray, gloss: np.ndarray,
    lit: np.ndarray, lights: Lights, wet: np.ndarray,
) -> np.ndarray:  # fmt: skip
    """(N, 3) float32 linear light towards the camera.

    Args:
        albedo: (N, 3) linear.
        normal: (N, 3) unit.
        toward_eye: (N, 3) unit.
        light: (N,) share of the sky that reaches the point.
        gloss: (N,) strength of the highlight.
        lit: (N,) share of the key light that reaches the point.
        lights: the lighting.
        wet: (N,) bool, where the surface is an eye, with its small sharp highlight.
    """
    ambient = lights.ground + (0.5 + 0.5 * normal[:, 1:2]) * (lights.sky - lights.ground)
    out = ambient * light[:, None]
    facing = along_axis(normal, lights.key)
    wrapped = np.clip((facing[:, None] + _WRAP) / (1 + _WRAP), 0, None)
    keyed = lit * (0.35 + 0.65 * light)
    out += lights.key_colour * wrapped * keyed[:, None]
    side = np.clip((along_axis(normal, lights.fill) + 0.25) / 1.25, 0, None) * light
    out += lights.fill_colour * side[:, None]
    out *= albedo
    cosine = np.clip(dot(normal, toward_eye), 0, 1)
    grazing = (1 - cosine) ** 4
    half = unit(toward_eye + lights.key)
    near = np.clip(dot(normal, half), 0, 1)
    squared = near * near
    eighth = (squared * squared) ** 2
    tight = eighth * eighth * eighth
    shine = 0.072 * tight + 0.22 * eighth * squared * (0.12 + grazing)
    shine[wet] = 0.9 * near[wet] ** 420 + 0.03 * tight[wet]
    out += lights.key_colour * (shine * gloss * keyed * light * np.clip(facing * 4 + 0.4, 0, 1))[:, None]
    rim = grazing * np.clip(along_axis(normal, lights.rim) + 0.2, 0, 1) * light
    return out + lights.rim_colour * (0.5 * rim)[:, None] * (0.15 + albedo)


def shade_hair(
    albedo: np.ndarray,
    normal: np.ndarray,
    along: np.ndarray,
    toward_eye: np.ndarray,
    lit: np.ndarray,
    lights: Lights,
    *,
    dull: float = 0.0,
) -> np.ndarray:
    """(N, 3) float32 linear light off strands that run ``along`` (N, 3), after Kajiya and Kay (1989)."""
    ambient = lights.ground + (0.5 + 0.5 * normal[:, 1:2]) * (lights.sky - lights.ground)
    facing = np.clip((along_axis(normal, lights.key) + 0.35) / 1.35, 0, None) * (0.35 + 0.65 * lit)
    out = ambient + lights.key_colour * facing[:, None]
    out += lights.fill_colour * np.clip((along_axis(normal, lights.fill) + 0.35) / 1.35, 0, None)[:, None]
    out *= albedo
    half = unit(toward_eye + lights.key)
    across = np.clip(1 - dot(along, half) ** 2, 0, 1)
    band = across**22 * np.clip(along_axis(normal, lights.key) + 0.25, 0, 1) * lit
    brightness = albedo.mean(axis=1)
    band = band * (1 - np.float32(0.8) * dull)
    out += lights.key_colour * (band * (0.03 + 0.22 * brightness))[:, None]
    rim = np.clip(1 - dot(normal, toward_eye), 0, 1) ** 3 * np.clip(along_axis(normal, lights.rim) + 0.3, 0, 1)
    return out + lights.rim_colour * (0.8 * rim)[:, None] * (0.05 + albedo)
