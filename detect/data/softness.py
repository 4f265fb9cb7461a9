"""Quality of a face crop, as far as it is no trace of a forgery."""

from __future__ import annotations

import cv2
import numpy as np

from shared.faces.mask import hull_mask


def face_detail(crop: np.ndarray, landmarks: np.ndarray) -> float:
    """Log of the mean squared Laplacian in grey inside the face: the lower, the softer.

    Args:
        crop: (S, S, 3) uint8 RGB; comparable only between crops of one size and framing.
        landmarks: (68, 2) float32 in crop pixels.
    """
    grey = cv2.cvtColor(crop, cv2.COLOR_RGB2GRAY)
    inside = hull_mask(landmarks, crop.shape[0], "dfl") > 0.5
    laplacian = cv2.Laplacian(grey, cv2.CV_32F)
    values = laplacian[inside] if inside.any() else laplacian
    return float(np.log(np.mean(values.astype(np.float64) ** 2) + 1.0))
