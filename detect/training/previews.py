"""Preview sheets of detector training batches."""

from __future__ import annotations

import cv2
import numpy as np

from detect.data.batches import Batch

_REAL, _FAKE = (31, 95, 168), (179, 84, 30)
_BORDER_PX = 3
_TRACED_PX = 106


def batch_sheet(batch: Batch, *, columns: int = 8, rows: int = 4, side_px: int = 112) -> np.ndarray:
    """(H, W, 3) uint8 RGB: augmented crops of a batch, framed in blue for real and orange for fake.

    Of sequences of landmarks the points of every frame, later ones darker.
    """
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
    if batch.crops.dtype == np.float32:
        return np.stack([_traced(track) for track in batch.crops]), batch.labels
    if batch.crops.ndim == 4:
        return batch.crops, batch.labels
    length = batch.crops.shape[1]
    while columns % length and length > 1:  # sequences of one row each, or several to a row
        length -= 1
    crops = batch.crops[:, :length]
    return crops.reshape(-1, *crops.shape[2:]), np.repeat(batch.labels, length)


def _traced(track: np.ndarray) -> np.ndarray:
    """(S, S, 3) uint8 RGB: the landmarks (T, 68, 2) of all frames of a sequence, later ones darker."""
    low, high = track.min((0, 1)), track.max((0, 1))
    scale = 0.9 * _TRACED_PX / max(float((high - low).max()), 1e-6)
    places = np.rint((track - (low + high) / 2) * scale + _TRACED_PX / 2).astype(int)
    picture = np.full((_TRACED_PX, _TRACED_PX, 3), 255, np.uint8)
    for row, points in enumerate(places):
        grey = 200 - int(200 * (row + 1) / len(places))
        picture[np.clip(points[:, 1], 0, _TRACED_PX - 1), np.clip(points[:, 0], 0, _TRACED_PX - 1)] = grey
    return picture
