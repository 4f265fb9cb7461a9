"""Picture quality of face crops, as a detector sees them: detail, grain, and the block grid of an encoder.

Whatever a camera, a scaler and an encoder did to a file, what reaches the detector is the crop. These measures need no
reference. Each is of luma, in the crop's own pixels, so they compare only between crops of one size and framing.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import cv2
import numpy as np

MOST_CROPS = 6
"""Crops of one clip that are measured, evenly spaced."""

_REACH = 9
_NOISE = np.array([[1, -2, 1], [-2, 4, -2], [1, -2, 1]], np.float32)
_BLOCK_PX = 8.0
_BAND_ROWS = 32
_STEEPEST = 12.0
_BESIDE = (0.72, 0.79, 1.23, 1.3)
_HIGHEST = 0.45


@dataclass(frozen=True)
class CropQuality:
    """The median quality of the crops of one clip.

    Attributes:
        detail: share of the differences between neighbouring pixels that a blur takes away, 0 (soft) to 1: one less the
            blur of Crete et al., "The blur effect", SPIE 2007.
        grain: standard deviation of what is neither flat nor an edge, in grey levels (Immerkaer, "Fast noise variance
            estimation", 1996); compression and denoising take it away.
        blocks: power of steps at the period of 8 x 8 blocks over that at periods beside it, about 1 without a visible
            grid; None where the crop is too small for one to be visible.
    """

    detail: float
    grain: float
    blocks: float | None


def crop_quality(crops: Iterable[tuple[np.ndarray, float]]) -> CropQuality | None:
    """The median quality of (crop, scale) pairs; None without any.

    A crop is (S, S, 3) uint8 RGB; its scale is the number of its pixels for one of the frame.
    """
    greys = [(cv2.cvtColor(crop, cv2.COLOR_RGB2GRAY).astype(np.float32), scale) for crop, scale in crops]
    if not greys:
        return None
    blocks = [found for grey, scale in greys if (found := block_power(grey, scale)) is not None]
    return CropQuality(
        detail=float(np.median([detail(grey) for grey, _ in greys])),
        grain=float(np.median([grain(grey) for grey, _ in greys])),
        blocks=float(np.median(blocks)) if blocks else None,
    )


def detail(grey: np.ndarray) -> float:
    """The detail of (S, S) float32 luma, see :class:`CropQuality`; of both directions the lower, 0 for a flat crop."""
    found = []
    for axis, size in ((0, (1, _REACH)), (1, (_REACH, 1))):
        steps = np.abs(np.diff(grey, axis=axis))
        blurred = np.abs(np.diff(cv2.blur(grey, size, borderType=cv2.BORDER_REFLECT_101), axis=axis))
        total = float(steps.sum())
        found.append(float(np.maximum(0.0, steps - blurred).sum()) / total if total > 0 else 0.0)
    return min(found)


def grain(grey: np.ndarray) -> float:
    """The grain of (S, S) float32 luma, see :class:`CropQuality`."""
    residual = cv2.filter2D(grey, -1, _NOISE)[1:-1, 1:-1]
    return float(np.abs(residual).mean() * np.sqrt(np.pi / 2) / 6)


def block_power(grey: np.ndarray, scale: float) -> float | None:
    """The power of a block grid in (S, S) float32 luma at ``scale``, see :class:`CropQuality`.

    Second differences along rows and columns, averaged over bands of 32 lines, which a slightly turned face does not
    smear, are compared at one cycle for 8 pixels of the frame with frequencies beside it.
    """
    cycle = 1 / (_BLOCK_PX * scale) if scale > 0 else np.inf
    if cycle * max(_BESIDE) > _HIGHEST or min(grey.shape) < _BAND_ROWS:
        return None
    on, beside = 0.0, 0.0
    for plane in (grey, grey.T):
        steps = np.minimum(np.abs(plane[:, 2:] - 2 * plane[:, 1:-1] + plane[:, :-2]), _STEEPEST)
        places = np.arange(steps.shape[1])
        waves = np.exp(-2j * np.pi * cycle * np.outer((1.0, *_BESIDE), places)) * np.hanning(places.size)
        for first in range(0, steps.shape[0] - _BAND_ROWS + 1, _BAND_ROWS):
            profile = steps[first : first + _BAND_ROWS].mean(axis=0)
            power = np.abs(waves @ (profile - profile.mean())) ** 2
            on, beside = on + float(power[0]), beside + float(power[1:].mean())
    return (on + 1e-9) / (beside + 1e-9)
