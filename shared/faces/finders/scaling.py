"""Reduction of frames to the size a detector needs."""

from __future__ import annotations

import cv2
import numpy as np


def shrunk(
    image: np.ndarray, *, longest_px: int, easy_px: float, min_face_px: float | None
) -> tuple[np.ndarray, np.ndarray]:
    """The frame reduced as far as the search allows.

    Args:
        image: (H, W, 3) uint8.
        longest_px: maximum of the longer side.
        easy_px: face size that the detector finds reliably.
        min_face_px: side of the smallest face wanted, in frame pixels: it need not be larger than ``easy_px`` after
            shrinking. None searches at ``longest_px``.

    Returns:
        The frame, possibly reduced, and (2,) float64 factors of x and y back to the original.
    """
    height, width = image.shape[:2]
    scale = min(1.0, longest_px / max(width, height))
    if min_face_px is not None and min_face_px > 0:
        scale = min(scale, easy_px / min_face_px)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    if size == (width, height):
        return image, np.ones(2)
    small = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    return small, np.array([width / size[0], height / size[1]])
