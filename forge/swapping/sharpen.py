"""Processing of the swapped crop before it is pasted: sharpening, enlargement, motion blur.

Convention:
    crop: (S, S, 3) float32 in [0, 1], RGB
"""

from __future__ import annotations

import cv2
import numpy as np

from forge.swapping.config import SharpenKind

_SAMPLES_A_PIXEL = 8


def sharpened(
    crop: np.ndarray, amount: float, *, kind: SharpenKind = "gauss", radius: float = 1.0, threshold: float = 0.02
) -> np.ndarray:
    """``crop`` plus ``amount`` times its detail (itself less its blurred copy), (S, S, 3) float32 in [0, 1].

    ``radius`` in crop pixels is the Gaussian's sigma, or for ``box`` half the box, rounded up to a whole box of at
    least 3 pixels. ``unsharp`` is ``gauss`` that does not sharpen detail weaker than ``threshold``, such as noise and
    skin.
    """
    if amount == 0:
        return crop
    if kind == "box":
        side = 2 * max(1, round(radius)) + 1
        detail = crop - cv2.blur(crop, (side, side), borderType=cv2.BORDER_REFLECT)
    else:
        detail = crop - cv2.GaussianBlur(crop, (0, 0), radius, borderType=cv2.BORDER_REFLECT)
    if kind == "unsharp":
        strength = np.abs(detail).max(axis=2, keepdims=True)
        detail = detail * (strength >= threshold)
    return np.clip(crop + amount * detail, 0.0, 1.0)


def motion_blurred(crop: np.ndarray, motion: np.ndarray) -> np.ndarray:
    """``crop`` with motion blur along ``motion`` (2,), in crop pixels, centred, so nothing shifts: (S, S, 3) float32.

    As a camera records a point that moves at constant speed by ``motion`` while the shutter is open. Less than a tenth
    of a pixel is ignored.
    """
    if float(np.hypot(*motion)) < 0.1:
        return crop
    return cv2.filter2D(crop, -1, line_kernel(motion), borderType=cv2.BORDER_REFLECT)


def line_kernel(motion: np.ndarray) -> np.ndarray:
    """(K, K) float32, K odd, sum 1: a straight line of ``motion`` (2,) (x, y) pixels through the centre.

    Evenly spaced points of the line are splatted bilinearly, so that fractional lengths are kept.
    """
    reach = int(np.ceil(np.abs(motion).max() / 2)) + 1
    side = 2 * reach + 1
    count = max(2, int(np.ceil(np.hypot(*motion) * _SAMPLES_A_PIXEL)))
    # Midpoints of equal parts, so that every part of the line weighs the same.
    shares = (np.arange(count) + 0.5) / count - 0.5
    kernel = np.zeros((side, side))
    for x, y in shares[:, None] * np.asarray(motion, np.float64) + reach:
        column, row = int(x), int(y)
        fx, fy = x - column, y - row
        kernel[row, column] += (1 - fx) * (1 - fy)
        kernel[row, column + 1] += fx * (1 - fy)
        kernel[row + 1, column] += (1 - fx) * fy
        kernel[row + 1, column + 1] += fx * fy
    return (kernel / count).astype(np.float32)
