"""Summary of a faceset: numbers and a contact sheet."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from shared.errors import FacesetError, UsageError
from shared.faces.facesets.reader import Faceset
from shared.sampling import evenly_spaced
from shared.storage import write_bytes
from shared.video.images import encode_jpeg, encode_png

_SPREAD = (5, 50, 95)
_PICTURES = (".png", ".jpg", ".jpeg")
_JPEG_QUALITY = 92
_MAX_CELLS = 400
_ASIDE_RGB = (200, 40, 40)


@dataclass(frozen=True)
class Spread:
    """5th, 50th and 95th percentile of one measure over the kept faces."""

    low: float
    median: float
    high: float


@dataclass(frozen=True)
class FacesetSummary:
    """Counts and the variation of the kept faces. ``spreads`` is empty when none is kept."""

    faces: int
    kept: int
    tracks: int
    clips: int
    frames_read: int
    frames_without_face: int
    spreads: dict[str, Spread]


def summarise(faceset: Faceset) -> FacesetSummary:
    """The summary of an open faceset. Reads the table, not the crops."""
    table = faceset.table
    kept = faceset.rows()
    boxes = table.column("box").combine_chunks().flatten().to_numpy().reshape(-1, 4)
    measures = {name: table.column(name).to_numpy() for name in ("yaw_degrees", "pitch_degrees", "roll_degrees")}
    measures |= {"sharpness": table.column("sharpness").to_numpy(), "width_px": boxes[:, 2] - boxes[:, 0]}
    return FacesetSummary(
        faces=len(faceset),
        kept=len(kept),
        tracks=len(np.unique(table.column("track").to_numpy())),
        clips=len(faceset.info.clips),
        frames_read=sum(clip.frames_read for clip in faceset.info.clips),
        frames_without_face=sum(clip.frames_without_face for clip in faceset.info.clips),
        spreads={name: _spread(values[kept]) for name, values in measures.items()} if kept else {},
    )


def _spread(values: np.ndarray) -> Spread:
    known = values[np.isfinite(values)]
    if not known.size:
        return Spread(math.nan, math.nan, math.nan)
    low, median, high = (float(value) for value in np.percentile(known, _SPREAD))
    return Spread(low, median, high)


def contact_sheet(
    faceset: Faceset, *, count: int = 48, cell_px: int = 128, everything: bool = False, landmarks: bool = False
) -> np.ndarray:
    """(H, W, 3) uint8 RGB: up to ``count`` crops, evenly spaced in time, in rows.

    Args:
        faceset: the faceset.
        count: maximum number of crops.
        cell_px: side of one crop in the sheet.
        everything: include faces that were set aside, framed in red.
        landmarks: draw the landmarks.

    Raises:
        UsageError: ``count`` or ``cell_px`` is out of range.
        FacesetError: there is no face to show, or a crop is damaged.
    """
    if not (1 <= count <= _MAX_CELLS and 16 <= cell_px <= 512):
        raise UsageError(
            f"a sheet has 1 to {_MAX_CELLS} cells of 16 to 512 px, not {count} of {cell_px}", hint="leave them out"
        )
    rows = faceset.rows(kept_only=not everything)
    if not rows:
        raise FacesetError(f"{faceset.path} has no face to show", hint="--all shows those that were set aside, too")
    chosen = [rows[place] for place in evenly_spaced(len(rows), count)]
    cells = faceset.crops(rows=chosen, px=cell_px)
    kept = set(faceset.rows())
    points = faceset.landmarks_in_crop(px=cell_px) if landmarks else None
    for cell, row in zip(cells, chosen, strict=True):
        if points is not None:
            _draw_points(cell, points[row])
        if row not in kept:
            cv2.rectangle(cell, (0, 0), (cell_px - 1, cell_px - 1), _ASIDE_RGB, max(2, cell_px // 40))
    return _tiled(cells)


def _draw_points(cell: np.ndarray, points: np.ndarray) -> None:
    for x, y in np.rint(points * 16).astype(int):
        cv2.circle(cell, (int(x), int(y)), 16 * max(1, cell.shape[0] // 128), (60, 255, 60), -1, cv2.LINE_AA, shift=4)


def _tiled(cells: np.ndarray) -> np.ndarray:
    count, side = cells.shape[:2]
    columns = math.ceil(math.sqrt(count * 1.5))
    lines = math.ceil(count / columns)
    sheet = np.full((lines * side, columns * side, 3), 24, np.uint8)
    for place, cell in enumerate(cells):
        y, x = divmod(place, columns)
        sheet[y * side : (y + 1) * side, x * side : (x + 1) * side] = cell
    return sheet


def check_picture_path(path: Path) -> None:
    """Refuses a path that does not end in .png, .jpg or .jpeg.

    Raises:
        UsageError: it does not.
    """
    if path.suffix.lower() not in _PICTURES:
        raise UsageError(f"{path.name} is not the name of a picture", hint="let it end in .png or .jpg")


def save_picture(path: Path, picture: np.ndarray) -> None:
    """Writes (H, W, 3) uint8 RGB as PNG or JPEG by the suffix of ``path``, atomically.

    Raises:
        UsageError: ``path`` does not end in .png, .jpg or .jpeg.
        MediaError: the picture is too large for that format.
        StorageError: writing failed.
    """
    check_picture_path(path)
    write_bytes(path, encode_png(picture) if path.suffix.lower() == ".png" else encode_jpeg(picture, _JPEG_QUALITY))
