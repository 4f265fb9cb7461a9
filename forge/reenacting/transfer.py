"""From two performances to the landmarks that the target's face is driven to, frame by frame.

Motion is relative: what is carried over is how the driver's shape differs from the driver's own face at rest, scaled to
the target's mouth and eyes and added to the target's face at rest (or, with ``motion = "add"``, to what the target does
itself). So nobody's proportions reach the other's face.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from forge.reenacting.config import ReenactConfig, Region
from forge.reenacting.performance import Performance
from forge.reenacting.shape import (
    EYES,
    LOWER_INNER,
    UPPER_INNER,
    Placement,
    eye_openings,
    mouth_width,
)
from shared.console import counted
from shared.errors import UsageError
from shared.faces.align import INNER, map_points, similarity

LIPS = tuple(range(48, 68))
POINTS: Mapping[Region, tuple[int, ...]] = {
    "mouth": LIPS,
    "brows": tuple(range(17, 27)),
    "eyes": (37, 38, 40, 41, 43, 44, 46, 47),
    "tilt": tuple(range(68)),
}
"""The landmarks that a region moves by the driver's own landmarks."""

CHIN: Mapping[int, float] = {4: 0.15, 5: 0.4, 6: 0.8, 7: 1.0, 8: 1.0, 9: 1.0, 10: 0.8, 11: 0.4, 12: 0.15}
"""Points of the jaw line that follow the drop of the driver's chin, and how far."""

CHIN_POINTS = (7, 8, 9)
_MOST_MOVE, _MOST_DROP = 0.35, 0.22
_WIDEN_EYE = 1.25
MOUTH_RATIO, _EYE_RATIO = (0.75, 1.33), (0.6, 1.6)
_TILT_PIVOT = np.array([0.5, 1.1])


@dataclass(frozen=True, eq=False)
class DrivenFrame:
    """One face to be driven.

    Convention:
        driver: position in the driver's frames, between two of them where the clips' rates differ; of a sound, in
            steps of 20 ms
        weight: share of the motion, below 1 where it fades in or out
        seconds: its time
        source, drive: (68, 2) frame pixels, where the face's landmarks are and where they are to be
        corrected: where pixels are moved to instead, so that the finder sees them at ``drive``; None for ``drive``
        tilt_degrees: by how much the head is turned in the picture, clockwise
    """

    frame: int
    track: int
    seconds: float
    driver: float
    weight: float
    source: np.ndarray
    drive: np.ndarray
    placement: Placement
    tilt_degrees: float = 0.0
    corrected: np.ndarray | None = None

    @property
    def aim(self) -> np.ndarray:
        """(68, 2) frame pixels: where the pixels at ``source`` are moved to."""
        return self.drive if self.corrected is None else self.corrected


@dataclass(frozen=True, eq=False)
class DrivePlan:
    """What is driven, and what is left as it is.

    Attributes:
        frames: by index of the target's frame.
        neutral, target_neutral: indices of the frames at rest; ``neutral`` is None where a sound drives.
        outside: frames before the driver's begin or after its end, or where the driver's face is not found.
        apart: frames whose heads are turned too differently.
        gap_degrees: median difference in yaw or pitch, whichever is larger; None where a sound drives.
    """

    frames: Mapping[int, DrivenFrame]
    neutral: int | None
    target_neutral: int
    outside: int
    apart: int
    gap_degrees: float | None

    def factors(self) -> dict[str, str]:
        """As a record holds it."""
        factors = {} if self.neutral is None else {"drive_neutral": str(self.neutral)}
        factors |= {"target_neutral": str(self.target_neutral)}
        factors |= {} if self.gap_degrees is None else {"pose_gap_degrees": f"{self.gap_degrees:.1f}"}
        factors |= {"frames_outside_drive": str(self.outside)} if self.outside else {}
        return factors | ({"frames_pose_apart": str(self.apart)} if self.apart else {})


def plan_drive(
    target: Performance,
    driver: Performance,
    wanted: Sequence[int],
    config: ReenactConfig,
    *,
    begins: tuple[float, float] = (0.0, 0.0),
) -> DrivePlan:
    """The plan for the ``wanted`` frames of the target.

    ``begins`` are the times of the first frames of target and driver; ``config.offset_seconds`` lies between the two.

    Raises:
        UsageError: a neutral frame shows no face; no frame of the driver lies at the time of one of the target's; or
            in most frames the heads are turned too differently.
    """
    rest = driver.neutral() if config.neutral is None else driver.place_of(config.neutral)
    own = target.neutral(driver.yaw[rest]) if config.target_neutral is None else target.place_of(config.target_neutral)
    transfer = _Transfer(target, driver, own, rest, config)
    places = [place for place, frame in enumerate(target.frames) if frame in set(wanted)]
    moments = target.seconds - begins[0] + begins[1] + config.offset_seconds
    found = {place: at for place in places if (at := _position(driver.seconds, moments[place])) is not None}
    if not found:
        raise UsageError(
            "the driver shows no face at the time of any frame of the target", hint="choose another --offset or driver"
        )
    gaps = {place: transfer.gap(place, at) for place, at in found.items()}
    near = {place: at for place, at in found.items() if gaps[place] <= config.max_pose_gap_degrees}
    median = float(np.median(list(gaps.values())))
    if 2 * len(near) < len(found):
        raise UsageError(
            f"in {len(found) - len(near)} of {counted(len(found), 'frame')} the heads of target and driver are turned "
            f"more than {config.max_pose_gap_degrees:g} degrees apart (median {median:.0f})",
            hint="choose a driver who looks the same way, another --offset, or a larger max_pose_gap_degrees",
        )
    weights = weights_of(sorted(near), target, config.fade_seconds)
    frames = {int(target.frames[place]): transfer.frame(place, at, weights[place]) for place, at in near.items()}
    return DrivePlan(
        frames, int(driver.frames[rest]), int(target.frames[own]), len(places) - len(found), len(found) - len(near),
        median,
    )  # fmt: skip


class _Transfer:
    """Carries the driver's motion over to the target's face."""

    def __init__(self, target: Performance, driver: Performance, own: int, rest: int, config: ReenactConfig) -> None:
        self._target, self._driver, self._config = target, driver, config
        self._own, self._rest = own, rest
        self._scale = _scales(target.steady_shapes[own], driver.steady_shapes[rest])

    def gap(self, place: int, at: float) -> float:
        """Degrees by which the heads are turned apart."""
        yaw, pitch = (_between(values, at) for values in (self._driver.yaw, self._driver.pitch))
        return float(max(abs(self._target.yaw[place] - yaw), abs(self._target.pitch[place] - pitch)))

    def frame(self, place: int, at: float, weight: float) -> DrivenFrame:
        """The face at ``place`` of the target, driven by the driver's at ``at``."""
        theirs = self._driver.steady_shapes
        motion = (_between(theirs, at) - theirs[self._rest]) * self._scale
        return driven_frame(
            self._target, place, self._own, motion, self._config, weight=weight,
            driver=float(_between(self._driver.frames, at)), tilt=weight * self._tilt(place, at),
        )  # fmt: skip

    def _tilt(self, place: int, at: float) -> float:
        if "tilt" not in self._config.regions:
            return 0.0
        turn = _between(self._driver.rolls, at) - self._driver.rolls[self._rest]
        turn *= self._config.strength.tilt
        if self._config.motion == "replace":
            turn += self._target.rolls[self._own] - self._target.rolls[place]
        most = self._config.max_tilt_degrees
        return float(np.clip(turn, -most, most))


def driven_frame(
    target: Performance,
    place: int,
    own: int,
    motion: np.ndarray,
    config: ReenactConfig,
    *,
    weight: float,
    driver: float,
    tilt: float = 0.0,
) -> DrivenFrame:
    """The face at ``place`` of the target, moved by ``motion`` (68, 2), in face units, from its own at rest, ``own``.

    The other arguments are as in :class:`DrivenFrame`.
    """
    shape = target.steady_shapes[place]
    wanted = shape.copy()
    base = target.steady_shapes[own] if config.motion == "replace" else shape
    for region in config.regions:
        if region != "tilt":
            points = list(POINTS[region])
            wanted[points] = base[points] + getattr(config.strength, region) * motion[points]
    if "mouth" in config.regions:
        drop = config.strength.mouth * float(motion[list(CHIN_POINTS), 1].mean())
        for point, share in CHIN.items():
            reached = base[list(CHIN_POINTS), 1].mean() - shape[list(CHIN_POINTS), 1].mean() + drop
            wanted[point, 1] = shape[point, 1] + share * float(np.clip(reached, -_MOST_DROP, _MOST_DROP))
    moved = np.clip(weight * (wanted - shape), -_MOST_MOVE, _MOST_MOVE)
    reached = _possible(shape + moved, shape)
    # The motion is that between two steady shapes, so that it does not jitter as the landmarks do; points that are
    # not driven stay where they are to the last bit.
    placement = target.placements[place]
    moved = placement.landmarks(reached) - placement.landmarks(shape)
    drive = target.landmarks[place] + np.where((reached == shape).all(axis=1)[:, None], 0.0, moved)
    return DrivenFrame(
        frame=int(target.frames[place]), track=int(target.tracks[place]), seconds=float(target.seconds[place]),
        driver=driver, weight=weight, source=target.landmarks[place],
        drive=tilted(drive, placement, tilt) if tilt else drive, placement=placement, tilt_degrees=tilt,
    )  # fmt: skip


def aligned_drive(plan: DrivePlan, driver: Performance) -> DrivePlan:
    """``plan`` with the driver's own landmarks as what is to be reached, laid over the target's face by a similarity.

    That is where a network puts them that decodes the driver's whole face.
    """
    frames: dict[int, DrivenFrame] = {}
    for index, one in plan.frames.items():
        theirs = driver.landmarks[round(_place_at(driver, one.driver))]
        drive = map_points(similarity(theirs[INNER], one.source[INNER]), theirs)
        frames[index] = replace(one, drive=drive, tilt_degrees=0.0)
    return replace(plan, frames=frames)


def _place_at(driver: Performance, frame: float) -> float:
    """The position in the arrays of a frame of the driver, which may lie between two."""
    return float(np.interp(frame, driver.frames, np.arange(len(driver.frames))))


def tilted(points: np.ndarray, placement: Placement, degrees: float) -> np.ndarray:
    """``points`` (N, 2) in frame pixels turned clockwise about the chin."""
    pivot = placement.to_frame(_TILT_PIVOT[None])[0]
    cosine, sine = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    return (points - pivot) @ np.array([[cosine, sine], [-sine, cosine]]) + pivot


def _scales(own: np.ndarray, rest: np.ndarray) -> np.ndarray:
    """(68, 2): what the driver's motion is multiplied by, from the proportions of both faces at rest."""
    scale = np.ones((68, 2))
    mouth = mouth_width(own) / max(mouth_width(rest), 1e-6)
    scale[list(LIPS), 0] = np.clip(mouth, *MOUTH_RATIO)
    for eye, mine, theirs in zip(EYES, eye_openings(own), eye_openings(rest), strict=True):
        scale[list(eye), 1] = np.clip(mine / max(float(theirs), 1e-6), *_EYE_RATIO)
    return scale


def _possible(shape: np.ndarray, before: np.ndarray) -> np.ndarray:
    """``shape`` with lips that do not cross, and eyes that are open no wider than warping can make of ``before``."""
    shape = shape.copy()
    for upper, lower in zip(UPPER_INNER, LOWER_INNER, strict=True):
        if shape[upper, 1] > shape[lower, 1]:
            shape[[upper, lower], 1] = shape[[upper, lower], 1].mean()
    for upper, lower in ((37, 41), (38, 40), (43, 47), (44, 46)):
        most = _WIDEN_EYE * max(0.0, before[lower, 1] - before[upper, 1])
        opening = shape[lower, 1] - shape[upper, 1]
        if opening > most or opening < 0:
            middle, half = shape[[upper, lower], 1].mean(), np.clip(opening, 0, most) / 2
            shape[upper, 1], shape[lower, 1] = middle - half, middle + half
    return shape


def possible_landmarks(landmarks: np.ndarray, driven: DrivenFrame) -> np.ndarray:
    """``landmarks`` (68, 2) in frame pixels that the face of ``driven`` can be warped to, see :func:`_possible`."""
    place = driven.placement
    shape = place.frontal(landmarks)
    reached = _possible(shape, place.frontal(driven.source))
    return np.where((reached == shape).all(axis=1)[:, None], landmarks, place.landmarks(reached))


def _position(seconds: np.ndarray, moment: float) -> float | None:
    """Where in ascending ``seconds`` the ``moment`` is, fractional; None outside, or in a gap without a face."""
    step = float(np.median(np.diff(seconds))) if len(seconds) > 1 else 0.04
    if moment < seconds[0] - step / 2 or moment > seconds[-1] + step / 2:
        return None
    upper = int(np.clip(np.searchsorted(seconds, moment), 1, max(1, len(seconds) - 1)))
    if len(seconds) == 1:
        return 0.0
    lower = upper - 1
    gap = seconds[upper] - seconds[lower]
    share = float(np.clip((moment - seconds[lower]) / gap, 0.0, 1.0))
    # Times of containers are rounded, to a millisecond or so.
    share = round(share) if abs(share - round(share)) * gap < 1.5e-3 else share
    if gap > 2.5 * step and 0 < share < 1:
        return None
    return lower + share


def _between(values: np.ndarray, at: float) -> np.ndarray:
    """``values`` (N, ...) at a fractional position."""
    lower = min(int(at), len(values) - 1)
    share = at - lower
    return values[lower] if share == 0 else (1 - share) * values[lower] + share * values[lower + 1]


def weights_of(places: Sequence[int], target: Performance, fade_seconds: float) -> dict[int, float]:
    """The share of the motion in each driven frame, by its place: 1, with ramps where a neighbour is not driven."""
    driven = set(places)
    weights: dict[int, float] = {}
    runs = np.split(np.array(places), np.flatnonzero(np.diff(places) != 1) + 1)
    for run in runs:
        start, stop = int(run[0]), int(run[-1])
        for place in run:
            share = 1.0
            if start > 0 and start - 1 not in driven:
                share = min(share, _ramp(target.seconds[place] - target.seconds[start - 1], fade_seconds))
            if stop + 1 < len(target.frames) and stop + 1 not in driven:
                share = min(share, _ramp(target.seconds[stop + 1] - target.seconds[place], fade_seconds))
            weights[int(place)] = share
    return weights


def _ramp(seconds: float, fade_seconds: float) -> float:
    share = 1.0 if fade_seconds == 0 else float(np.clip(seconds / fade_seconds, 0.0, 1.0))
    return share * share * (3 - 2 * share)
