"""A still that is shown for as long as the clip that drives it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from forge.building.intermediates import ShotFacts, stored_frames
from shared.types import Frame, Timestamp


def held_facts(still: ShotFacts, driver: ShotFacts, *, driver_shot: Path, folder: Path) -> ShotFacts:
    """The facts of a clip in ``folder`` that shows ``still`` at the driver's frame times, with the driver's sound."""
    sound = driver.sound
    if sound is not None and not Path(sound).is_absolute():
        sound = os.path.relpath(driver_shot / sound, folder)
    return replace(still, time_base=driver.time_base, frame_rate=driver.frame_rate, pts=driver.pts, sound=sound)


def held_frames(pictures: Path, times: list[Timestamp]) -> Iterator[Frame]:
    """The one picture of a lossless file at each of ``times``; all frames share it, not to be written to.

    Raises:
        MediaError: the file cannot be read, or has another number of frames.
    """
    (frame,) = stored_frames(pictures, times[:1])
    frame.image.setflags(write=False)
    for index, time in enumerate(times):
        yield Frame(index, time, frame.image)
