"""Makes one swap: a target clip with another identity's face, its three masks, its labels, its record, its signature.

Two passes over the target. The first finds and tracks faces and keeps only their landmarks; the second aligns, swaps,
colours, composites and encodes, in threads with bounded queues (:mod:`forge.swapping.making`).
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from typing_extensions import override

from forge.swapping.config import SwapConfig
from forge.swapping.coverage import SwapCoverage
from forge.swapping.making import FakeClip, list_fake
from forge.swapping.marks import Finish
from forge.swapping.output import need_writable
from forge.swapping.pastes import with_paste
from forge.swapping.patches import patch_writer
from forge.swapping.plan import found_plan
from forge.swapping.record import FileFacts, SwapOutcome, fake_record, swap_action
from forge.swapping.render import OpenedSwap, composited_frames
from forge.swapping.request import SwapModels, SwapOverrides, SwapRequest, already_listed, resolve_request
from forge.swapping.stages import CompositedFrame
from shared.config import configured
from shared.faces.finders.finder import FaceFinder
from shared.faces.identity import IdentityEmbedder
from shared.provenance.identity import SigningIdentity
from shared.provenance.sign import need_signable
from shared.provenance.types import Action
from shared.types import ClipRecord, Frame
from shared.video import Encoding, need_encodable, probe
from shared.video.excerpt import ClipRange
from shared.video.renditions import suffix_for


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
    clip = _SwapClip(request, finder.name, plan, info, encoding, finish, swap)
    preview = Finish.of(request, mark=True)
    with patch_writer(patches) as exported:
        return list_fake(
            clip, dataset, suffix, preview, gif=config.output.gif, watchers=[exported.write], finished=exported.finish
        )


@dataclass(frozen=True, eq=False)
class _SwapClip(FakeClip):
    """A swap of a video."""

    request: SwapRequest
    swap: OpenedSwap

    @override
    def frames(self, frames: Iterable[Frame], depth: int) -> Generator[CompositedFrame, None, None]:
        return composited_frames(frames, self.plan, self.swap, depth=depth)

    @override
    def record(self, outcome: SwapOutcome, facts: FileFacts) -> ClipRecord:
        return fake_record(self.request, outcome, **facts)

    @override
    def coverage(self, faked: Sequence[int]) -> dict[str, str]:
        coverage = SwapCoverage.of(self.plan, faked)
        coverage.warn(self.request.target)
        return coverage.factors()

    @property
    @override
    def action(self) -> Action:
        return swap_action(self.request)

    @property
    @override
    def shown_frames(self) -> list[int]:
        return self.plan.swapped_frames
