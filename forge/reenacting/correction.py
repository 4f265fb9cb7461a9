"""Corrects a drive by what the finder sees in the driven frames.

A warp that puts a landmark of the old picture where it is to be does not make the finder see it there: lips that are
stretched or filled look unlike those it learned from. So the driven frames are made, landmarks are found in them, and
where the pixels are moved to (:attr:`DrivenFrame.aim`) is shifted by what is missing: a damped fixed-point iteration.
What is to be reached stays what it was.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

import numpy as np

from forge.reenacting.config import ReenactConfig
from forge.reenacting.steady import smoothed
from forge.reenacting.transfer import POINTS, DrivenFrame, DrivePlan, possible_landmarks
from shared.faces.boxes import box_around
from shared.faces.finders.finder import FaceFinder, IndexedFinder
from shared.types import Frame

_DAMPING = 0.8
_SECONDS = 0.06
_MOST = 0.03
"""Face units by which a point's aim may be shifted in all."""

Make = Callable[[np.ndarray, DrivenFrame], np.ndarray | None]
"""Makes the driven picture (H, W, 3) uint8 of a frame's; None where nothing moves."""


def can_correct(finder: FaceFinder | None) -> bool:
    """Whether ``finder`` reads pictures: landmarks that are stored beside a clip do not say what a picture shows."""
    return finder is not None and not isinstance(finder, IndexedFinder)


def corrected(
    plan: DrivePlan, read: Callable[[], Iterable[Frame]], make: Make, finder: FaceFinder, config: ReenactConfig
) -> tuple[DrivePlan, list[float]]:
    """``plan`` with corrected aims, after ``config.corrections`` rounds, and the mean distance in pixels before each.

    The target is read once a round. Rounds end early when the distance no longer falls; the best aims are returned.
    """
    points = sorted({point for region in config.regions if region != "tilt" for point in POINTS[region]})
    best, left = plan, []
    for _ in range(config.corrections):
        missing = _missing(plan, read(), make, finder, points)
        if not missing:
            return best, left
        distance = float(np.mean([np.linalg.norm(each, axis=1).mean() for each in missing.values()]))
        if left and distance >= min(left):
            return best, left
        best = plan
        left.append(distance)
        plan = _shifted(plan, missing, points)
    return plan, left


def correction_facts(left: Sequence[float]) -> dict[str, str]:
    """What a record says of the rounds of :func:`corrected`, which gave ``left``."""
    if not left:
        return {}
    return {"drive_corrections": str(len(left)), "landmarks_off_px": f"{left[0]:.2f} before correction"}


def _missing(
    plan: DrivePlan, frames: Iterable[Frame], make: Make, finder: FaceFinder, points: list[int]
) -> dict[int, np.ndarray]:
    """By frame (K, 2): from where the finder sees the ``points`` of the driven picture to where they are to be."""
    found: dict[int, np.ndarray] = {}
    for frame in frames:
        driven = plan.frames.get(frame.index)
        picture = None if driven is None else make(frame.image, driven)
        if driven is None or picture is None:
            continue
        box = box_around(driven.drive.astype(np.float32))
        seen = finder.refine(picture, [box])[0].landmarks
        found[frame.index] = driven.drive[points] - seen[points]
    return found


def _shifted(plan: DrivePlan, missing: dict[int, np.ndarray], points: list[int]) -> DrivePlan:
    """``plan`` with aims shifted by what is ``missing``, as a mean over time."""
    order = sorted(missing)
    units = np.array([plan.frames[index].placement.units_per_px for index in order])
    seconds = np.array([plan.frames[index].seconds for index in order])
    steps = smoothed(np.stack([missing[index] for index in order]) * units[:, None, None], seconds, _SECONDS)
    frames = dict(plan.frames)
    for index, step, unit in zip(order, steps, units, strict=True):
        one = frames[index]
        aim = one.aim.copy()
        moving = np.abs(one.drive[points] - one.source[points]).max(axis=1) > 0
        shift = aim[points] - one.drive[points] + _DAMPING * one.weight * step / unit
        aim[points] = one.drive[points] + np.clip(shift, -_MOST / unit, _MOST / unit) * moving[:, None]
        frames[index] = replace(one, corrected=possible_landmarks(aim, one))
    return replace(plan, frames=frames)
