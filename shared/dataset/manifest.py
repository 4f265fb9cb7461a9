"""The manifest: one clip per line, as JSON, read strictly.

A line is valid once its newline is written. It is added by one append, so a crash leaves at most an unfinished line,
which the next writer removes.
"""

from __future__ import annotations

import dataclasses
import hashlib
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import msgspec

from shared.errors import ManifestError, storage_errors
from shared.registry import near_matches
from shared.storage import replacing
from shared.types import ClipId, ClipRecord, Kind, Label, Masks, Split

MAX_LINE_BYTES = 1 << 20


class _MasksLine(msgspec.Struct, forbid_unknown_fields=True):
    alpha: str
    changed: str
    region: str
    sha256: tuple[str, str, str] | None = None


class _Line(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """A :class:`~shared.types.ClipRecord` as written: ids as text, factors as pairs sorted by name.

    Every key is in every line, null if undefined, so that table readers see one schema.
    """

    id: str
    kind: Kind
    label: Label
    path: str
    sha256: str
    target_identity: str
    rights: str
    frames: int
    width: int
    height: int
    codec: str
    rendition: str
    split: Split | None
    source_identity: str | None
    faked: tuple[tuple[int, int], ...]
    masks: _MasksLine | None
    swapper: str | None
    architecture: str | None
    config: str | None
    seed: int | None
    parent: str | None
    content_sha256: str | None
    tool_version: str
    factors: tuple[tuple[str, str], ...]


_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(_Line)


def encode_record(record: ClipRecord) -> bytes:
    """The manifest line of ``record``, without its newline; unique for each record."""
    fields: dict[str, Any] = {field.name: getattr(record, field.name) for field in dataclasses.fields(record)}
    fields["id"] = str(record.id)
    fields["parent"] = None if record.parent is None else str(record.parent)
    fields["factors"] = tuple(sorted(record.factors.items()))
    if record.masks is not None:
        fields["masks"] = _MasksLine(record.masks.alpha, record.masks.changed, record.masks.region, record.masks.sha256)
    return _encoder.encode(_Line(**fields))


def decode_record(line: bytes, *, where: str = "manifest") -> ClipRecord:
    """The record that :func:`encode_record` wrote.

    Raises:
        ManifestError: not JSON, a key that is unknown, missing or of the wrong type, or an inconsistent record. The
            message starts with ``where``.
    """
    try:
        raw = _decoder.decode(line)
        fields: dict[str, Any] = {name: getattr(raw, name) for name in raw.__struct_fields__}
        fields["id"] = ClipId.parse(raw.id)
        fields["parent"] = None if raw.parent is None else ClipId.parse(raw.parent)
        fields["factors"] = dict(raw.factors)
        if raw.masks is not None:
            fields["masks"] = Masks(raw.masks.alpha, raw.masks.changed, raw.masks.region, raw.masks.sha256)
        return ClipRecord(**fields)
    except msgspec.DecodeError as error:
        raise ManifestError(f"{where}: {error}", hint=_hint(str(error))) from error
    except ValueError as error:
        raise ManifestError(f"{where}: {error}", hint="the line contradicts itself; restore it from a copy") from error


def manifest_lines(path: Path, *, partial_tail_ok: bool = False) -> Iterator[tuple[int, bytes]]:
    """Line numbers from 1 and the lines of a manifest without their newlines, in constant memory.

    Raises:
        ManifestError: the file is missing, a line is empty or longer than 1 MiB, or the last one has no newline; with
            ``partial_tail_ok`` such a line is left out.
    """
    try:
        with path.open("rb") as file:
            number = 0
            while line := file.readline(MAX_LINE_BYTES + 1):
                number += 1
                if not line.endswith(b"\n"):
                    _refuse_tail(path, number, line, partial_tail_ok=partial_tail_ok)
                    return
                if line == b"\n":
                    raise ManifestError(f"{path}, line {number} is empty", hint="a manifest holds one clip a line")
                yield number, line[:-1]
    except OSError as error:
        raise ManifestError(f"{path} cannot be read: {error.strerror}", hint="check the path") from error


def read_manifest(path: Path, *, partial_tail_ok: bool = False) -> list[ClipRecord]:
    """All records of a manifest, in order.

    Raises:
        ManifestError: as :func:`manifest_lines` and :func:`decode_record`; also if two lines have one id. Names the
            line.
    """
    records: list[ClipRecord] = []
    lines_of: dict[ClipId, int] = {}
    for number, line in manifest_lines(path, partial_tail_ok=partial_tail_ok):
        record = decode_record(line, where=f"{path}, line {number}")
        first = lines_of.setdefault(record.id, number)
        if first != number:
            raise ManifestError(
                f"{path}, line {number}: {record.id} is there already, on line {first}", hint="remove one of the two"
            )
        records.append(record)
    return records


def write_manifest(path: Path, records: Iterable[ClipRecord]) -> None:
    """Replaces the manifest by ``records``, one line each, atomically.

    Raises:
        ManifestError: two records have one id.
        StorageError: writing failed.
    """
    seen: set[ClipId] = set()
    with replacing(path) as draft, draft.open("wb") as file:
        for record in records:
            if record.id in seen:
                raise ManifestError(f"{record.id} is in the list twice", hint="a clip is listed once")
            seen.add(record.id)
            file.write(_checked_line(record))


def append_record(path: Path, record: ClipRecord) -> None:
    """Appends one line and syncs it to disk; first removes an unfinished line of an interrupted writer.

    Does not check that the id is new; the caller does, and holds the dataset's lock.

    Raises:
        StorageError: writing failed; the file is unchanged.
    """
    line = _checked_line(record)
    with storage_errors(path), path.open("r+b") as file:
        end = _end_of_whole_lines(file)
        file.truncate(end)
        file.seek(end)
        try:
            file.write(line)
            file.flush()
            os.fsync(file.fileno())
        except OSError:
            file.truncate(end)
            raise


def record_digest(line: bytes) -> str:
    """SHA-256 of a manifest line without its newline, in hex."""
    return hashlib.sha256(line).hexdigest()


def _checked_line(record: ClipRecord) -> bytes:
    line = encode_record(record) + b"\n"
    if len(line) > MAX_LINE_BYTES:
        raise ManifestError(f"{record.id}: its line is longer than 1 MiB", hint="shorten its factors or faked ranges")
    return line


def _refuse_tail(path: Path, number: int, line: bytes, *, partial_tail_ok: bool) -> None:
    if len(line) > MAX_LINE_BYTES:
        raise ManifestError(f"{path}, line {number} is longer than 1 MiB", hint="this is not a manifest")
    if not partial_tail_ok:
        raise ManifestError(
            f"{path}, line {number} is unfinished",
            hint="a writer was stopped, and the next clip added removes the line; a hand-made line ends in a newline",
        )


def _end_of_whole_lines(file: Any) -> int:
    """Offset behind the last newline."""
    end = file.seek(0, os.SEEK_END)
    start = max(0, end - MAX_LINE_BYTES - 1)
    file.seek(start)
    newline = file.read(end - start).rfind(b"\n")
    return start + newline + 1


def _hint(message: str) -> str:
    """The hint for a message of the JSON decoder, with the nearest key if one is unknown."""
    if "unknown field `" in message:
        name = message.split("unknown field `", 1)[1].split("`", 1)[0]
        return near_matches(name, list(_Line.__struct_fields__))
    return "the line was written by another version or by hand; the keys are those of ClipRecord"
