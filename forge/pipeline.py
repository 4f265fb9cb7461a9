"""Makes one fake: a target clip with another identity's face, its three masks, its labels, its record, its signature.

Two passes over the target. The first finds and follows faces and keeps only their landmarks; the second cuts, swaps,
colours, pastes and encodes, in threads with few frames between them. Everything is made under draft names and the clip
is listed last, so a swap that is interrupted leaves the dataset as it was.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import shared
from forge.export import SwapperCard, digest_of, load_swapper, read_card
from forge.listing import (
    Drafts,
    Made,
    dataset_name,
    is_dataset,
    list_clip,
    need_writable,
    opened_dataset,
    preview_path,
    record_from,
    record_of,
)
from forge.masks import MaskWriter
from forge.plan import SwapPlan, plan_swap
from forge.render import Rendered, aligned, drawn, pasted, steadied
from forge.sheet import PreviewSheet
from forge.stages import consumed
from forge.swap import SwapPredictor
from forge.swap_config import SwapConfig
from shared import config as settings
from shared.console import console
from shared.dataset import DatasetFolder
from shared.device import pick_device
from shared.errors import MediaError, NoFaceError, UsageError
from shared.faces.background import ahead
from shared.faces.finder import FaceFinder, make_finder
from shared.faces.stream import FollowConfig, follow
from shared.provenance import COMPOSITE_WITH_MODEL, Action, record_facts, sign_clip
from shared.sampling import runs_of
from shared.signing import SigningIdentity
from shared.storage import need_free_space, sha256_file, write_bytes
from shared.types import ClipId, ClipRecord, FrameLabel, VideoInfo
from shared.video import Encoding, VideoReader, VideoWriter, container_for, probe

_QUEUE_BYTES = 64 << 20
_UNSTATED = "unstated"


@dataclass(frozen=True)
class _Order:
    """All that is known of a fake before its first frame is read."""

    target: Path
    target_sha256: str
    info: VideoInfo
    clip: ClipId
    source: str
    target_identity: str
    rights: str
    parent: ClipId | None
    card: SwapperCard
    config: SwapConfig
    encoding: Encoding

    @property
    def swapper_sha256(self) -> str:
        return digest_of(self.card)

    @property
    def config_digest(self) -> str:
        return settings.digest(self.config)


@dataclass(frozen=True)
class _Outcome:
    """What rendering found out."""

    faked: tuple[int, ...]
    alpha_instead: int


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
    finder: FaceFinder | None = None,
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
        finder: used instead of the one that ``config`` names.

    Raises:
        UsageError: an unknown source, a name that is taken, a choice the swapper cannot follow.
        MediaError: the target cannot be read.
        NoFaceError: it shows no face.
        CheckpointError: the swapper cannot be read, or gives values that are not numbers.
        ManifestError: the dataset is damaged.
        StorageError: the disk refused.
    """
    order = _order(target, swapper, source, dataset, config, target_identity, rights, name)
    listed = _already_listed(dataset, order)
    if listed is not None:
        return listed
    need_writable(dataset)
    device = pick_device(config.device, config.precision)
    predictor = SwapPredictor(load_swapper(swapper, device.torch_device), device, batch=config.batch)
    if finder is None:
        finder = make_finder(config.finder, device=str(device.torch_device), min_face_px=config.min_face_px)
    plan = _plan(order, finder, device.kind)
    need_free_space(dataset, _bytes_needed(order, plan))
    sheet = PreviewSheet(plan.swapped_frames)
    with opened_dataset(dataset) as folder:
        record = list_clip(
            folder,
            order.clip,
            container_for(target),
            lambda drafts: _make(order, plan, predictor, finder.name, drafts, sheet),
        )
        write_bytes(preview_path(folder, order.clip), sheet.jpeg())
    return record


def _order(
    target: Path,
    swapper: Path,
    source: str,
    dataset: Path,
    config: SwapConfig,
    target_identity: str | None,
    rights: str | None,
    name: str | None,
) -> _Order:
    info = probe(target)
    card = read_card(swapper)
    if source not in card.identities:
        raise UsageError(
            f"{swapper} knows no identity {source!r}", hint=f"it knows {', '.join(sorted(card.identities))}"
        )
    if config.mask in ("learned", "product") and not card.has_mask:
        raise UsageError(f"{swapper} learned no mask", hint="choose --mask hull or full")
    sha256 = sha256_file(target)
    parent = record_of(target) or record_from(dataset, sha256)
    person = target_identity or (parent.target_identity if parent else _the_other(card, source))
    return _Order(
        target=target,
        target_sha256=sha256,
        info=info,
        clip=_clip_id(dataset, card.model, name or f"{target.stem}+{source}"),
        source=source,
        target_identity=person,
        rights=rights or (parent.rights if parent else _rights_of(person, card)),
        parent=parent.id if parent else None,
        card=card,
        config=config,
        encoding=Encoding(crf=config.crf, preset=config.preset),
    )


def _clip_id(dataset: Path, manipulation: str, name: str) -> ClipId:
    try:
        return ClipId(dataset_name(dataset), manipulation, re.sub(r"[^A-Za-z0-9._+=@-]", "_", name))
    except ValueError as error:
        raise UsageError(str(error), hint="give the clip a --name") from error


def _the_other(card: SwapperCard, source: str) -> str:
    others = [identity for identity in card.identities if identity != source]
    if len(others) != 1:
        raise UsageError(
            "it is not known whose video the target is", hint="say it with --identity, or take a clip of a dataset"
        )
    return others[0]


def _rights_of(person: str, card: SwapperCard) -> str:
    stated = next((taught.rights for taught in card.facesets if taught.identity == person), None)
    if stated is None:
        console.warn(f"the rights to use this video of {person} are recorded as {_UNSTATED!r}; say them with --rights")
    return stated or _UNSTATED


def _already_listed(dataset: Path, order: _Order) -> ClipRecord | None:
    """The record of the same order; None when its id is free.

    Raises:
        UsageError: the id is taken by a clip made otherwise.
    """
    if not is_dataset(dataset):
        return None
    folder = DatasetFolder.open(dataset)
    if not folder.has(order.clip):
        return None
    record = folder.record(order.clip)
    made = (record.config, record.swapper, record.source_identity, record.factors.get("target_sha256"))
    if made != (order.config_digest, order.swapper_sha256, order.source, order.target_sha256):
        raise UsageError(f"{order.clip} is there already, made otherwise", hint="choose another --name")
    return record


def _plan(order: _Order, finder: FaceFinder, device: str) -> SwapPlan:
    config = order.config
    following = dataclasses.replace(FollowConfig.on(device), min_face_px=config.min_face_px)
    following = settings.replace(following, detect_every=config.detect_every)
    with (
        VideoReader(order.target) as reader,
        console.progress("finding faces", order.info.frames_declared, unit="frames") as tick,
        closing(follow(reader, finder, following)) as followed,  # type: ignore[type-var]
    ):
        return plan_swap(followed, face=config.face, smooth=config.smooth, what=str(order.target), tick=tick)


def _bytes_needed(order: _Order, plan: SwapPlan) -> int:
    # Masks are mostly empty and shrink to a few hundredths; the clip is seldom four times its target.
    frame_bytes = order.info.width * order.info.height
    return 4 * order.target.stat().st_size + plan.frames * frame_bytes // 8 + (16 << 20)


def _make(
    order: _Order, plan: SwapPlan, predictor: SwapPredictor, finder: str, drafts: Drafts, sheet: PreviewSheet
) -> Made:
    """Renders, then signs; the record and the labels of the finished files."""
    outcome = _render(order, plan, predictor, drafts, sheet)
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
        factors=_factors(order, finder, outcome),
    )
    _sign(order, record, drafts.video)
    return dataclasses.replace(record, sha256=sha256_file(drafts.video)), _labels(order.clip, plan, outcome)


def _factors(order: _Order, finder: str, outcome: _Outcome) -> dict[str, str]:
    config = order.config
    factors = {name: str(getattr(config, name)) for name in ("color", "sharpen", "mask", "blend", "face")}
    factors |= {"finder": finder, "target_sha256": order.target_sha256}
    if outcome.alpha_instead:
        factors["poisson_fallbacks"] = str(outcome.alpha_instead)
    return factors


def _render(order: _Order, plan: SwapPlan, predictor: SwapPredictor, drafts: Drafts, sheet: PreviewSheet) -> _Outcome:
    """The second pass: frames through all stages into the drafts."""
    config, info = order.config, order.info
    depth = max(1, min(8, _QUEUE_BYTES // (info.width * info.height * 3)))
    faked: list[int] = []
    alpha_instead = 0
    with (
        VideoReader(order.target) as reader,
        VideoWriter.like(info, drafts.video, encoding=order.encoding, audio_from=order.target) as video,
        MaskWriter(drafts.masks, info) as masks,
        console.progress("swapping", plan.frames, unit="frames") as tick,
        consumed(_writer(video, masks, sheet, tick), depth=depth, name="assay-encode") as put,
        closing(ahead(aligned(reader, plan, predictor.spec), depth=depth, name="assay-align")) as jobs,  # type: ignore[type-var]
    ):
        swapped = drawn(jobs, predictor, order.source, config)
        for done in pasted(steadied(swapped, config.color_seconds), config):
            if done.masks.any_changed:
                faked.append(done.frame.index)
            alpha_instead += done.alpha_instead
            put(done)
    if video.frames_written != plan.frames:
        raise MediaError(
            f"{order.target} gave {plan.frames} frames when read first and {video.frames_written} the second time",
            hint="the file is damaged or is being written to; copy it and try again",
        )
    return _Outcome(tuple(faked), alpha_instead)


def _writer(
    video: VideoWriter, masks: MaskWriter, sheet: PreviewSheet, tick: Callable[[int], object]
) -> Callable[[Rendered], None]:
    def write(done: Rendered) -> None:
        video.write(done.image, done.frame.time)
        masks.write(done.masks, done.frame.time)
        sheet.offer(done)
        tick(1)

    return write


def _sign(order: _Order, record: ClipRecord, video: Path) -> None:
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


def _labels(clip: ClipId, plan: SwapPlan, outcome: _Outcome) -> list[FrameLabel]:
    """A label for every face of every frame, and for every frame without one."""
    faked = set(outcome.faked)
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
