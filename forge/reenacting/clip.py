"""Makes one re-enactment: a target clip whose face moves as another clip's does, with masks, labels, record, signature.

The faces of both clips are found first; then the frames of the target are read again, driven and written by the same
code as a swap (:mod:`forge.swapping.making`).
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from typing_extensions import override

from forge.reenacting.config import ReenactConfig, completed
from forge.reenacting.drive_table import drive_factors, drive_table_for, write_drive
from forge.reenacting.families import Stage, families
from forge.reenacting.lipsync.checkpoint import load_lipsync_model
from forge.reenacting.lipsync.drive import driving_sound, heard_mouth
from forge.reenacting.performance import performance_of
from forge.reenacting.record import FRAMES_HELD, drive_coverage, reenact_action, reenact_record
from forge.reenacting.request import ReenactOverrides, ReenactRequest, already_listed, resolve_reenactment
from forge.reenacting.still import fitted_to_target, held_plan
from forge.swapping.making import FakeClip, list_fake
from forge.swapping.marks import Finish
from forge.swapping.output import need_writable
from forge.swapping.plan import SwapPlan, found_plan
from forge.swapping.record import FileFacts, SwapOutcome
from forge.swapping.stages import CompositedFrame
from shared.config import configured
from shared.device import pick_device
from shared.errors import UsageError
from shared.faces.finders.finder import FaceFinder, IndexedFinder, make_finder
from shared.faces.finders.shifted import shifted
from shared.faces.identity import IdentityEmbedder, make_embedder
from shared.provenance.identity import SigningIdentity
from shared.provenance.sign import need_signable
from shared.provenance.types import Action
from shared.types import ClipRecord, Frame, VideoInfo
from shared.video import Encoding, VideoReader, need_encodable
from shared.video.excerpt import ClipRange
from shared.video.held import HeldReader
from shared.video.media import clip_info
from shared.video.renditions import suffix_for


def reenact_clip(
    target: str | Path,
    *,
    drive: str | Path,
    dataset: str | Path,
    config: ReenactConfig | None = None,
    swapper: str | Path | None = None,
    target_identity: str | None = None,
    driver_identity: str | None = None,
    rights: str | None = None,
    drive_rights: str | None = None,
    name: str | None = None,
    encoding: Encoding | None = None,
    finder: str | FaceFinder | None = None,
    drive_finder: str | FaceFinder | None = None,
    embedder: IdentityEmbedder | None = None,
    stretch: ClipRange | str | None = None,
    mark: bool = False,
    notice: bool = False,
    **settings: Any,
) -> ClipRecord:
    """Drives the face in ``target`` by the performance in ``drive`` and lists the fake; the record as it was listed.

    The dataset then holds the clip (the target's exact frame times), three lossless mask videos, a label for every
    frame (real, where nothing was driven), the drive of every frame (:mod:`forge.reenacting.drive_table`), the signed
    record and a preview. The same arguments given again return the record of the clip that is there.

    Args:
        target: the video whose face is driven; or a picture, which is shown at the frame times of the drive.
        drive: the video whose performance drives it; the target itself for a control. For ``lipsync`` any file with
            sound.
        dataset: a dataset folder; made where there is none.
        config: all other settings.
        swapper: an exported swapper, or a run, for ``reenact-latent``; a run of ``assay forge train-reenactor`` for a
            family with a network; for ``lipsync`` a model other than the one in the package.
        target_identity: who is in the target; by default as its record says, or the file name.
        driver_identity: who is in the driver, or speaks; by default likewise, or as synthetic speech says of itself.
        rights: the basis on which the target may be used; by default as its record says.
        drive_rights: the same for the performance or the voice.
        name: of the clip; by default made of both file names.
        encoding: used instead of the one that ``config.output`` describes.
        finder: by name or made before, used instead of the one that ``config`` names.
        drive_finder: for the driver; by default the same.
        embedder: recognises people; used instead of the one that is installed.
        stretch: the only frames of the target that are driven and written; for a picture, frames of the drive.
        mark: whether the clip carries an imperceptible mark; not in a dataset.
        notice: whether every frame gets a visible label; not in a dataset.
        settings: in place of ``config``'s own: ``regions=("mouth", "brows")``.

    Raises:
        ConfigError: a setting is unknown, of the wrong type or out of range.
        UsageError: heads that are turned too differently, a driver without a face at the target's times, a name that
            is taken, a sound that is not there, an unknown person of a swapper, a generated face called a person.
        MediaError: a clip cannot be read.
        NoFaceError: one shows no face, or nothing moved.
        CheckpointError: the swapper cannot be read.
        ManifestError: the dataset is damaged.
        StorageError: writing failed.
    """
    target, drive, dataset = Path(target), Path(drive), Path(dataset)
    named = {"finder": finder} if isinstance(finder, str) else {}
    chosen = completed(settings) if config is None or config.sound == "target" else settings
    config = configured(ReenactConfig, config, {**chosen, **named})
    config = fitted_to_target(config, target)
    info, encoding = clip_info(target), encoding or config.output.encoding
    stretch = ClipRange.parse(stretch) if isinstance(stretch, str) else stretch
    request = resolve_reenactment(
        target, drive, config, ReenactOverrides(target_identity, driver_identity, rights, name, stretch, drive_rights),
        rendition=encoding.name, info=info, swapper=None if swapper is None else Path(swapper), dataset=dataset,
    )  # fmt: skip
    suffix = suffix_for(encoding, request.audio_from)
    listed = already_listed(dataset, request)
    if listed is not None:
        return listed
    need_writable(dataset)
    need_encodable(request.still.held.info if request.still else info, suffix, encoding, audio_from=request.audio_from)
    need_signable(SigningIdentity.load_or_create(), target)
    finders = (None if isinstance(finder, str) else finder, drive_finder)
    clip = _found(request, finders, embedder or make_embedder(), encoding, Finish.of(request, mark=mark, notice=notice))
    return list_fake(clip, dataset, suffix, Finish.of(request, mark=True), gif=config.output.gif)


def _found(
    request: ReenactRequest,
    finders: tuple[FaceFinder | None, str | FaceFinder | None],
    embedder: IdentityEmbedder | None,
    encoding: Encoding,
    finish: Finish,
) -> ReenactClip:
    """The clip to be made, after the faces of both clips were found."""
    config = request.config
    device = str(pick_device(config.device, config.precision).torch_device)
    mine = found = finders[0] or make_finder(config.finder, device=device, min_face_px=config.min_face_px)
    mine = shifted(mine, request.excerpt.start if request.excerpt else 0)
    with request.read() as reader:
        info = reader.info
        plan = _target_plan(request, reader, mine, embedder)
    target = performance_of(plan, width=info.width, height=info.height)
    if request.lipsync is not None:
        sound, begins = driving_sound(request.drive)
        begins = request.still.begins if request.still else begins
        mouth = heard_mouth(sound, load_lipsync_model(request.lipsync))
        stage = Stage.heard(
            config, target, mouth, plan, read_target=lambda: _frames(request.read()), person=request.target_identity,
            finder=mine, sound_begins=begins,
        )  # fmt: skip
        return ReenactClip(request, mine.name, plan, info, encoding, finish, stage, begins)
    theirs = finders[1] or found
    if isinstance(theirs, str):
        theirs = make_finder(theirs, device=device, min_face_px=config.min_face_px)
    with VideoReader(request.drive) as reader:
        driver_info = reader.info
        wanted = replace(config, face=config.driver_face, segments=())
        driver_plan = _plan(reader, wanted, theirs, driver_info, request.drive, embedder)
    begins = request.still.begins if request.still else driver_plan.times[0].seconds
    stage = Stage.of(
        config,
        target,
        performance_of(driver_plan, width=driver_info.width, height=driver_info.height),
        plan,
        read_target=lambda: _frames(request.read()),
        read_driver=lambda: _frames(VideoReader(request.drive)),
        person=request.target_identity,
        swapper=request.swapper,
        network=request.network,
        finder=mine,
        driver_begins=begins,
    )
    return ReenactClip(request, mine.name, plan, info, encoding, finish, stage, begins)


def _target_plan(
    request: ReenactRequest, reader: VideoReader | HeldReader, finder: FaceFinder, embedder: IdentityEmbedder | None
) -> SwapPlan:
    """The faces of the target; of a still those of its one picture, in every frame."""
    if isinstance(reader, VideoReader):
        return _plan(reader, request.config, finder, reader.info, request.target, embedder)
    assert request.still is not None
    held = request.still.held
    if held.is_reduced and isinstance(finder, IndexedFinder):
        raise UsageError(
            f"{request.target} is reduced to {reader.info.width}x{reader.info.height}, its stored landmarks are not",
            hint="make the picture smaller before, or choose another --finder",
        )
    finding = request.config.finding
    found = found_plan([held.frame()], finding, finder, declared=1, what=str(request.target), embedder=embedder)
    return held_plan(found, held.times)


def _plan(
    reader: VideoReader, config: ReenactConfig, finder: FaceFinder, info: VideoInfo, what: Path,
    embedder: IdentityEmbedder | None,
) -> SwapPlan:  # fmt: skip
    declared = info.frames_declared
    return found_plan(reader, config.finding, finder, declared=declared, what=str(what), embedder=embedder)


def _frames(reader: VideoReader | HeldReader) -> Generator[Frame, None, None]:
    with reader, closing(iter(reader)) as frames:  # type: ignore[type-var]
        yield from frames


@dataclass(frozen=True, eq=False)
class ReenactClip(FakeClip):
    """A re-enactment of a video."""

    request: ReenactRequest
    stage: Stage
    driver_begins: float
    """Time of the driver's first frame, or of the begin of a sound without pictures, in seconds; for a still as target
    the time that drives its first frame."""

    doing = "driving"
    kind = "re-enactment"

    @property
    @override
    def is_held(self) -> bool:
        return self.request.still is not None

    @override
    def frames(self, frames: Iterable[Frame], depth: int) -> Generator[CompositedFrame, None, None]:
        return families.create(self.request.config.family, stage=self.stage, frames=frames, depth=depth)

    @override
    def record(self, outcome: SwapOutcome, facts: FileFacts) -> ClipRecord:
        return reenact_record(self.request, outcome, facts)

    @override
    def coverage(self, faked: Sequence[int]) -> dict[str, str]:
        plan = self.stage.drive
        covered = drive_coverage(plan, faked, seen=len(self.plan.seen_frames), target=self.request.target)
        covered |= {FRAMES_HELD: str(self.plan.frames - len(faked))} if self.is_held else {}
        return plan.factors() | self.stage.facts | covered

    @property
    @override
    def action(self) -> Action:
        return reenact_action(self.request)

    @property
    @override
    def shown_frames(self) -> list[int]:
        return sorted(self.stage.drive.frames)

    @property
    @override
    def extra_files(self) -> dict[str, str]:
        return {"drive": drive_table_for(self.request.clip)}

    @override
    def write_extra(self, drafts: Mapping[str, Path]) -> dict[str, str]:
        write_drive(drafts["drive"], self.stage.drive)
        return drive_factors(self.extra_files["drive"], drafts["drive"])

    @override
    def sound(self) -> AbstractContextManager[Path | None]:
        if self.request.config.sound != "driver":
            return self.request.sound()
        return self.request.driving_sound(self.driver_begins, [time.seconds for time in self.plan.times])
