"""Writes the picture mark: the tile, weighted by what hides it, at a strength solved for a wanted PSNR.

The mark is the same change of red, green and blue, so it is a change of luma alone. It is weighted by the local
activity (texture hides noise) and by the luminance (Weber: dark and bright areas hide it less well than middle ones).
The pattern does not move, so a still scene gets the same change in every frame and does not flicker.
"""

from __future__ import annotations

import math

import cv2
import numpy as np

from shared.marking.payload import Payload, encode
from shared.marking.tile import SIDE, Tile

PSNR_DB = 42.5
"""Peak signal-to-noise ratio, in dB, of every marked frame; rounding and clipping cost some hundredths of it."""

_ROUNDING_VARIANCE = 1 / 12
_ACTIVITY_PX = 9
_INNER = np.ones((5, 5), np.uint8)
_FLAT = 2.0  # grey levels: activity below this hides nothing more
_POWER = 0.6
_MOST = 3.0  # largest weight over the mean weight
_LUMA = np.array([[0.299, 0.587, 0.114]], np.float32)


def pitch_for(height: int, width: int) -> int:
    """Pixels of the picture per pixel of the tile: 1, 2 from 1,024 pixels of the shorter side, 4 from 2,048."""
    shorter = min(height, width)
    return 1 if shorter < 1024 else 2 if shorter < 2048 else 4


class MarkWriter:
    """Marks the frames of one clip, or single pictures.

    Args:
        payload: what the mark says.
        psnr_db: wanted PSNR of each frame.
    """

    def __init__(self, payload: Payload, *, psnr_db: float = PSNR_DB) -> None:
        self.payload = payload
        self._tile = Tile.of_key().pattern(encode(payload.number))
        self._rms = math.sqrt(max(255.0**2 / 10 ** (psnr_db / 10) - _ROUNDING_VARIANCE, 0.0))
        self._cover = np.zeros((0, 0), np.float32)

    def mark(self, image: np.ndarray) -> np.ndarray:
        """A marked copy of an (H, W, 3) uint8 RGB picture."""
        change = self._change(image)
        return cv2.add(image, cv2.merge([change] * 3), dtype=cv2.CV_8U)

    def _change(self, image: np.ndarray) -> np.ndarray:
        """(H, W) float32: what is added to each channel."""
        height, width = image.shape[:2]
        if self._cover.shape != (height, width):
            self._cover = _covering(self._tile, height, width)
        change = hiding(cv2.transform(image, _LUMA)) * self._cover
        return change * np.float32(self._rms / max(math.sqrt(float(np.mean(np.square(change)))), 1e-6))


def hiding(luma: np.ndarray) -> np.ndarray:
    """(H, W) float32: how strongly each place of an (H, W) uint8 luma picture may be changed, in relation to others."""
    height, width = luma.shape
    small = cv2.resize(luma, (max(1, width // 2), max(1, height // 2)), interpolation=cv2.INTER_AREA).astype(np.float32)
    box = (_ACTIVITY_PX, _ACTIVITY_PX)
    mean = cv2.blur(small, box)
    activity = np.sqrt(np.maximum(cv2.blur(small * small, box) - mean * mean, 0))
    # Beside an edge, the flat side counts: noise shows there.
    weight = np.power(cv2.erode(activity, _INNER) + _FLAT, _POWER)
    weight *= 1 - 0.5 * np.square((mean - 120) / 136)
    weight = cv2.blur(weight, box)
    np.minimum(weight, _MOST * float(weight.mean()), out=weight)
    return cv2.resize(weight, (width, height), interpolation=cv2.INTER_LINEAR)


def _covering(tile: np.ndarray, height: int, width: int) -> np.ndarray:
    """The tile repeated over a picture of this size, at its pitch."""
    pitch = pitch_for(height, width)
    if pitch > 1:
        ring = cv2.copyMakeBorder(tile, 4, 4, 4, 4, cv2.BORDER_WRAP)
        size = (SIDE + 8) * pitch
        grown = cv2.resize(ring, (size, size), interpolation=cv2.INTER_CUBIC)
        tile = grown[4 * pitch : -4 * pitch, 4 * pitch : -4 * pitch]
    side = SIDE * pitch
    return np.tile(tile, (-(-height // side), -(-width // side)))[:height, :width].copy()
