"""A set of speech on disk: records appended one by one, a list for detectors, a seal, and its verification."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import msgspec

from shared.config import read_toml, write_toml
from shared.dataset.layout import SEAL
from shared.dataset.manifest import manifest_lines
from shared.dataset.seal import Seal, difference, read_seal, write_seal
from shared.errors import ManifestError, UsageError, storage_errors
from shared.provenance.identity import SigningIdentity
from shared.provenance.read import read_provenance
from shared.speechsets.layout import CARD, LIST, MANIFEST, MEDIA, RATE, SETTINGS, SpeechRecord, SpeechSetInfo
from shared.storage import decode_json, inside, is_draft, read_bytes, sha256_file, write_text

_HINT = "restore it from a copy, or make the set again"
_COLUMNS = ("path", "label", "speaker", "engine", "codec", "split", "spans", "parent", "chain")


@dataclass(frozen=True)
class SpeechSet:
    """A set that was opened: its folder, facts and records in order."""

    path: Path
    info: SpeechSetInfo
    records: tuple[SpeechRecord, ...]

    def file(self, record: SpeechRecord) -> Path:
        """The file of a record.

        Raises:
            ManifestError: its path leads out of the set.
        """
        return inside(self.path, record.path)


def read_speech_set(path: Path) -> SpeechSet:
    """The set in a folder.

    Raises:
        ManifestError: there is none, or it is damaged; names the line.
    """
    if not (path / SETTINGS).is_file():
        raise ManifestError(f"{path} holds no set of speech", hint="assay forge speech-set makes one")
    return SpeechSet(path, _info(path / SETTINGS), tuple(_records(path)))


def begin(path: Path, info: SpeechSetInfo) -> SpeechSet:
    """The set in ``path``, new, or begun with the same specification and to be continued.

    Raises:
        UsageError: the folder holds something else, or a set of another specification.
        ManifestError: a set that was begun is damaged, or differs from its seal.
        ProvenanceError: its seal is damaged.
        StorageError: writing failed.
    """
    if (path / SETTINGS).is_file():
        with storage_errors(path):
            (path / MEDIA).mkdir(exist_ok=True)
            # A sealed set has a manifest: without it, it is damaged and not only begun.
            if not (path / LIST).exists() and not any((path / MEDIA).iterdir()):
                (path / MANIFEST).touch()
        need_same(path, info)
        found = read_speech_set(path)
        _drop_partial_line(path / MANIFEST)
        _unchanged_seal(path)
        return found
    if path.exists() and not (path.is_dir() and all(is_draft(one.name) for one in path.iterdir())):
        raise UsageError(f"{path} is there and holds no set of speech", hint="choose another --out")
    with storage_errors(path):
        path.mkdir(parents=True, exist_ok=True)
        # The settings come first: a folder that has them is continued, whatever else was not yet made.
        write_toml(path / SETTINGS, info)
        (path / MEDIA).mkdir(exist_ok=True)
        (path / MANIFEST).touch()
    return SpeechSet(path, info, ())


def need_same(path: Path, info: SpeechSetInfo) -> None:
    """Refuses a folder with a set of speech of another specification; a folder without a set is let pass.

    Raises:
        UsageError: it was begun with other voices, settings or versions.
        ManifestError: its settings are damaged.
    """
    if not (path / SETTINGS).is_file():
        return
    found = _info(path / SETTINGS)
    if found != info:
        raise UsageError(
            f"{path} was begun with other {_what_differs(found, info)}",
            hint="choose another --out, or begin it again as it was",
        )


def _what_differs(old: SpeechSetInfo, new: SpeechSetInfo) -> str:
    if old.made_with != new.made_with:
        return f"versions: {', '.join(sorted(set(old.made_with) ^ set(new.made_with))) or 'in another order'}"
    return "voices or settings"


def append(path: Path, record: SpeechRecord) -> None:
    """Adds a line to the manifest, synced to disk.

    Raises:
        StorageError: writing failed.
    """
    with storage_errors(path / MANIFEST), (path / MANIFEST).open("ab") as file:
        file.write(msgspec.json.encode(record) + b"\n")
        file.flush()
        os.fsync(file.fileno())


def finish(path: Path, card: str) -> Seal:
    """Writes the list and the card, and seals the set; a seal that is there is continued.

    Raises:
        ManifestError: the manifest is damaged, or the set differs from the seal that is there.
        StorageError, ProvenanceError: writing or signing failed.
    """
    opened, before = read_speech_set(path), _unchanged_seal(path)
    write_text(path / LIST, list_of(opened.records))
    write_text(path / CARD, card)
    identity = SigningIdentity.load_or_create()
    return write_seal(path, opened.info.name, identity, drafts=path, before=before, also=(SETTINGS,))


def _unchanged_seal(path: Path) -> Seal | None:
    """The seal of a set that is as it was sealed, apart from the card, which is written anew; None without a seal."""
    if not (path / SEAL).exists():
        return None
    seal = read_seal(path)
    found = difference(path, seal)
    names = [*found.changed, *found.removed, *found.added, *(name for name in found.files if name != CARD)]
    if names:
        raise ManifestError(
            f"{path} differs from its seal in {names[0]}",
            hint="restore it from a copy, or make the set in a new folder",
        )
    return seal


def list_of(records: Iterable[SpeechRecord]) -> str:
    """The list that detectors read, as CSV; spans in seconds, empty for a fake as a whole.

    Sets of an earlier version, whose chains have no grade, have no column ``chain``.
    """
    records = list(records)
    columns = _COLUMNS if any("grade" in one.chain for one in records) else _COLUMNS[:-1]
    out = io.StringIO()
    table = csv.writer(out, lineterminator="\n")
    table.writerow(columns)
    paths: dict[str, str] = {}
    for one in records:
        paths[one.id] = one.path
        whole = one.spans and one.spans[0][0] == 0 and one.spans[-1][1] >= round(one.seconds * RATE) - 1
        partial = () if whole and len(one.spans) == 1 else one.spans
        spans = ";".join(f"{first / RATE:.6f}-{stop / RATE:.6f}" for first, stop in partial)
        row = (one.path, one.label, one.speaker, one.manipulation or "", one.chain.get("codec", ""), one.split, spans,
               paths.get(one.parent or "", ""), one.chain.get("grade", ""))  # fmt: skip
        table.writerow(row[: len(columns)])
    return out.getvalue()


def verify(path: Path, *, tick: Callable[[], object] | None = None) -> list[str]:
    """What differs from what was sealed; empty for a set as it was made.

    Every file's hash and signature is checked, and that a fake's signature says that it is one.

    Raises:
        ManifestError: the set cannot be read.
        ProvenanceError: there is no valid seal.
    """
    opened = read_speech_set(path)
    seal = read_seal(path)
    changed = difference(path, seal)
    found = [f"{name}: the record was changed" for name in changed.changed]
    found += [f"{name}: the record is missing" for name in changed.removed]
    found += [f"{name}: added after the seal" for name in changed.added]
    found += [f"{name}: changed after the seal" for name in changed.files]
    if SETTINGS not in seal.files:
        found.append(f"{SETTINGS}: not covered by the seal; the same build, repeated, seals it")
    found += _list_problems(opened) + _unnamed(opened)
    for record in opened.records:
        problem = _problem(opened, record)
        if problem:
            found.append(f"{record.id}: {problem}")
        if tick is not None:
            tick()
    return found


def _list_problems(opened: SpeechSet) -> list[str]:
    expected = list_of(opened.records).encode()
    try:
        found = read_bytes(opened.path / LIST, len(expected) + 1, error=ManifestError)
    except ManifestError:  # missing, unreadable or longer than it can be
        found = b""
    try:
        found.decode()
    except UnicodeDecodeError:
        return [f"{LIST}: is no text in UTF-8"]
    return [] if found == expected else [f"{LIST}: does not match the manifest"]


def _unnamed(opened: SpeechSet) -> list[str]:
    """What lies in the folder of media and is named by no line."""
    named = {record.path for record in opened.records}
    with storage_errors(opened.path / MEDIA):
        there = sorted(each for each in (opened.path / MEDIA).rglob("*") if each.is_symlink() or not each.is_dir())
    names = [each.relative_to(opened.path).as_posix() for each in there]
    return [f"{name}: no line of the manifest names it" for name in names if name not in named]


def _problem(opened: SpeechSet, record: SpeechRecord) -> str:
    file = opened.file(record)
    if not file.is_file():
        return "the file is missing"
    if sha256_file(file) != record.sha256:
        return "the file was changed"
    known = read_provenance(file)
    if known is None or not known.valid:
        return "the signature is missing or not valid"
    if known.says_fake != (record.label == "fake"):
        return "signature and label contradict each other"
    return ""


def _records(path: Path) -> list[SpeechRecord]:
    records: list[SpeechRecord] = []
    seen: set[str] = set()
    for number, line in manifest_lines(path / MANIFEST, partial_tail_ok=True):
        where = f"{path / MANIFEST}, line {number}"
        record = decode_json(line, SpeechRecord, where, error=ManifestError, hint=_HINT)
        if record.id in seen:
            raise ManifestError(f"{path / MANIFEST}, line {number}: {record.id} is there already", hint=_HINT)
        seen.add(record.id)
        records.append(record)
    return records


def _drop_partial_line(path: Path) -> None:
    """Takes away what a killed writer left behind the last whole line."""
    with storage_errors(path), path.open("r+b") as file:
        data = file.read()
        file.truncate(data.rfind(b"\n") + 1)


def _info(path: Path) -> SpeechSetInfo:
    try:
        return msgspec.convert(read_toml(path, error=ManifestError, hint=_HINT), SpeechSetInfo)
    except (msgspec.ValidationError, ValueError) as error:
        raise ManifestError(f"{path}: {error}", hint=_HINT) from error
