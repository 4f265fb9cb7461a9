"""Fakes made of a stretch of their target: which of its frames they hold, so that the two can be compared."""

from __future__ import annotations

import re

from shared.types import ClipRecord

TARGET_FRAMES = "target_frames"
"""Factor of a fake that holds only these frames of its target: ``250-300``, half-open."""

_FRAMES = re.compile(r"([0-9]{1,9})-([0-9]{1,9})")


def excerpt_factor(start: int, stop: int) -> dict[str, str]:
    """The factor of a fake that holds the frames ``start`` to ``stop`` (half-open) of its target."""
    return {TARGET_FRAMES: f"{start}-{stop}"}


def target_frames(record: ClipRecord) -> tuple[int, int] | None:
    """The frames of its target that the clip holds, half-open; None for all."""
    found = _FRAMES.fullmatch(record.factors.get(TARGET_FRAMES, ""))
    return (int(found[1]), int(found[2])) if found else None


def first_target_frame(record: ClipRecord) -> int:
    """The frame of the target that is frame 0 of the clip."""
    return (target_frames(record) or (0, 0))[0]
