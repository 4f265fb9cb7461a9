"""Verifies a dataset: lines, files, signatures, labels, splits. Reads only.

* Changed bytes: digests of files in the lines, and of lines in the seal.
* Lines that were changed, moved to another split, removed or added: the seal.
* Changed labels: the seal, and the clip's signed facts.
* Unknown signers of a clip or a seal: the user's list of signers (:mod:`shared.provenance.trust`), not the set's.
* An older set that was put back: the number of its seal (:mod:`shared.dataset.history`).
* Masks that were wrong when made: the pixels (:mod:`shared.dataset.masks`).

Files outside the folders of a set, such as ``previews/`` and ``.lock``, are neither sealed nor read.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from shared.dataset.commit import PendingKey, frame_tables, is_known, standing_seal, waits
from shared.dataset.files import PresentFiles, files_of
from shared.dataset.frame_table import labels_by_clip
from shared.dataset.history import is_rolled_back, newer_elsewhere, remember_seal
from shared.dataset.layout import DRIVE, DRIVE_TABLE, FRAMES, MANIFEST, MASKS, MEDIA, read_info
from shared.dataset.manifest import read_manifest
from shared.dataset.masks import Originals, mask_faults
from shared.dataset.seal import Seal, difference, newest
from shared.dataset.splits import find_leaks
from shared.errors import AssayError, ManifestError, ProvenanceError
from shared.provenance.read import read_provenance
from shared.provenance.trust import known_roots, parse_fingerprint
from shared.provenance.types import Provenance, record_facts
from shared.storage import sha256_file
from shared.types import ClipId, ClipRecord, FrameLabel

Kind = Literal[
    "manifest",
    "seal",
    "signer",
    "added",
    "removed",
    "changed",
    "file",
    "orphan",
    "provenance",
    "label",
    "leak",
    "frames",
    "mask",
]
Severity = Literal["error", "warning"]


@dataclass(frozen=True)
class Problem:
    """A problem of a dataset.

    Attributes:
        kind: "manifest" (cannot be read), "seal", "signer" (unknown, or not the given one), "added", "removed" and
            "changed" (against the seal), "file" (missing or other bytes), "orphan" (listed nowhere), "provenance",
            "label", "leak", "frames" (counts), "mask" (contradicts the pixels, see :mod:`shared.dataset.masks`).
        severity: a warning can be explained by an interrupted build or an older copy; an error cannot.
    """

    kind: Kind
    message: str
    clip: ClipId | None = None
    severity: Severity = "error"

    def __str__(self) -> str:
        return self.message if self.clip is None else f"{self.clip}: {self.message}"


def verify_dataset(
    folder: Path, *, deep: bool = True, signer: str | None = None, tick: Callable[[], object] | None = None
) -> list[Problem]:
    """All problems of the dataset in ``folder``; empty if there are none.

    Args:
        folder: the dataset.
        deep: also read every media and mask file: hashes, signatures, number of decodable frames.
        signer: fingerprint of the required signer of the seal; None accepts any known signer.
        tick: called after each clip.

    Raises:
        ManifestError: the folder is not a dataset.
        UsageError: ``signer`` is not a fingerprint.
    """
    info = read_info(folder)
    seal, drafts, problems = _check_seal(folder, info.name, signer)
    try:
        records = read_manifest(newest(folder, drafts, MANIFEST), partial_tail_ok=True)
    except ManifestError as error:
        return [*problems, Problem("manifest", str(error))]
    problems.extend(_check_against(folder, seal, drafts))
    problems += [Problem("leak", str(leak)) for leak in find_leaks(records)]
    problems += _check_frames(folder, records, seal, drafts)
    anchors = _Anchors(known_roots() + (seal.root if seal else ""), "".join(seal.roots) if seal else "")
    present, originals, digests = PresentFiles(folder), Originals(records), _Digests()
    for record in records:
        problems += _check_files(present, record)
        if deep:
            problems += _check_clip(present, record, anchors, digests)
            problems += [Problem("mask", fault, record.id) for fault in mask_faults(present, record, originals)]
        if tick is not None:
            tick()
    problems += _check_orphans(present, records)
    if seal is not None and signer is None and not any(problem.severity == "error" for problem in problems):
        remember_seal(folder, seal)
    return problems


@dataclass(frozen=True)
class _Anchors:
    """Root certificates (PEM) accepted for clips: of known signers and the sealer; and those that the seal names."""

    expected: str
    named: str


def check_labels(record: ClipRecord, labels: Sequence[FrameLabel]) -> None:
    """Checks that ``labels`` are of ``record``'s clip, cover each of its frames and agree with its forged ranges.

    Raises:
        ManifestError: they are not; names the frame.
    """
    stray = next((label for label in labels if label.clip != record.id), None)
    if stray is not None:
        raise ManifestError(f"{record.id} is given a frame label of {stray.clip}", hint="label each clip by itself")
    frames = np.array([label.frame for label in labels], dtype=np.int64)
    fake = np.array([label.label == "fake" for label in labels], dtype=bool)
    faults = _label_faults(record, frames, fake)
    if faults:
        raise ManifestError(f"{record.id}: {faults[0]}", hint="label every frame once per face, or once without a face")


def _check_seal(folder: Path, name: str, signer: str | None) -> tuple[Seal | None, Path | None, list[Problem]]:
    try:
        seal, drafts = standing_seal(folder)
    except ProvenanceError as error:
        return None, None, [Problem("seal", str(error))]
    problems: list[Problem] = []
    if seal.dataset != name:
        problems.append(Problem("seal", f"the seal is of the dataset {seal.dataset}, this one is called {name}"))
    if drafts is not None:
        problems.append(
            Problem("seal", "a writer was stopped while sealing; the next one finishes it", None, "warning")
        )
    if signer is not None and seal.fingerprint != parse_fingerprint(signer):
        problems.append(
            Problem("signer", f"sealed by {seal.signer}, fingerprint {seal.fingerprint}, not by the one asked")
        )
    elif signer is None and not is_known(seal):
        message = f"unknown signer: {seal.signer}, fingerprint {seal.fingerprint}, whom this machine does not know"
        problems.append(Problem("signer", message))
    if is_rolled_back(folder, seal):
        problems.append(Problem("seal", f"seal number {seal.number} is older than one that was here before"))
    elif newer := newer_elsewhere(folder, seal):
        message = f"seal number {seal.number} is older than number {newer.number} of this set, seen in {newer.path}"
        problems.append(Problem("seal", message, None, "warning"))
    return seal, drafts, problems


def _check_against(folder: Path, seal: Seal | None, drafts: Path | None) -> Iterator[Problem]:
    """Differences from the seal. An added line with pending labels is of an interrupted build."""
    if seal is None:
        return
    found = difference(folder, seal, drafts=drafts)
    for clip in found.changed:
        yield Problem("changed", "its line was changed after the set was sealed", ClipId.parse(clip))
    for clip in found.removed:
        yield Problem("removed", "its line was removed after the set was sealed", _clip(clip))
    key = PendingKey.own(seal) if found.added else None
    for clip, line in found.added.items():
        severity = "warning" if waits(folder, clip, line, key) else "error"
        yield Problem("added", "was added and is not sealed", _clip(clip), severity)
    for name in found.files:
        yield Problem("changed", f"{name} was changed after the set was sealed")


def _check_frames(folder: Path, records: Sequence[ClipRecord], seal: Seal | None, drafts: Path | None) -> list[Problem]:
    """Checks that every clip has labels, and every label a clip."""
    waiting = [record.id for record in records if seal is None or str(record.id) not in seal.clips]
    missing = {str(record.id): record for record in records}
    seen: set[str] = set()
    problems: list[Problem] = []
    try:
        for clip, frames, fake in labels_by_clip(frame_tables(folder, waiting, drafts=drafts)):
            record = missing.pop(clip, None)
            if record is not None:
                problems += [Problem("label", fault, record.id) for fault in _label_faults(record, frames, fake)]
            elif clip in seen:
                problems.append(Problem("frames", f"the rows of {clip} in {FRAMES} do not stand together"))
            else:
                problems.append(Problem("frames", f"{FRAMES} labels {clip}, which is not listed"))
            seen.add(clip)
    except ManifestError as error:
        return [Problem("frames", str(error))]
    problems += [Problem("label", "has no frame labels", record.id) for record in missing.values()]
    return problems


def _label_faults(record: ClipRecord, frames: np.ndarray, fake: np.ndarray) -> list[str]:
    """Faults of a clip's rows: ``frames`` (N,) int, and ``fake`` (N,) bool, whether each is labelled fake."""
    counts = np.bincount(frames[(frames >= 0) & (frames < record.frames)], minlength=record.frames)
    if frames.size and (frames.min() < 0 or frames.max() >= record.frames):
        return [f"a label is of frame {frames.max()}, the clip has {record.frames}"]
    if (counts == 0).any():
        return [
            f"{int((counts == 0).sum())} of {record.frames} frames have no label, the first is {int(counts.argmin())}"
        ]
    faked = np.zeros(record.frames, dtype=bool)
    for start, stop in record.faked:
        faked[start:stop] = True
    labelled = np.zeros(record.frames, dtype=bool)
    labelled[frames[fake]] = True
    odd = np.flatnonzero(faked != labelled)
    if odd.size:
        says = "fake, the clip's faked ranges leave it out" if labelled[odd[0]] else "real, the clip says it is faked"
        return [f"frame {odd[0]} is labelled {says}"]
    return []


class _Digests:
    """SHA-256 and frame counts of files, each computed once, because renditions of one size share masks."""

    def __init__(self) -> None:
        self._digests: dict[Path, str] = {}
        self._counts: dict[Path, int | str | None] = {}

    def sha256(self, path: Path) -> str:
        """SHA-256 of the file's bytes."""
        if path not in self._digests:
            self._digests[path] = sha256_file(path)
        return self._digests[path]

    def frames(self, path: Path) -> int | str | None:
        """Number of decodable frames, or the reason why there are none."""
        from shared.video.media import clip_info

        if path not in self._counts:
            try:
                self._counts[path] = clip_info(path, count=True).frames_counted
            except AssayError as error:
                self._counts[path] = str(error)
        return self._counts[path]


def _check_clip(present: PresentFiles, record: ClipRecord, anchors: _Anchors, digests: _Digests) -> Iterator[Problem]:
    """Checks that read a clip's files."""
    for what, path, digest in _wanted(record):
        try:
            file = present.find(path)
        except ManifestError:
            continue
        if file is None:
            continue
        if digest and digests.sha256(file) != digest:
            yield Problem("file", f"{path} has other bytes than the manifest says", record.id)
        if what != DRIVE:
            yield from _check_count(digests.frames(file), what, record)
        if what == "video":
            yield from _check_provenance(file, record, anchors)


def _check_files(present: PresentFiles, record: ClipRecord) -> Iterator[Problem]:
    for _, path, digest in _wanted(record):
        try:
            missing = present.find(path) is None
        except ManifestError as error:
            yield Problem("file", str(error), record.id)
            continue
        if missing:
            yield Problem("file", f"{path} is missing", record.id)
        elif not digest:
            yield Problem("file", f"{path} has no digest in the manifest", record.id)


def _wanted(record: ClipRecord) -> Iterator[tuple[str, str, str | None]]:
    """Kind, path and expected digest of each file."""
    yield "video", record.path, record.sha256
    if record.masks is not None:
        digests = record.masks.sha256 or (None, None, None)
        for (name, path), digest in zip(record.masks.paths.items(), digests, strict=True):
            yield name, path, digest
    if DRIVE_TABLE in record.factors:
        yield DRIVE, record.factors[DRIVE_TABLE], record.factors.get(f"{DRIVE_TABLE}_sha256")


def _check_provenance(path: Path, record: ClipRecord, anchors: _Anchors) -> Iterator[Problem]:
    try:
        found = read_provenance(path, anchors=anchors.expected)
    except ProvenanceError as error:
        yield Problem("provenance", str(error), record.id)
        return
    if found is None:
        yield Problem("provenance", "carries no C2PA manifest", record.id, "warning")
        return
    for reason in found.problems:
        yield Problem("provenance", reason, record.id)
    if found.valid and found.signer is not None and not found.signer.trusted and not _is_imported(record):
        named = read_provenance(path, anchors=anchors.named) if anchors.named else None
        if named is not None and named.signer is not None and named.signer.trusted:
            message = f"is signed by {found.signer.name}, an unknown signer whom the set's signer names as theirs"
            yield Problem("provenance", message, record.id, "warning")
        else:
            message = f"is signed by {found.signer.name}, neither a known signer nor the set's"
            yield Problem("provenance", message, record.id)
    yield from _check_statement(found, record)


def _is_imported(record: ClipRecord) -> bool:
    """Whether the clip was imported: its signature is of the original set, with another id."""
    return "imported" in record.factors


def _check_statement(found: Provenance, record: ClipRecord) -> Iterator[Problem]:
    if found.digital_source_types and found.says_fake != (record.label == "fake"):
        says = "a trained model had a hand in it" if found.says_fake else "no model had a hand in it"
        yield Problem("label", f"is listed as {record.label}, and its signed manifest says that {says}", record.id)
    signed = found.record
    if signed is None or _is_imported(record):
        return
    for name, value in record_facts(record).items():
        # The masks' digests may be missing in the signed statement; they are in the manifest line.
        unsaid = name not in signed or (name == "masks_sha256" and signed[name] is None)
        if not unsaid and signed[name] != value:
            yield Problem("label", f"{name} is listed as {value!r} and signed as {signed[name]!r}", record.id)


def _check_count(counted: int | str | None, what: str, record: ClipRecord) -> Iterator[Problem]:
    if isinstance(counted, str):
        yield Problem("frames", f"its {what} cannot be decoded: {counted}", record.id)
    elif counted != record.frames:
        yield Problem("frames", f"its {what} has {counted} frames, the manifest says {record.frames}", record.id)


def _check_orphans(present: PresentFiles, records: Iterable[ClipRecord]) -> Iterator[Problem]:
    listed = {relative for record in records for relative in files_of(record)}
    for relative in present.under((MEDIA, MASKS, DRIVE)):
        if relative not in listed:
            what = "a link that was put there" if relative in present.links else "a stopped build's, or put there"
            yield Problem("orphan", f"{relative} is listed nowhere: {what}", None, "warning")


def _clip(text: str) -> ClipId | None:
    try:
        return ClipId.parse(text)
    except ValueError:
        return None
