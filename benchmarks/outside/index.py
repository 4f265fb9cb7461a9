"""The list of a folder of other people's fakes, and of the reals they were made from.

``index.csv`` has one row a file. Needed columns are :data:`NEEDED`; those of :data:`ALSO` are read or ignored; any
other column is refused, since it may carry what this reader would have to know. A real has the kind "-" or "original".
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from shared.console import counted
from shared.errors import ManifestError
from shared.storage import inside, read_bytes, sha256_file
from shared.types import Label

INDEX_NAME = "index.csv"
NEEDED = ("path", "label", "tool", "kind", "pair_id", "person", "family")
ALSO = (
    "repo", "commit", "path_in_repo", "how_cut", "licence_stated", "label_evidence", "size", "face_px", "n_faces",
    "doubt", "remarks", "sha256",
)  # fmt: skip

OutsideKind = Literal["real", "swap", "lip-sync", "re-enactment", "generation"]
KINDS: tuple[OutsideKind, ...] = get_args(OutsideKind)
_WORDS: dict[str, OutsideKind] = {
    "original": "real", "-": "real", "": "real", "swap": "swap",
    "lip-sync": "lip-sync", "lipsync": "lip-sync", "reenact": "re-enactment",
    "generate": "generation",
}  # fmt: skip
LIP_SYNC = frozenset({"Wav2Lip", "VideoReTalking"})
"""Families of re-enactment that change the mouth alone."""

_MOST_BYTES = 16 << 20
_MOST_FILES = 10_000


@dataclass(frozen=True)
class OutsideFile:
    """One file of the folder.

    Attributes:
        path: of the file.
        sha256: of its content.
        label, kind, family: what it is; a real has the family of the fakes it stands beside.
        pair: shared by a fake and its real; empty for none.
        person: who is seen.
    """

    path: Path
    sha256: str
    label: Label
    kind: OutsideKind
    family: str
    pair: str
    person: str


def read_index(folder: Path) -> list[OutsideFile]:
    """The files of ``folder`` in the order of its list.

    Raises:
        ManifestError: no list, or one with missing, unknown or repeated columns or files; a file that is missing or is
            not the one that was listed.
    """
    path = folder / INDEX_NAME
    hint = f"a folder with {INDEX_NAME} and the files it lists was expected"
    text = read_bytes(path, _MOST_BYTES, error=ManifestError, hint=hint).decode("utf-8-sig", "replace")
    try:
        reader = csv.DictReader(text.splitlines(), strict=True)
        _check_columns(path, reader.fieldnames or ())
        rows = list(reader)
    except csv.Error as error:
        raise ManifestError(f"{path} is no CSV table: {error}", hint=hint) from error
    if not 0 < len(rows) <= _MOST_FILES:
        raise ManifestError(f"{path} lists {counted(len(rows), 'file')}", hint=f"1 to {_MOST_FILES} can be measured")
    files = [_file(folder, path, number, row) for number, row in enumerate(rows, start=2)]
    twice = {file.path for file in files if sum(other.path == file.path for other in files) > 1}
    if twice:
        raise ManifestError(f"{path} lists {min(twice).name} twice", hint="one row a file")
    labels = {file.label for file in files}
    if len(labels) == 1:
        raise ManifestError(f"every file of {path} is {labels.pop()}", hint="both fakes and reals are needed")
    return files


def groups(files: Sequence[OutsideFile]) -> np.ndarray:
    """(N,) int: files that share a pair or a person, directly or through others, have one number."""
    names = {name: place for place, name in enumerate(dict.fromkeys(n for file in files for n in _names(file)))}
    links = [(place, names[name]) for place, file in enumerate(files) for name in _names(file)]
    rows, columns = np.array(links).T
    size = len(files) + len(names)
    graph = coo_array((np.ones(len(links)), (rows, columns + len(files))), shape=(size, size))
    return connected_components(graph, directed=False)[1][: len(files)]


def pairs(files: Sequence[OutsideFile]) -> list[tuple[int, int]]:
    """(fake, real) places of every fake and its own real: of one pair, and of one person."""
    reals = [(place, file) for place, file in enumerate(files) if file.label == "real" and file.pair]
    return [
        (place, real)
        for place, file in enumerate(files)
        for real, other in reals
        if file.label == "fake" and (file.pair, file.person) == (other.pair, other.person)
    ]


def _names(file: OutsideFile) -> list[str]:
    return [f"person {file.person}", *([f"pair {file.pair}"] if file.pair else [])]


def _check_columns(path: Path, columns: Sequence[str]) -> None:
    missing = [name for name in NEEDED if name not in columns]
    unknown = sorted({str(name) for name in columns} - {*NEEDED, *ALSO})
    if missing:
        raise ManifestError(f"{path} has no column {missing[0]!r}", hint=f"needed: {', '.join(NEEDED)}")
    if unknown:
        raise ManifestError(f"{path} has an unknown column {unknown[0]!r}", hint=f"known: {', '.join(NEEDED + ALSO)}")
    if len(set(columns)) != len(columns):
        raise ManifestError(f"{path} has a column twice", hint="one column a name")


def _file(folder: Path, index: Path, line: int, row: dict[str, str | None]) -> OutsideFile:
    cells = {name: (row.get(name) or "").strip() for name in (*NEEDED, "sha256")}
    where = f"{index}, line {line}"
    if None in row or any(row.get(name) is None for name in NEEDED):
        raise ManifestError(f"{where} does not have a cell for each column", hint="quote cells that hold a comma")
    kind = _WORDS.get(cells["kind"])
    if cells["label"] not in ("real", "fake") or kind is None or (kind == "real") != (cells["label"] == "real"):
        raise ManifestError(f"{where} calls a file {cells['label']!r} of kind {cells['kind']!r}",
                            hint=f"real with '-', or fake with one of {', '.join(list(_WORDS)[3:])}")  # fmt: skip
    if not cells["person"] or not cells["family"]:
        raise ManifestError(f"{where} lacks a person or a family", hint="write a made-up name for an unknown person")
    path = inside(folder, cells["path"])
    if not path.is_file():
        raise ManifestError(f"{path} is listed and missing", hint=f"copy it again, or take it out of {index.name}")
    found = sha256_file(path)
    if cells["sha256"] and cells["sha256"] != found:
        raise ManifestError(f"{path} is not the file that was listed: its SHA-256 differs", hint="copy it again")
    lips = kind == "re-enactment" and cells["family"] in LIP_SYNC
    return OutsideFile(
        path, found, "real" if kind == "real" else "fake", "lip-sync" if lips else kind, cells["family"],
        cells["pair_id"], cells["person"],
    )  # fmt: skip
