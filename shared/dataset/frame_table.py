"""The frame table of a dataset, clip by clip, without holding all of it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
import pyarrow as pa


def rows_by_clip(tables: Iterable[pa.Table]) -> Iterator[tuple[str, pa.Table]]:
    """Each clip's id as text with its rows, which stand together but may go on from one table to the next.

    A clip whose rows do not stand together comes more than once.
    """
    held: tuple[str, pa.Table] | None = None
    for table in tables:
        for clip, rows in _runs(table):
            if held is not None and held[0] == clip:
                held = (clip, pa.concat_tables([held[1], rows]))
                continue
            if held is not None:
                yield held
            held = (clip, rows)
    if held is not None:
        yield held


def labels_by_clip(tables: Iterable[pa.Table]) -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
    """Each clip's id as text, with the frame, (N,) int, of each of its rows and whether that is fake, (N,) bool.

    As :func:`rows_by_clip`, but converted a table at a time: for a hundred thousand clips the slices take the time.
    """
    held: tuple[str, np.ndarray, np.ndarray] | None = None
    for table in tables:
        frames = table["frame"].to_numpy()
        fake = table["label"].to_numpy() == "fake"
        for clip, start, stop in _bounds(table):
            found = (clip, frames[start:stop], fake[start:stop])
            if held is not None and held[0] == clip:
                found = (clip, np.concatenate([held[1], found[1]]), np.concatenate([held[2], found[2]]))
            elif held is not None:
                yield held
            held = found
    if held is not None:
        yield held


def _runs(table: pa.Table) -> Iterator[tuple[str, pa.Table]]:
    for clip, start, stop in _bounds(table):
        yield clip, table.slice(start, stop - start)


def _bounds(table: pa.Table) -> Iterator[tuple[str, int, int]]:
    """Clip, first row and row after the last of each run of rows of one clip."""
    if table.num_rows == 0:
        return
    codes = table["clip"].combine_chunks().dictionary_encode()
    indices, names = codes.indices.to_numpy(), codes.dictionary.to_pylist()
    starts = [0, *(np.flatnonzero(np.diff(indices)) + 1).tolist()]
    for start, stop in zip(starts, [*starts[1:], table.num_rows], strict=True):
        yield names[int(indices[start])], start, stop
