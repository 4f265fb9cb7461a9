"""The frame table of a dataset: one label per row, as Parquet; can be read clip by clip."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from operator import itemgetter
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from shared.errors import ManifestError
from shared.storage import replacing
from shared.types import ClipId, FrameLabel

FRAME_SCHEMA = pa.schema(
    [
        pa.field("clip", pa.string(), nullable=False),
        pa.field("frame", pa.int32(), nullable=False),
        pa.field("pts", pa.int64(), nullable=False),
        pa.field("seconds", pa.float64(), nullable=False),
        pa.field("label", pa.string(), nullable=False),
        pa.field("track", pa.int32()),
        pa.field("box", pa.list_(pa.float32(), 4)),
        pa.field("face_px", pa.float32()),
    ]
)


def frame_label_table(labels: Sequence[FrameLabel]) -> pa.Table:
    """``labels`` as a table of :data:`FRAME_SCHEMA`; boxes and sizes become float32."""
    columns: dict[str, list[object]] = {
        "clip": [str(label.clip) for label in labels],
        "box": [None if label.box is None else list(label.box) for label in labels],
    }
    for name in ("frame", "pts", "seconds", "label", "track", "face_px"):
        columns[name] = [getattr(label, name) for label in labels]
    return pa.table({name: columns[name] for name in FRAME_SCHEMA.names}, schema=FRAME_SCHEMA)


def write_frame_labels(path: Path, labels: Sequence[FrameLabel]) -> None:
    """Replaces the frame table by ``labels``, atomically (Parquet, zstd).

    Raises:
        StorageError: writing failed.
    """
    with replacing(path) as draft:
        pq.write_table(frame_label_table(labels), draft, compression="zstd")


def read_frame_table(path: Path, clips: Iterable[ClipId] | None = None) -> pa.Table:
    """The frame table as Arrow columns (see :data:`FRAME_SCHEMA`), of all clips or of ``clips``.

    Raises:
        ManifestError: missing, not Parquet, or with other columns.
    """
    chosen = None if clips is None else [("clip", "in", [str(clip) for clip in clips] or [""])]
    try:
        schema = pq.read_schema(path)
        if not schema.equals(FRAME_SCHEMA):
            raise ManifestError(f"{path} has other columns than a frame table", hint="restore it from a copy")
        return pq.read_table(path, filters=chosen)
    except (OSError, pa.ArrowInvalid) as error:
        raise ManifestError(f"{path} cannot be read as Parquet: {error}", hint="restore it from a copy") from error


def labels_of(tables: Iterable[pa.Table], clip: ClipId | None = None) -> list[FrameLabel]:
    """The rows of frame tables as values, of all clips or of one.

    Raises:
        ManifestError: an invalid clip id or label.
    """
    labels: list[FrameLabel] = []
    ids: dict[str, ClipId] = {}
    for table in tables:
        chosen = table if clip is None else table.filter(pc.field("clip") == str(clip))
        for row in chosen.to_pylist():
            text, box = row.pop("clip"), row.pop("box")
            if row["label"] not in ("real", "fake"):
                raise ManifestError(f"{text} has a frame labelled {row['label']!r}", hint="a frame is real or fake")
            try:
                known = ids.get(text) or ids.setdefault(text, ClipId.parse(text))
            except ValueError as error:
                raise ManifestError(f"a frame label is of no clip: {error}", hint="restore it from a copy") from error
            labels.append(FrameLabel(clip=known, box=None if box is None else tuple(box), **row))
    return labels


def rows_by_clip(tables: Iterable[pa.Table]) -> Iterator[tuple[str, pa.Table]]:
    """Each clip's id as text with its consecutive rows, which may span several tables.

    A clip whose rows are not consecutive is given more than once.
    """
    for clip, runs in groupby(((table, *run) for table in tables for run in _runs(table)), key=itemgetter(1)):
        yield clip, pa.concat_tables([table.slice(start, stop - start) for table, _, start, stop in runs])


def labels_by_clip(tables: Iterable[pa.Table]) -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
    """Each clip's id as text, with the frame, (N,) int, of each of its rows and whether that is fake, (N,) bool.

    As :func:`rows_by_clip`, but converted table by table, which is faster for many clips.
    """
    for clip, runs in groupby(_label_runs(tables), key=itemgetter(0)):
        _, frames, fake = zip(*runs, strict=True)
        yield clip, np.concatenate(frames), np.concatenate(fake)


def _label_runs(tables: Iterable[pa.Table]) -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
    for table in tables:
        frames, fake = table["frame"].to_numpy(), table["label"].to_numpy() == "fake"
        for clip, start, stop in _runs(table):
            yield clip, frames[start:stop], fake[start:stop]


def _runs(table: pa.Table) -> Iterator[tuple[str, int, int]]:
    """Clip, first row and row after the last of each run of rows of one clip."""
    if table.num_rows == 0:
        return
    codes = table["clip"].combine_chunks().dictionary_encode()
    indices, names = codes.indices.to_numpy(), codes.dictionary.to_pylist()
    starts = [0, *(np.flatnonzero(np.diff(indices)) + 1).tolist()]
    for start, stop in zip(starts, [*starts[1:], table.num_rows], strict=True):
        yield names[int(indices[start])], start, stop
