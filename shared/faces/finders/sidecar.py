"""A finder of known landmarks, from procedural actors or manual annotation, stored by frame.

A sidecar is a Parquet file beside a clip: one row per face, columns ``frame`` (integer, decoded frames from 0) and
``landmarks`` (136 float32: x, y of point 0, x, y of point 1, ... in frame pixels). A frame without a row has no face.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from typing_extensions import override

from shared.errors import FinderError
from shared.faces.boxes import box_around, middle_of, overlap
from shared.faces.finders.finder import FaceFinder
from shared.storage import sha256_file
from shared.types import NUM_LANDMARKS, Face, Frame

_SUFFIX = ".landmarks.parquet"
_VALUES = 2 * NUM_LANDMARKS
_MAX_ROWS = 1_000_000
_HINT = "a sidecar is Parquet with the columns frame (integer) and landmarks (136 float32)"


def sidecar_of(clip: Path) -> Path:
    """Path of the sidecar of a clip: beside it, ``clip.landmarks.parquet``."""
    return clip.with_suffix(_SUFFIX)


class SidecarFinder(FaceFinder):
    """Finds the faces of a sidecar; an :class:`shared.faces.finders.finder.IndexedFinder`.

    ``find`` counts frames from 0 in the order given; callers that skip frames use :meth:`find_indexed`. Confidence is 1
    for a stored face.
    """

    name = "sidecar"

    def __init__(self, path: Path) -> None:
        self._path = path
        self._points, self._rows = read_sidecar(path)
        self._sha256 = sha256_file(path)
        self._next = 0
        self._current: list[Face] = []

    @override
    def find(self, frames: Sequence[np.ndarray]) -> list[list[Face]]:
        first = self._next
        self._next += len(frames)
        return [self._look_up(first + offset) for offset in range(len(frames))]

    def find_indexed(self, frames: Sequence[Frame]) -> list[list[Face]]:
        """For each frame its faces, by ``frame.index``; later calls of :meth:`find` continue after the last of them."""
        found = [self._look_up(frame.index) for frame in frames]
        if frames:
            self._next = frames[-1].index + 1
        return found

    def refine(self, image: np.ndarray, boxes: Sequence[np.ndarray]) -> list[Face]:
        """For each box the stored face of the last frame found that overlaps it most; confidence 0 where none does."""
        del image
        return [self._nearest(np.asarray(box, dtype=np.float32)) for box in boxes]

    @override
    def describe(self) -> dict[str, str]:
        return {"name": self.name, "detector": "sidecar", "landmarker": "sidecar", "sidecar.sha256": self._sha256}

    def _look_up(self, index: int) -> list[Face]:
        rows = self._rows.get(index, [])
        self._current = [Face(box_around(self._points[row]), self._points[row].copy(), 1.0) for row in rows]
        return list(self._current)

    def _nearest(self, box: np.ndarray) -> Face:
        if self._current:
            shares = overlap(box, np.stack([face.box for face in self._current]))
            best = int(shares.argmax())
            if shares[best] > 0:
                return self._current[best]
        centre, side = middle_of(box)
        nowhere = np.tile(centre, (NUM_LANDMARKS, 1)).astype(np.float32)
        half = side / 2
        return Face(np.concatenate([centre - half, centre + half]).astype(np.float32), nowhere, 0.0)


def read_sidecar(path: Path) -> tuple[np.ndarray, dict[int, list[int]]]:
    """All landmarks, (N, 68, 2) float32, and the rows that belong to each frame.

    Raises:
        FinderError: the file is missing, not Parquet, without the columns, too long, or has invalid landmarks.
    """
    try:
        file = pq.ParquetFile(path)
        if file.metadata.num_rows > _MAX_ROWS:
            raise FinderError(f"{path} has {file.metadata.num_rows} rows, more than {_MAX_ROWS}", hint=_HINT)
        table = file.read(columns=["frame", "landmarks"])
        frames = table.column("frame").cast(pa.int64())
        landmarks = table.column("landmarks").cast(pa.list_(pa.float32())).combine_chunks()
    except FileNotFoundError as error:
        raise FinderError(f"{path} does not exist", hint="a sidecar is beside its clip") from error
    except (OSError, KeyError, pa.ArrowException) as error:
        raise FinderError(f"{path} cannot be read as a sidecar: {error}", hint=_HINT) from error
    lengths = landmarks.value_lengths().to_numpy(zero_copy_only=False)
    points = np.array(landmarks.flatten(), dtype=np.float32)
    if frames.null_count or not (lengths == _VALUES).all() or not np.isfinite(points).all():
        raise FinderError(f"{path} holds landmarks that are not 136 finite numbers", hint=_HINT)
    rows: dict[int, list[int]] = {}
    for row, index in enumerate(frames.to_pylist()):
        rows.setdefault(index, []).append(row)
    return points.reshape(-1, NUM_LANDMARKS, 2), rows
