"""Reading facesets: table, crops and digest. See :mod:`shared.faces.facesets.layout` for the files."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from shared.config import load_toml
from shared.console import counted
from shared.errors import ConfigError, FacesetError, ManifestError
from shared.faces.align import resized
from shared.faces.facesets.layout import (
    SCHEMA,
    SETTINGS,
    TABLE,
    FaceRow,
    FacesetInfo,
    SourceClip,
    crop_name,
    decode_crop,
    encode_crop,
)
from shared.faces.facesets.writer import FacesetWriter
from shared.storage import inside
from shared.types import NUM_LANDMARKS

__all__ = ["FaceRow", "Faceset", "FacesetInfo", "FacesetWriter", "SourceClip", "encode_crop"]

_DAMAGED = "the faceset is damaged: extract it again"
_MAX_ROW_BYTES = 16 << 10
_MAX_TABLE_OVERHEAD = 16 << 20


class Faceset:
    """One person's faces on disk. Made by :meth:`open`.

    Attributes:
        path: the folder.
        info: ``faceset.toml``.
        table: ``faces.parquet``, a row a face; columns as in :data:`shared.faces.facesets.layout.SCHEMA`.
    """

    def __init__(self, path: Path, info: FacesetInfo, table: pa.Table) -> None:
        self.path = path
        self.info = info
        self.table = table

    @classmethod
    def open(cls, path: Path, *, read: Callable[[Path, int], pa.Table] | None = None) -> Faceset:
        """The faceset in the folder ``path``. Crops are read on demand.

        Args:
            path: of the faceset.
            read: gives the table in a file with that many faces, in place of :func:`read_table`.

        Raises:
            FacesetError: it is missing, damaged or inconsistent.
        """
        info, read = read_info(path), read or read_table
        return cls(path, info, _checked(path, info, read(path / TABLE, info.faces)))

    def __len__(self) -> int:
        return self.table.num_rows

    def rows(self, *, kept_only: bool = True) -> list[int]:
        """Row numbers in order: of the kept faces, or of all."""
        if not kept_only:
            return list(range(len(self)))
        return np.flatnonzero(self._column("kept").astype(bool)).tolist()

    def crop(self, row: int) -> np.ndarray:
        """(S, S, 3) uint8 RGB: the crop of one row, kept or not.

        Raises:
            FacesetError: there is no such row, or its file is missing or damaged.
        """
        if not 0 <= row < len(self):
            raise FacesetError(
                f"{self.path} has {counted(len(self), 'face')}, none is number {row}", hint="count from 0"
            )
        return decode_crop(self._crop_bytes(row), self.info.px, crop_name(row))

    def crops(self, kept_only: bool = True, *, rows: Sequence[int] | None = None, px: int | None = None) -> np.ndarray:
        """(N, S, S, 3) uint8 RGB: the crops of the kept faces, of all, or of ``rows``; resized to ``px`` when given.

        Needs N S S 3 bytes; read in parallel.

        Raises:
            FacesetError: as :meth:`crop`.
        """
        chosen = self.rows(kept_only=kept_only) if rows is None else list(rows)
        side = px or self.info.px
        crops = np.empty((len(chosen), side, side, 3), np.uint8)

        def read(place: int) -> None:
            crops[place] = _at_size(self.crop(chosen[place]), side)

        with ThreadPoolExecutor(max(1, min(8, os.cpu_count() or 1))) as pool:
            for _ in pool.map(read, range(len(chosen))):
                pass
        return crops

    def landmarks(self) -> np.ndarray:
        """(N, 68, 2) float32 in frame pixels, of all rows."""
        return self._lists("landmarks").reshape(-1, NUM_LANDMARKS, 2)

    def matrices(self) -> np.ndarray:
        """(N, 2, 3) float64 from frame to crop, of all rows."""
        return self._lists("matrix").reshape(-1, 2, 3)

    def landmarks_in_crop(self, *, px: int | None = None) -> np.ndarray:
        """(N, 68, 2) float32 in crop pixels, of all rows; in pixels of the crop resized to ``px`` when given."""
        matrices = self.matrices()
        if px is not None and px != self.info.px:
            matrices = np.array([resized(matrix, self.info.px, px) for matrix in matrices]).reshape(-1, 2, 3)
        points = self.landmarks().astype(np.float64) @ matrices[:, :, :2].transpose(0, 2, 1)
        return (points + matrices[:, None, :, 2]).astype(np.float32)

    def digest(self) -> str:
        """SHA-256, hex, of the settings and the table. The settings hold the hash of the crops."""
        whole = hashlib.sha256()
        for name in (SETTINGS, TABLE):
            part = hashlib.sha256((self.path / name).read_bytes())
            whole.update(part.digest())
        return whole.hexdigest()

    def verify(self, *, decode: bool = True) -> None:
        """Checks all crops against the recorded hash, and that each can be decoded, unless ``decode`` is false.

        Raises:
            FacesetError: a crop is missing or damaged, or was changed since.
        """
        whole = hashlib.sha256()
        for row in range(len(self)):
            data = self._crop_bytes(row)
            if decode:
                decode_crop(data, self.info.px, crop_name(row))
            whole.update(data)
        if self.info.crops_sha256 and whole.hexdigest() != self.info.crops_sha256:
            raise FacesetError(f"the crops of {self.path} were changed after they were written", hint=_DAMAGED)

    def _crop_bytes(self, row: int) -> bytes:
        try:
            path = inside(self.path, crop_name(row))
            # Uncompressed pixels, filter bytes and chunks: a larger file is not a valid crop.
            if path.stat().st_size > 4 * self.info.px**2 + (1 << 16):
                raise FacesetError(f"{crop_name(row)} of {self.path} is too large for a crop", hint=_DAMAGED)
            return path.read_bytes()
        except (OSError, ManifestError) as error:
            raise FacesetError(f"{crop_name(row)} of {self.path} cannot be read", hint=_DAMAGED) from error

    def _column(self, name: str) -> np.ndarray:
        return self.table.column(name).to_numpy()

    def _lists(self, name: str) -> np.ndarray:
        return self.table.column(name).combine_chunks().flatten().to_numpy()


def _at_size(crop: np.ndarray, px: int) -> np.ndarray:
    if crop.shape[0] == px:
        return crop
    interpolation = cv2.INTER_AREA if px < crop.shape[0] else cv2.INTER_CUBIC
    return cv2.resize(crop, (px, px), interpolation=interpolation)


def facesets_in(places: Sequence[Path]) -> list[Path]:
    """The facesets at ``places``, in order: each place itself, or those directly in it, by name.

    A place that holds none stays as it is: opening it says what is missing.
    """
    found: list[Path] = []
    for place in places:
        within = [] if (place / SETTINGS).is_file() else sorted(path.parent for path in place.glob(f"*/{SETTINGS}"))
        found += within or [place]
    return found


def read_info(path: Path) -> FacesetInfo:
    """The settings of the faceset in the folder ``path``.

    Raises:
        FacesetError: there is none, or it is damaged.
    """
    if not (path / SETTINGS).is_file():
        raise FacesetError(f"{path} is not a faceset", hint="make one with: assay faces extract")
    try:
        return load_toml(FacesetInfo, path / SETTINGS)
    except ConfigError as error:
        raise FacesetError(f"{path}: {error}", hint=_DAMAGED) from error


def read_table(path: Path, faces: int) -> pa.Table:
    """The table in the file ``path``, refused before decoding if its size does not match that number of faces.

    Raises:
        FacesetError: it is missing, damaged, or of another size or with other columns.
    """
    try:
        with pq.ParquetFile(path) as file:
            facts = file.metadata
            unpacked = sum(facts.row_group(i).total_byte_size for i in range(facts.num_row_groups))
            if facts.num_rows != faces or unpacked > faces * _MAX_ROW_BYTES + _MAX_TABLE_OVERHEAD:
                raise FacesetError(f"{path} has {facts.num_rows} rows, {SETTINGS} says {faces}", hint=_DAMAGED)
            if not file.schema_arrow.equals(SCHEMA):
                raise FacesetError(f"{path} has other columns than a faceset", hint=_DAMAGED)
            return file.read()
    except (OSError, pa.ArrowException, ValueError) as error:
        raise FacesetError(f"{path} cannot be read: {error}", hint=_DAMAGED) from error


def _checked(path: Path, info: FacesetInfo, table: pa.Table) -> pa.Table:
    for name in ("box", "landmarks", "matrix"):
        values = table.column(name).combine_chunks().flatten().to_numpy(zero_copy_only=False)
        if not np.isfinite(values).all():
            raise FacesetError(f"{path / TABLE} holds values of {name} that are not numbers", hint=_DAMAGED)
    clips = table.column("clip").to_numpy()
    if len(clips) and not (clips.min() >= 0 and clips.max() < len(info.clips)):
        raise FacesetError(f"{path / TABLE} names clips that {SETTINGS} does not list", hint=_DAMAGED)
    if int(np.count_nonzero(table.column("kept").to_numpy())) != info.kept:
        raise FacesetError(f"{path / TABLE} and {SETTINGS} differ in how many faces are kept", hint=_DAMAGED)
    return table
