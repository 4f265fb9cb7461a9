"""Pending labels of a dataset between two seals, and the atomic replacement of the seal.

Labels of an added clip are kept in a separate file until the next seal, because a Parquet table cannot be appended to.
A seal is made, with all files it covers, in a draft folder that appears in one step; then the files are moved into
place, the seal last. The next writer completes an interrupted one.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import shutil
from collections.abc import Container, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from shared.console import console
from shared.dataset.frame_table import FRAME_SCHEMA, read_frame_table, write_frame_labels
from shared.dataset.history import is_rolled_back
from shared.dataset.layout import CARD, FRAMES, MANIFEST, PENDING, SEAL, SPLIT_TABLES
from shared.dataset.manifest import encode_record, record_digest
from shared.dataset.seal import Seal, difference, line_digests, newest, read_seal
from shared.errors import AssayError, ManifestError, ProvenanceError, storage_errors
from shared.provenance.identity import SigningIdentity, own_chains
from shared.provenance.trust import known_signers, trust_signer
from shared.storage import sha256_file, write_text
from shared.types import ClipId, ClipRecord, FrameLabel

COMMIT = f"{PENDING}/commit"
_ROWS_A_GROUP = 1 << 16
_SHOWN = 3
_MAC = ".mac"


@dataclass(frozen=True)
class PendingKey:
    """Authenticates pending labels, so that only those of the user's own writer are accepted.

    A MAC with the signing key covers clip, manifest line, table and the current seal, so neither other people's files
    nor the user's own of an earlier seal are accepted.
    """

    identity: SigningIdentity
    series: str
    number: int

    def mac(self, clip: str, line: str, table: Path) -> str:
        """The MAC over ``clip``, the SHA-256 of its ``line`` and the file ``table``."""
        return self.identity.mac(json.dumps([clip, line, sha256_file(table), self.series, self.number]).encode())

    @classmethod
    def own(cls, seal: Seal) -> PendingKey | None:
        """The user's key for labels added after ``seal``; None for a user without a signing key."""
        return cls(SigningIdentity.load_or_create(), seal.series, seal.number) if own_chains() else None


def waits(folder: Path, clip: str, line: str, key: PendingKey | None) -> bool:
    """Whether there are pending labels of ``clip`` that are valid for ``key`` and this ``line``."""
    try:
        table = labels_path(folder, ClipId.parse(clip))
        said = table.with_suffix(_MAC).read_text(encoding="ascii") if table.is_file() else ""
    except (OSError, ValueError):  # not a clip id, or not text
        return False
    return key is not None and bool(said) and hmac.compare_digest(said, key.mac(clip, line, table))


def labels_path(folder: Path, clip: ClipId) -> Path:
    """Path of the pending labels of a clip."""
    return folder / PENDING / f"{hashlib.sha256(str(clip).encode()).hexdigest()[:32]}.parquet"


def write_pending(folder: Path, record: ClipRecord, labels: Sequence[FrameLabel], key: PendingKey) -> None:
    """Writes the pending labels of a clip.

    Raises:
        StorageError: writing failed.
    """
    table = labels_path(folder, record.id)
    write_frame_labels(table, labels)
    write_text(table.with_suffix(_MAC), key.mac(str(record.id), record_digest(encode_record(record)), table))


def waiting_clips(folder: Path, records: Sequence[ClipRecord], sealed: Container[str], key: PendingKey) -> list[ClipId]:
    """The clips among ``records`` with pending labels; those of sealed clips are ignored with a warning.

    Raises:
        ManifestError: pending labels are not valid for ``key``.
    """
    there = [record for record in records if labels_path(folder, record.id).is_file()]
    lines = line_digests(folder) if there else {}
    waiting: list[ClipId] = []
    for record in there:
        clip = str(record.id)
        if clip in sealed:
            console.warn(f"labels wait in {folder} for {clip}, which has some already; they are not taken")
        elif waits(folder, clip, lines.get(clip) or record_digest(encode_record(record)), key):
            waiting.append(record.id)
        else:
            raise ManifestError(
                f"the labels that wait in {folder} for {clip} were not put there with your key",
                hint="assay dataset remove takes the clip out; then add it again, if it is yours",
            )
    return waiting


def frame_tables(folder: Path, waiting: Iterable[ClipId], *, drafts: Path | None = None) -> Iterator[pa.Table]:
    """The rows of the sealed table, then the pending rows of the clips in ``waiting``, in order.

    Raises:
        ManifestError: a table is damaged.
    """
    yield from _row_groups(newest(folder, drafts, FRAMES))
    for clip in waiting:
        path = labels_path(folder, clip)
        if path.is_file():
            yield read_frame_table(path)


def merge_frames(folder: Path, waiting: Iterable[ClipId], out: Path, *, listed: Iterable[ClipId] | None = None) -> None:
    """Writes the sealed rows and those of ``waiting`` as one table, in constant memory.

    With ``listed``, only the rows of these clips are kept.

    Raises:
        ManifestError: a table is damaged.
        StorageError: writing failed.
    """
    with storage_errors(out), pq.ParquetWriter(out, FRAME_SCHEMA, compression="zstd") as writer:
        keep = None if listed is None else pc.field("clip").isin([str(clip) for clip in listed] or [""])
        held: list[pa.Table] = []
        rows = 0
        for table in frame_tables(folder, waiting):
            held.append(table if keep is None else table.filter(keep))
            rows += held[-1].num_rows
            if rows >= _ROWS_A_GROUP:
                writer.write_table(pa.concat_tables(held))
                held, rows = [], 0
        if rows:
            writer.write_table(pa.concat_tables(held))


def standing_seal(folder: Path) -> tuple[Seal, Path | None]:
    """The current seal, and its draft folder if a writer was interrupted while moving its files into place.

    Raises:
        ProvenanceError: there is no seal, or it is damaged.
    """
    drafts = commit_folder(folder)
    return read_seal(drafts or folder), drafts


def sealer(folder: Path) -> Seal | None:
    """The current seal; None if there is no readable one."""
    try:
        return standing_seal(folder)[0]
    except ProvenanceError:
        return None


def is_known(seal: Seal) -> bool:
    """Whether the signer is known; stores name and root of a signer accepted by fingerprint only."""
    signer = known_signers().get(seal.fingerprint)
    if signer is not None and not signer.root:
        trust_signer(seal.fingerprint, name=seal.signer, root=seal.root)
    return signer is not None


def refuse_stranger(folder: Path) -> None:
    """Refuses a dataset whose seal is of an unknown signer; accepts one without a readable seal.

    Raises:
        ManifestError: the signer is unknown; names the fingerprint.
    """
    seal = sealer(folder)
    if seal is not None and not is_known(seal):
        raise ManifestError(
            f"{folder} was sealed by an unknown signer, {seal.signer}, fingerprint {seal.fingerprint}",
            hint="ask them for their fingerprint; if it is this one, assay dataset identity --trust FINGERPRINT",
        )


def refuse_tampered(folder: Path, *, leaving: Container[str] = ()) -> None:
    """Refuses a dataset that differs from its seal, except for clips with pending labels.

    Clips in ``leaving``, which are about to be removed, are not checked.

    Raises:
        ManifestError: it differs; names the differences.
    """
    try:
        seal, _ = standing_seal(folder)
        found = difference(folder, seal)
    except AssayError as error:
        raise ManifestError(str(error), hint="assay dataset verify PATH shows what is wrong") from error
    if is_rolled_back(folder, seal):
        raise ManifestError(
            f"{folder} has an older seal (number {seal.number}) than the one that was there before",
            hint="if you put the older set there yourself, assay dataset sign seals it anew",
        )
    key = PendingKey.own(seal) if found.added else None
    strangers = [
        clip for clip, line in found.added.items() if clip not in leaving and not waits(folder, clip, line, key)
    ]
    touched = [*found.changed, *found.removed, *strangers, *found.files]
    if touched:
        named = ", ".join(touched[:_SHOWN]) + (", ..." if len(touched) > _SHOWN else "")
        raise ManifestError(
            f"{folder} is not as it was sealed: {named}",
            hint="look with assay dataset verify; if the change is yours, assay dataset sign seals it",
        )


def commit_folder(folder: Path) -> Path | None:
    """The complete draft folder of an interrupted writer; None if there is none."""
    place = folder / COMMIT
    return place if (place / SEAL).is_file() else None


def finish_commit(folder: Path, fingerprint: str) -> None:
    """Moves the files of a complete draft folder into place, the seal last; then removes the labels it covers.

    Raises:
        ManifestError: the draft was not sealed by ``fingerprint``, is older than the current seal, or holds other files
            than it covers.
        ProvenanceError: its signature is invalid.
        StorageError: writing failed.
    """
    drafts = commit_folder(folder)
    if drafts is not None:
        seal = read_seal(drafts)
        if seal.fingerprint != fingerprint:
            raise ManifestError(
                f"{drafts} was sealed by {seal.signer}, not by this machine's identity",
                hint="look at what it holds; if it is not yours, remove that folder",
            )
        _refuse_misfit(folder, drafts, seal)
        with storage_errors(folder):
            for name in (FRAMES, *SPLIT_TABLES.values(), CARD, MANIFEST, SEAL):
                if (drafts / name).is_file():
                    (drafts / name).replace(folder / name)
    if (folder / COMMIT).exists():
        done = {labels_path(folder, ClipId.parse(clip)).stem for clip in read_seal(folder).clips}
        with storage_errors(folder):
            for path in (folder / PENDING).iterdir():
                if path.stem in done and path.is_file():
                    path.unlink()
            # Last: the folder's presence means that the removal is incomplete.
            shutil.rmtree(folder / COMMIT)


def _refuse_misfit(folder: Path, drafts: Path, seal: Seal) -> None:
    """Refuses a draft that is not of a later seal or does not match it."""
    try:
        standing = read_seal(folder)
    except ProvenanceError:
        standing = None
    old = (
        standing is not None
        and standing.number
        and not (seal.series == standing.series and seal.number > standing.number)
    )
    found = difference(folder, seal, drafts=drafts)
    if old or is_rolled_back(folder, seal) or found.changed or found.removed or found.files:
        raise ManifestError(f"{drafts} holds no seal that comes after the one in place", hint="remove that folder")


def _row_groups(path: Path) -> Iterator[pa.Table]:
    try:
        with pq.ParquetFile(path) as file:
            if not file.schema_arrow.equals(FRAME_SCHEMA):
                raise ManifestError(f"{path} has other columns than a frame table", hint="restore it from a copy")
            for index in range(file.num_row_groups):
                yield file.read_row_group(index)
    except (OSError, pa.ArrowInvalid) as error:
        raise ManifestError(f"{path} cannot be read as Parquet: {error}", hint="restore it from a copy") from error
