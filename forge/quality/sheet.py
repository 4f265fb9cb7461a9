"""A picture sheet of one fake: target, swap, difference and mask of a few frames."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from typing_extensions import override

from forge.quality.metrics import FrameMetric, Sample, Values
from shared.faces.align import cut, frame_to_crop
from shared.sampling import evenly_spaced

ROWS: tuple[str, ...] = ("target", "swapped", "difference x 4", "mask")

_CELL_PX = 160
_COLUMNS = 6
_TITLE_PX = 18
_DIFFERENCE = 4
_INK = (235, 235, 235)


class SheetMetric(FrameMetric):
    """Collects the faces of the picked frames for the sheet; gives no values."""

    def __init__(self) -> None:
        self._columns: list[list[np.ndarray]] = []

    @override
    def update(self, sample: Sample) -> Values:
        if sample.picked:
            self._columns.append(_column(sample))
        return ()

    def picture(self) -> np.ndarray:
        """(H, W, 3) uint8: rows as in :data:`ROWS`, up to six frames side by side, evenly spaced over those kept.

        Raises:
            ValueError: no frame came.
        """
        if not self._columns:
            raise ValueError("a sheet needs a frame")
        chosen = [self._columns[place] for place in evenly_spaced(len(self._columns), _COLUMNS)]
        rows = [np.hstack([column[row] for column in chosen]) for row in range(len(ROWS))]
        return titled(rows, ROWS)


def titled(rows: Sequence[np.ndarray], titles: Sequence[str]) -> np.ndarray:
    """The rows of equal width in one column, each with its title."""
    parts = []
    for row, title in zip(rows, titles, strict=True):
        strip = np.zeros((_TITLE_PX, row.shape[1], 3), np.uint8)
        cv2.putText(strip, title, (4, _TITLE_PX - 5), cv2.FONT_HERSHEY_SIMPLEX, 0.42, _INK, 1, cv2.LINE_AA)
        parts += [strip, row]
    return np.vstack(parts)


def _column(sample: Sample) -> list[np.ndarray]:
    matrix = frame_to_crop(sample.smoothed.landmarks, px=_CELL_PX, framing="whole")
    target, fake = (cut(picture, matrix, _CELL_PX) for picture in (sample.target, sample.fake))
    apart = np.abs(target.astype(np.int16) - fake.astype(np.int16)) * _DIFFERENCE
    mask = np.zeros_like(target)
    if sample.alpha is not None:
        mask = cut(np.repeat(sample.alpha[..., None], 3, axis=2), matrix, _CELL_PX)
    return [target, fake, apart.clip(max=255).astype(np.uint8), mask]
