"""The task of a build that renders a re-enactment losslessly, from two shots whose faces are found."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import TypedDict

import numpy as np

from forge.building.held import held_facts, held_frames
from forge.building.intermediates import (
    LANDMARKS,
    PICTURES,
    ShotFacts,
    nominal,
    read_facts,
    read_found,
    stored_frames,
    storing,
    write_faces,
    write_facts,
)
from forge.building.steps import MADE, Made, read_made, sample_segments
from forge.building.tasks import DriveTask
from forge.reenacting.config import ReenactConfig
from forge.reenacting.drive_table import write_drive
from forge.reenacting.families import ReadFrames, Stage, families
from forge.reenacting.lipsync.checkpoint import load_lipsync_model
from forge.reenacting.lipsync.drive import cut_driving_sound, heard_mouth
from forge.reenacting.networks.checkpoint import reenactor_digest
from forge.reenacting.performance import performance_of
from forge.reenacting.record import FRAMES_HELD, drive_coverage
from forge.reenacting.still import held_plan
from forge.swapping.masks import MASK_KINDS, MaskWriter
from forge.swapping.plan import SwapPlan, plan_found
from forge.swapping.record import SwapOutcome
from shared.audio.reading import read_sound
from shared.device import with_threads
from shared.errors import CheckpointError, MediaError, NoFaceError, UsageError
from shared.faces.finders.finder import FaceFinder, make_finder
from shared.faces.finders.sidecar import SidecarFinder
from shared.storage import replacing_folder, write_text
from shared.video import probe


class _Common(TypedDict):
    """What a stage has, whatever drives."""

    read_target: ReadFrames
    person: str
    finder: FaceFinder | None


DRIVE = "drive.parquet"
"""Name, in a master's folder, of the table of :mod:`forge.reenacting.drive_table`."""


def render_drive(task: DriveTask) -> int:
    """Renders a re-enactment from two shots losslessly, with its masks and its drive; returns the frames driven.

    Shots that cannot be put together (no face, heads turned too differently, a sound that drives no mouth) give a
    folder with the reason.

    Raises:
        CheckpointError: the swapper or the network cannot be read.
        StorageError: writing failed.
    """
    with replacing_folder(Path(task.out)) as draft, with_threads(1):
        try:
            made = _render(task, draft)
        except (NoFaceError, UsageError) as error:
            made = Made((), why=str(error))
        if not made.faked:
            for path in draft.iterdir():
                path.unlink()
        write_text(draft / MADE, json.dumps(asdict(made), sort_keys=True) + "\n")
    return len(made.faked)


def _render(task: DriveTask, draft: Path) -> Made:
    shot, driver_shot = Path(task.shot), Path(task.driver_shot)
    if (shot / MADE).is_file():  # a generated face that was not made
        return Made((), why=read_made(shot).why)
    facts, driver_facts = read_facts(shot), read_facts(driver_shot)
    config = task.config
    if task.segments is not None:
        rng = np.random.default_rng(task.seed)
        runs = sample_segments(len(facts.pts), task.segments.share, task.segments.count, rng)
        config = replace(config, segments=runs)
    plan, read_target = _plan(shot, config), partial(stored_frames, shot / PICTURES, facts.times)
    if task.held:
        facts = held_facts(facts, driver_facts, driver_shot=driver_shot, folder=Path(task.out))
        write_facts(draft, facts)
        plan, read_target = held_plan(plan, facts.times), partial(held_frames, shot / PICTURES, facts.times)
    target = performance_of(plan, width=facts.width, height=facts.height)
    common: _Common = {
        "read_target": read_target,
        "person": task.target,
        "finder": None if facts.finder == SidecarFinder.name else make_finder(facts.finder),
    }
    sound = None
    if config.family == "lipsync":
        model = load_lipsync_model()
        with _heard(driver_shot):
            given = _sound(driver_shot, driver_facts)
            mouth = heard_mouth(read_sound(given), model)
            begins = driver_facts.times[0].seconds
            times = [time.seconds for time in facts.times]
            sound = cut_driving_sound(given, draft, moment=begins + config.offset_seconds, times=times).name
        stage = Stage.heard(config, target, mouth, plan, sound_begins=begins, **common)
    else:
        driver_plan = _plan(driver_shot, replace(config, face=config.driver_face, segments=()))
        stage = Stage.of(
            config,
            target,
            performance_of(driver_plan, width=driver_facts.width, height=driver_facts.height),
            plan,
            read_driver=lambda: stored_frames(driver_shot / PICTURES, driver_facts.times),
            swapper=None if task.swapper is None else Path(task.swapper),
            network=_network(task),
            driver_begins=driver_plan.times[0].seconds,
            **common,
        )
    info = replace(probe(shot / PICTURES), time_base=facts.time_base, frame_rate=facts.frame_rate)
    paths = {kind: draft / f"{kind}.mkv" for kind in MASK_KINDS}
    outcome = SwapOutcome()
    with storing(draft / PICTURES, facts.width, facts.height) as video, MaskWriter(paths, info) as masks:
        for done in families.create(config.family, stage=stage, frames=stage.read_target(), depth=0):
            video.write(done.image, nominal(done.frame.index))
            masks.write(done.masks, done.frame.time)
            outcome.take(done)
    write_faces(draft / LANDMARKS, [plan.faces.get(index, ()) for index in range(plan.frames)])
    write_drive(draft / DRIVE, stage.drive)
    covered = drive_coverage(stage.drive, outcome.faked, seen=len(plan.seen_frames))
    covered |= _held_factors(facts, config, outcome) if task.held else {}
    return Made(
        faked=tuple(range(plan.frames)) if task.held and outcome.faked else tuple(outcome.faked),
        chosen=plan.chosen,
        rank=plan.ranks[0],
        factors=plan.factors | stage.drive.factors() | stage.facts | covered,
        segments=config.segments,
        face=config.face,
        why="" if outcome.faked else "the re-enactment changed no pixel",
        sound=sound,
    )


def _held_factors(facts: ShotFacts, config: ReenactConfig, outcome: SwapOutcome) -> dict[str, str]:
    """In how many frames the still stands as it is; and that it is silent where the driver's clip has no sound."""
    silent = {"sound_from": "none"} if config.sound == "driver" and facts.sound is None else {}
    return {FRAMES_HELD: str(len(facts.pts) - len(outcome.faked))} | silent


@contextmanager
def _heard(shot: Path) -> Iterator[None]:
    """Makes of a sound that cannot be used a reason for which this fake is not made: other fakes go on.

    Raises:
        UsageError: it is silent, too short, too long, damaged, or of a kind that cannot be copied.
    """
    try:
        yield
    except MediaError as error:
        raise UsageError(f"no mouth can be driven by {shot.name}: {error}", hint="name clips with speech") from error


def _sound(shot: Path, facts: ShotFacts) -> Path:
    """The file with the sound of a shot.

    Raises:
        UsageError: it has none.
    """
    if facts.sound is None:
        raise UsageError(f"{shot.name} has no sound that could drive a mouth", hint="name clips with speech")
    return shot / facts.sound


def _network(task: DriveTask) -> Path | None:
    """The file of the network, which is the one that the build was planned with.

    Raises:
        CheckpointError: it was written anew since.
    """
    if task.network is None:
        return None
    if reenactor_digest(Path(task.network)) != task.network_sha256:
        raise CheckpointError(f"{task.network} was changed while the set was built", hint="build the set again")
    return Path(task.network)


def _plan(shot: Path, config: ReenactConfig) -> SwapPlan:
    facts = read_facts(shot)
    known = facts.finder == SidecarFinder.name
    frames = None if known else stored_frames(shot / PICTURES, facts.times)
    return plan_found(read_found(shot), config.finding, frames=frames, what=shot.name)
