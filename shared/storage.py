"""Bounded reads, atomic writes, hashes, safe paths and locks."""

from __future__ import annotations

import errno
import glob
import hashlib
import itertools
import json
import os
import platform
import re
import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path, PurePosixPath
from typing import Any, TypeVar

import msgspec

from shared.console import size_text
from shared.errors import AssayError, ManifestError, StorageError, UsageError, storage_errors

T = TypeVar("T")

MAX_JSON_BYTES = 64 << 20
MAX_LEVELS = 64
"""Maximum nesting of a JSON or TOML document, far below Python's recursion limit."""
TOO_DEEP = f"it is nested more than {MAX_LEVELS} levels deep"

_BLOCK = 1 << 20
_MAX_BITS = 1023
_DRAFT = re.compile(r"\.(?P<pid>\d+)(?:-(?P<host>[0-9a-f]{6})-\d+)?\.(?P<mark>part|old|chain)")
_HOST = hashlib.sha256(platform.node().encode()).hexdigest()[:6]
_numbers = itertools.count()
_open_drafts: set[str] = set()
_swept: set[Path] = set()


def sha256_file(path: Path) -> str:
    """SHA-256 of a file's bytes, in hex, in constant memory."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()


def read_bytes(path: Path, max_bytes: int, *, error: type[AssayError], hint: str | None = None) -> bytes:
    """The content of a file or pipe of at most ``max_bytes``; never more is read.

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
    """The JSON document in a file as a ``kind``; see :func:`decode_json`.

    Raises:
        error: missing, unreadable, larger than ``max_bytes``, or no such document; with ``hint``.
    """
    data = read_bytes(path, max_bytes, error=error, hint=hint)
    return decode_json(data, kind, path, error=error, hint=hint)


def decode_json(
    data: bytes | str,
    kind: type[T],
    where: object,
    *,
    error: type[AssayError],
    hint: str | None = None,
    hook: Callable[[type, Any], Any] | None = None,
) -> T:
    """A ``kind`` from a JSON document in UTF-8; the last value of a duplicate key is used.

    Args:
        data: the text, of bounded size.
        kind: ``dict`` or ``object`` for plain values, which may include NaN and infinities; or a type that msgspec
            converts to: a dataclass or struct, for which unknown keys are ignored, or a collection of these.
        where: the document's file, for the message.
        error: the class of error to raise.
        hint: its hint.
        hook: makes values of types unknown to msgspec from the type and a plain value; raises ValueError if it cannot.

    Raises:
        error: not JSON, not a ``kind``, or as :func:`check_plain`.
    """
    plain = kind in (dict, object)
    try:
        found = json.loads(data if isinstance(data, str) else data.decode()) if plain else msgspec.json.decode(data)
        check_plain(found)
        if not plain:
            return msgspec.convert(found, kind, dec_hook=hook)
        if not isinstance(found, kind):
            raise ValueError("it holds no JSON object")
        return found
    except (ValueError, RecursionError) as problem:
        why = TOO_DEEP if isinstance(problem, RecursionError) else problem
        raise error(f"{where} is damaged or another kind of document: {why}", hint=hint) from problem


def check_plain(value: object) -> None:
    """Refuses values of a document that would exceed the recursion limit or the range of floats.

    Raises:
        ValueError: nested more than :data:`MAX_LEVELS` levels, or an integer too large for a float.
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
    """Yields a draft path beside ``path``, which replaces it on success and is removed after an error.

    Readers see the old file or the complete new one. The draft has the file's suffix, by which encoders choose the
    container.

    Raises:
        StorageError: writing failed.
    """
    with storage_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        with draft_beside(path) as draft:
            yield draft
            with draft.open("rb") as file:
                os.fsync(file.fileno())
            draft.replace(path)


@contextmanager
def draft_beside(path: Path) -> Iterator[Path]:
    """Yields the path of a hidden draft beside ``path``, with its suffix; a file left there is removed at the end.

    Every draft has a path of its own, also in threads of one process. The first draft of a process in a folder
    removes those that killed processes of this machine left there.
    """
    folder = path.parent
    if folder not in _swept:
        _swept.add(folder)
        with suppress(OSError):  # not there, or not to be listed
            _sweep((entry for entry in folder.iterdir() if entry.name.startswith(".")), hosts=(_HOST,))
    with _named(path, path.stem, f"part{path.suffix}") as draft:
        try:
            yield draft
        finally:
            draft.unlink(missing_ok=True)


@contextmanager
def _named(path: Path, stem: str, ending: str) -> Iterator[Path]:
    draft = path.with_name(f".{stem}.{os.getpid()}-{_HOST}-{next(_numbers)}.{ending}")
    _open_drafts.add(draft.name)
    try:
        yield draft
    finally:
        _open_drafts.discard(draft.name)


@contextmanager
def replacing_folder(path: Path, *, over: bool = True) -> Iterator[Path]:
    """As :func:`replacing`, for a folder: the old one is kept until the new one is complete.

    ``over=False`` replaces only an empty folder: if several processes make one folder, one succeeds.

    Raises:
        StorageError: writing failed, or another process made the folder meanwhile.
    """
    with (
        storage_errors(path),
        _named(path, path.name, "part") as draft,
        _named(path, path.name, "old") as old,
    ):
        path.parent.mkdir(parents=True, exist_ok=True)
        _sweep(path.parent.glob(f".{glob.escape(path.name)}.*"), hosts=(_HOST,))
        draft.mkdir()
        try:
            yield draft
            if over and path.exists():
                path.rename(old)
            elif path.is_dir():
                with suppress(OSError):
                    path.rmdir()  # only if empty, because the next line does not replace a folder on every system
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


@contextmanager
def scratch_beside(path: Path) -> Iterator[Path]:
    """Yields a hidden folder beside ``path``, removed at the end; those that killed processes left go first."""
    with _named(path, path.name, "part") as folder:
        _sweep(path.parent.glob(f".{glob.escape(path.name)}.*"), hosts=(_HOST,))
        folder.mkdir()
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def need_replaceable(
    out: Path, kind: str, *, marks: Sequence[str], never: Sequence[str] = (), sources: Sequence[Path] = ()
) -> None:
    """Refuses an output folder, unless only an earlier result of the same kind would be replaced.

    Args:
        out: the output folder; it need not exist.
        kind: name of the result in the message.
        marks: files that every such result has.
        never: files that no such result has.
        sources: inputs of the result; neither these nor folders around them are replaced.

    Raises:
        UsageError: it is a file, holds something else, or is or contains a source.
        StorageError: it cannot be read.
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
    """Removes drafts of ended processes under ``folder``; returns their number.

    A folder that a process moved aside, and was killed before it had replaced it, is moved back.
    """
    return _sweep(folder.rglob(".*"), hosts=(_HOST, None))


def is_draft(name: str) -> bool:
    """Whether a file or folder of this name is a draft, open or left by a killed process."""
    return _DRAFT.search(name) is not None


def _sweep(paths: Iterable[Path], *, hosts: tuple[str | None, ...]) -> int:
    count = 0
    for path in list(paths):
        match = _DRAFT.search(path.name)
        if match is None or match["host"] not in hosts or path.name in _open_drafts or _is_alive(int(match["pid"])):
            continue
        count += 1
        final = path.with_name(path.name[1 : match.start()] or path.name)
        if match["mark"] == "old" and not final.exists():
            with suppress(OSError):
                path.rename(final)
        elif path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
        else:
            with suppress(OSError):
                path.unlink(missing_ok=True)
    return count


def _is_alive(pid: int) -> bool:
    """Whether another process has this number. Not by ``os.kill(pid, 0)``: on Windows that interrupts it."""
    import psutil

    return pid != os.getpid() and psutil.pid_exists(pid)


def write_text(path: Path, text: str) -> None:
    """Writes ``text`` (UTF-8) to ``path`` atomically.

    Raises:
        StorageError: writing failed.
    """
    with replacing(path) as draft:
        draft.write_text(text, encoding="utf-8")


def write_bytes(path: Path, data: bytes) -> None:
    """Writes ``data`` to ``path`` atomically.

    Raises:
        StorageError: writing failed.
    """
    with replacing(path) as draft:
        draft.write_bytes(data)


def inside(folder: Path, relative: str) -> Path:
    """``folder / relative``, refused if it leads out of the folder.

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
    """Checks the free disk space before work starts.

    Raises:
        StorageError: less than ``needed_bytes`` is free on the disk of ``folder``, which need not exist.
    """
    place = folder
    while not place.exists():
        place = place.parent
    free = shutil.disk_usage(place).free
    if free < needed_bytes:
        raise StorageError(
            f"{folder} has {size_text(free)} free, this needs about {size_text(needed_bytes)}",
            hint="free some space or choose another output folder",
        )


_POLL_SECONDS = 0.02


@contextmanager
def folder_lock(path: Path, *, timeout_seconds: float = 60.0) -> Iterator[None]:
    """Holds the lock file ``path``, made if missing, during the block.

    The operating system releases it when the process ends in any way. Readers do not need it, because writes are
    atomic.

    Raises:
        StorageError: another process held it for ``timeout_seconds``, or the folder cannot be written.
    """
    from filelock import FileLock, Timeout  # imported here, because it would slow down ``assay --help``

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
