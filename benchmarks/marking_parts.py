"""The parts of ``python -m benchmarks marking``."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from benchmarks.marking import SIDE_PX, false_alarms, speed, survival
from benchmarks.marking_detectors import detectors
from benchmarks.marking_redraw import redrawn
from benchmarks.marking_sound import sound_survival
from benchmarks.schema import Measurement
from shared.errors import UsageError

PARTS = ("survival", "false-alarms", "sound", "speed", "redrawn", "detectors")

_MOST_SEEDS = 3


def measurements(
    part: str,
    media: Path | None,
    *,
    most: int,
    pictures: int,
    people: int,
    minutes: float,
    repeats: int,
    side_px: int = SIDE_PX,
    only: tuple[str, ...] = (),
) -> list[Measurement]:
    """The measurements of one part (:data:`PARTS`).

    Raises:
        UsageError: an unknown part.
    """
    known: dict[str, Callable[[], list[Measurement]]] = {
        "survival": lambda: survival(media, most=most, minutes=minutes, side_px=side_px, only=only),
        "false-alarms": lambda: false_alarms(media, pictures, minutes=minutes),
        "sound": lambda: sound_survival(media, most=most, minutes=minutes),
        "speed": lambda: speed(repeats),
        "redrawn": lambda: redrawn(media, most=most, minutes=minutes, side_px=side_px),
        "detectors": lambda: detectors(media, most=people, repeats=min(repeats, _MOST_SEEDS)),
    }
    if part not in known:
        raise UsageError(f"no part {part!r}", hint=f"one of {', '.join(PARTS)}")
    return known[part]()
