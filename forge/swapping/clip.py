"""Makes one fake: a target clip with another identity's face, its three masks, its labels, its record, its signature.

Two passes over the target. The first finds and follows faces and keeps only their landmarks; the second cuts, swaps,
colours, pastes and encodes, in threads with few frames between them. Everything is made under draft names and the clip
is listed last, so a swap that is interrupted leaves the dataset as it was.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Collection, Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import shared
from forge.models.checkpoint import load_swapper
from forge.models.predictor import SwapPredictor
from forge.swapping.config import SwapConfig, setting_factors
from forge.swapping.flicker import Flicker, FlickerMeter
from forge.swapping.masks import MaskWriter
from forge.swapping.output import Drafts, Made, list_clip, need_writable, opened_dataset, preview_path
from forge.swapping.patches import patch_writer
from forge.swapping.plan import SwapPlan, plan_swap
from forge.swapping.previews import GifSheet, PreviewSheet, write_preview
from forge.swapping.render import Identities, align_faces, composite, swap_faces
from forge.swapping.request import SwapOverrides, SwapRequest, already_listed, need_morph, resolve_request
from forge.swapping.stages import CompositedFrame
from forge.swapping.super_resolution import enlarge_digest, make_enlarge
from forge.swapping.temporal import stabilize_color
from shared import config as settings
from shared.console import console
from shared.device import pick_device
from shared.errors import MediaError, NoFaceError
from shared.faces.finders.finder import FaceFinder, make_finder
from shared.faces.finders.turned import turned_finder
from shared.faces.stream import FollowConfig, follow
from shared.pipeline import ahead, consumed
from shared.provenance.identity import SigningIdentity
from shared.provenance.sign import COMPOSITE_WITH_MODEL, Action, need_signable, record_facts, sign_clip
from shared.sampling import runs_of
from shared.storage import need_free_space, sha256_file
from shared.types import ClipId, ClipRecord, Frame, FrameLabel
from shared.video import Encoding, VideoReader, VideoWriter, need_encodable, probe

Watcher = Callable[[CompositedFrame], None]

_QUEUE_BYTES = 64 << 20


@dataclass(frozen=True)
class _Outcome:
    """What rendering found out."""

    faked: tuple[int, ...]
    alpha_instead: int
    flicker: Flicker | None


def swap_clip(
    target: Path,
    *,
    swapper: Path,
    source: str,
    dataset: Path,
    config: SwapConfig = SwapConfig(),  # noqa: B008 - frozen
    target_identity: str | None = None,
    rights: str | None = None,
    name: str | None = None,
    encoding: Encoding | None = None,
    finder: FaceFinder | None = None,
    patches: Path | None = None,
    audio: bool = True,
) -> ClipRecord:
    """Puts the face of ``source`` into ``target`` and lists the fake in ``dataset``; the record as it was listed.

    The dataset then holds the clip (the target's exact frame times, its sound to the last bit), three lossless mask
    videos, a label for every frame (real, where no face was swapped), the signed record, and a picture to look at
    under ``previews/``. The same order given again gives the clip that is there.

    Args:
        target: the video that receives the face.
        swapper: an exported swapper, or a run that holds one.
        source: the identity whose face is given; one that the swapper knows.
        dataset: a dataset folder; made where there is none.
        config: everything else that can be chosen.
        target_identity: whose video it is; by default as the target's own record says, or the other one of two.
        rights: the basis on which the video may be used; by default as the record or the person's faceset says.
        name: of the clip; by default made of the target's file name and ``source``.
        encoding: used instead of the one that ``config.output`` describes; :meth:`Encoding.lossless_rgb` gives an
            intermediate from which renditions can be made.
        finder: used instead of the one that ``config`` names.
        patches: a folder for the swapped crops with their matrices (:mod:`forge.swapping.patches`); None for none.
        audio: False leaves the target's sound out, which the record then says.

    Raises:
        UsageError: an unknown source, a name that is taken, a choice the swapper cannot follow.
        MediaError: the target cannot be read.
        NoFaceError: it shows no face.
        CheckpointError: the swapper cannot be read, or gives values that are not numbers.
        ManifestError: the dataset is damaged.
        StorageError: the disk refused.
    """
    order = resolve_request(
        target, swapper, source, dataset, config, SwapOverrides(target_identity, rights, name, encoding, audio)
    )
    listed = already_listed(dataset, order)
    if listed is not None:
        return listed
    need_writable(dataset)
    need_encodable(order.info, order.suffix, order.encoding, audio_from=order.audio_from)
    need_signable(SigningIdentity.load_or_create(), target)
    device = pick_device(config.device, config.precision)
    predictor = SwapPredictor(load_swapper(swapper, device.torch_device), device, batch=config.batch)
    need_morph(predictor.spec, config)
    cast = Identities(source, order.target_in_model, make_enlarge(config.blend))
    if finder is None:
        finder = make_finder(config.finder, device=str(device.torch_device), min_face_px=config.min_face_px)
    with VideoReader(target) as reader:
        plan = found_plan(reader, config, finder, device.kind, declared=order.info.frames_declared, what=str(target))
    need_free_space(dataset, _bytes_needed(order, plan))
    pictures = [PreviewSheet(plan.swapped_frames), *([GifSheet(plan.swapped_frames)] if config.output.gif else [])]
    with opened_dataset(dataset) as folder, patch_writer(patches) as exported:
        watchers = [*(picture.offer for picture in pictures), exported.write]
        record = list_clip(
            folder,
            order.clip,
            order.suffix,
            lambda drafts: _make(order, plan, predictor, cast, finder.name, drafts, watchers),
        )
        exported.finish(record)
        for picture in pictures:
            write_preview(preview_path(folder, order.clip, picture.suffix), picture.encoded(), record)
    return record


def found_plan(
    frames: Iterable[Frame], config: SwapConfig, finder: FaceFinder, device: str, *, declared: int | None, what: str
) -> SwapPlan:
    """The first pass: faces found in ``frames`` on a ``device`` of that kind, followed, settled and chosen.

    Where no frame shows a face, turned ones are tried: a person may lie, or the file lack the tag that turns it.

    Raises:
        NoFaceError: none was found.
        UsageError: see :func:`forge.swapping.plan.plan_swap`.
    """
    try:
        return _plan(frames, config, finder, device, declared=declared, what=what)
    except NoFaceError:
        turned = turned_finder(frames, finder)
        if turned is None:
            raise
        console.warn(f"{what}: faces were found by turning its pictures {turned.degrees_clockwise} degrees clockwise")
        plan = _plan(frames, config, turned, device, declared=declared, what=what)
        return dataclasses.replace(plan, turned=turned.degrees_clockwise)


def _plan(
    frames: Iterable[Frame], config: SwapConfig, finder: FaceFinder, device: str, *, declared: int | None, what: str
) -> SwapPlan:
    following = dataclasses.replace(FollowConfig.on(device), min_face_px=config.min_face_px)
    following = settings.replace(following, detect_every=config.detect_every)
    with (
        console.progress("finding faces", declared, unit="frames") as tick,
        closing(follow(frames, finder, following)) as followed,  # type: ignore[type-var]
    ):
        return plan_swap(
            followed, face=config.face, temporal=config.temporal, segments=config.segments, what=what, tick=tick
        )


def _bytes_needed(order: SwapRequest, plan: SwapPlan) -> int:
    # Masks are mostly empty and shrink to a few hundredths; the clip is seldom four times its target.
    frame_bytes = order.info.width * order.info.height
    lossless = 3 * plan.frames * frame_bytes if order.encoding.crf is None else 0
    return 4 * order.target.stat().st_size + plan.frames * frame_bytes // 8 + lossless + (16 << 20)


def _make(
    order: SwapRequest,
    plan: SwapPlan,
    predictor: SwapPredictor,
    cast: Identities,
    finder: str,
    drafts: Drafts,
    watchers: Sequence[Watcher],
) -> Made:
    """Renders, then signs; the record and the labels of the finished files."""
    outcome = _render(order, plan, predictor, cast, drafts, watchers)
    if not outcome.faked:
        raise NoFaceError(f"the swap changed no pixel of {order.target}", hint="look at its previews and the mask")
    if outcome.alpha_instead:
        console.warn(f"{outcome.alpha_instead} faces were too small for Poisson blending and were blended by alpha")
    digests = [sha256_file(path) for path in drafts.masks.values()]
    masks = dataclasses.replace(drafts.mask_paths, sha256=tuple(digests))
    content = sha256_file(drafts.video)
    record = ClipRecord(
        id=order.clip,
        kind="swap",
        label="fake",
        path=drafts.path,
        sha256=content,
        target_identity=order.target_identity,
        rights=order.rights,
        frames=plan.frames,
        width=order.info.width,
        height=order.info.height,
        codec=probe(drafts.video).codec,
        rendition=order.encoding.name,
        source_identity=order.source,
        faked=tuple(runs_of(list(outcome.faked))),
        masks=masks,
        swapper=order.swapper_sha256,
        architecture=order.card.model,
        config=order.config_digest,
        seed=order.config.seed,
        parent=order.parent,
        content_sha256=content,
        tool_version=shared.__version__,
        factors=_factors(order, finder, outcome) | _turn(plan),
    )
    _sign(order, record, drafts.video)
    return dataclasses.replace(record, sha256=sha256_file(drafts.video)), frame_labels(
        order.clip, plan, set(outcome.faked)
    )


def _factors(order: SwapRequest, finder: str, outcome: _Outcome) -> dict[str, str]:
    factors = {"finder": finder, "target_sha256": order.target_sha256} | order.notes | setting_factors(order.config)
    if outcome.alpha_instead:
        factors["poisson_fallbacks"] = str(outcome.alpha_instead)
    hook = enlarge_digest(order.config.blend)
    if hook is not None:
        factors["enlarge_sha256"] = hook
    return factors | (outcome.flicker.factors() if outcome.flicker else {})


def _turn(plan: SwapPlan) -> dict[str, str]:
    return {"source_turned": f"faces found {plan.turned} degrees clockwise"} if plan.turned else {}


def _render(
    order: SwapRequest,
    plan: SwapPlan,
    predictor: SwapPredictor,
    cast: Identities,
    drafts: Drafts,
    watchers: Sequence[Watcher],
) -> _Outcome:
    """The second pass: frames through all stages into the drafts."""
    config, info = order.config, order.info
    depth = max(1, min(8, _QUEUE_BYTES // (info.width * info.height * 3)))
    faked: list[int] = []
    alpha_instead = 0
    meter = FlickerMeter()
    with (
        VideoReader(order.target) as reader,
        VideoWriter.like(info, drafts.video, encoding=order.encoding, audio_from=order.audio_from) as video,
        MaskWriter(drafts.masks, info) as masks,
        console.progress("swapping", plan.frames, unit="frames") as tick,
        consumed(_writer(video, masks, (*watchers, meter.take), tick), depth=depth, name="assay-encode") as put,
        closing(ahead(align_faces(reader, plan, predictor.spec), depth=depth, name="assay-align")) as jobs,  # type: ignore[type-var]
    ):
        for done in composite(stabilize_color(swap_faces(jobs, predictor, cast, config), config.temporal), config):
            if done.masks.any_changed:
                faked.append(done.frame.index)
            alpha_instead += done.alpha_instead
            put(done)
    if video.frames_written != plan.frames:
        raise MediaError(
            f"{order.target} gave {plan.frames} frames when read first and {video.frames_written} the second time",
            hint="the file is damaged or is being written to; copy it and try again",
        )
    return _Outcome(tuple(faked), alpha_instead, meter.result())


def _writer(
    video: VideoWriter, masks: MaskWriter, watchers: Sequence[Watcher], tick: Callable[[int], object]
) -> Watcher:
    def write(done: CompositedFrame) -> None:
        video.write(done.image, done.frame.time)
        masks.write(done.masks, done.frame.time)
        for watch in watchers:
            watch(done)
        tick(1)

    return write


def _sign(order: SwapRequest, record: ClipRecord, video: Path) -> None:
    action = Action(
        "c2pa.edited",
        f"the face of {order.target_identity} was replaced by the face of {order.source}, drawn by a trained model",
        parameters={"manipulation": order.card.model, "swapper": order.swapper_sha256},
    )
    sign_clip(
        video,
        SigningIdentity.load_or_create(),
        title=Path(record.path).name,
        actions=[action],
        ingredient=order.target,
        digital_source_type=COMPOSITE_WITH_MODEL,
        record=record_facts(record),
    )


def frame_labels(clip: ClipId, plan: SwapPlan, faked: Collection[int]) -> list[FrameLabel]:
    """A label for every face of every frame, and for every frame without one."""
    labels: list[FrameLabel] = []
    for index, time in enumerate(plan.times):
        place = {"clip": clip, "frame": index, "pts": time.pts, "seconds": time.seconds}
        faces = plan.faces.get(index, ())
        if not faces:
            labels.append(FrameLabel(**place, label="real"))
        for face in faces:
            x0, y0, x1, y1 = (float(side) for side in face.box)
            fake = index in faked and face.track in plan.chosen
            labels.append(
                FrameLabel(
                    **place,
                    label="fake" if fake else "real",
                    track=face.track,
                    box=(x0, y0, x1, y1),
                    face_px=face.width_px,
                )
            )
    return labels
