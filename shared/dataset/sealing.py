"""Changes to a dataset: one process at a time, with the seal checked before and renewed after."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import TracebackType

from shared.dataset.card import write_card
from shared.dataset.commit import (
    COMMIT,
    PendingKey,
    finish_commit,
    merge_frames,
    refuse_stranger,
    refuse_tampered,
    sealer,
    standing_seal,
    waiting_clips,
)
from shared.dataset.history import last_seen, remember_seal
from shared.dataset.index import ManifestIndex
from shared.dataset.layout import FRAMES, LOCK, MANIFEST, SEAL, DatasetInfo
from shared.dataset.manifest import write_manifest
from shared.dataset.seal import write_seal
from shared.errors import ManifestError
from shared.provenance.identity import SigningIdentity
from shared.storage import folder_lock, inside, replacing, replacing_folder, sha256_file
from shared.types import ClipRecord


class SetWriter:
    """Locks and seals one dataset while it is changed. Can be nested.

    Attributes:
        index: the manifest.
        batches: number of open batches; the set is not sealed while there is one.
    """

    def __init__(self, path: Path, info: DatasetInfo, lock_seconds: float) -> None:
        self.index = ManifestIndex(path / MANIFEST)
        self.batches = 0
        self._path = path
        self._info = info
        self._lock_seconds = lock_seconds
        self._holding = 0
        self._key: tuple[tuple[int, int, int] | None, PendingKey] | None = None

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Locks the dataset; first completes an interrupted write."""
        if self._holding:
            yield
            return
        with ExitStack() as stack:
            stack.enter_context(folder_lock(self._path / LOCK, timeout_seconds=self._lock_seconds))
            finish_commit(self._path, SigningIdentity.load_or_create().fingerprint)
            self._holding += 1
            stack.callback(self._release)
            yield

    def _release(self) -> None:
        self._holding -= 1

    @contextmanager
    def writing(self, *, leaving: Container[str] = ()) -> Iterator[None]:
        """Locks the dataset, and checks the seal before the outermost write and renews it after.

        The seal and its signer are checked before it is replaced; otherwise the next seal would cover a tampered set.
        ``leaving`` are clips that this write removes.
        """
        with self.lock():
            outermost = self._holding == 1 and not self.batches
            if outermost:
                refuse_stranger(self._path)
                refuse_tampered(self._path, leaving=leaving)
                if not leaving and self.unsealed():  # left by an interrupted writer
                    self.place_seal(list(self.index.records().values()))
            self._holding += 1
            try:
                yield
            finally:
                self._holding -= 1
            if outermost and self.unsealed():
                self.place_seal(list(self.index.records().values()))

    @contextmanager
    def stage(self, relative: str, *, held: ExitStack | None = None, shared: bool = False) -> Iterator[Path]:
        """As :meth:`shared.dataset.folder.DatasetFolder.stage_media`."""
        final = inside(self._path, relative)
        if not shared:
            self.refuse_listed(relative)
        with ExitStack() as own, replacing(final) as draft:
            sidecar = draft.with_suffix(".c2pa")
            try:
                yield draft
                (held or own).enter_context(self.lock() if held is None else self.writing())
                if not (shared and final.is_file() and sha256_file(final) == sha256_file(draft)):
                    self.refuse_listed(relative)
                if held is not None:
                    held.push(self._removing(final, relative))
                if sidecar.exists():
                    sidecar.replace(final.with_suffix(".c2pa"))
            finally:
                sidecar.unlink(missing_ok=True)

    def _removing(
        self, path: Path, relative: str
    ) -> Callable[[type[BaseException] | None, BaseException | None, TracebackType | None], None]:
        """An exit callback: removes a file and its sidecar manifest if the block fails before its clip is listed."""

        def leave(kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None) -> None:
            if kind is not None and self.index.owner(relative) is None:
                path.unlink(missing_ok=True)
                path.with_suffix(".c2pa").unlink(missing_ok=True)

        return leave

    def refuse_listed(self, relative: str) -> None:
        """Refuses the file ``relative`` if it belongs to a listed clip.

        Raises:
            ManifestError: it does; names the clip.
        """
        owner = self.index.owner(relative)
        if owner is not None:
            raise ManifestError(f"{relative} belongs to {owner}, which is listed", hint="choose another name")

    def place_seal(self, records: Sequence[ClipRecord], *, rewrite: bool = False, prune: bool = False) -> None:
        """Makes the next seal, with all files it covers, in a draft folder, then moves it into place.

        ``rewrite`` replaces the lines by ``records``; ``prune`` drops the labels of other clips.
        """
        identity, before = SigningIdentity.load_or_create(), sealer(self._path)
        seen = last_seen(self._path)
        waiting = waiting_clips(self._path, records, before.clips if before else (), self.pending_key())
        with replacing_folder(self._path / COMMIT) as drafts:
            if rewrite:
                write_manifest(drafts / MANIFEST, records)
            if waiting or prune:
                listed = [record.id for record in records] if prune else None
                merge_frames(self._path, waiting, drafts / FRAMES, listed=listed)
            write_card(drafts, self._info, records)
            series, above = (seen.series, seen.number) if seen and before is None else ("", 0)
            if seen and before and before.series == seen.series:
                above = seen.number
            seal = write_seal(
                self._path, self._info.name, identity, drafts=drafts, before=before, series=series, above=above
            )
        finish_commit(self._path, identity.fingerprint)
        remember_seal(self._path, seal)

    def pending_key(self) -> PendingKey:
        """The key that authenticates pending labels."""
        try:
            facts = (self._path / SEAL).stat()
        except OSError:
            facts = None
        state = facts and (facts.st_ino, facts.st_size, facts.st_mtime_ns)
        if self._key is None or state is None or self._key[0] != state:
            seal = sealer(self._path)
            key = PendingKey(SigningIdentity.load_or_create(), seal.series if seal else "", seal.number if seal else 0)
            self._key = (state, key)
        return self._key[1]

    def unsealed(self) -> bool:
        """Whether clips are listed that the current seal does not cover."""
        seal, _ = standing_seal(self._path)
        return any(str(clip) not in seal.clips for clip in self.index.records())
