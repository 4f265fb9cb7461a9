"""Reads that are bounded, writes that are whole or absent, hashes, and paths that stay inside their folder."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import re
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path, PurePosixPath
from typing import TypeVar

import msgspec

from shared.errors import AssayError, ManifestError, StorageError, UsageError, storage_errors

T = TypeVar("T")

MAX_JSON_BYTES = 64 << 20
MAX_LEVELS = 64
"""How deep a JSON or TOML document may be nested, far below where Python's recursion ends."""
TOO_DEEP = f"it is nested more than {MAX_LEVELS} levels deep"

_BLOCK = 1 << 20
_MAX_BITS = 1023
_DRAFT = re.compile(r"\.(\d+)\.(?:part|old|chain)")


def sha256_file(path: Path) -> str:
    """SHA-256 of a file's bytes, in hex; constant memory."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()


def read_bytes(path: Path, max_bytes: int, *, error: type[AssayError], hint: str | None = None) -> bytes:
    """The content of a file or pipe of at most ``max_bytes``, of which no more than that is ever held.

    Raises:
        error: missing, unreadable or larger; with ``hint``.
    """
    try:
        with path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size  # 0 for a pipe
            data = b"" if size > max_bytes else file.read(max_bytes + 1)
    except FileNotFoundError as problem:
        raise error(f"{path} does not exist", hint=hint) from problem
    except OSError as problem:
        raise error(f"{path} cannot be read: {problem.strerror}", hint=hint) from problem
    if max(size, len(data)) > max_bytes:
        raise error(f"{path} is larger than {max_bytes >> 20} MiB", hint=hint)
    return data


def read_json(
    path: Path, kind: type[T], max_bytes: int = MAX_JSON_BYTES, *, error: type[AssayError], hint: str | None = None
) -> T:
    """The JSON document in a file as a ``kind``, see :func:`decode_json`.

    Raises:
        error: missing, unreadable, larger than ``max_bytes``, or no such document; with ``hint``.
    """
    data = read_bytes(path, max_bytes, error=error, hint=hint)
    return decode_json(data, kind, path, error=error, hint=hint)


def decode_json(
    data: bytes | str, kind: type[T], where: object, *, error: type[AssayError], hint: str | None = None
) -> T:
    """A ``kind`` from the text of a JSON document, in UTF-8; of a key that is there twice the last value counts.

    Args:
        data: the text; whoever read it bounded its size.
        kind: ``dict`` or ``object`` for plain values, in which NaN and infinities are understood; or what msgspec
            converts to: a dataclass or struct, whose other keys are passed over, or a collection of such.
        where: the document's file, for the message.
        error: what is raised.
        hint: what to do then.

    Raises:
        error: not JSON, not a ``kind``, or see :func:`check_plain`.
    """
    plain = kind in (dict, object)
    try:
        found = json.loads(data if isinstance(data, str) else data.decode()) if plain else msgspec.json.decode(data)
        check_plain(found)
        if not plain:
            return msgspec.convert(found, kind)
        if not isinstance(found, kind):
            raise ValueError("it holds no JSON object")
        return found
    except (ValueError, RecursionError) as problem:
        why = TOO_DEEP if isinstance(problem, RecursionError) else problem
        raise error(f"{where} is damaged or another kind of document: {why}", hint=hint) from problem


def check_plain(value: object) -> None:
    """Refuses values of a document that would break whoever walks through them or counts with them.

    Raises:
        ValueError: nested more than :data:`MAX_LEVELS` levels deep, or a whole number too large for a float.
    """
    level = [value]
    for _ in range(MAX_LEVELS + 1):
        if not level:
            return
        if any(isinstance(one, int) and one.bit_length() > _MAX_BITS for one in level):
            raise ValueError("it holds a whole number of more than 300 digits")
        inner = (one.values() if isinstance(one, dict) else one for one in level if isinstance(one, dict | list))
        level = [each for values in inner for each in values]
    raise ValueError(TOO_DEEP)


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A draft path beside ``path``, renamed onto it when the block ends well, removed when it does not.

    A reader sees the old file or the new one, never a part. The draft keeps the file's suffix, because encoders
    choose their container by it.

    Raises:
        StorageError: the disk refused.
    """
    draft = path.with_name(f".{path.stem}.{os.getpid()}.part{path.suffix}")
    with storage_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            yield draft
            with draft.open("rb") as file:
                os.fsync(file.fileno())
            draft.replace(path)
        finally:
            draft.unlink(missing_ok=True)


@contextmanager
def replacing_folder(path: Path, *, over: bool = True) -> Iterator[Path]:
    """Like :func:`replacing`, for a folder: the old one stays until the new one is complete.

    ``over=False`` replaces nothing but an empty folder: of several processes that make one folder, one succeeds.

    Raises:
        StorageError: the disk refused, or another process has put a folder there meanwhile.
    """
    draft = path.with_name(f".{path.name}.{os.getpid()}.part")
    old = path.with_name(f".{path.name}.{os.getpid()}.old")
    with storage_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(draft, ignore_errors=True)
        draft.mkdir()
        try:
            yield draft
            if over and path.exists():
                path.rename(old)
            elif path.is_dir():
                with suppress(OSError):
                    path.rmdir()  # only if it is empty, where the next line would not replace it
            try:
                draft.rename(path)
            except OSError as error:
                if error.errno in (errno.ENOTEMPTY, errno.EEXIST):
                    raise StorageError(
                        f"{path} was made by another process meanwhile", hint="look at what is there, or choose another"
                    ) from error
                if old.exists():
                    old.rename(path)
                raise
        finally:
            shutil.rmtree(draft, ignore_errors=True)
            shutil.rmtree(old, ignore_errors=True)


def need_replaceable(
    out: Path, kind: str, *, marks: Sequence[str], never: Sequence[str] = (), sources: Sequence[Path] = ()
) -> None:
    """Refuses a folder as the place of a result, unless nothing but an earlier result of its kind would go.

    Args:
        out: where the result is to go; what is not there yet may be made.
        kind: what the result is called in the message.
        marks: files that every such result holds.
        never: files that no such result holds.
        sources: what the result is made from; neither these nor a folder around them is replaced.

    Raises:
        UsageError: it is a file, holds something else, or is or contains a source.
        StorageError: it may not be looked at.
    """
    place = out.resolve()
    if any(source.resolve().is_relative_to(place) for source in sources):
        raise UsageError(f"{out} is or holds what this is made from", hint="choose another --out")
    if not out.exists() and not out.is_symlink():
        return
    with storage_errors(out):
        earlier = out.is_dir() and (
            not any(out.iterdir())
            or (all((out / name).is_file() for name in marks) and not any((out / name).exists() for name in never))
        )
    if not earlier:
        raise UsageError(f"{out} is there and holds no {kind}", hint="choose another folder")


def need_own_folder(out: Path, kind: str, *, marks: Sequence[str]) -> Path:
    """``out`` unchanged, when it is new, empty, or a folder in which work of this ``kind`` was begun.

    ``marks`` are names of which one is there as soon as the work begins.

    Raises:
        UsageError: it is a file, or holds something else.
    """
    if out.exists() and not (out.is_dir() and (not any(out.iterdir()) or any((out / name).exists() for name in marks))):
        raise UsageError(f"{out} is there and holds no {kind}", hint="choose another --out")
    return out


def sweep_drafts(folder: Path) -> int:
    """Removes drafts under ``folder`` that killed processes left; how many. Those of living processes stay."""
    found = [
        path for path in folder.rglob(".*") if (match := _DRAFT.search(path.name)) and not _is_alive(int(match[1]))
    ]
    for path in found:
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)
    return len(found)


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return pid != os.getpid()


def write_text(path: Path, text: str) -> None:
    """Replaces ``path`` by ``text`` (UTF-8) in one step.

    Raises:
        StorageError: the disk refused.
    """
    with replacing(path) as draft:
        draft.write_text(text, encoding="utf-8")


def write_bytes(path: Path, data: bytes) -> None:
    """Replaces ``path`` by ``data`` in one step.

    Raises:
        StorageError: the disk refused.
    """
    with replacing(path) as draft:
        draft.write_bytes(data)


def inside(folder: Path, relative: str) -> Path:
    """``folder / relative``, refused when it would leave the folder.

    Raises:
        ManifestError: an absolute path, one with ``..``, or one that leads out through a link.
    """
    pure = PurePosixPath(relative)
    if pure.is_absolute() or ".." in pure.parts or "\\" in relative or "\x00" in relative or not pure.parts:
        raise ManifestError(
            f"path {relative!r} would leave {folder}", hint="paths in a dataset are relative to its folder"
        )
    path = folder.joinpath(*pure.parts)
    if not path.resolve().is_relative_to(folder.resolve()):
        raise ManifestError(
            f"path {relative!r} leads out of {folder} through a link", hint="replace the link by the file"
        )
    return path


def need_free_space(folder: Path, needed_bytes: int) -> None:
    """Refuses work that would fill the disk, before it starts.

    Raises:
        StorageError: less than ``needed_bytes`` is free where ``folder`` is or will be.
    """
    place = folder
    while not place.exists():
        place = place.parent
    free = shutil.disk_usage(place).free
    if free < needed_bytes:
        raise StorageError(
            f"{folder} has {free / 1e9:.1f} GB free, this needs about {needed_bytes / 1e9:.1f} GB",
            hint="free some space or choose another output folder",
        )


_POLL_SECONDS = 0.02


@contextmanager
def folder_lock(path: Path, *, timeout_seconds: float = 60.0) -> Iterator[None]:
    """Holds the lock file ``path`` (made when absent) while the block runs.

    The operating system lets go of it when the process ends, however it ends, so a killed writer blocks nobody.
    It is advisory: readers do not need it, because every write under it is whole or absent.

    Raises:
        StorageError: somebody else held it for ``timeout_seconds``, or the folder cannot be written.
    """
    from filelock import FileLock, Timeout  # here, because it takes longer to import than ``assay --help`` can wait

    lock = FileLock(path, mode=0o600, poll_interval=_POLL_SECONDS)
    with storage_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            lock.acquire(timeout=timeout_seconds)
        except Timeout as error:
            raise StorageError(
                f"{path.parent} is being written by another process",
                hint="wait for it to end, then run the command again",
            ) from error
    try:
        yield
    finally:
        lock.release()
