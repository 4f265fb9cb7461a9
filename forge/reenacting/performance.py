"""The performance of one person in a clip: shapes and turns of the face through time, and the frame at rest.

Convention:
    N: frames of the clip that show the person, ascending
    opening: of mouth and eyes, in face units, see :mod:`forge.reenacting.shape`
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from forge.reenacting.shape import Placement, eye_openings, lopsidedness, mouth_opening
from forge.reenacting.steady import smoothed, steadied
from forge.swapping.plan import SwapPlan
from shared.errors import UsageError
from shared.faces.pose import Pose, head_pose
from shared.types import Face

_POSE_SECONDS = 0.12
_MOST_NOISE = 0.003
"""Face units of a finder's jitter beyond which a movement is taken for one."""
_TURN_OF_ONE_OPENING = 200.0
"""Degrees of turn away from the wanted one that weigh as much as a mouth open by the whole face unit."""


@dataclass(frozen=True, eq=False)
class Performance:
    """A person's face in the frames that show it.

    Convention:
        frames: (N,) int, their indices; seconds: (N,) their times
        landmarks: (N, 68, 2) frame pixels
        yaw, pitch: (N,) degrees, smoothed over time, signs as in :mod:`shared.faces.pose`
        tracks: (N,) int, the track of each face
    """

    frames: np.ndarray
    seconds: np.ndarray
    landmarks: np.ndarray
    yaw: np.ndarray
    pitch: np.ndarray
    tracks: np.ndarray

    @cached_property
    def placements(self) -> tuple[Placement, ...]:
        """Turn and place of the head, by frame shown."""
        poses = (Pose(float(yaw), float(pitch), 0.0) for yaw, pitch in zip(self.yaw, self.pitch, strict=True))
        return tuple(Placement.of(points, pose) for points, pose in zip(self.landmarks, poses, strict=True))

    @cached_property
    def shapes(self) -> np.ndarray:
        """(N, 68, 2): the face seen from the front."""
        return np.stack([place.frontal(one) for place, one in zip(self.placements, self.landmarks, strict=True)])

    @cached_property
    def steady_shapes(self) -> np.ndarray:
        """(N, 68, 2): the same without the finder's jitter."""
        return steadied(self.shapes, self.seconds, most_noise=_MOST_NOISE)

    @cached_property
    def rolls(self) -> np.ndarray:
        """(N,): degrees by which the head leans clockwise, without jumps of a whole turn."""
        return np.degrees(np.unwrap(np.radians([place.roll_degrees for place in self.placements])))

    @cached_property
    def mouth_openings(self) -> np.ndarray:
        """(N,)."""
        return np.array([mouth_opening(shape) for shape in self.shapes])

    def place_of(self, frame: int) -> int:
        """Where in the arrays the frame with that index is.

        Raises:
            UsageError: it does not show the person.
        """
        place = int(np.searchsorted(self.frames, frame))
        if place == len(self.frames) or self.frames[place] != frame:
            raise UsageError(f"frame {frame} shows no face that was found", hint="choose another neutral frame")
        return place

    def neutral(self, yaw: float | None = None) -> int:
        """Where the face is at rest: mouth shut and even, eyes open, turned as ``yaw`` says, or as it mostly is."""
        wanted = float(np.median(self.yaw)) if yaw is None else yaw
        away = np.hypot(self.yaw - wanted, self.pitch - np.median(self.pitch))
        cost = self.mouth_openings + away / _TURN_OF_ONE_OPENING
        # At rest lips are neither pressed together nor rounded, eyes neither shut nor wide, brows not raised: all as
        # they are most of the time.
        widths = np.hypot(*(self.shapes[:, 54] - self.shapes[:, 48]).T)
        eyes = np.array([eye_openings(shape).mean() for shape in self.shapes])
        brows = self.shapes[:, 17:27, 1].mean(axis=1)
        for values, weight in ((widths, 0.5), (eyes, 2.0), (brows, 0.5)):
            cost = cost + weight * np.abs(values - np.median(values))
        cost = cost + np.array([lopsidedness(shape) for shape in self.shapes])
        return int(np.argmin(cost))

    def widest_mouth(self) -> int:
        """Where the mouth is open widest, in a turn that is usual for the clip."""
        away = np.hypot(self.yaw - np.median(self.yaw), self.pitch - np.median(self.pitch))
        return int(np.argmax(self.mouth_openings - away / _TURN_OF_ONE_OPENING))


def performance_of(plan: SwapPlan, *, width: int, height: int) -> Performance:
    """The performance of the person that ``plan`` chose, in a clip of that size; segments do not matter."""
    shown: list[tuple[int, Face]] = []
    for index in plan.seen_frames:
        chosen = [face for face in plan.faces[index] if face.track in plan.chosen]
        shown.append((index, min(chosen, key=lambda face: plan.chosen.index(face.track or 0))))
    seconds = np.array([plan.times[index].seconds for index, _face in shown])
    poses = [head_pose(face.landmarks, width=width, height=height) for _index, face in shown]
    turns = np.array([[pose.yaw_degrees, pose.pitch_degrees] for pose in poses])
    # A turn solved from one frame's landmarks jitters by a degree or two.
    smooth = smoothed(turns, seconds, _POSE_SECONDS)
    return Performance(
        frames=np.array([index for index, _face in shown]),
        seconds=seconds,
        landmarks=np.stack([face.landmarks for _index, face in shown]).astype(np.float64),
        yaw=smooth[:, 0],
        pitch=smooth[:, 1],
        tracks=np.array([face.track or 0 for _index, face in shown]),
    )


PictureOf = Callable[[int], np.ndarray]
"""The picture (H, W, 3) uint8 of the target's frame with an index."""
