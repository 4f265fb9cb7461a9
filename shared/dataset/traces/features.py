"""Statistics of a face, of the band round its border, and of its surroundings.

Convention:
    region: (H, W) uint8, the face region of a fake's mask; 128 and more is inside
    band: the pixels within 8 % of the face's size (the square root of its area), at least 4 px, of the region's border
    face, surroundings: what is inside and outside the band, the latter out to six of its widths
    energies: log2 of grey levels, so that one less is half as much; below a quarter of a level they count as that
"""

from __future__ import annotations

import cv2
import numpy as np

from shared.dataset.audit.regions import difference_bands

REGIONS: tuple[str, ...] = ("face", "band", "surroundings")
BANDS = 4
"""Differences of Gaussians of the luma (sigma 0.7, 1.4, 2.8, 5.6 px), fine to coarse."""

STATISTICS: tuple[str, ...] = (
    *(f"{region}, {name}" for region in REGIONS for name in (*(f"band {n + 1}" for n in range(BANDS)), "noise")),
    *(f"step, {channel}" for channel in ("lightness", "green to red", "blue to yellow")),
)
"""Names of the statistics, in order."""

LEAST_SPREAD = np.array([0.05] * (len(REGIONS) * (BANDS + 1)) + [0.25] * 3)
"""Standard deviations below this count as it: 3.5 % of an energy, a quarter of a unit of CIE Lab."""

_BAND_SHARE, _LEAST_BAND_PX, _REACH = 0.08, 4, 6
_LEAST_PIXELS = 64
_FLOOR = 0.25
_MARGIN_PX = 18
_HIGH_PASS = np.array([[-1, 2, -1], [2, -4, 2], [-1, 2, -1]], np.float32) / 4


def face_statistics(image: np.ndarray, region: np.ndarray) -> np.ndarray | None:
    """(18,) float64 of :data:`STATISTICS`; None where a part has fewer than 64 pixels.

    Of each part of ``image`` (H, W, 3) uint8 the root mean square of each band and the mean absolute residual of a
    high-pass (Ker and Böhme 2008) that removes smooth content; across the border the absolute differences of the mean
    colours of the band's inner and outer half, in CIE Lab.
    """
    inside = region >= 128
    width = max(_LEAST_BAND_PX, round(_BAND_SHARE * float(np.sqrt(inside.sum()))))
    part = _around(inside, _REACH * width + _MARGIN_PX)
    if part is None:
        return None
    image, inside = np.ascontiguousarray(image[part]), inside[part]
    near, inner = _grown(inside, width), _shrunk(inside, width)
    far = _grown(inside, _REACH * width)
    parts = (inner, near & ~inner, far & ~near)
    halves = (inside & ~inner, near & ~inside)
    if min(int(pixels.sum()) for pixels in (*parts, *halves)) < _LEAST_PIXELS:
        return None
    luma = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY).astype(np.float32)
    bands = difference_bands(luma, BANDS)
    residual = np.abs(cv2.filter2D(luma, -1, _HIGH_PASS, borderType=cv2.BORDER_REFLECT_101))
    found: list[float] = []
    for pixels in parts:
        energies = [float(np.sqrt((band[pixels] ** 2).mean())) for band in bands]
        found += [float(np.log2(max(value, _FLOOR))) for value in (*energies, float(residual[pixels].mean()))]
    lab = cv2.cvtColor(image.astype(np.float32) / 255, cv2.COLOR_RGB2LAB)
    step = lab[halves[0]].mean(axis=0) - lab[halves[1]].mean(axis=0)
    return np.array([*found, *np.abs(step).tolist()])


def _around(inside: np.ndarray, margin: int) -> tuple[slice, slice] | None:
    """The smallest part of the picture that holds the region and ``margin`` pixels round it."""
    x, y, width, height = cv2.boundingRect(inside.astype(np.uint8))
    if not width:
        return None
    return slice(max(0, y - margin), y + height + margin), slice(max(0, x - margin), x + width + margin)


def _grown(inside: np.ndarray, px: int) -> np.ndarray:
    """The region and all pixels at most ``px`` from it."""
    return cv2.distanceTransform((~inside).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE) <= px


def _shrunk(inside: np.ndarray, px: int) -> np.ndarray:
    return cv2.distanceTransform(inside.astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE) > px
