"""Makes one fake: a target clip with another identity's face, its three masks, its labels, its record, its signature.

Two passes over the target. The first finds and tracks faces and keeps only their landmarks; the second aligns, swaps,
colours, composites and encodes, in threads with bounded queues. Files are made under draft names and the clip is listed
last, so an interrupted swap leaves the dataset unchanged.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from forge.swapping.config import SwapConfig
from forge.swapping.coverage import SwapCoverage
from forge.swapping.flicker import FlickerMeter
from forge.swapping.marks import Finish
from forge.swapping.masks import MaskWriter
from forge.swapping.output import Drafts, Made, list_clip, need_writable, opened_dataset, preview_path
from forge.swapping.pastes import with_paste
from forge.swapping.patches import patch_writer
from forge.swapping.plan import SwapPlan, found_plan
from forge.swapping.previews import GifSheet, PreviewSheet, write_preview
from forge.swapping.record import SwapOutcome, fake_record, frame_labels, swap_action
from forge.swapping.render import OpenedSwap, composited_frames
from forge.swapping.request import SwapModels, SwapOverrides, SwapRequest, already_listed, resolve_request
from forge.swapping.stages import CompositedFrame
from shared.config import configured
from shared.console import console
from shared.errors import MediaError
from shared.faces.finders.finder import FaceFinder
from shared.faces.identity import IdentityEmbedder
from shared.pipeline import consumed
from shared.provenance.identity import SigningIdentity
from shared.provenance.sign import need_signable, sign_clip
from shared.provenance.types import COMPOSITE_WITH_MODEL, record_facts
from shared.storage import need_free_space, sha256_file
from shared.types import ClipRecord, VideoInfo
from shared.video import Encoding, VideoWriter, need_encodable, probe
from shared.video.excerpt import ClipRange
from shared.video.renditions import suffix_for
from shared.video.unread import frames_note

Watcher = Callable[[CompositedFrame], None]

_QUEUE_BYTES = 64 << 20
DELIVERABLE = "deliverable"
"""Name of the dataset in the id of a clip that is written as one file, outside any dataset."""


def swap_clip(
    target: str | Path,
    *,
    swapper: str | Path,
    source: str,
    dataset: str | Path,
    config: SwapConfig | None = None,
    target_identity: str | None = None,
    rights: str | None = None,
    name: str | None = None,
    encoding: Encoding | None = None,
    finder: str | FaceFinder | None = None,
    embedder: IdentityEmbedder | None = None,
    patches: str | Path | None = None,
    audio: bool = True,
    stretch: ClipRange | str | None = None,
    models: SwapModels | None = None,
    mark: bool = False,
    mark_sound: bool = False,
    notice: bool = False,
    **settings: Any,
) -> ClipRecord:
    """Puts the face of ``source`` into ``target`` and lists the fake in ``dataset``; the record as it was listed.

    The dataset then holds the clip (the target's exact frame times, its sound to the last bit), three lossless mask
    videos, a label for every frame (real, where no face was swapped), the signed record, and a preview
    under ``previews/``. The same arguments given again return the record of the clip that is there.

    Args:
        target: the video that receives the face.
        swapper: an exported swapper, or a run that holds one.
        source: the identity whose face is given; one that the swapper knows.
        dataset: a dataset folder; made where there is none.
        config: all other settings.
        target_identity: whose video it is; by default as the target's own record says, or the other one of two.
        rights: the basis on which the video may be used; by default as the record or the person's faceset says.
        name: of the clip; by default made of the target's file name and ``source``.
        encoding: used instead of the one that ``config.output`` describes; :meth:`Encoding.lossless_rgb` gives an
            intermediate from which renditions can be made.
        finder: by name or made before, used instead of the one that ``config`` names.
        embedder: recognises people; used instead of the one that is installed.
        patches: a folder for the swapped crops with their matrices (:mod:`forge.swapping.patches`); None for none.
        audio: False leaves the target's sound out, which the record then says.
        stretch: the only frames of the target that are swapped and written (``10s-12s``, ``250-300``); its times begin
            at 0, its sound is cut with it.
        models: loaded models, used for this target and kept for the next; by default they are loaded.
        mark: whether the clip carries an imperceptible mark. Not in a dataset, where a mark in fakes alone would tell
            the classes apart.
        mark_sound: whether its sound is marked too, which encodes it anew; with ``mark`` alone it is the target's.
        notice: whether every frame gets a visible label.
        settings: in place of ``config``'s own: ``face="all"``, ``color={"method": "lct"}``.

    Raises:
        ConfigError: a setting is unknown, of the wrong type or out of range.
        UsageError: an unknown source, a name that is taken, a choice the swapper cannot follow, an empty stretch.
        MediaError: the target cannot be read.
        NoFaceError: it shows no face.
        CheckpointError: the swapper cannot be read, or gives values that are not numbers.
        ManifestError: the dataset is damaged.
        StorageError: writing failed.
    """
    target, swapper, dataset = Path(target), Path(swapper), Path(dataset)
    named = {"finder": finder} if isinstance(finder, str) else {}
    config = configured(SwapConfig, config, with_paste(settings | named))
    info, encoding = probe(target), encoding or config.output.encoding
    stretch = ClipRange.parse(stretch) if isinstance(stretch, str) else stretch
    overrides = SwapOverrides(target_identity, rights, name, audio, stretch)
    request = resolve_request(
        target, swapper, source, config, overrides, rendition=encoding.name, dataset=dataset, info=info
    )
    suffix = suffix_for(encoding, sound := None if mark_sound else request.audio_from)  # encoded anew, sound fits all
    listed = already_listed(dataset, request)
    if listed is not None:
        return listed
    need_writable(dataset)
    need_encodable(info, suffix, encoding, audio_from=sound)
    need_signable(SigningIdentity.load_or_create(), target)
    models = models or SwapModels(None if isinstance(finder, str) else finder, embedder)
    finish = Finish.of(request, mark=mark, notice=notice, sound=mark_sound)
    return _listed(request, models, dataset, suffix, encoding, None if patches is None else Path(patches), finish)


def _listed(
    request: SwapRequest,
    models: SwapModels,
    dataset: Path,
    suffix: str,
    encoding: Encoding,
    patches: Path | None,
    finish: Finish,
) -> ClipRecord:
    """Finds the faces, makes the fake and lists it, with its previews."""
    config = request.config
    swap, finder, embedder = models.open(request)
    with request.read() as reader:
        info = reader.info
        declared, what = info.frames_declared, str(request.target)
        plan = found_plan(reader, config, finder, declared=declared, what=what, embedder=embedder)
    shown, preview = plan.swapped_frames, Finish.of(request, mark=True)
    pictures = [PreviewSheet(shown, preview), *([GifSheet(shown, preview)] if config.output.gif else [])]
    clip = _Clip(request, swap, finder.name, plan, info, encoding, finish)
    need_free_space(dataset, clip.bytes_needed)
    with opened_dataset(dataset) as folder, patch_writer(patches) as exported:
        watchers = [*(picture.offer for picture in pictures), exported.write]
        record = list_clip(folder, request.clip, suffix, lambda drafts: clip.make(drafts, watchers))
        exported.finish(record)
        for picture in pictures:
            write_preview(
                preview_path(folder, request.clip, picture.suffix), picture.encoded(), record, preview.bindings
            )
    return record


@dataclass(frozen=True, eq=False)
class _Clip:
    """A fake to be made of a video."""

    request: SwapRequest
    swap: OpenedSwap
    finder: str
    plan: SwapPlan
    info: VideoInfo
    encoding: Encoding
    finish: Finish

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
        outcome.need_faked(self.request.target)
        coverage = SwapCoverage.of(self.plan, outcome.faked)
        coverage.warn(self.request.target)
        digests = [sha256_file(path) for path in drafts.masks.values()]
        record = fake_record(
            self.request,
            outcome,
            finder=self.finder,
            path=drafts.path,
            frames=self.plan.frames,
            size=(self.info.width, self.info.height),
            codec=probe(drafts.video).codec,
            masks=dataclasses.replace(drafts.mask_paths, sha256=tuple(digests)),
            factors=self.plan.factors
            | coverage.factors()
            | frames_note(self.info.frames_declared, self.plan.frames)
            | (self.finish.factors() if self.request.clip.dataset == DELIVERABLE else {}),
        )
        content = sign_clip(
            drafts.video,
            SigningIdentity.load_or_create(),
            title=Path(record.path).name,
            actions=[swap_action(self.request)],
            ingredient=self.request.target,
            digital_source_type=COMPOSITE_WITH_MODEL,
            record=record_facts(record),
            bindings=self.finish.bindings,
        )
        record = dataclasses.replace(record, sha256=sha256_file(drafts.video), content_sha256=content)
        return record, frame_labels(record.id, self.plan, set(outcome.faked))

    def _render(self, drafts: Drafts, watchers: Sequence[Watcher]) -> SwapOutcome:
        """The second pass: frames through all stages into the drafts."""
        target, info, plan = self.request.target, self.info, self.plan
        depth = max(1, min(8, _QUEUE_BYTES // (info.width * info.height * 3)))
        outcome = SwapOutcome(flicker=FlickerMeter())
        with (
            self.request.sound() as own,
            self.finish.finished_sound(own, drafts.video.suffix) as sound,
            self.request.read() as reader,
            VideoWriter.like(info, drafts.video, encoding=self.encoding, audio_from=sound) as video,
            MaskWriter(drafts.masks, info) as masks,
            console.progress("swapping", plan.frames, unit="frame") as tick,
            consumed(
                _writer(video, self.finish, masks, (*watchers, outcome.take), tick), depth=depth, name="assay-encode"
            ) as put,
            closing(composited_frames(reader, plan, self.swap, depth=depth)) as frames,
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
