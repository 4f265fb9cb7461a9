"""A labelled set of clips in a folder: added to one clip at a time, sealed, split by person, verified.

The order of writing is what keeps it whole. Media and masks are made under draft names and renamed; then the labels;
then, last, the manifest line. A process killed anywhere leaves at most files that no line lists. One process writes at
a time (a lock file); readers need no lock.
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
    """A dataset on disk. Make one with :meth:`init` or :meth:`open`.

    Attributes:
        path: the folder.
        info: what ``dataset.toml`` says.
    """

    def __init__(self, path: Path, info: DatasetInfo, *, lock_seconds: float = 60.0) -> None:
        self.path = path
        self.info = info
        self._writer = SetWriter(path, info, lock_seconds)

    @classmethod
    def init(
        cls, path: str | Path, name: str, description: str = "", license: str = "", *, controls: str = ""
    ) -> DatasetFolder:
        """A new, empty, sealed dataset at ``path``, which must not exist or be an empty folder.

        Raises:
            UsageError: something is there already, or the name has forbidden characters.
            StorageError: the disk refused.
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
        """The dataset at ``path``. ``lock_seconds`` is how long a write waits for another process.

        Raises:
            ManifestError: the folder is no dataset, or a later version wrote it.
        """
        path = Path(path)
        return cls(path, read_info(path), lock_seconds=lock_seconds)

    @property
    def name(self) -> str:
        """The dataset's name, the first part of its clips' ids."""
        return self.info.name

    def records(self, *, split: Split | None = None) -> list[ClipRecord]:
        """All records in the order they were added, or those of one split.

        Raises:
            ManifestError: the manifest is damaged; names the line.
        """
        return [record for record in self._writer.index.records().values() if split is None or record.split == split]

    def __len__(self) -> int:
        return len(self._writer.index.records())

    def has(self, clip: ClipId) -> bool:
        """Whether ``clip`` is listed: ask before making a clip again."""
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
        """The frame labels of all clips, or of one, those added since the last seal included.

        Raises:
            ManifestError: a table is damaged.
            ProvenanceError: the seal is missing or damaged.
        """
        seal, drafts = standing_seal(self.path)
        waiting = [listed for listed in self._writer.index.records() if str(listed) not in seal.clips]
        return labels_of(frame_tables(self.path, waiting, drafts=drafts), clip)

    def media_for(self, clip: ClipId, suffix: str = ".mp4") -> str:
        """Path, inside the dataset, where the video of ``clip`` belongs."""
        return media_for(clip, suffix)

    def masks_for(self, clip: ClipId) -> Masks:
        """Paths, inside the dataset, where the masks of a fake belong."""
        return masks_for(clip)

    def media_path(self, record: ClipRecord) -> Path:
        """The video of ``record``.

        Raises:
            ManifestError: its path leads out of the dataset.
        """
        return inside(self.path, record.path)

    def mask_paths(self, record: ClipRecord) -> dict[str, Path]:
        """Name of the mask ("alpha", "changed", "region") to its file; empty for a clip without masks.

        Raises:
            ManifestError: a path leads out of the dataset.
        """
        if record.masks is None:
            return {}
        return {name: inside(self.path, path) for name, path in record.masks.paths.items()}

    def stage_media(
        self, relative: str, *, held: ExitStack | None = None, shared: bool = False
    ) -> AbstractContextManager[Path]:
        """A draft path for the file ``relative`` (a video or a mask), put in place under the lock when all went well.

        A sidecar manifest made beside the draft (``draft.with_suffix(".c2pa")``) comes along.

        Args:
            relative: path inside the dataset.
            held: holds the lock on, so that nobody can come between the files of a clip and its line: of several
                writers of one name, one lists its clip. Where the stack's block then fails, the file is removed again.
            shared: several clips may name the file; a listed clip's may be made again if it has the same bytes.

        Raises:
            ManifestError: the path leads out of the dataset, or is that of a listed clip; on leaving, also that the
                set is not as it was sealed.
            StorageError: the disk refused.
        """
        return self._writer.stage(relative, held=held, shared=shared)

    def check_writable(self) -> None:
        """Returns when a clip could be added now: for work that takes long before it adds one.

        Raises:
            ManifestError, StorageError: see :meth:`add`.
        """
        with self._writer.writing():
            pass

    def remove_empty(self) -> None:
        """Removes the set from the disk if no clip was ever put into it and none is being made."""
        with self._writer.lock():
            if not len(self) and not any(
                path.is_file() for place in (MEDIA, MASKS) for path in (self.path / place).rglob("*")
            ):
                shutil.rmtree(self.path, ignore_errors=True)

    def add(self, record: ClipRecord, labels: Sequence[FrameLabel]) -> ClipRecord:
        """Lists a clip whose files are in place, with at least one label per frame; the record as it was listed.

        The masks' digests are filled in. A clip that is listed already with the same content stays as it is. Outside
        of :meth:`batch` the set is sealed again at once, which takes time in proportion to its size.

        Raises:
            ManifestError: the id is listed with other content or belongs to another dataset; a file is missing or not
                the one the record means; the labels do not fit; or the set is not as a known signer last sealed it.
            StorageError: the disk refused, or another process has been writing for too long.
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
        """Lists many clips whose files are in place, and seals, all in one step; clips that are listed already stay.

        Afterwards the manifest holds the clips of ``made`` in their order and with their splits, then all others. A
        process killed at any moment leaves the set as it was, or as it is to be.

        Args:
            made: records, each with the frame table of its labels; None for a clip that is listed already.

        Raises:
            ManifestError: see :meth:`add`.
            StorageError: the disk refused.
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
        """Adds many clips and seals once, at the end, also when the block fails.

        The lock is held for each clip, not throughout. A process killed within leaves clips that are listed and not
        sealed; the next writer seals them.

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
        """Gives every clip a split by its people (:func:`~shared.dataset.splits.split_by_identity`), and seals.

        Raises:
            LeakError: too few groups of people to split.
            UsageError: the fractions do not make sense.
            ManifestError: see :meth:`add`.
        """
        return self._resplit(lambda records: split_by_identity(records, fractions=fractions, seed=seed))

    def assign_groups(self, groups: Mapping[Split, Sequence[str]]) -> list[ClipRecord]:
        """Gives every clip the split that ``groups`` names for its people, and seals.

        Raises:
            LeakError: a clip joins people of two splits.
            UsageError: somebody is named twice, or not at all.
            ManifestError: see :meth:`add`.
        """
        return self._resplit(lambda records: split_by_groups(records, groups))

    def seal(self) -> None:
        """Seals the set as it stands, whatever changed since the last seal: a person has looked and agrees.

        Raises:
            ManifestError: the manifest or a table is damaged, labels wait that are not the user's, or the seal in place
                is of an unknown signer.
            StorageError: the disk refused.
        """
        with self._writer.lock():
            refuse_stranger(self.path)
            self._writer.place_seal(self.records(), prune=True)

    def remove(self, clips: Iterable[ClipId]) -> None:
        """Takes clips out of the set, their lines and labels first, then their files: consent may be withdrawn.

        Raises:
            ManifestError: a clip is not listed, another was made from it, or see :meth:`add`.
            StorageError: the disk refused.
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
        """Everything wrong with the set; empty when all is well. ``deep`` reads every byte and counts every frame."""
        return verify_dataset(self.path, deep=deep, tick=tick)

    def _resplit(self, assign: Callable[[list[ClipRecord]], list[ClipRecord]]) -> list[ClipRecord]:
        with self._writer.writing():
            assigned = assign(self.records())
            self._writer.place_seal(assigned, rewrite=True)
            return assigned

    def _same(self, listed: ClipRecord, record: ClipRecord) -> ClipRecord:
        """``listed``, when ``record`` says the same but for the split."""
        if dataclasses.replace(listed, split=record.split) != record:
            raise ManifestError(f"{record.id} is listed already, with other content", hint="give the clip another name")
        return listed
