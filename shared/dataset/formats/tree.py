"""Scans untrusted folders for videos, numbered pictures and lists, without leaving the folder."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath
from typing import Any

from shared.dataset.formats.found import FoundClip, Issue, Pictures, Scan
from shared.errors import ManifestError, UsageError
from shared.storage import decode_json, read_bytes
from shared.types import Split
from shared.video.container import VIDEO_SUFFIXES
from shared.video.images import SUFFIXES

MAX_LIST_BYTES = 1 << 30
LINK_OUT = "a link leads out of the set; left out: name the folder that holds its target, or copy the file"

_SPLIT_WORDS: dict[str, Split] = {
    "train": "train",
    "training": "train",
    "val": "val",
    "valid": "val",
    "validation": "val",
    "test": "test",
    "testing": "test",
}
_DIGITS = re.compile(r"\d+")


class Findings:
    """Collects clips, issues and notes of one set.

    Attributes:
        named: number of clips that the set's lists name, where they are counted; 0 where not.

    Args:
        root: the set's folder; nothing outside is read.

    Raises:
        UsageError: no such folder.
    """

    def __init__(self, root: Path) -> None:
        if not root.is_dir():
            raise UsageError(f"{root} is not a folder", hint="name the folder that the set was unpacked to")
        self.root = root
        self._real_root = root.resolve()
        self.clips: list[FoundClip] = []
        self.issues: list[Issue] = []
        self.notes: list[str] = []
        self.named = 0
        self._refused: set[str] = set()

    def add(self, clip: FoundClip) -> None:
        """Adds a clip."""
        self.clips.append(clip)

    def issue(self, fault: Any, where: Path | str, message: str) -> None:
        """Adds an issue; a path is given relative to the set's folder."""
        self.issues.append(Issue(fault, self.where(where) if isinstance(where, Path) else where, message))

    def note(self, text: str) -> None:
        """Adds a note, once."""
        if text not in self.notes:
            self.notes.append(text)

    def where(self, path: Path) -> str:
        """``path`` relative to the set's folder."""
        return path.relative_to(self.root).as_posix() if path.is_relative_to(self.root) else path.name

    def done(self) -> Scan:
        """The result of the scan."""
        return Scan(tuple(self.clips), tuple(self.issues), tuple(self.notes), self.named)

    def holds(self, path: Path) -> bool:
        """Whether ``path``, with links resolved, is inside the set; adds an issue if not."""
        if path.resolve().is_relative_to(self._real_root):
            return True
        self.issue("outside", path, LINK_OUT)
        return False

    def files(self, folder: Path, suffixes: Iterable[str], *, deep: bool = False) -> list[Path]:
        """Files in ``folder`` with one of these suffixes, sorted by name, without hidden files; links are checked."""
        wanted = frozenset(suffixes)
        if not folder.is_dir():
            return []
        places = _walk(folder) if deep else [folder]
        return [
            path
            for place in places
            for path in sorted(place.iterdir())
            if path.suffix.lower() in wanted and not path.name.startswith(".") and path.is_file() and self.holds(path)
        ]

    def videos(self, folder: Path, *, deep: bool = False) -> list[Path]:
        """Videos in ``folder``, or in its folder ``videos``, which some mirrors have."""
        found = self.files(folder, VIDEO_SUFFIXES, deep=deep)
        between = folder / "videos"
        return found if deep or not between.is_dir() else [*found, *self.files(between, VIDEO_SUFFIXES)]

    def sequences(self, folder: Path) -> Iterator[tuple[Path, Pictures]]:
        """Each folder under ``folder`` with pictures, and the pictures sorted by number."""
        for place in _walk(folder):
            files = self.files(place, SUFFIXES)
            if files:
                yield place, self.in_order(place, files)

    def in_order(self, where: Path | str, files: Iterable[Path]) -> Pictures:
        """``files`` sorted by the numbers in their names; in natural order, with a note, if one has none."""
        listed = list(files)
        if all(path.stem.isdigit() for path in listed):
            return Pictures(tuple(sorted(listed, key=lambda path: (int(path.stem), path.name))))
        self.note("frames whose names are not plain numbers are taken in natural order (2 before 10)")
        return Pictures(tuple(sorted(listed, key=lambda path: natural(path.name))))

    def resolve(self, text: str, *, below: Iterable[Path] = ()) -> Path | None:
        """The file that a list of the set names, under its folder or one of ``below``; None if there is none.

        Backslashes count as slashes. Leading parts of the path are dropped one by one until a file is found. A path
        with ``..``, and a link that leads out of the set, are refused with an issue; :meth:`missing` adds no second.
        """
        pure = PurePosixPath(text.replace("\\", "/"))
        parts = [part for part in pure.parts if part not in ("/", ".")]
        if ".." in parts or "\x00" in text or not parts:
            self.issue("outside", text[:200], "a path of a list leads out of the set; left out")
            self._refused.add(text)
            return None
        if len(text) > 2048 or any(len(part.encode("utf-8", "surrogatepass")) > 255 for part in parts):
            return None  # no file system holds it
        for start in range(len(parts)):
            for place in (self.root, *below):
                path = place.joinpath(*parts[start:])
                if path.is_file():
                    if self.holds(path):
                        return path
                    self._refused.add(text)
                    return None
        return None

    def missing(self, text: str, where: str, message: str) -> None:
        """Adds an issue for a path of a list that :meth:`resolve` did not find, unless it said why it refused it."""
        if text not in self._refused:
            self.issue("missing", where, message)


def natural(name: str) -> tuple[tuple[int, int, str], ...]:
    """A sort key by which numbers in names are ordered by value."""
    pieces: list[tuple[int, int, str]] = []
    end = 0
    for match in _DIGITS.finditer(name):
        pieces += [(1, 0, name[end : match.start()]), (0, int(match[0]), "")]
        end = match.end()
    return (*pieces, (1, 0, name[end:]))


def split_word(text: str) -> Split | None:
    """The split in a folder's name ("fake train", "validation"); None if there is none or more than one."""
    words: set[Split] = {_SPLIT_WORDS[word] for word in re.split(r"[^a-z]+", text.lower()) if word in _SPLIT_WORDS}
    return words.pop() if len(words) == 1 else None


def read_json(path: Path) -> Any:
    """The content of a JSON list.

    Raises:
        ManifestError: it cannot be read, is no JSON, or is larger than 1 GiB.
    """
    return decode_json(read_list(path), object, path, error=ManifestError, hint="download it again")


def read_list(path: Path) -> str:
    """The text of a list; a byte order mark and invalid bytes are tolerated.

    Raises:
        ManifestError: it cannot be read, or is larger than 1 GiB.
    """
    hint = "check the path: a list of clips was expected there"
    return read_bytes(path, MAX_LIST_BYTES, error=ManifestError, hint=hint).decode("utf-8-sig", "replace")


def folders_in(folder: Path) -> list[Path]:
    """Folders directly in ``folder``, without links and hidden ones, sorted by name."""
    if not folder.is_dir():
        return []
    found = (path for path in folder.iterdir() if path.is_dir() and not path.is_symlink())
    return sorted(path for path in found if not path.name.startswith("."))


def _walk(folder: Path) -> Iterator[Path]:
    for place, folders, _ in os.walk(folder):
        folders[:] = sorted((name for name in folders if not name.startswith(".")), key=natural)
        yield Path(place)
