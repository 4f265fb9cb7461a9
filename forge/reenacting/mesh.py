"""A mesh over the face and the map that moves its pixels: piecewise affine, continuous, zero beyond its edge.

The triangles are those of the mean face, once and for all, so that none flips from frame to frame; their vertices are
the landmarks and two rings around the head.

Convention:
    vertices: (V, 2) float64 frame pixels; the first 68 are the landmarks
    map: backward, so that the new picture at (x, y) is the old one at (x, y) + shift
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
from scipy.spatial import Delaunay

from forge.reenacting.shape import EYES, INNER_LIPS
from shared.faces.align import MEAN_FACE

RING = 27
_BROWS = tuple(range(26, 16, -1))
_RINGS = (1.4, 2.0)
_FOREHEAD = 0.7
_LEAST_AREA_PX = 1e-3
_FRACTION_BITS = 4
_STILL_PX = 0.02
_WHOLE_PX = 0.25


@dataclass(frozen=True, eq=False)
class Moved:
    """A part of the picture whose pixels move.

    Convention:
        bounds: half-open (x0, y0, x1, y1) in frame pixels
        shift: (h, w, 2) float32, see the module
        support: (h, w) bool, pixels of triangles that change
    """

    bounds: tuple[int, int, int, int]
    shift: np.ndarray
    support: np.ndarray

    @property
    def alpha(self) -> np.ndarray:
        """(h, w) float32: 1 where pixels move, 0 where they do not."""
        distance = np.hypot(self.shift[..., 0], self.shift[..., 1])
        alpha = np.clip((distance - _STILL_PX) / _WHOLE_PX, 0.0, 1.0).astype(np.float32)
        return alpha * self.support


def vertices_of(landmarks: np.ndarray) -> np.ndarray:
    """(68 + 2 * 27, 2): ``landmarks`` (68, 2), then the inner and the outer ring around the head."""
    points = np.asarray(landmarks, np.float64)
    up = points[36:48].mean(0) - points[33]
    outline = np.concatenate([points[:17], points[list(_BROWS)] + _FOREHEAD * up])
    centre = points[27:48].mean(0)
    rings = [centre + factor * (outline - centre) for factor in _RINGS]
    return np.concatenate([points, *rings])


@lru_cache(maxsize=1)
def triangles() -> np.ndarray:
    """(T, 3) int: corners of the triangles, without those between the lips and within the eyes."""
    found = Delaunay(vertices_of(MEAN_FACE)).simplices
    holes = [set(INNER_LIPS), *(set(eye) for eye in EYES)]
    kept = [corners for corners in found.tolist() if not any(set(corners) <= hole for hole in holes)]
    fans = [_fan(hole) for hole in (INNER_LIPS, *EYES)]
    return np.array([*kept, *(corner for fan in fans for corner in fan)])


def _fan(hole: tuple[int, ...]) -> list[tuple[int, int, int]]:
    """Triangles across a mouth or an eye, each from lid to lid, so that they shut without turning over."""
    half = len(hole) // 2
    upper, lower = hole[: half + 1], (hole[0], *hole[:half:-1], hole[half])
    strips: list[tuple[int, int, int]] = []
    for place in range(half):
        a, b, c, d = upper[place], upper[place + 1], lower[place], lower[place + 1]
        strips += [corner for corner in ((a, b, c), (b, d, c)) if len(set(corner)) == 3]
    return strips


def moved_pixels(
    before: np.ndarray, after: np.ndarray, *, width: int, height: int, smooth_px: float = 0.0
) -> Moved | None:
    """The map that carries vertices ``before`` (V, 2) to ``after`` (V, 2); None where nothing in the picture moves.

    With ``smooth_px`` above 0 the map is a Gaussian mean of that width of the piecewise affine one, except along the
    edge of what changes, where both are 0: creases along the sides of triangles go, and vertices are met less exactly.
    """
    corners = triangles()
    moving = (np.abs(after - before).max(axis=1) > 0)[corners].any(axis=1)
    changed = corners[moving]
    if not len(changed):
        return None
    bounds = _bounds(after[changed].reshape(-1, 2), width, height)
    x0, y0, x1, y1 = bounds
    if x1 <= x0 or y1 <= y0:
        return None
    changed = changed[np.abs(_areas(after[changed])) >= _LEAST_AREA_PX]
    there = after[changed] - [x0, y0]
    shares, values = _shares(there), (before[changed] - after[changed]).astype(np.float32)
    labels = np.full((y1 - y0, x1 - x0), -1, np.int32)
    for number, fine in enumerate(np.rint(there * 2**_FRACTION_BITS).astype(np.int32)):
        cv2.fillConvexPoly(labels, fine, number, lineType=cv2.LINE_8, shift=_FRACTION_BITS)
    support = labels >= 0
    ys, xs = np.nonzero(support)
    number = labels[ys, xs]
    chosen = shares[number]
    weights = chosen[..., 0] * xs[:, None] + chosen[..., 1] * ys[:, None] + chosen[..., 2]
    # Of a pixel that touches a thin triangle from outside, the nearest point of that triangle counts.
    weights = np.clip(weights, 0.0, 1.0)
    weights /= weights.sum(axis=1, keepdims=True)
    shift = np.zeros((*labels.shape, 2), np.float32)
    shift[ys, xs] = np.einsum("nk,nki->ni", weights, values[number])
    return Moved(bounds, _without_creases(shift, support, smooth_px) if smooth_px > 0 else shift, support)


def _without_creases(shift: np.ndarray, support: np.ndarray, smooth_px: float) -> np.ndarray:
    """A mean of ``shift`` (h, w, 2), which sets in over two widths from the edge of ``support`` (h, w)."""
    inside = cv2.distanceTransform(np.pad(support.astype(np.uint8), 1), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)[1:-1, 1:-1]
    share = np.clip(inside / (2 * smooth_px), 0.0, 1.0)[..., None]
    return (share * cv2.GaussianBlur(shift, (0, 0), smooth_px) + (1 - share) * shift).astype(np.float32)


def _bounds(points: np.ndarray, width: int, height: int) -> tuple[int, int, int, int]:
    x0, y0 = np.clip(np.floor(points.min(0)).astype(int), 0, [width, height])
    x1, y1 = np.clip(np.ceil(points.max(0)).astype(int) + 1, 0, [width, height])
    return int(x0), int(y0), int(x1), int(y1)


def _areas(corners: np.ndarray) -> np.ndarray:
    """(N,): signed areas of triangles (N, 3, 2)."""
    one, two = corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
    return (one[:, 0] * two[:, 1] - one[:, 1] * two[:, 0]) / 2


def _shares(corners: np.ndarray) -> np.ndarray:
    """(N, 3, 3) float32: from (x, y, 1) to the share of each corner of triangles (N, 3, 2), its barycentric place."""
    system = np.concatenate([corners, np.ones((*corners.shape[:2], 1))], axis=2)
    return np.linalg.inv(system).transpose(0, 2, 1).astype(np.float32)


def polygon(points: np.ndarray, bounds: tuple[int, int, int, int], feather_px: float = 0.0) -> np.ndarray:
    """(h, w) float32 coverage of the polygon ``points`` (N, 2), frame pixels, in ``bounds``, its edge softened."""
    x0, y0, x1, y1 = bounds
    scale = 4
    canvas = np.zeros(((y1 - y0) * scale, (x1 - x0) * scale), np.uint8)
    fine = ((points - [x0, y0]) + 0.5) * scale - 0.5
    cv2.fillPoly(canvas, [np.rint(fine).astype(np.int32)], 255)
    mask = cv2.resize(canvas, (x1 - x0, y1 - y0), interpolation=cv2.INTER_AREA).astype(np.float32) / 255
    if feather_px <= 0:
        return mask
    return cv2.GaussianBlur(mask, (0, 0), feather_px)


def sampled(image: np.ndarray, places: np.ndarray) -> np.ndarray:
    """(h, w, 3) float32 levels of ``image`` (H, W, 3) uint8 at ``places`` (h, w, 2), frame pixels, by a Lanczos kernel.

    Beyond the edge the picture is reflected.
    """
    x, y = (np.ascontiguousarray(places[..., axis], np.float32) for axis in (0, 1))
    found = cv2.remap(image, x, y, cv2.INTER_LANCZOS4, borderMode=cv2.BORDER_REFLECT)
    return found.astype(np.float32)


def places_in(bounds: tuple[int, int, int, int]) -> np.ndarray:
    """(h, w, 2) float32: x and y of every pixel of ``bounds``."""
    x0, y0, x1, y1 = bounds
    xs, ys = np.meshgrid(np.arange(x0, x1, dtype=np.float32), np.arange(y0, y1, dtype=np.float32))
    return np.stack([xs, ys], axis=-1)
