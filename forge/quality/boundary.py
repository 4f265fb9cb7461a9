"""Metrics of compositing at the mask's border, outside it and over time. Pure functions of pictures and masks.

Convention:
    frame: (H, W, 3) uint8, RGB; alpha: (H, W) uint8, the compositor's mask
    crop: (S, S, 3) uint8; mask: (S, S) float32 in [0, 1]
"""

from __future__ import annotations

import math

import cv2
import numpy as np

from forge.image_metrics import flicker, ssim

_INSIDE, _OUTSIDE = 250, 5
_BAND = 0.04
_LEAST_BAND_PX = 2.0
_SECTORS = 16
_LEAST_PIXELS = 8
_WINDOW_REACH_PX = 5
_LEAST_FLOW_PX = 16


def ssim_outside(fake: np.ndarray, target: np.ndarray, alpha: np.ndarray) -> float:
    """Mean SSIM (11x11, sigma 1.5) of two frames outside the mask; 1 for no change.

    Over the box of the mask, enlarged by half its side in each direction, without the mask and the five pixels around
    it that SSIM's window would include. NaN without a mask, or if no pixel is left.
    """
    part = around(alpha)
    if part is None:
        return math.nan
    outside = 1 - _grown(alpha[part])
    return ssim(fake[part], target[part], outside.astype(np.float32))


def inside_replaced(fake: np.ndarray, target: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    """(H, W, 3) uint8: ``fake`` with the target's pixels inside the mask and five pixels around it.

    Metrics with large receptive fields are then affected only by changes outside.
    """
    return np.where(_grown(alpha)[..., None] > 0, target, fake)


def around(alpha: np.ndarray) -> tuple[slice, slice] | None:
    """Rows and columns of the mask's box, enlarged by half its side and clipped to the frame; None without a mask."""
    x0, y0, width, height = cv2.boundingRect((alpha > 0).astype(np.uint8))
    if width == 0:
        return None
    rows = slice(max(0, y0 - height // 2), y0 + height + height // 2 + 1)
    return rows, slice(max(0, x0 - width // 2), x0 + width + width // 2 + 1)


def color_step(fake: np.ndarray, target: np.ndarray, alpha: np.ndarray) -> float:
    """Colour difference (CIE76) between just inside and just outside the mask, beyond that in the target.

    The mean CIE Lab colour of a band inside the mask's border minus that of a band outside, in the fake, minus the same
    in the target: the norm of this difference, mean over 16 sectors around the mask's centre. 0 is no step; about 2.3
    is just noticeable (Sharma, Digital Color Imaging Handbook, 2003). NaN without both bands.
    """
    part = around(alpha)
    if part is None:
        return math.nan
    alpha = alpha[part]
    inner, outer = _bands(alpha)
    step = _lab(fake[part]) - _lab(target[part])
    sectors = _sectors(alpha)
    steps = []
    for number in range(_SECTORS):
        here = sectors == number
        one, other = inner & here, outer & here
        if one.sum() >= _LEAST_PIXELS and other.sum() >= _LEAST_PIXELS:
            steps.append(float(np.linalg.norm(step[one].mean(0) - step[other].mean(0))))
    return float(np.mean(steps)) if steps else math.nan


def flows(before: np.ndarray, now: np.ndarray, after: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Optical flow from ``now`` to ``before`` and to ``after``: two (S, S, 2) float32 fields, of crops of the target.

    Dense inverse search (Kroeger et al., ECCV 2016). Zero for crops smaller than 16 px.
    """
    if min(now.shape[:2]) < _LEAST_FLOW_PX:
        still = np.zeros((*now.shape[:2], 2), np.float32)
        return still, still
    search = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    greys = [cv2.cvtColor(one, cv2.COLOR_RGB2GRAY) for one in (before, now, after)]
    empty = np.zeros((*now.shape[:2], 2), np.float32)
    return search.calc(greys[1], greys[0], empty.copy()), search.calc(greys[1], greys[2], empty.copy())


def flicker_compensated(
    before: np.ndarray,
    now: np.ndarray,
    after: np.ndarray,
    mask: np.ndarray,
    moved: tuple[np.ndarray, np.ndarray],
) -> float:
    """:func:`forge.image_metrics.flicker` after warping the previous and the next crop onto ``now`` by ``moved``.

    The target's flow is used for the fake and for the target, as in Lai et al., "Learning blind video temporal
    consistency", ECCV 2018, so that motion of the target is not counted as flicker.
    """
    return flicker(_warped(before, moved[0]), now, _warped(after, moved[1]), mask)


def _warped(crop: np.ndarray, flow: np.ndarray) -> np.ndarray:
    rows, columns = np.mgrid[: crop.shape[0], : crop.shape[1]].astype(np.float32)
    across, down = columns + flow[..., 0], rows + flow[..., 1]
    return cv2.remap(crop, across, down, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)


def _grown(alpha: np.ndarray) -> np.ndarray:
    """(H, W) uint8, 1 within five pixels (SSIM's window) of the mask."""
    side = 2 * _WINDOW_REACH_PX + 1
    return cv2.dilate((alpha > 0).astype(np.uint8), np.ones((side, side), np.uint8))


def _bands(alpha: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Pixels fully inside the mask near its border, and pixels outside near it."""
    reach = max(_LEAST_BAND_PX, _BAND * math.sqrt(float((alpha > 127).sum())))
    inside, outside = (alpha >= _INSIDE).astype(np.uint8), (alpha <= _OUTSIDE).astype(np.uint8)
    return tuple(
        (region > 0) & (cv2.distanceTransform(region, cv2.DIST_L2, cv2.DIST_MASK_PRECISE) <= reach)
        for region in (inside, outside)
    )  # type: ignore[return-value]


def _sectors(alpha: np.ndarray) -> np.ndarray:
    """(H, W) int: the index of each pixel's sector around the mask's centre."""
    rows, columns = np.nonzero(alpha > 127)
    y, x = np.mgrid[: alpha.shape[0], : alpha.shape[1]]
    middle = (rows.mean(), columns.mean()) if len(rows) else (alpha.shape[0] / 2, alpha.shape[1] / 2)
    angle = np.arctan2(y - middle[0], x - middle[1])
    return np.floor((angle + math.pi) / (2 * math.pi) * _SECTORS).astype(int) % _SECTORS


def _lab(frame: np.ndarray) -> np.ndarray:
    return cv2.cvtColor(frame.astype(np.float32) / 255, cv2.COLOR_RGB2LAB)
