"""What a dataset holds between two seals, and how the next seal takes its place whole or not at all.

Labels of a clip just added wait in a file of their own, because a Parquet table cannot be added to. A seal is made
with everything it covers in one draft folder, which appears in one step; then its files take their places, the seal
last. A writer stopped in between is finished by the next one.
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from shared.dataset.frame_table import FRAME_SCHEMA, read_frame_table, write_frame_labels
from shared.dataset.layout import CARD, FRAMES, MANIFEST, PENDING, SEAL
from shared.dataset.seal import Seal, difference, newest, read_seal
from shared.errors import AssayError, ManifestError, storage_errors
from shared.types import ClipId, FrameLabel

COMMIT = f"{PENDING}/commit"
_ROWS_A_GROUP = 1 << 16
_SHOWN = 3


def labels_path(folder: Path, clip: ClipId) -> Path:
    """Where the labels of a clip wait that was added since the last seal."""
    return folder / PENDING / f"{hashlib.sha256(str(clip).encode()).hexdigest()[:32]}.parquet"


def write_pending(folder: Path, clip: ClipId, labels: Sequence[FrameLabel]) -> None:
    """Keeps the labels of a clip for the next seal.

    Raises:
        StorageError: the disk refused.
    """
    write_frame_labels(labels_path(folder, clip), labels)


def frame_tables(folder: Path, waiting: Iterable[ClipId], *, drafts: Path | None = None) -> Iterator[pa.Table]:
    """The rows of the sealed table, then those of the clips in ``waiting`` that have some, in their order.

    Raises:
        ManifestError: a table is damaged.
    """
    yield from _row_groups(newest(folder, drafts, FRAMES))
    for clip in waiting:
        path = labels_path(folder, clip)
        if path.is_file():
            yield read_frame_table(path)


def merge_frames(folder: Path, waiting: Iterable[ClipId], out: Path, *, listed: Iterable[ClipId] | None = None) -> None:
    """Writes the sealed rows and those of ``waiting`` as one table; memory does not grow with its length.

    With ``listed``, only the rows of those clips stay.

    Raises:
        ManifestError: a table is damaged.
        StorageError: the disk refused.
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
    """The seal that counts, and the draft folder that goes with it when a writer was stopped while placing it.

    Raises:
        ProvenanceError: there is no seal, or it is damaged.
    """
    drafts = commit_folder(folder)
    return read_seal(drafts or folder), drafts


def refuse_tampered(folder: Path) -> None:
    """Returns when the dataset is as it was sealed, but for clips whose labels wait for the next seal.

    Raises:
        ManifestError: it is not; names what differs.
    """
    try:
        seal, _ = standing_seal(folder)
        found = difference(folder, seal)
    except AssayError as error:
        raise ManifestError(str(error), hint="assay dataset verify PATH shows what is wrong") from error
    strangers = [clip for clip in found.added if not labels_path(folder, ClipId.parse(clip)).is_file()]
    touched = [*found.changed, *found.removed, *strangers, *found.files]
    if touched:
        named = ", ".join(touched[:_SHOWN]) + (", ..." if len(touched) > _SHOWN else "")
        raise ManifestError(
            f"{folder} is not as it was sealed: {named}",
            hint="look with assay dataset verify; if the change is yours, assay dataset sign seals it",
        )


def commit_folder(folder: Path) -> Path | None:
    """The draft folder of a seal that a stopped writer left whole; None where there is none."""
    place = folder / COMMIT
    return place if (place / SEAL).is_file() else None


def finish_commit(folder: Path, fingerprint: str) -> None:
    """Puts the files of a whole draft folder in their places, the seal last; then clears what it covers.

    Raises:
        ManifestError: the draft was sealed by somebody else than ``fingerprint``.
        ProvenanceError: its signature does not fit.
        StorageError: the disk refused.
    """
    drafts = commit_folder(folder)
    if drafts is not None:
        seal = read_seal(drafts)
        if seal.fingerprint != fingerprint:
            raise ManifestError(
                f"{drafts} was sealed by {seal.signer}, not by this machine's identity",
                hint="look at what it holds; if it is not yours, remove that folder",
            )
        with storage_errors(folder):
            for name in (FRAMES, CARD, MANIFEST, SEAL):
                if (drafts / name).is_file():
                    (drafts / name).replace(folder / name)
    if (folder / COMMIT).exists():
        with storage_errors(folder):
            for clip in read_seal(folder).clips:
                labels_path(folder, ClipId.parse(clip)).unlink(missing_ok=True)
            # Last: while the folder is there, the clearing is not done.
            shutil.rmtree(folder / COMMIT)


def _row_groups(path: Path) -> Iterator[pa.Table]:
    try:
        with pq.ParquetFile(path) as file:
            if not file.schema_arrow.equals(FRAME_SCHEMA):
                raise ManifestError(f"{path} has other columns than a frame table", hint="restore it from a copy")
            for index in range(file.num_row_groups):
                yield file.read_row_group(index)
    except (OSError, pa.ArrowInvalid) as error:
        raise ManifestError(f"{path} cannot be read as Parquet: {error}", hint="restore it from a copy") from error
