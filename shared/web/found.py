"""What lies in the work folder, known by its files and addressed by keys: cases, runs, sets, facesets, audits, boards.

No path ever comes from an address: a key is looked up among what was found.
"""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from shared.storage import is_draft
from shared.web.answers import MissingError

Kind = Literal["case", "run", "set", "faceset", "audit", "board"]
_MARKS: dict[Kind, tuple[str, ...]] = {
    "case": ("report.json", "custody.json", "frames.parquet"),
    "run": ("run.json", "config.toml"),
    "set": ("dataset.toml", "manifest.jsonl"),
    "faceset": ("faceset.toml", "faces.parquet"),
    "audit": ("audit.json", "audit.html"),
    "board": ("scoreboard.json",),
}
_DEEPEST = 6
_MOST_FOLDERS = 20_000
_FRESH_SECONDS = 1.5


@dataclass(frozen=True)
class Work:
    """One piece of work.

    Attributes:
        kind: what it is.
        key: stands for it in addresses.
        path: its folder.
        name: its path in the work folder.
    """

    kind: Kind
    key: str
    path: Path
    name: str


class WorkIndex:
    """Finds work below a folder, again when it was found a moment ago. Follows no link. Safe for several threads."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._lock = threading.Lock()
        self._found: dict[Kind, dict[str, Work]] = {}
        self._until = 0.0

    def all(self, kind: Kind) -> list[Work]:
        """All work of a kind, by name."""
        return sorted(self._current()[kind].values(), key=lambda work: work.name)

    def get(self, kind: Kind, key: str) -> Work:
        """The work of that key.

        Raises:
            MissingError: there is none.
        """
        found = self._current()[kind].get(key)
        if found is None:
            self.forget()
            found = self._current()[kind].get(key)
        if found is None:
            raise MissingError(f"there is no such {kind}", hint="go back to the list")
        return found

    def forget(self) -> None:
        """Looks again at the next call."""
        with self._lock:
            self._until = 0.0

    def _current(self) -> dict[Kind, dict[str, Work]]:
        with self._lock:
            if time.monotonic() > self._until:
                found: dict[Kind, dict[str, Work]] = {kind: {} for kind in _MARKS}
                for work in _walk(self._root):
                    found[work.kind][work.key] = work
                self._found, self._until = found, time.monotonic() + _FRESH_SECONDS
            return self._found


def key_of(name: str) -> str:
    """The key of the folder ``name`` of the work folder."""
    return hashlib.sha256(name.encode("utf-8", "surrogateescape")).hexdigest()[:16]


def _walk(root: Path) -> Iterator[Work]:
    level, seen = [root], 0
    for _ in range(_DEEPEST):
        inner: list[Path] = []
        for folder in level:
            seen += 1
            if seen > _MOST_FOLDERS:
                return
            kind = _kind_of(folder)
            if kind is not None:
                name = folder.relative_to(root).as_posix()
                yield Work(kind, key_of(name), folder, root.name if name == "." else name)
            else:
                inner += _folders(folder)
        level = inner


def _kind_of(folder: Path) -> Kind | None:
    return next((kind for kind, marks in _MARKS.items() if all((folder / mark).is_file() for mark in marks)), None)


def _folders(folder: Path) -> list[Path]:
    try:
        return sorted(
            path
            for path in folder.iterdir()
            if not path.name.startswith(".") and not is_draft(path.name) and path.is_dir() and not path.is_symlink()
        )
    except OSError:
        return []
