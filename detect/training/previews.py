"""Preview sheets of detector training batches."""

from __future__ import annotations

import cv2
import numpy as np

from detect.data.batches import Batch

_REAL, _FAKE = (31, 95, 168), (179, 84, 30)
_BORDER_PX = 3


def batch_sheet(batch: Batch, *, columns: int = 8, rows: int = 4, side_px: int = 112) -> np.ndarray:
    """(H, W, 3) uint8 RGB: augmented crops of a batch, framed in blue for real and orange for fake."""
    crops, labels = _shown(batch, columns)
    count = min(len(crops), columns * rows)
    used = -(-count // columns)
    sheet = np.full((used * side_px, columns * side_px, 3), 255, np.uint8)
    inner = side_px - 2 * _BORDER_PX
    for place in range(count):
        top, left = place // columns * side_px, place % columns * side_px
        sheet[top : top + side_px, left : left + side_px] = _FAKE if labels[place] > 0.5 else _REAL
        small = cv2.resize(crops[place], (inner, inner), interpolation=cv2.INTER_AREA)
        sheet[top + _BORDER_PX : top + _BORDER_PX + inner, left + _BORDER_PX : left + _BORDER_PX + inner] = small
    return sheet


def _shown(batch: Batch, columns: int) -> tuple[np.ndarray, np.ndarray]:
    """Single crops (N, S, S, 3) and their labels: of a sequence its first frames, as many as fit in a row."""
    if batch.crops.ndim == 4:
        return batch.crops, batch.labels
    length = batch.crops.shape[1]
    while columns % length and length > 1:  # sequences of one row each, or several to a row
        length -= 1
    crops = batch.crops[:, :length]
    return crops.reshape(-1, *crops.shape[2:]), np.repeat(batch.labels, length)
