"""Reads pictures from untrusted tar archives: sizes are bounded, names are not used as paths, links are not followed.

Members are written under generated names; those that are not plain picture files are skipped. Sizes are bounded by the
headers and by the bytes read, so that a decompression bomb ends in an error and not in a full disk.
"""

from __future__ import annotations

import gzip
import tarfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, cast

from shared.errors import MediaError
from shared.video.images import is_picture

_PLAIN_TYPES = (tarfile.REGTYPE, tarfile.AREGTYPE, tarfile.CONTTYPE)
_MAX_HEADER_BYTES = 1 << 16
_BROKEN = (tarfile.TarError, EOFError, zlib.error, gzip.BadGzipFile, OSError, ValueError)


@dataclass(frozen=True)
class ArchiveLimits:
    """Maximum number of members, bytes in a member, and bytes in total (unpacked)."""

    max_members: int = 200_000
    max_member_bytes: int = 64 << 20
    max_bytes: int = 16 << 30


@dataclass(frozen=True)
class ArchiveFolders:
    """Number of pictures by folder, in the order of the archive, and the reasons for refused members."""

    counts: dict[str, int]
    refused: tuple[str, ...]


class _Bounded:
    """A reader that refuses single large reads, and reads beyond a limit."""

    def __init__(self, file: IO[bytes], limits: ArchiveLimits) -> None:
        self._file = file
        self._limits = limits

    def read(self, size: int = -1) -> bytes:
        if size < 0 or size > self._limits.max_member_bytes + tarfile.BLOCKSIZE:
            raise tarfile.ReadError("a part of it claims to be larger than a picture can be")
        return self._within(self._file.read(size))

    def seek(self, offset: int, whence: int = 0) -> int:
        if offset > self._limits.max_bytes:
            raise tarfile.ReadError(f"it unpacks to more than {self._limits.max_bytes >> 20} MiB")
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        return self._file.tell()

    def _within(self, data: bytes) -> bytes:
        if self._file.tell() > self._limits.max_bytes:
            raise tarfile.ReadError(f"it unpacks to more than {self._limits.max_bytes >> 20} MiB")
        return data


class _Member(tarfile.TarInfo):
    """A member whose own header is not read before it is known to be small, and that is no more than what is there."""

    def _proc_member(self, tar: tarfile.TarFile) -> tarfile.TarInfo:
        if self.type not in _PLAIN_TYPES and self.size > _MAX_HEADER_BYTES:
            raise tarfile.ReadError(f"a header of it claims {self.size} bytes")
        return super()._proc_member(tar)  # type: ignore[misc]


def folders_of(path: Path, limits: ArchiveLimits = ArchiveLimits()) -> ArchiveFolders:
    """The folders of an archive that hold pictures.

    Raises:
        MediaError: damaged, cut short, or beyond ``limits``.
    """
    counts: dict[str, int] = {}
    refused: dict[str, None] = {}
    with _opened(path, limits) as tar:
        for member in _members(tar, limits):
            reason = _refusal(member)
            if reason is not None:
                refused.setdefault(reason)
            elif _is_picture(member):
                folder = _folder(member)
                counts[folder] = counts.get(folder, 0) + 1
    return ArchiveFolders(counts, tuple(refused))


def unpack(
    path: Path,
    folder: str,
    into: Path,
    limits: ArchiveLimits = ArchiveLimits(),
) -> list[tuple[str, Path]]:
    """Writes the pictures of one folder of an archive into ``into``, under generated names.

    Returns:
        For each member its file name in the archive and the written file, in the order of the archive.

    Raises:
        MediaError: damaged, cut short, or beyond ``limits``.
        OSError: writing failed.
    """
    written: list[tuple[str, Path]] = []
    with _opened(path, limits) as tar:
        for member in _members(tar, limits):
            if _refusal(member) is not None or not _is_picture(member) or _folder(member) != folder:
                continue
            content = tar.extractfile(member)
            if content is None:
                continue
            name = PurePosixPath(member.name).name
            target = into / f"{len(written):06d}{PurePosixPath(name).suffix.lower()}"
            target.write_bytes(content.read())
            written.append((name, target))
    return written


@contextmanager
def _opened(path: Path, limits: ArchiveLimits) -> Iterator[tarfile.TarFile]:
    try:
        with path.open("rb") as raw:
            packed = raw.read(2) == b"\x1f\x8b"
            raw.seek(0)
            file = gzip.GzipFile(fileobj=raw) if packed else raw
            bounded = cast("IO[bytes]", _Bounded(cast("IO[bytes]", file), limits))
            with tarfile.open(fileobj=bounded, mode="r:", tarinfo=_Member) as tar:
                yield tar
    except _BROKEN as error:
        raise MediaError(f"{path} cannot be unpacked: {error}", hint="download it again") from error


def _members(tar: tarfile.TarFile, limits: ArchiveLimits) -> Iterator[tarfile.TarInfo]:
    for count, member in enumerate(tar):
        if count >= limits.max_members:
            raise tarfile.ReadError(f"it has more than {limits.max_members} members")
        if member.size > limits.max_member_bytes and member.isreg() and not member.issparse():
            raise tarfile.ReadError(f"{member.name[:80]!r} is larger than {limits.max_member_bytes >> 20} MiB")
        yield member


def _refusal(member: tarfile.TarInfo) -> str | None:
    pure = PurePosixPath(member.name)
    if pure.is_absolute() or ".." in pure.parts or "\\" in member.name or "\x00" in member.name:
        return f"member {member.name[:80]!r} would leave the archive; left out"
    if member.islnk() or member.issym():
        return f"member {member.name[:80]!r} is a link; left out"
    if member.issparse():
        return f"member {member.name[:80]!r} is sparse: it says to hold more bytes than are there; left out"
    if not member.isreg() and not member.isdir():
        return f"member {member.name[:80]!r} is a device or a pipe; left out"
    return None


def _is_picture(member: tarfile.TarInfo) -> bool:
    return member.isreg() and is_picture(Path(member.name))


def _folder(member: tarfile.TarInfo) -> str:
    parent = PurePosixPath(member.name).parent.as_posix()
    return "" if parent == "." else parent.removeprefix("./")
