"""How every fake of a clip is made, whatever its kind: frames into drafts, masks, labels, record, signature, listing.

A kind of fake is a :class:`FakeClip`: it says which frames to write and what the record holds. Files are made under
draft names and the clip is listed last, so an interrupted run leaves the dataset unchanged.
"""

from __future__ import annotations

import dataclasses
from abc import ABC, abstractmethod
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, closing
from dataclasses import dataclass
from pathlib import Path

from forge.swapping.flicker import FlickerMeter
from forge.swapping.marks import Finish
from forge.swapping.masks import MaskWriter
from forge.swapping.output import Drafts, Made, list_clip, opened_dataset, preview_name
from forge.swapping.plan import SwapPlan
from forge.swapping.previews import GifSheet, PreviewSheet, write_preview
from forge.swapping.record import FileFacts, SwapOutcome, frame_labels
from forge.swapping.request import FakeRequest
from forge.swapping.stages import CompositedFrame
from shared.console import console
from shared.errors import MediaError
from shared.pipeline import consumed
from shared.provenance.identity import SigningIdentity
from shared.provenance.sign import sign_clip
from shared.provenance.types import Action, record_facts, source_type_of
from shared.storage import need_free_space, sha256_file
from shared.types import ClipRecord, Frame, VideoInfo
from shared.video import Encoding, VideoWriter, probe
from shared.video.unread import frames_note

Watcher = Callable[[CompositedFrame], None]

_QUEUE_BYTES = 64 << 20
DELIVERABLE = "deliverable"
"""Name of the dataset in the id of a clip that is written as one file, outside any dataset."""


@dataclass(frozen=True, eq=False)
class FakeClip(ABC):
    """A fake to be made of a video.

    Attributes:
        request: what is asked for; plan: the faces of the target; finder: the name of what found them.
        info: of the target; encoding: of the fake; finish: what is done to each picture last.
    """

    request: FakeRequest
    finder: str
    plan: SwapPlan
    info: VideoInfo
    encoding: Encoding
    finish: Finish

    doing = "swapping"
    """What a progress bar says."""
    kind = "swap"
    """What previews call the fake."""

    @property
    def is_held(self) -> bool:
        """Whether the target is a still, so that every frame is fake (:mod:`shared.dataset.held`)."""
        return False

    @abstractmethod
    def frames(self, frames: Iterable[Frame], depth: int) -> Generator[CompositedFrame, None, None]:
        """Every frame of the target as it is to be written, in order; ``depth`` frames may wait between threads."""

    @abstractmethod
    def record(self, outcome: SwapOutcome, facts: FileFacts) -> ClipRecord:
        """The record before it is signed."""

    @abstractmethod
    def coverage(self, faked: Sequence[int]) -> dict[str, str]:
        """The factors that say how much was changed; warns of what a user should know."""

    @property
    @abstractmethod
    def action(self) -> Action:
        """What the signature says was done."""

    @property
    @abstractmethod
    def shown_frames(self) -> list[int]:
        """Indices of the frames to change, ascending."""

    @property
    def extra_files(self) -> dict[str, str]:
        """Name of each further file to its path in the dataset."""
        return {}

    def write_extra(self, drafts: Mapping[str, Path]) -> dict[str, str]:
        """Writes the further files; factors of the record that follow from them."""
        del drafts
        return {}

    def sound(self) -> AbstractContextManager[Path | None]:
        """A file with the sound of the fake, there for the length of the block; None for none."""
        return self.request.sound()

    @property
    def bytes_needed(self) -> int:
        """About how much disk it takes while it is made."""
        # Masks are mostly empty and shrink to a few hundredths; the clip is seldom four times its target.
        frames, frame_bytes = self.plan.frames, self.info.width * self.info.height
        lossless = 3 * frames * frame_bytes if self.encoding.crf is None else 0
        return 4 * self.request.target.stat().st_size + frames * frame_bytes // 8 + lossless + (16 << 20)

    def make(self, drafts: Drafts, watchers: Sequence[Watcher]) -> Made:
        """Renders, then signs; the record and the labels of the finished files."""
        outcome = self._render(drafts, watchers)
        outcome.need_faked(self.request.target, self.kind)
        covered = self.coverage(outcome.faked)
        if self.is_held:
            outcome.faked = list(range(self.plan.frames))
        digests = [sha256_file(path) for path in drafts.masks.values()]
        extra = self.write_extra(drafts.extra)
        facts: FileFacts = {
            "finder": self.finder,
            "path": drafts.path,
            "frames": self.plan.frames,
            "size": (self.info.width, self.info.height),
            "codec": probe(drafts.video).codec,
            "masks": dataclasses.replace(drafts.mask_paths, sha256=(digests[0], digests[1], digests[2])),
            "factors": self.plan.factors
            | covered
            | extra
            | frames_note(self.info.frames_declared, self.plan.frames)
            | (self.finish.factors() if self.request.clip.dataset == DELIVERABLE else {}),
        }
        record = self.record(outcome, facts)
        content = sign_clip(
            drafts.video,
            SigningIdentity.load_or_create(),
            title=Path(record.path).name,
            actions=[self.action],
            ingredient=self.request.target,
            digital_source_type=source_type_of(record),
            record=record_facts(record),
            bindings=self.finish.bindings,
        )
        record = dataclasses.replace(record, sha256=sha256_file(drafts.video), content_sha256=content)
        return record, frame_labels(record.id, self.plan, set(outcome.faked), every_face=self.is_held)

    def _render(self, drafts: Drafts, watchers: Sequence[Watcher]) -> SwapOutcome:
        """The second pass: frames through all stages into the drafts."""
        target, info, plan = self.request.target, self.info, self.plan
        depth = max(1, min(8, _QUEUE_BYTES // (info.width * info.height * 3)))
        outcome = SwapOutcome(flicker=None if self.is_held else FlickerMeter())  # a still does not flicker
        with (
            self.sound() as own,
            self.finish.finished_sound(own, drafts.video.suffix) as sound,
            self.request.read() as reader,
            VideoWriter.like(info, drafts.video, encoding=self.encoding, audio_from=sound) as video,
            MaskWriter(drafts.masks, info) as masks,
            console.progress(self.doing, plan.frames, unit="frame") as tick,
            consumed(
                _writer(video, self.finish, masks, (*watchers, outcome.take), tick), depth=depth, name="assay-encode"
            ) as put,
            closing(self.frames(reader, depth)) as frames,
        ):
            for done in frames:
                put(done)
        if video.frames_written != plan.frames:
            raise MediaError(
                f"{target} gave {plan.frames} frames when read first and {video.frames_written} the second time",
                hint="the file is damaged or is being written to; copy it and try again",
            )
        return outcome


def _writer(
    video: VideoWriter, finish: Finish, masks: MaskWriter, watchers: Sequence[Watcher], tick: Callable[[int], object]
) -> Watcher:
    def write(done: CompositedFrame) -> None:
        video.write(finish.apply(done.image), done.frame.time)
        masks.write(done.masks, done.frame.time)
        for watch in watchers:
            watch(done)
        tick(1)

    return write


def list_fake(
    clip: FakeClip,
    dataset: Path,
    suffix: str,
    preview: Finish,
    *,
    gif: bool = False,
    watchers: Sequence[Watcher] = (),
    finished: Callable[[ClipRecord], None] = lambda _record: None,
) -> ClipRecord:
    """Makes ``clip`` and lists it in ``dataset``, with its previews, which are finished by ``preview``.

    Args:
        clip: the fake.
        dataset: a dataset folder; made where there is none.
        suffix: of the video's name.
        preview: finishes the previews.
        gif: whether an animated preview is written too.
        watchers: see every finished frame.
        finished: called with the record once the clip is listed.

    Raises:
        NoFaceError: no pixel was changed.
        MediaError: the target cannot be read to its end.
        StorageError: writing failed.
    """
    pictures = [PreviewSheet(clip.shown_frames, preview, made=clip.kind)]
    animated = [GifSheet(clip.shown_frames, preview, made=clip.kind)] if gif else []
    need_free_space(dataset, clip.bytes_needed)
    with opened_dataset(dataset) as folder:
        seen = [*(picture.offer for picture in (*pictures, *animated)), *watchers]
        shown = {preview_name(clip.request.clip, each.suffix): each for each in (*pictures, *animated)}

        def make(drafts: Drafts) -> Made:
            own = {name: path for name, path in drafts.extra.items() if name not in shown}
            record, labels = clip.make(dataclasses.replace(drafts, extra=own), seen)
            for name, picture in shown.items():  # listed with the clip, which is not made again afterwards
                write_preview(drafts.extra[name], picture.encoded(), record, preview.bindings, title=Path(name).name)
            return record, labels

        extra = {**clip.extra_files, **{name: name for name in shown}}
        record = list_clip(folder, clip.request.clip, suffix, make, extra)
        finished(record)
    return record
