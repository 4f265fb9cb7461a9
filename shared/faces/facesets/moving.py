"""Faces moved to another faceset, and facesets merged: for one person who became two, or two who became one.

No crop is lost. A face that is moved is set aside where it was, and stands in the other faceset too; moved back, it is
taken back. Facesets that are merged stay as they are.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from shared.config import write_toml
from shared.errors import FacesetError, UsageError
from shared.faces.facesets.keeping import (
    count_reasons,
    link_or_copy,
    locked,
    need_a_face,
    need_rows,
    with_kept,
    write_kept,
)
from shared.faces.facesets.layout import CROPS, MAX_FACES, SCHEMA, SETTINGS, TABLE, FacesetInfo, SourceClip, crop_name
from shared.faces.facesets.reader import Faceset
from shared.faces.facesets.writer import check_target
from shared.storage import inside, replacing_folder
from shared.types import check_name

_MOVED = "moved to "
_SAME = ("rights", "framing", "px", "drawn_by")
"""What the facesets of one person have in common: a faceset has one value of each."""

Key = tuple[str, int, bytes, bytes]
"""One face: hash of its clip, frame, box and landmarks."""


@dataclass(frozen=True)
class Moved:
    """What a move did: the facts of both facesets, and how many of the faces had been in the second one before."""

    source: FacesetInfo
    target: FacesetInfo
    there_before: int


def move_faces(path: Path, rows: Collection[int], to: Path, *, identity: str | None = None) -> Moved:
    """Moves the faces of ``rows`` from the faceset at ``path`` to the one at ``to``, which is made if there is none.

    In the first one they are set aside. In the second one they are kept, also those that were set aside in the first;
    those that it held already are taken back. A move there and back therefore leaves all moved faces kept.

    Args:
        path: of the faceset they are in.
        rows: of it, kept or not.
        to: folder of the other person's faceset.
        identity: of a new faceset, by default the folder's name.

    Raises:
        UsageError: no such row, ``to`` is taken by something else, or is another person than ``identity``.
        FacesetError: a faceset is damaged, no face would be left in the first one, or the two cannot be in one.
        StorageError: writing failed.
    """
    if not rows:
        raise UsageError("no row is named", hint="--rows 3,7,10-14")
    _need_apart(path, to)
    with locked(path, to):
        source = Faceset.open(path)
        need_rows(source, rows)
        chosen = np.zeros(len(source), bool)
        chosen[np.array(sorted(rows), np.int64)] = True
        kept = source.table["kept"].to_numpy()
        if not (kept & ~chosen).any():
            raise FacesetError(
                f"{path} would have no face left", hint="assay faces merge puts all of two facesets together"
            )
        target = Faceset.open(to) if (to / SETTINGS).is_file() else None
        if target is None:
            check_target(to, force=False)
        name = _checked_name(identity or to.name) if target is None else _identity(target.info, identity, to)
        parts = [*([] if target is None else [_Part.whole(target)]), _Part(source, chosen, np.ones(len(source), bool))]
        info = _join(parts, to, name, returned=f"{_MOVED}{source.info.identity}")
        new = info.faces - (0 if target is None else len(target))
        aside = count_reasons(
            source.info.set_aside, f"{_MOVED}{name}", int((kept & chosen).sum()), 0, int((~kept | chosen).sum())
        )
        return Moved(write_kept(source, kept & ~chosen, aside), info, int(chosen.sum()) - new)


def merge_facesets(
    paths: Sequence[Path], out: Path, *, identity: str | None = None, force: bool = False
) -> FacesetInfo:
    """Writes one faceset of all faces of several, kept or not, a face that stands in two of them once; its facts.

    The facesets at ``paths`` stay as they are.

    Args:
        paths: of two facesets or more.
        out: folder of the new one.
        identity: of the person, by default that of the first.
        force: replace a faceset that is there.

    Raises:
        UsageError: fewer than two facesets, one named twice, or ``out`` is taken.
        FacesetError: one is damaged, or they cannot be in one.
        StorageError: writing failed.
    """
    if len({path.resolve() for path in paths}) < max(2, len(paths)):
        raise UsageError("two facesets at least are merged, each named once", hint="name both folders")
    for path in paths:
        _need_apart(path, out)
    check_target(out, force=force)
    with locked(*paths, out):
        facesets = [Faceset.open(path) for path in paths]
        name = _checked_name(identity or facesets[0].info.identity)
        return _join([_Part.whole(one) for one in facesets], out, name, over=force)


@dataclass(frozen=True, eq=False)
class _Part:
    """The faces of a faceset that are put into another: ``chosen``, and ``kept`` there; (N,) bool.

    ``reasons`` counts those that are not kept there.
    """

    faceset: Faceset
    chosen: np.ndarray
    kept: np.ndarray
    reasons: dict[str, int] = field(default_factory=dict)

    @classmethod
    def whole(cls, faceset: Faceset) -> _Part:
        chosen = np.ones(len(faceset), bool)
        return cls(faceset, chosen, faceset.table["kept"].to_numpy(), faceset.info.set_aside)


def _join(parts: Sequence[_Part], out: Path, identity: str, *, returned: str = "", over: bool = True) -> FacesetInfo:
    """Writes a faceset of ``parts`` in the order of clips and frames; ``returned`` is the reason that is lifted."""
    first = parts[0].faceset
    for part in parts:
        _need_alike(first, part.faceset)
        part.faceset.verify(decode=False)
    clips, places = _clips(parts)
    table, origin = _rows(parts, places)
    if table.num_rows > MAX_FACES:
        raise FacesetError(f"{out} would have {table.num_rows} faces, more than {MAX_FACES}", hint="merge fewer")
    kept = table["kept"].to_numpy()
    need_a_face(out, kept)
    reasons = _summed([part.reasons for part in parts])
    total = int((~kept).sum())
    lifted = returned if returned in reasons else next((one for one in reasons if one.startswith(_MOVED)), "set aside")
    info = replace(
        first.info,
        identity=identity,
        clips=clips,
        finder=_finder([part.faceset.info.finder for part in parts]),
        faces=table.num_rows,
        kept=int(kept.sum()),
        embedder=_embedder(parts),
        set_aside=count_reasons(reasons, lifted, 0, sum(reasons.values()) - total, total),
        unread={name: why for part in parts for name, why in part.faceset.info.unread.items()},
    )
    with replacing_folder(out, over=over) as draft:
        (draft / CROPS).mkdir()
        whole = hashlib.sha256()
        for row, (part, old) in enumerate(origin):
            crop = inside(parts[part].faceset.path, crop_name(old))
            link_or_copy(crop, draft / crop_name(row))
            whole.update((draft / crop_name(row)).read_bytes())
        info = replace(info, crops_sha256=whole.hexdigest())
        pq.write_table(table, draft / TABLE)
        write_toml(draft / SETTINGS, info)
    return info


def _rows(parts: Sequence[_Part], places: Sequence[list[int]]) -> tuple[pa.Table, list[tuple[int, int]]]:
    """The rows of all parts, each face once, in order of clips and frames; the part and row that each is from."""
    seen: dict[Key, int] = {}
    origin: list[tuple[int, int]] = []
    kept: list[bool] = []
    for number, part in enumerate(parts):
        keys, flags = _keys(part.faceset), part.kept.tolist()
        for row in np.flatnonzero(part.chosen).tolist():
            at = seen.setdefault(keys[row], len(origin))
            if at < len(origin):
                kept[at] = kept[at] or flags[row]
            else:
                origin.append((number, row))
                kept.append(flags[row])
    tables, track = [], 0
    for number, part in enumerate(parts):
        rows = pa.array([row for owner, row in origin if owner == number], pa.int64())
        table = part.faceset.table.take(rows)
        tracks, clips = table["track"].to_numpy() + track, np.array(places[number], np.int32)[table["clip"].to_numpy()]
        track = int(tracks.max(initial=track - 1)) + 1
        values = {"track": pa.array(tracks, pa.int32()), "clip": pa.array(clips, pa.int32())}
        if part.faceset.info.embedder != _embedder(parts):  # of another network, whose distances mean something else
            values["embedding"] = pa.nulls(len(rows), SCHEMA.field("embedding").type)
        columns = [values.get(name, table[name]) for name in SCHEMA.names]
        tables.append(pa.table(columns, schema=SCHEMA))
    joined = with_kept(pa.concat_tables(tables), np.array(kept, bool))
    order = np.lexsort((joined["frame"].to_numpy(), joined["clip"].to_numpy()))
    return joined.take(pa.array(order)).combine_chunks(), [origin[place] for place in order.tolist()]


def _keys(faceset: Faceset) -> list[Key]:
    """What each face is known by."""
    hashes = [clip.sha256 for clip in faceset.info.clips]
    clips, frames = (faceset.table[name].to_pylist() for name in ("clip", "frame"))
    boxes = np.asarray(faceset.table["box"].combine_chunks().flatten(), np.float32).reshape(-1, 4)
    points = faceset.landmarks()
    return [
        (hashes[clip], frame, boxes[row].tobytes(), points[row].tobytes())
        for row, (clip, frame) in enumerate(zip(clips, frames, strict=True))
    ]


def _clips(parts: Sequence[_Part]) -> tuple[tuple[SourceClip, ...], list[list[int]]]:
    """The clips of all parts, each file once; for each part the new position of each of its clips."""
    found: dict[str, SourceClip] = {}
    for part in parts:
        for clip in part.faceset.info.clips:
            found.setdefault(clip.sha256, clip)
    order = list(found)
    return tuple(found.values()), [[order.index(clip.sha256) for clip in part.faceset.info.clips] for part in parts]


def _embedder(parts: Sequence[_Part]) -> str:
    return next((part.faceset.info.embedder for part in parts if part.faceset.info.embedder), "")


def _finder(finders: Sequence[dict[str, str]]) -> dict[str, str]:
    """The finder of all; where they differ, the values of each."""
    names = list(dict.fromkeys(name for finder in finders for name in finder))
    return {name: " and ".join(dict.fromkeys(one[name] for one in finders if name in one)) for name in names}


def _summed(counts: Sequence[dict[str, int]]) -> dict[str, int]:
    found: dict[str, int] = {}
    for each in counts:
        for reason, count in each.items():
            found[reason] = found.get(reason, 0) + count
    return found


def _need_alike(first: Faceset, second: Faceset) -> None:
    for name in _SAME:
        one, other = getattr(first.info, name), getattr(second.info, name)
        if one != other:
            raise FacesetError(
                f"{first.path} and {second.path} differ in {name}: {one or 'none'} and {other or 'none'}",
                hint="a faceset has one of it; extract one of the two again",
            )


def _need_apart(path: Path, to: Path) -> None:
    one, other = path.resolve(), to.resolve()
    if one == other or one in other.parents or other in one.parents:
        raise UsageError(f"{path} and {to} are one folder, or one lies in the other", hint="name another folder")


def _identity(info: FacesetInfo, identity: str | None, path: Path) -> str:
    if identity not in (None, info.identity):
        raise UsageError(f"{path} is of {info.identity}, not of {identity}", hint="leave --identity out")
    return info.identity


def _checked_name(identity: str) -> str:
    try:
        check_name(identity, "identity")
    except ValueError as error:
        raise UsageError(str(error), hint="--identity NAME: letters, digits and . _ + = @ -") from error
    return identity
