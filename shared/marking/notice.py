"""A visible notice on pictures: a label in a corner that says they are synthetic."""

from __future__ import annotations

import cv2
import numpy as np

NOTICE = "AI - SYNTHETIC"
_SHARE = 0.05  # height of the label over that of the picture
_LEAST_PX = 12
_WIDEST = 0.6


def with_notice(image: np.ndarray, text: str = NOTICE) -> np.ndarray:
    """A copy of an (H, W, 3) uint8 RGB picture with a dark label and light text in its lower left corner."""
    height, width = image.shape[:2]
    tall = max(_LEAST_PX, round(height * _SHARE))
    (wide, letter), _ = cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, 1.0, 1)
    size = min(0.6 * tall / letter, _WIDEST * width / wide)
    margin = max(2, round(tall * 0.3))
    right = min(width, round(wide * size) + 2 * margin)
    labelled = image.copy()
    top = max(0, height - tall)
    labelled[top:, :right] = labelled[top:, :right] // 4
    baseline = (margin, height - max(2, round((tall - letter * size) / 2)))
    thickness = max(1, round(size * 1.5))
    cv2.putText(labelled, text, baseline, cv2.FONT_HERSHEY_SIMPLEX, size, (255, 255, 255), thickness, cv2.LINE_AA)
    return labelled
