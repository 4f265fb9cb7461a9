"""Faces of a faceset that a person sets aside or takes back."""

from __future__ import annotations

import dataclasses
import os
import shutil
from collections.abc import Collection
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from shared.config import write_toml
from shared.errors import FacesetError, UsageError
from shared.faces.facesets.layout import SCHEMA, SETTINGS, TABLE, FacesetInfo
from shared.faces.facesets.reader import Faceset
from shared.storage import folder_lock, replacing_folder

BY_HAND = "by hand"
"""The reason in :attr:`FacesetInfo.set_aside` for faces that a person set aside."""


def parse_rows(text: str) -> list[int]:
    """Row numbers from ``"3,7,10-14"``.

    Raises:
        UsageError: it is no such list, or a range is longer than a faceset can be.
    """
    rows: list[int] = []
    for part in filter(None, (piece.strip() for piece in text.split(","))):
        first, dash, last = part.partition("-")
        if not (first.isdecimal() and (last.isdecimal() if dash else True)):
            raise UsageError(f"{part!r} is no row of a faceset", hint="for example 3,7,10-14")
        start, stop = int(first), int(last) if dash else int(first)
        if not start <= stop <= start + 1_000_000:
            raise UsageError(f"{part!r} is no range of rows", hint="for example 10-14")
        rows += range(start, stop + 1)
    return rows


def set_kept(path: Path, *, remove: Collection[int] = (), restore: Collection[int] = ()) -> FacesetInfo:
    """Sets the faces of the rows ``remove`` aside, and takes those of ``restore`` back; the faceset's new facts.

    Crops stay where they are, so every change can be undone. The folder is replaced as a whole. A training that was
    begun on the faceset is not resumed on the changed one.

    Raises:
        UsageError: a row is named twice, or not in the faceset.
        FacesetError: the faceset is damaged, or no face would be left.
        StorageError: writing failed.
    """
    if set(remove) & set(restore):
        raise UsageError("a face is both removed and restored", hint="name each row once")
    with locked(path):
        faceset = Faceset.open(path)
        need_rows(faceset, [*remove, *restore])
        kept = faceset.table["kept"].to_numpy().copy()
        removed = int(kept[np.array([*remove], dtype=np.int64)].sum())
        restored = int((~kept[np.array([*restore], dtype=np.int64)]).sum())
        kept[np.array([*remove], dtype=np.int64)] = False
        kept[np.array([*restore], dtype=np.int64)] = True
        aside = count_reasons(faceset.info.set_aside, BY_HAND, removed, restored, int((~kept).sum()))
        return write_kept(faceset, kept, aside)


def locked(*paths: Path) -> ExitStack:
    """Holds the facesets at ``paths`` against other changes, until it is closed.

    Raises:
        StorageError: another process changes one of them.
    """
    with ExitStack() as stack:
        for path in sorted({path.absolute() for path in paths}):
            stack.enter_context(folder_lock(path.parent / f".{path.name}.lock"))
        return stack.pop_all()


def need_rows(faceset: Faceset, rows: Collection[int]) -> None:
    """Refuses rows that a faceset does not have.

    Raises:
        UsageError: there is no such row.
    """
    if rows and not 0 <= min(rows) <= max(rows) < len(faceset):
        raise UsageError(f"{faceset.path} has rows 0 to {len(faceset) - 1}", hint="assay faces show counts them")


def write_kept(faceset: Faceset, kept: np.ndarray, set_aside: dict[str, int]) -> FacesetInfo:
    """Replaces a faceset by the same with other faces kept, ``kept`` (N,) bool; its new facts.

    Raises:
        FacesetError: no face would be left.
        StorageError: writing failed.
    """
    need_a_face(faceset.path, kept)
    info = dataclasses.replace(faceset.info, kept=int(kept.sum()), set_aside=set_aside)
    with replacing_folder(faceset.path) as draft:
        _copy_rest(faceset.path, draft)
        pq.write_table(with_kept(faceset.table, kept), draft / TABLE)
        write_toml(draft / SETTINGS, info)
    return info


def need_a_face(path: Path, kept: np.ndarray) -> None:
    """Refuses a faceset without a kept face.

    Raises:
        FacesetError: ``kept`` is false everywhere.
    """
    if not kept.any():
        raise FacesetError(f"{path} would have no face left", hint="keep one at least, or remove the folder")


def with_kept(table: pa.Table, kept: np.ndarray) -> pa.Table:
    """The table with another column ``kept``, (N,) bool."""
    column = SCHEMA.get_field_index("kept")
    return table.set_column(column, SCHEMA.field(column), pa.array(kept, pa.bool_()))


def count_reasons(before: dict[str, int], reason: str, removed: int, restored: int, total: int) -> dict[str, int]:
    """The reasons with their counts, ``total`` together: ``removed`` faces more for ``reason``.

    The ``restored`` ones are counted off ``reason`` first, then off the most frequent one, because a row does not hold
    its reason.
    """
    counts = {**before, reason: before.get(reason, 0) + removed}
    for name in (reason, *sorted(before, key=lambda one: -before[one])):
        less = min(restored, counts[name])
        counts[name] -= less
        restored -= less
    counts[reason] += total - sum(counts.values())
    return {name: count for name, count in sorted(counts.items()) if count > 0}


def link_or_copy(source: Path, place: Path) -> None:
    """Has the file ``source`` stand at ``place`` too, without a copy of its bytes where the disk can."""
    try:
        os.link(source, place)
    except OSError:
        shutil.copy2(source, place)


def _copy_rest(path: Path, draft: Path) -> None:
    """Everything but the table and the settings; crops as links to the same files where the disk can."""
    for source in sorted(path.rglob("*")):
        place = draft / source.relative_to(path)
        if source.is_symlink():
            raise FacesetError(f"{source} is a link, which no faceset holds", hint="put the file there itself")
        if source.is_dir():
            place.mkdir()
        elif source.name not in (SETTINGS, TABLE) or source.parent != path:
            link_or_copy(source, place)
