"""Reads the picture mark from the frames of a clip, or from one picture.

Frames are whitened (the local mean is taken away, the rest divided by its local power) and added up; the sum is
searched for the tile (:mod:`shared.marking.search`), and if none is found, its mirror image. Half of the allowed false
alarms goes to the one place where a file that was neither cut nor resized has the tile, so that less is needed there.
"""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np

from shared.marking.embed import pitch_for
from shared.marking.reading import MarkReading, threshold_for
from shared.marking.search import find_mark, scales_between

SCALES = (0.4, 2.1)
"""Pixels of the (reduced) picture per pixel of the tile that are tried."""

MOST_WINDOWS = 8
"""How often one file is read, at most; all count in the threshold."""

_LARGE_PX, _REDUCED_PX = 1024, 512  # of the shorter side: larger pictures, whose tile is coarser, are reduced to 512,
_LEAST_REDUCTION = 0.45  # but not below this, within SCALES: a marked picture may lie in a larger canvas as it was
_SMALLEST_PX = 48
_MOST_ASPECT = 8
_WHITENING_PX = 7
_FLOOR = 2.0


class MarkReader:
    """Collects the frames of a clip, then reads their mark.

    Frames of another size than the one before begin anew.
    """

    def __init__(self) -> None:
        self._sum = np.zeros((0, 0), np.float32)
        self._reduction = 1.0
        self._size = (0, 0)
        self.frames = 0

    def add(self, luma: np.ndarray) -> None:
        """Takes one (H, W) uint8 luma picture; one with a side below 48 pixels, or very long, is passed over."""
        shorter = min(luma.shape)
        if shorter < _SMALLEST_PX or max(luma.shape) > _MOST_ASPECT * shorter:
            return
        height, width = luma.shape
        size = (height, width)
        reduction = 1.0
        if shorter >= _LARGE_PX:
            reduction = min(max(_REDUCED_PX / shorter, _LEAST_REDUCTION), _LARGE_PX / shorter)
        if reduction < 1:
            smaller = (round(width * reduction), round(height * reduction))
            luma = cv2.resize(luma, smaller, interpolation=cv2.INTER_AREA)
        white = whitened(luma, _WHITENING_PX, 2.0)
        if self._size != size:
            self._sum, self._size, self._reduction, self.frames = np.zeros_like(white), size, reduction, 0
        self._sum += white
        self.frames += 1

    def read(self) -> MarkReading:
        """The mark of the frames so far. One that is not read may be there: see the statistic."""
        if not self.frames:
            return MarkReading(None, 0.0, threshold_for(1), 1.0)
        # Both ways round; twice for the halves of the allowed false alarms.
        scales, times = scales_between(*SCALES, self._sum.shape), 2 * 2 * MOST_WINDOWS
        written = self._reduction * pitch_for(*self._size)
        reading = find_mark(self._sum, scales, times=times, written=written)
        if not reading.found:
            turned = find_mark(np.ascontiguousarray(self._sum[:, ::-1]), scales, times=times)
            reading = max(reading, replace(turned, mirrored=turned.found), key=MarkReading.order)
        scale = None if reading.scale is None else reading.scale / self._reduction
        return replace(reading, scale=scale, looked_at=self.frames)


def whitened(plane: np.ndarray, side: int, power: float) -> np.ndarray:
    """(H, W) float32: detail of an (H, W) plane, uint8 or float32, made about equally strong everywhere.

    Args:
        plane: the picture.
        side: pixels of the square about each place that give its local mean and strength.
        power: of the local strength, that the detail is divided by.
    """
    box = (side, side)
    detail = plane.astype(np.float32)
    detail -= cv2.blur(detail, box, borderType=cv2.BORDER_REFLECT)
    strength = cv2.blur(cv2.multiply(detail, detail), box, borderType=cv2.BORDER_REFLECT)
    # The box filter adds and takes away, which can leave a little less than nothing.
    np.maximum(strength, 0, out=strength)
    np.sqrt(strength, out=strength)
    strength += np.float32(_FLOOR)
    if power == 2:
        np.multiply(strength, strength, out=strength)
    else:
        np.power(strength, np.float32(power), out=strength)
    return np.divide(detail, strength, out=detail)
