"""Looking through folders of unknown origin: videos, numbered pictures, lists, all kept inside the set."""

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

PICTURE_SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".webp"})
MAX_LIST_BYTES = 1 << 30

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
    """Gathers clips, issues and notes of one set while it is read.

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

    def add(self, clip: FoundClip) -> None:
        """Keeps a clip."""
        self.clips.append(clip)

    def issue(self, fault: Any, where: Path | str, message: str) -> None:
        """Keeps an issue; a path is named from the set's folder on."""
        self.issues.append(Issue(fault, self.where(where) if isinstance(where, Path) else where, message))

    def note(self, text: str) -> None:
        """Keeps a note, once."""
        if text not in self.notes:
            self.notes.append(text)

    def where(self, path: Path) -> str:
        """``path`` from the set's folder on."""
        return path.relative_to(self.root).as_posix() if path.is_relative_to(self.root) else path.name

    def done(self) -> Scan:
        """What was found."""
        return Scan(tuple(self.clips), tuple(self.issues), tuple(self.notes))

    def holds(self, path: Path) -> bool:
        """Whether ``path``, with all links followed, lies in the set; says so when it does not."""
        if path.resolve().is_relative_to(self._real_root):
            return True
        self.issue("outside", path, "a link leads out of the set; left out")
        return False

    def files(self, folder: Path, suffixes: Iterable[str], *, deep: bool = False) -> list[Path]:
        """Files in ``folder`` with one of these suffixes, in order of name; hidden ones left out, links checked."""
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
        """Videos in ``folder``, or in the ``videos`` folder that some mirrors put in between."""
        found = self.files(folder, VIDEO_SUFFIXES, deep=deep)
        between = folder / "videos"
        return found if deep or not between.is_dir() else [*found, *self.files(between, VIDEO_SUFFIXES)]

    def sequences(self, folder: Path) -> Iterator[tuple[Path, Pictures]]:
        """Each folder under ``folder`` that holds pictures, with them in the order of their numbers."""
        for place in _walk(folder):
            files = self.files(place, PICTURE_SUFFIXES)
            if files:
                yield place, self.in_order(place, files)

    def in_order(self, where: Path | str, files: Iterable[Path]) -> Pictures:
        """``files`` by the number in their names; by name, and a note, where not all names are numbers."""
        listed = list(files)
        if all(path.stem.isdigit() for path in listed):
            return Pictures(tuple(sorted(listed, key=lambda path: (int(path.stem), path.name))))
        self.note("frames whose names are not plain numbers are taken in natural order (2 before 10)")
        return Pictures(tuple(sorted(listed, key=lambda path: natural(path.name))))

    def resolve(self, text: str, *, below: Iterable[Path] = ()) -> Path | None:
        """The file that a list of the set names, under its folder or one of ``below``; None where there is none.

        Backslashes count as slashes. Leading parts that belong to somebody else's disk are dropped one after the
        other, until a file is found. A path with ``..`` is refused.
        """
        pure = PurePosixPath(text.replace("\\", "/"))
        parts = [part for part in pure.parts if part not in ("/", ".")]
        if ".." in parts or "\x00" in text or not parts:
            self.issue("outside", text[:200], "a path of a list leads out of the set; left out")
            return None
        for start in range(len(parts)):
            for place in (self.root, *below):
                path = place.joinpath(*parts[start:])
                if path.is_file():
                    return path if self.holds(path) else None
        return None


def natural(name: str) -> tuple[tuple[int, int, str], ...]:
    """A key that sorts numbers within names by value."""
    pieces: list[tuple[int, int, str]] = []
    end = 0
    for match in _DIGITS.finditer(name):
        pieces += [(1, 0, name[end : match.start()]), (0, int(match[0]), "")]
        end = match.end()
    return (*pieces, (1, 0, name[end:]))


def split_word(text: str) -> Split | None:
    """The split that a folder's name speaks of ("fake train", "validation"); None when it speaks of none or of two."""
    words: set[Split] = {_SPLIT_WORDS[word] for word in re.split(r"[^a-z]+", text.lower()) if word in _SPLIT_WORDS}
    return words.pop() if len(words) == 1 else None


def read_json(path: Path) -> Any:
    """The content of a JSON list.

    Raises:
        ManifestError: it cannot be read, is no JSON, or is larger than 1 GiB.
    """
    return decode_json(read_list(path), object, path, error=ManifestError, hint="download it again")


def read_list(path: Path) -> str:
    """The text of a list; a byte order mark and bad bytes do not stop it.

    Raises:
        ManifestError: it cannot be read, or is larger than 1 GiB.
    """
    hint = "check the path: a list of clips was expected there"
    return read_bytes(path, MAX_LIST_BYTES, error=ManifestError, hint=hint).decode("utf-8-sig", "replace")


def folders_in(folder: Path) -> list[Path]:
    """Folders directly in ``folder``, no links and no hidden ones, in order of name."""
    if not folder.is_dir():
        return []
    found = (path for path in folder.iterdir() if path.is_dir() and not path.is_symlink())
    return sorted(path for path in found if not path.name.startswith("."))


def _walk(folder: Path) -> Iterator[Path]:
    for place, folders, _ in os.walk(folder):
        folders[:] = sorted((name for name in folders if not name.startswith(".")), key=natural)
        yield Path(place)
