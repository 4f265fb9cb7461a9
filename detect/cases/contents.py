"""The files of a case, in a folder or in an exported archive, read in bounded pieces."""

from __future__ import annotations

import hashlib
import os
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import IO, Protocol

from shared.errors import CaseError

_MOST_FILES = 20_000
_MOST_BYTES = 8 << 30
_BLOCK_BYTES = 1 << 20
_HINT = "name a case folder, or an archive that assay case export wrote"
_LINK = 0o120000


class Contents(Protocol):
    """The files of one case by their path in it."""

    place: Path

    def names(self) -> list[str]:
        """Paths of all files, with "/" between folders, sorted; links are included."""
        ...

    def digest(self, name: str) -> str | None:
        """SHA-256 of a file, in hex; None for a link, which could lead anywhere."""
        ...

    def read(self, name: str, max_bytes: int) -> bytes:
        """The content of a file.

        Raises:
            CaseError: it is missing, larger than ``max_bytes``, or cannot be read.
        """
        ...


@contextmanager
def contents_of(place: Path) -> Iterator[Contents]:
    """The files of the case at ``place``, a folder or a ZIP archive.

    Raises:
        CaseError: it is neither, or an archive that is damaged, too large, or leads out of its folder.
    """
    if place.is_dir():
        yield FolderContents(place)
        return
    if not place.is_file():
        raise CaseError(f"{place} is no case", hint=_HINT)
    try:
        with zipfile.ZipFile(place) as archive:
            yield ArchiveContents(place, archive)
    except (zipfile.BadZipFile, zlib.error, NotImplementedError, EOFError, OSError, RuntimeError) as error:
        raise CaseError(f"{place} is no archive of a case, or a damaged one: {error}", hint=_HINT) from error


class FolderContents:
    """The files of a case folder. Follows no link."""

    def __init__(self, place: Path) -> None:
        self.place = place

    def names(self) -> list[str]:
        """See :class:`Contents`."""
        found: list[str] = []
        for folder, folders, names in os.walk(self.place):
            links = [name for name in folders if (Path(folder) / name).is_symlink()]
            found += [(Path(folder) / name).relative_to(self.place).as_posix() for name in (*names, *links)]
            if len(found) > _MOST_FILES:
                raise CaseError(f"{self.place} holds more than {_MOST_FILES} files", hint=_HINT)
        return sorted(found)

    def digest(self, name: str) -> str | None:
        """See :class:`Contents`."""
        path = self.place / name
        if path.is_symlink() or not path.is_file():
            return None
        try:
            with path.open("rb") as file:
                return _digest(file)
        except OSError as error:
            raise CaseError(f"{path} cannot be read: {error.strerror}", hint="check its permissions") from error

    def read(self, name: str, max_bytes: int) -> bytes:
        """See :class:`Contents`."""
        path = self.place / name
        if path.is_symlink() or not path.is_file():
            raise CaseError(f"{self.place} has no {name}", hint=_HINT)
        try:
            with path.open("rb") as file:
                return _bounded(file, max_bytes, path)
        except OSError as error:
            raise CaseError(f"{path} cannot be read: {error.strerror}", hint="check its permissions") from error


class ArchiveContents:
    """The files of an exported case: all lie in one folder of the archive, which is left out of their names."""

    def __init__(self, place: Path, archive: zipfile.ZipFile) -> None:
        self.place, self._archive = place, archive
        members = [one for one in archive.infolist() if not one.is_dir()]
        if len(members) > _MOST_FILES or sum(one.file_size for one in members) > _MOST_BYTES:
            raise CaseError(f"{place} is too large for an archive of a case", hint=_HINT)
        self._members: dict[str, zipfile.ZipInfo] = {}
        roots = set()
        for member in members:
            parts = PurePosixPath(member.filename).parts
            if len(parts) < 2 or ".." in parts or parts[0] == "/" or "\\" in member.filename:
                raise CaseError(f"{place} holds {member.filename!r}, which lies in no case folder", hint=_HINT)
            name = "/".join(parts[1:])
            if name in self._members:
                raise CaseError(f"{place} holds {member.filename!r} twice", hint=_HINT)
            roots.add(parts[0])
            self._members[name] = member
        if len(roots) != 1:
            raise CaseError(f"{place} holds {len(roots)} folders, not one case", hint=_HINT)

    def names(self) -> list[str]:
        """See :class:`Contents`."""
        return sorted(self._members)

    def digest(self, name: str) -> str | None:
        """See :class:`Contents`."""
        member = self._members[name]
        if (member.external_attr >> 16) & 0o170000 == _LINK:
            return None
        with self._archive.open(member) as file:
            return _digest(file)

    def read(self, name: str, max_bytes: int) -> bytes:
        """See :class:`Contents`."""
        if name not in self._members:
            raise CaseError(f"{self.place} has no {name}", hint=_HINT)
        with self._archive.open(self._members[name]) as file:
            return _bounded(file, max_bytes, name)


def _digest(file: IO[bytes]) -> str:
    found, count = hashlib.sha256(), 0
    while block := file.read(_BLOCK_BYTES):
        found.update(block)
        count += len(block)
        if count > _MOST_BYTES:
            raise CaseError("a file of the case is too large", hint=_HINT)
    return found.hexdigest()


def _bounded(file: IO[bytes], max_bytes: int, where: object) -> bytes:
    data = file.read(max_bytes + 1)
    if len(data) > max_bytes:
        raise CaseError(f"{where} is larger than {max_bytes:,} bytes", hint=_HINT)
    return data
