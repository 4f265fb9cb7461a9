"""Reads the picture mark from the frames of a clip, or from one picture.

Frames are whitened (the local mean is taken away, the rest divided by its local strength) and added up; the sum is
searched for the tile (:mod:`shared.marking.search`), and if none is found, its mirror image.
"""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np

from shared.marking.reading import MarkReading, threshold_for
from shared.marking.search import find_mark, scales_between

SCALES = (0.4, 2.1)
"""Pixels of the (reduced) picture per pixel of the tile that are tried."""

MOST_WINDOWS = 8
"""How often one file is read, at most; all count in the threshold."""

_LARGEST_PX = 1024  # of the shorter side; larger pictures are reduced
_SMALLEST_PX = 48
_MOST_ASPECT = 8
_WHITENING_PX = 11
_FLOOR = 2.0


class MarkReader:
    """Collects the frames of a clip, then reads their mark.

    Frames of another size than the one before begin anew.
    """

    def __init__(self) -> None:
        self._sum = np.zeros((0, 0), np.float32)
        self._reduction = 1.0
        self.frames = 0

    def add(self, luma: np.ndarray) -> None:
        """Takes one (H, W) uint8 luma picture; one with a side below 48 pixels, or very long, is passed over."""
        shorter = min(luma.shape)
        if shorter < _SMALLEST_PX or max(luma.shape) > _MOST_ASPECT * shorter:
            return
        reduction = min(1.0, _LARGEST_PX / shorter)
        if reduction < 1:
            height, width = luma.shape
            size = (round(width * reduction), round(height * reduction))
            luma = cv2.resize(luma, size, interpolation=cv2.INTER_AREA)
        white = whitened(luma)
        if self._sum.shape != white.shape:
            self._sum, self._reduction, self.frames = np.zeros_like(white), reduction, 0
        self._sum += white
        self.frames += 1

    def read(self) -> MarkReading:
        """The mark of the frames so far. One that is not read may be there: see the statistic."""
        if not self.frames:
            return MarkReading(None, 0.0, threshold_for(1), 1.0)
        scales, times = scales_between(*SCALES, self._sum.shape), 2 * MOST_WINDOWS
        reading = find_mark(self._sum, scales, times=times)
        if not reading.found:
            turned = find_mark(np.ascontiguousarray(self._sum[:, ::-1]), scales, times=times)
            reading = max(reading, replace(turned, mirrored=turned.found), key=MarkReading.order)
        scale = None if reading.scale is None else reading.scale / self._reduction
        return replace(reading, scale=scale, looked_at=self.frames)


def whitened(plane: np.ndarray) -> np.ndarray:
    """(H, W) float32: detail of an (H, W) plane, uint8 or float32, made about equally strong everywhere."""
    box = (_WHITENING_PX, _WHITENING_PX)
    detail = plane.astype(np.float32)
    detail -= cv2.blur(detail, box, borderType=cv2.BORDER_REFLECT)
    power = cv2.blur(detail * detail, box, borderType=cv2.BORDER_REFLECT)
    # The box filter adds and takes away, which can leave a little less than nothing.
    strength = np.sqrt(np.maximum(power, 0)) + np.float32(_FLOOR)
    return detail / (strength * np.sqrt(strength))
