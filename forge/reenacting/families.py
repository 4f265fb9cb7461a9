"""The families of re-enactment: how a face is made to show the landmarks that it is driven to.

A family is a function from a :class:`Stage` to finished frames, registered by name; its own module does the work.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np

from forge.reenacting.affine import warped_frames, warped_picture
from forge.reenacting.config import ReenactConfig
from forge.reenacting.correction import can_correct, corrected, correction_facts
from forge.reenacting.interior import OpenMouth, can_give, in_colours_of
from forge.reenacting.lipsync.drive import HeardMouth, plan_speech
from forge.reenacting.performance import Performance
from forge.reenacting.transfer import DrivePlan, aligned_drive, plan_drive
from forge.swapping.plan import SwapPlan
from forge.swapping.stages import CompositedFrame
from shared.faces.finders.finder import FaceFinder
from shared.registry import Registry
from shared.types import Frame

ReadFrames = Callable[[], Iterable[Frame]]
"""Reads the frames of a clip, again at every call."""


@dataclass(frozen=True, eq=False)
class Stage:
    """What a family works with.

    Attributes:
        config: the settings.
        target, driver: both performances, the latter None where a sound drives; plan: the faces of the target.
        drive: what is driven, frame by frame.
        read_target, read_driver: read the frames of either clip.
        person: the identity of the target.
        swapper, network: of a family that has one.
        finder: found the target's face; None where its landmarks are stored.
    """

    config: ReenactConfig
    target: Performance
    driver: Performance | None
    plan: SwapPlan
    drive: DrivePlan
    read_target: ReadFrames
    read_driver: ReadFrames
    person: str
    swapper: Path | None = None
    network: Path | None = None
    finder: FaceFinder | None = None
    facts: dict[str, str] = field(default_factory=dict)
    """What the family says of its work, for the record; filled in when its frames are asked for."""

    @classmethod
    def of(
        cls,
        config: ReenactConfig,
        target: Performance,
        driver: Performance,
        plan: SwapPlan,
        *,
        read_target: ReadFrames,
        read_driver: ReadFrames,
        person: str,
        swapper: Path | None = None,
        network: Path | None = None,
        finder: FaceFinder | None = None,
        driver_begins: float = 0.0,
    ) -> Stage:
        """The stage of two performances, with what is driven; the driver's first frame is at ``driver_begins``.

        Raises:
            UsageError: see :func:`forge.reenacting.transfer.plan_drive`.
        """
        begins = (plan.times[0].seconds, driver_begins)
        drive = plan_drive(target, driver, plan.swapped_frames, config, begins=begins)
        if config.family == "reenact-latent":
            drive = aligned_drive(drive, driver)
        return cls(config, target, driver, plan, drive, read_target, read_driver, person, swapper, network, finder)

    @classmethod
    def heard(
        cls,
        config: ReenactConfig,
        target: Performance,
        mouth: HeardMouth,
        plan: SwapPlan,
        *,
        read_target: ReadFrames,
        person: str,
        finder: FaceFinder | None = None,
        sound_begins: float = 0.0,
    ) -> Stage:
        """The stage of a performance and a sound, whose file begins at ``sound_begins``.

        Raises:
            UsageError: see :func:`forge.reenacting.lipsync.drive.plan_speech`.
        """
        begins = (plan.times[0].seconds, sound_begins)
        drive = plan_speech(target, mouth, plan.swapped_frames, config, begins=begins)
        return cls(config, target, None, plan, drive, read_target, lambda: (), person, None, None, finder)


Family = Callable[[Stage, Iterable[Frame], int], Generator[CompositedFrame, None, None]]
"""From a stage, the target's frames and how many may wait between threads, to every finished frame in order."""

families: Registry[Generator[CompositedFrame, None, None]] = Registry("family of re-enactment")


@families.register("lipsync")
@families.register("reenact-affine")
def _affine(stage: Stage, frames: Iterable[Frame], depth: int) -> Generator[CompositedFrame, None, None]:
    del depth
    donor = open_mouth(stage)
    return warped_frames(frames, _corrected(stage, donor), donor)


def _corrected(stage: Stage, donor: OpenMouth | None) -> DrivePlan:
    """The drive with the aims that the finder asks for, if there is one."""
    if stage.finder is None or not can_correct(stage.finder):
        return stage.drive
    make = partial(warped_picture, donor=donor)
    plan, left = corrected(stage.drive, stage.read_target, make, stage.finder, stage.config)
    stage.facts.update(correction_facts(left))
    return plan


@families.register("reenact-latent")
def _latent(stage: Stage, frames: Iterable[Frame], depth: int) -> Generator[CompositedFrame, None, None]:
    from forge.reenacting.latent import decoded_frames

    return decoded_frames(stage, frames, depth)


@families.register("reenact-landmark")
def _landmark(stage: Stage, frames: Iterable[Frame], depth: int) -> Generator[CompositedFrame, None, None]:
    del depth
    from forge.reenacting.landmark import filled_frames

    return filled_frames(stage, frames)


@families.register("reenact-warp")
def _warp(stage: Stage, frames: Iterable[Frame], depth: int) -> Generator[CompositedFrame, None, None]:
    del depth
    from forge.reenacting.warp import moved_frames

    return moved_frames(stage, frames)


def open_mouth(stage: Stage) -> OpenMouth | None:
    """The frame whose open mouth gives the inside of driven ones; None if nobody opens theirs.

    It is of the target, or, where the target never opens its mouth, of the driver, in the target's colours.
    """
    if "mouth" not in stage.config.regions:
        return None
    own = _widest(stage.target, stage.read_target)
    if own is not None:
        stage.facts["mouth_inside"] = f"the frame's own and frame {own.frame} of the target"
        return own
    other = None if stage.driver is None else _widest(stage.driver, stage.read_driver)
    if other is None:
        nobody = "the target does not open" if stage.driver is None else "neither target nor driver opens"
        stage.facts["mouth_inside"] = f"darkened: {nobody} its mouth"
        return None
    stage.facts["mouth_inside"] = f"frame {other.frame} of the driver: the target never opens its mouth"
    picture = picture_at(stage.read_target, int(stage.target.frames[0]))
    return in_colours_of(other, picture, stage.target.landmarks[0])


def _widest(performance: Performance, read: ReadFrames) -> OpenMouth | None:
    """The frame of ``performance`` with the widest open mouth; None if it is too little open to show its inside."""
    place = performance.widest_mouth()
    if not can_give(float(performance.mouth_openings[place])):
        return None
    index = int(performance.frames[place])
    return OpenMouth(index, picture_at(read, index), performance.landmarks[place], performance.placements[place])


def picture_at(read: ReadFrames, index: int) -> np.ndarray:
    """(H, W, 3) uint8: the frame of that index."""
    return np.array(next(frame.image for frame in read() if frame.index == index))
