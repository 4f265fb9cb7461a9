"""Labelled datasets in a folder: adding clips, sealing, splitting by person, verification.

Media and masks are written under draft names and renamed, then the labels are written, then the manifest line. So a
killed process leaves at most files that are not listed. One process writes at a time (a lock file); readers need no
lock.
"""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path

from shared.config import write_toml
from shared.dataset.card import write_card
from shared.dataset.commit import frame_tables, refuse_stranger, standing_seal, write_pending
from shared.dataset.files import files_of, with_digests
from shared.dataset.frame_table import labels_of, read_frame_table, write_frame_labels
from shared.dataset.history import remember_seal
from shared.dataset.layout import (
    DRIVE,
    FRAMES,
    MANIFEST,
    MASKS,
    MEDIA,
    SETTINGS,
    DatasetInfo,
    masks_for,
    media_for,
    read_info,
)
from shared.dataset.manifest import write_manifest
from shared.dataset.seal import write_seal
from shared.dataset.sealing import SetWriter
from shared.dataset.splits import FRACTIONS, split_by_groups, split_by_identity
from shared.dataset.verify import Problem, check_labels, verify_dataset
from shared.errors import ManifestError, UsageError
from shared.provenance.identity import SigningIdentity
from shared.storage import inside, replacing_folder
from shared.types import ClipId, ClipRecord, FrameLabel, Masks, Split


class DatasetFolder:
    """A dataset on disk, made by :meth:`init` or :meth:`open`.

    Attributes:
        path: the folder.
        info: the contents of ``dataset.toml``.
    """

    def __init__(self, path: Path, info: DatasetInfo, *, lock_seconds: float = 60.0) -> None:
        self.path = path
        self.info = info
        self._writer = SetWriter(path, info, lock_seconds)

    @classmethod
    def init(
        cls, path: str | Path, name: str, description: str = "", license: str = "", *, controls: str = ""
    ) -> DatasetFolder:
        """Makes an empty, sealed dataset at ``path``, which must not exist or be an empty folder.

        Raises:
            UsageError: the folder is not empty, or the name has forbidden characters.
            StorageError: writing failed.
        """
        path = Path(path)
        if path.exists() and (not path.is_dir() or any(path.iterdir())):
            raise UsageError(f"{path} is there already and not empty", hint="choose another folder, or add to that one")
        try:
            info = DatasetInfo(name, description, license, controls=controls)
        except ValueError as error:
            raise UsageError(str(error), hint="for example portraits-2") from error
        identity = SigningIdentity.load_or_create()
        with replacing_folder(path, over=False) as draft:
            write_toml(draft / SETTINGS, info)
            for folder in (MEDIA, MASKS):
                (draft / folder).mkdir()
            write_manifest(draft / MANIFEST, [])
            write_frame_labels(draft / FRAMES, [])
            write_card(draft, info, [])
            seal = write_seal(draft, name, identity, drafts=draft)
        remember_seal(path, seal)
        return cls(path, info)

    @classmethod
    def open(cls, path: str | Path, *, lock_seconds: float = 60.0) -> DatasetFolder:
        """Opens the dataset at ``path``; writes wait at most ``lock_seconds`` for another process.

        Raises:
            ManifestError: the folder is not a dataset, or was written by a later version.
        """
        path = Path(path)
        return cls(path, read_info(path), lock_seconds=lock_seconds)

    @property
    def name(self) -> str:
        """The dataset's name, the first part of its clips' ids."""
        return self.info.name

    def records(self, *, split: Split | None = None) -> list[ClipRecord]:
        """All records, or those of one split, in the order they were added.

        Raises:
            ManifestError: the manifest is damaged; names the line.
        """
        return [record for record in self._writer.index.records().values() if split is None or record.split == split]

    def without_clips(self, split: str, hint: str) -> ManifestError:
        """The error for a split without a clip; of a set that lists none it says whether it is still being built.

        A build lists its clips together when it ends, so until then there is media that nothing lists.
        """
        if len(self):
            return ManifestError(f"{self.path} has no clip in its {split} split", hint=hint)
        media = self.path / MEDIA
        if media.is_dir() and any(media.iterdir()):
            return ManifestError(
                f"{self.path} lists no clip yet, and holds media: it is still being built, or its build was stopped",
                hint="wait until assay forge build ends; the same command continues one that was stopped",
            )
        return ManifestError(f"{self.path} lists no clip", hint="assay dataset add, or assay forge build")

    def __len__(self) -> int:
        return len(self._writer.index.records())

    def has(self, clip: ClipId) -> bool:
        """Whether ``clip`` is listed."""
        return clip in self._writer.index.records()

    def record(self, clip: ClipId) -> ClipRecord:
        """The record of ``clip``.

        Raises:
            ManifestError: it is not listed.
        """
        found = self._writer.index.records().get(clip)
        if found is None:
            raise ManifestError(f"{clip} is not in {self.path}", hint="assay dataset show lists what is")
        return found

    def frame_labels(self, clip: ClipId | None = None) -> list[FrameLabel]:
        """The frame labels of all clips, or of one, including pending ones.

        Raises:
            ManifestError: a table is damaged.
            ProvenanceError: the seal is missing or damaged.
        """
        seal, drafts = standing_seal(self.path)
        waiting = [listed for listed in self._writer.index.records() if str(listed) not in seal.clips]
        return labels_of(frame_tables(self.path, waiting, drafts=drafts), clip)

    def media_for(self, clip: ClipId, suffix: str = ".mp4") -> str:
        """Path, inside the dataset, of the video of ``clip``."""
        return media_for(clip, suffix)

    def masks_for(self, clip: ClipId) -> Masks:
        """Paths, inside the dataset, of the masks of a fake."""
        return masks_for(clip)

    def media_path(self, record: ClipRecord) -> Path:
        """Path of the video of ``record``.

        Raises:
            ManifestError: its path leads out of the dataset.
        """
        return inside(self.path, record.path)

    def mask_paths(self, record: ClipRecord) -> dict[str, Path]:
        """Paths of the masks by name ("alpha", "changed", "region"); empty for a clip without masks.

        Raises:
            ManifestError: a path leads out of the dataset.
        """
        if record.masks is None:
            return {}
        return {name: inside(self.path, path) for name, path in record.masks.paths.items()}

    def stage_media(
        self, relative: str, *, held: ExitStack | None = None, shared: bool = False
    ) -> AbstractContextManager[Path]:
        """A draft path for the file ``relative`` (a video or a mask), renamed under the lock on success.

        A sidecar manifest beside the draft (``draft.with_suffix(".c2pa")``) is renamed with it.

        Args:
            relative: path inside the dataset.
            held: keeps the lock until this stack is closed, so that no other writer of the same name can add files
                before the clip is listed. If the stack's block fails, the file is removed again.
            shared: several clips may use the file; one of a listed clip may be written again with the same bytes.

        Raises:
            ManifestError: the path leads out of the dataset, or is that of a listed clip; on leaving, the set differs
                from its seal.
            StorageError: writing failed.
        """
        return self._writer.stage(relative, held=held, shared=shared)

    def check_writable(self) -> None:
        """Checks that a clip could be added, before long work on one.

        Raises:
            ManifestError, StorageError: see :meth:`add`.
        """
        with self._writer.writing():
            pass

    def seal_interrupted(self) -> None:
        """Seals clips that an interrupted writer listed; without any, nothing is written or locked.

        Raises:
            ManifestError, StorageError: see :meth:`add`.
            ProvenanceError: the seal is missing or damaged.
        """
        if self._writer.unsealed():
            self.check_writable()

    def remove_empty(self) -> None:
        """Removes the dataset from the disk if it has no clip and none is being made."""
        with self._writer.lock():
            if not len(self) and not any(
                path.is_file() for place in (MEDIA, MASKS, DRIVE) for path in (self.path / place).rglob("*")
            ):
                shutil.rmtree(self.path, ignore_errors=True)

    def add(self, record: ClipRecord, labels: Sequence[FrameLabel]) -> ClipRecord:
        """Lists a clip whose files are in place, with at least one label per frame; returns the listed record.

        The masks' digests are filled in. A clip that is listed with the same content is kept. Outside :meth:`batch` the
        set is sealed again at once, which takes time proportional to its size.

        Raises:
            ManifestError: the id is listed with other content or belongs to another dataset; a file is missing or does
                not match the record; the labels do not match; or the set differs from its seal, or its signer is
                unknown.
            StorageError: writing failed, or the lock was not available in time.
        """
        if record.id.dataset != self.name:
            raise ManifestError(
                f"{record.id} belongs to another dataset than {self.name}", hint="name it after this one"
            )
        with self._writer.writing():
            filled = with_digests(self.path, record)
            listed = self._writer.index.records().get(record.id)
            if listed is not None:
                return self._same(listed, filled)
            check_labels(filled, labels)
            self._writer.refuse_listed(filled.path)
            write_pending(self.path, filled, labels, self._writer.pending_key())
            self._writer.index.append(filled)
            return filled

    def list_all(self, made: Sequence[tuple[ClipRecord, Path | None]]) -> None:
        """Lists many clips whose files are in place, and seals, in one step; clips that are listed already are kept.

        Afterwards the manifest holds the clips of ``made`` in order and with their splits, then all others. A killed
        process leaves the set either unchanged or complete.

        Args:
            made: records, each with the frame table of its labels; None for a clip that is listed already.

        Raises:
            ManifestError: see :meth:`add`.
            StorageError: writing failed.
        """
        with self._writer.writing():
            listed = dict(self._writer.index.records())
            for record, table in made:
                filled = with_digests(self.path, record)
                if record.id in listed:
                    self._same(listed.pop(record.id), filled)
                    continue
                if table is None or record.id.dataset != self.name:
                    raise ManifestError(f"{record.id} cannot be listed in {self.name}", hint="give it its labels")
                labels = labels_of([read_frame_table(table)])
                check_labels(filled, labels)
                write_pending(self.path, record, labels, self._writer.pending_key())
            self._writer.place_seal([*(record for record, _ in made), *listed.values()], rewrite=True)

    @contextmanager
    def batch(self) -> Iterator[None]:
        """Context in which many clips are added and sealed once, at the end, also if the block fails.

        The lock is held for each clip only. A killed process leaves clips that are listed but not sealed; the next
        writer seals them.

        Raises:
            ManifestError: see :meth:`add`.
        """
        self.check_writable()
        self._writer.batches += 1
        try:
            yield
        finally:
            self._writer.batches -= 1
            self.check_writable()

    def assign_splits(self, fractions: tuple[float, float, float] = FRACTIONS, *, seed: int = 0) -> list[ClipRecord]:
        """Assigns a split to each clip by its people (:func:`~shared.dataset.splits.split_by_identity`), and seals.

        Raises:
            LeakError: too few groups of people to split.
            UsageError: invalid fractions.
            ManifestError: see :meth:`add`.
        """
        return self._resplit(lambda records: split_by_identity(records, fractions=fractions, seed=seed))

    def assign_groups(self, groups: Mapping[Split, Sequence[str]]) -> list[ClipRecord]:
        """Assigns to each clip the split that ``groups`` gives for its people, and seals.

        Raises:
            LeakError: a clip joins people of two splits.
            UsageError: a person is named twice, or not at all.
            ManifestError: see :meth:`add`.
        """
        return self._resplit(lambda records: split_by_groups(records, groups))

    def seal(self) -> None:
        """Seals the set with all changes since the last seal, after review by the user.

        Raises:
            ManifestError: the manifest or a table is damaged, pending labels are not the user's, or the current seal is
                of an unknown signer.
            StorageError: writing failed.
        """
        with self._writer.lock():
            refuse_stranger(self.path)
            self._writer.place_seal(self.records(), prune=True)

    def remove(self, clips: Iterable[ClipId]) -> None:
        """Removes clips, first their lines and labels, then their files, for example if consent is withdrawn.

        Raises:
            ManifestError: a clip is not listed, another was made from it, or as :meth:`add`.
            StorageError: writing failed.
        """
        clips = list(clips)
        with self._writer.writing(leaving={str(clip) for clip in clips}):
            gone = {clip: self.record(clip) for clip in clips}
            left = [record for record in self.records() if record.id not in gone]
            child = next((record for record in left if record.parent in gone), None)
            if child is not None:
                raise ManifestError(f"{child.id} was made from {child.parent}", hint="remove both, or neither")
            self._writer.place_seal(left, rewrite=True, prune=True)
            # Renditions of one size share their masks.
            kept = {relative for record in left for relative in files_of(record)}
            for record in gone.values():
                for relative in files_of(record):
                    if relative not in kept:
                        inside(self.path, relative).unlink(missing_ok=True)

    def verify(self, deep: bool = True, *, tick: Callable[[], object] | None = None) -> list[Problem]:
        """All problems of the set; empty if there are none. ``deep`` reads every byte and counts every frame."""
        return verify_dataset(self.path, deep=deep, tick=tick)

    def _resplit(self, assign: Callable[[list[ClipRecord]], list[ClipRecord]]) -> list[ClipRecord]:
        with self._writer.writing():
            assigned = assign(self.records())
            self._writer.place_seal(assigned, rewrite=True)
            return assigned

    def _same(self, listed: ClipRecord, record: ClipRecord) -> ClipRecord:
        """``listed``, if ``record`` is equal except for the split."""
        if dataclasses.replace(listed, split=record.split) != record:
            raise ManifestError(f"{record.id} is listed already, with other content", hint="give the clip another name")
        return listed
