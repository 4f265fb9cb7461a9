"""Changes to a dataset: one process at a time, the seal checked before and made anew after."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import TracebackType

from shared.dataset.card import render_card
from shared.dataset.commit import (
    COMMIT,
    finish_commit,
    labels_path,
    merge_frames,
    refuse_tampered,
    standing_seal,
)
from shared.dataset.index import ManifestIndex
from shared.dataset.layout import CARD, FRAMES, LOCK, MANIFEST, DatasetInfo
from shared.dataset.manifest import write_manifest
from shared.dataset.seal import write_seal
from shared.errors import ManifestError, ProvenanceError
from shared.provenance.identity import SigningIdentity
from shared.storage import folder_lock, inside, replacing, replacing_folder, sha256_file, write_text
from shared.types import ClipRecord


class SetWriter:
    """Holds one dataset while it is changed. Nests within one object.

    Attributes:
        index: the manifest.
        batches: number of open batches; while there is one, nothing is sealed.
    """

    def __init__(self, path: Path, info: DatasetInfo, lock_seconds: float) -> None:
        self.index = ManifestIndex(path / MANIFEST)
        self.batches = 0
        self._path = path
        self._info = info
        self._lock_seconds = lock_seconds
        self._holding = 0

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Holds the dataset; first finishes what a stopped writer left."""
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
    def writing(self) -> Iterator[None]:
        """The lock, and around the outermost write the seal: checked before, made anew after.

        The seal is checked before it is replaced, or a tampering would be signed over by the next clip added.
        """
        with self.lock():
            outermost = self._holding == 1 and not self.batches
            if outermost:
                refuse_tampered(self._path)
            self._holding += 1
            try:
                yield
            finally:
                self._holding -= 1
            if outermost and self._unsealed():
                self.place_seal(list(self.index.records().values()))

    @contextmanager
    def stage(self, relative: str, *, held: ExitStack | None = None, shared: bool = False) -> Iterator[Path]:
        """See :meth:`shared.dataset.folder.DatasetFolder.stage_media`."""
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
                    held.push(_removing(final))
                if sidecar.exists():
                    sidecar.replace(final.with_suffix(".c2pa"))
            finally:
                sidecar.unlink(missing_ok=True)

    def refuse_listed(self, relative: str) -> None:
        """Returns when no listed clip owns the file ``relative``.

        Raises:
            ManifestError: says whose it is.
        """
        owner = self.index.owner(relative)
        if owner is not None:
            raise ManifestError(f"{relative} belongs to {owner}, which is listed", hint="choose another name")

    def place_seal(self, records: Sequence[ClipRecord], *, rewrite: bool = False, prune: bool = False) -> None:
        """Makes the next seal with all it covers in one draft folder, then puts it in place.

        ``rewrite`` replaces the lines by ``records``, ``prune`` drops the labels of clips that are not among them.
        """
        identity = SigningIdentity.load_or_create()
        waiting = [record.id for record in records if labels_path(self._path, record.id).is_file()]
        with replacing_folder(self._path / COMMIT) as drafts:
            if rewrite:
                write_manifest(drafts / MANIFEST, records)
            if waiting or prune:
                listed = [record.id for record in records] if prune else None
                merge_frames(self._path, waiting, drafts / FRAMES, listed=listed)
            write_text(drafts / CARD, render_card(self._info, records))
            write_seal(self._path, self._info.name, identity, drafts=drafts, roots=self._known_roots())
        finish_commit(self._path, identity.fingerprint)

    def _known_roots(self) -> tuple[str, ...]:
        """Roots of those who signed clips of this set before: a colleague's clips stay good when one's own join."""
        try:
            return standing_seal(self._path)[0].roots
        except ProvenanceError:
            return ()

    def _unsealed(self) -> bool:
        seal, _ = standing_seal(self._path)
        return any(str(clip) not in seal.clips for clip in self.index.records())


def _removing(path: Path) -> Callable[[type[BaseException] | None, BaseException | None, TracebackType | None], None]:
    """For an exit stack: takes a file away again, with the manifest beside it, when the block fails."""

    def leave(kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None) -> None:
        if kind is not None:
            path.unlink(missing_ok=True)
            path.with_suffix(".c2pa").unlink(missing_ok=True)

    return leave
