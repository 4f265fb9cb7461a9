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


def _runs(table: pa.Table) -> Iterator[tuple[str, pa.Table]]:
    if table.num_rows == 0:
        return
    codes = table["clip"].combine_chunks().dictionary_encode()
    indices = codes.indices.to_numpy()
    starts = [0, *(np.flatnonzero(np.diff(indices)) + 1).tolist()]
    for start, stop in zip(starts, [*starts[1:], table.num_rows], strict=True):
        yield codes.dictionary[int(indices[start])].as_py(), table.slice(start, stop - start)
