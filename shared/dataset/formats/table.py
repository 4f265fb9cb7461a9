"""Tables of clips: CSV with ``path,label`` and optionally ``identity,source,manipulation,split``.

Paths are relative to the set's folder. Labels are ``real`` and ``fake``; numbers are ambiguous (1 is real in Celeb-DF
and fake in DFDC) and need an option such as ``--label 1=fake``.
"""

from __future__ import annotations

import csv
import os
from collections.abc import Mapping
from pathlib import Path
from typing import get_args

from shared.console import counted
from shared.dataset.formats.found import FoundClip, Media, Scan, ScanOptions, Video, asked, unknown
from shared.dataset.formats.registry import IMPORTERS
from shared.dataset.formats.tree import Findings, read_list, split_word
from shared.dataset.names import safe_name
from shared.errors import ManifestError, UsageError
from shared.types import Kind, Label, Split
from shared.video.images import SUFFIXES

_KINDS: dict[str, Kind] = {kind: kind for kind in get_args(Kind)}
_COLUMNS = ("path", "label", "identity", "source", "manipulation", "split", "kind", "rendition")


@IMPORTERS.register("csv")
def scan_table(root: Path, options: ScanOptions) -> Scan:
    """Clips of a table: ``options.lists``, or the only ``*.csv`` in ``root``.

    The columns ``kind`` (swap, reenact, generate, speech) and ``rendition`` are read too, if present. A path may name a
    folder of numbered pictures, or one picture, which stays the file that it is: a clip of one frame.

    Raises:
        ManifestError: the table cannot be read or lacks a column.
        UsageError: no such folder, no table, or several.
    """
    found = Findings(root)
    path = options.lists or _only_table(root)
    rows = csv.DictReader(read_list(path).splitlines())
    missing = {"path", "label"} - set(rows.fieldnames or ())
    if missing:
        raise ManifestError(f"{path} has no column {' and no column '.join(sorted(missing))}", hint=",".join(_COLUMNS))
    stray = sorted(set(rows.fieldnames or ()) - set(_COLUMNS))
    if stray:
        found.note(f"columns that were not read: {', '.join(map(str, stray))}")
    for number, row in enumerate(rows, start=2):
        found.named += 1
        where = f"{path.name}, line {number}"
        _row(found, where, {key: (value or "").strip() for key, value in row.items() if key in _COLUMNS}, options)
    return found.done()


def _row(found: Findings, where: str, row: Mapping[str, str], options: ScanOptions) -> None:
    words: dict[str, Label] = {"real": "real", "fake": "fake", **options.labels}
    label = words.get(row["label"]) or words.get(row["label"].lower())
    if label is None:
        found.issue("unknown-label", where, f"what label {row['label']!r} means is not stated; {asked(row['label'])}")
        return
    media = _media(found, where, row["path"])
    if media is None:
        return
    rendition = safe_name(row["rendition"]) if row.get("rendition") else "original"
    if not options.wants(rendition):
        return
    place = Path(row["path"].replace("\\", "/"))
    name = safe_name("-".join(place.with_suffix("").parts))
    kind = _kind(found, where, row, label)
    found.add(
        FoundClip(
            name=name,
            media=media,
            where=row["path"],
            target=safe_name(row["identity"]) if row.get("identity") else unknown(name),
            manipulation=(safe_name(row.get("manipulation") or "fake")) if label == "fake" else None,
            kind=kind,
            source=_source(row, name, kind) if label == "fake" else None,
            split=_split(found, where, row),
            rendition=rendition,
        )
    )


def _media(found: Findings, where: str, text: str) -> Media | None:
    path = found.resolve(text)
    if path is not None:
        return Video(path)
    folder = found.root / text.replace("\\", "/")
    if ".." not in folder.parts and os.path.isdir(folder):  # noqa: PTH112 - Path.is_dir raises for a name that is too long
        if not found.holds(folder):
            return None
        files = found.files(folder, SUFFIXES)
        if files:
            return found.in_order(folder, files)
    found.missing(text, where, f"{text[:160]} is not there; left out")
    return None


def _kind(found: Findings, where: str, row: Mapping[str, str], label: Label) -> Kind:
    if label == "real":
        return "real"
    said = row.get("kind", "")
    kind = _KINDS.get(said) if said != "real" else None
    if said and kind is None:
        found.issue("contradiction", where, f"kind {said!r} of a fake is unknown; taken for a swap")
    return kind or "swap"


def _source(row: Mapping[str, str], name: str, kind: Kind) -> str | None:
    if row.get("source"):
        return safe_name(row["source"])
    return unknown(f"source-{name}") if kind == "swap" else None


def _split(found: Findings, where: str, row: Mapping[str, str]) -> Split | None:
    said = row.get("split", "")
    split = split_word(said)
    if said and split is None:
        found.issue("contradiction", where, f"{said!r} is no split; the clip gets none")
    return split


def _only_table(root: Path) -> Path:
    tables = sorted(root.glob("*.csv"))
    if len(tables) != 1:
        raise UsageError(f"{root} holds {counted(len(tables), 'table')}", hint="name one with --lists TABLE.csv")
    return tables[0]
