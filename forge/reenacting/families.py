"""The families of re-enactment: how a face is made to show the landmarks that it is driven to.

A family is a function from a :class:`Stage` to finished frames, registered by name; its own module does the work.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from forge.reenacting.affine import warped_frames
from forge.reenacting.config import ReenactConfig
from forge.reenacting.interior import OpenMouth, can_give
from forge.reenacting.performance import Performance
from forge.reenacting.transfer import DrivePlan, aligned_drive, plan_drive
from forge.swapping.plan import SwapPlan
from forge.swapping.stages import CompositedFrame
from shared.registry import Registry
from shared.types import Frame

ReadFrames = Callable[[], Iterable[Frame]]
"""Reads the frames of a clip, again at every call."""


@dataclass(frozen=True, eq=False)
class Stage:
    """What a family works with.

    Attributes:
        config: the settings.
        target, driver: both performances; plan: the faces of the target.
        drive: what is driven, frame by frame.
        read_target, read_driver: read the frames of either clip.
        person: the identity of the target.
        swapper: of a family that has one.
    """

    config: ReenactConfig
    target: Performance
    driver: Performance
    plan: SwapPlan
    drive: DrivePlan
    read_target: ReadFrames
    read_driver: ReadFrames
    person: str
    swapper: Path | None = None
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
        return cls(config, target, driver, plan, drive, read_target, read_driver, person, swapper)


Family = Callable[[Stage, Iterable[Frame], int], Generator[CompositedFrame, None, None]]
"""From a stage, the target's frames and how many may wait between threads, to every finished frame in order."""

families: Registry[Generator[CompositedFrame, None, None]] = Registry("family of re-enactment")


@families.register("reenact-affine")
def _affine(stage: Stage, frames: Iterable[Frame], depth: int) -> Generator[CompositedFrame, None, None]:
    del depth
    return warped_frames(frames, stage.drive, open_mouth(stage))


@families.register("reenact-latent")
def _latent(stage: Stage, frames: Iterable[Frame], depth: int) -> Generator[CompositedFrame, None, None]:
    from forge.reenacting.latent import decoded_frames

    return decoded_frames(stage, frames, depth)


def open_mouth(stage: Stage) -> OpenMouth | None:
    """The target's frame whose open mouth gives the inside of driven ones; None if it never opens its mouth."""
    if "mouth" not in stage.config.regions:
        return None
    target = stage.target
    place = target.widest_mouth()
    if not can_give(float(target.mouth_openings[place])):
        stage.facts["mouth_inside"] = "darkened: the target never opens its mouth"
        return None
    index = int(target.frames[place])
    stage.facts["mouth_inside"] = f"the frame's own and frame {index} of the target"
    image = next(frame.image for frame in stage.read_target() if frame.index == index)
    return OpenMouth(index, np.array(image), target.landmarks[place], target.placements[place])
