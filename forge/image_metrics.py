"""Metrics of swap quality, as pure functions of pictures and landmarks.

Convention:
    crop: (S, S, 3) float32 in [0, 1] or uint8, RGB
    mask: (S, S) float32 in [0, 1]
    landmarks: (68, 2)
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import cv2
import numpy as np
import torch
from torch import Tensor

from forge.training import losses
from shared.faces.mask import erode

_OUTER_EYE_CORNERS = (36, 45)
_RING = (5, 250)


@dataclass(frozen=True)
class Spread:
    """Statistics of the values of one metric: number, median, quartiles and mean."""

    n: int
    median: float
    low: float
    high: float
    mean: float

    @classmethod
    def of(cls, values: Iterable[float]) -> Spread | None:
        """The statistics of the finite values; None if there are none."""
        finite = np.array([value for value in values if np.isfinite(value)], dtype=np.float64)
        if not len(finite):
            return None
        low, median, high = np.quantile(finite, [0.25, 0.5, 0.75])
        return cls(len(finite), float(median), float(low), float(high), float(finite.mean()))


def ssim(a: np.ndarray, b: np.ndarray, mask: np.ndarray | None = None) -> float:
    """Mean structural similarity of two crops, over all pixels or weighted by ``mask``; 11x11 window, sigma 1.5.

    As reported in training, see :func:`forge.training.losses.ssim_map`. NaN if the mask is empty.
    """
    if mask is not None and not mask.any():
        return float("nan")
    weight = None if mask is None else _tensor(mask[..., None])
    return float(losses.ssim(_tensor(_unit(a)), _tensor(_unit(b)), weight))


def sharpness_ratio(crop: np.ndarray, reference: np.ndarray, mask: np.ndarray) -> float:
    """Variance of the Laplacian of luma inside ``mask``, of ``crop`` over that of ``reference``; 1 is as sharp.

    The mask is eroded by two pixels, to leave out the edge of the face. NaN if the mask is then empty or the reference
    is flat.
    """
    inside = erode(mask, 2)
    if not inside.any():
        return float("nan")
    own, its = (float(losses.sharpness(_tensor(_unit(one)), _tensor(inside[..., None]))) for one in (crop, reference))
    return own / its if its > 1e-9 else float("nan")


def landmark_distance(found: np.ndarray, wanted: np.ndarray) -> float:
    """Mean distance of 68 landmarks from the wanted ones, as a fraction of the distance of the outer eye corners."""
    left, right = _OUTER_EYE_CORNERS
    between = float(np.linalg.norm(wanted[right] - wanted[left]))
    return float(np.linalg.norm(found - wanted, axis=1).mean()) / between if between > 0 else float("nan")


def seam_ratio(after: np.ndarray, before: np.ndarray, alpha: np.ndarray) -> float:
    """Ratio of the luma gradients after and before compositing, in the transition band of ``alpha``; 1 means no seam.

    ``after`` and ``before`` are frames (H, W, 3) uint8, ``alpha`` (H, W) uint8. Mean gradient magnitudes (Sobel) where
    alpha is between its extremes; one grey level is added to both, so that noise on flat skin does not dominate. NaN
    without such a band.
    """
    band = (alpha > _RING[0]) & (alpha < _RING[1])
    if not band.any():
        return float("nan")
    x0, y0, width, height = cv2.boundingRect(band.astype(np.uint8))
    part = np.s_[max(0, y0 - 2) : y0 + height + 2, max(0, x0 - 2) : x0 + width + 2]
    steep, was = (float(_gradient(_luma(one[part]))[band[part]].mean()) for one in (after, before))
    return (steep + 1 / 255) / (was + 1 / 255)


def flicker(earlier: np.ndarray, now: np.ndarray, later: np.ndarray, mask: np.ndarray) -> float:
    """Mean difference in ``mask``, in grey levels, of a crop's luma from the mean of the previous and the next crop.

    Crops of three successive frames with the same alignment; linear changes of light or pose cancel. Blurred with sigma
    1, because compression noise is not flicker.
    """
    total = float(mask.sum())
    if total <= 0:
        return float("nan")
    first, middle, last = (cv2.GaussianBlur(_luma(one), (0, 0), 1.0) for one in (earlier, now, later))
    return float((np.abs(middle - (first + last) / 2) * mask).sum() / total) * 255


def _unit(crop: np.ndarray) -> np.ndarray:
    return crop.astype(np.float32) / 255 if crop.dtype == np.uint8 else crop.astype(np.float32)


def _luma(crop: np.ndarray) -> np.ndarray:
    return _unit(crop) @ np.array([0.299, 0.587, 0.114], np.float32)


def _tensor(picture: np.ndarray) -> Tensor:
    """(1, C, S, S) of (S, S, C)."""
    return torch.from_numpy(np.ascontiguousarray(picture, dtype=np.float32)).permute(2, 0, 1)[None]


def _gradient(luma: np.ndarray) -> np.ndarray:
    across, down = (cv2.Sobel(luma, cv2.CV_32F, *order, ksize=3, scale=1 / 8) for order in ((1, 0), (0, 1)))
    return np.hypot(across, down)
