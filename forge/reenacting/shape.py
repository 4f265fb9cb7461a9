"""The shape of a face apart from the turn of its head, and its place in the frame.

The landmarks of a frame are taken as the scaled orthographic picture of a head: a shape seen from the front, with a
fixed depth for each point, turned by yaw and pitch and laid into the frame by a similarity. :func:`frontal` and
:meth:`Placement.landmarks` are exact inverses, so a shape that is not changed comes back to the same pixels.

Convention:
    shape: (68, 2) float64, the face from the front, in units of the mean face's box (``MEAN_FACE`` of
        :mod:`shared.faces.align`), x right, y down
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from shared.faces.align import MEAN_FACE, invert, map_points, similarity
from shared.faces.pose import Pose, head_pose, rotation

RIGID: tuple[int, ...] = (*range(27, 36), 36, 39, 42, 45)
"""Bridge and base of the nose and the corners of the eyes: points that no expression moves much."""

INNER_LIPS: tuple[int, ...] = tuple(range(60, 68))
UPPER_INNER, LOWER_INNER = (61, 62, 63), (67, 66, 65)
EYES: tuple[tuple[int, ...], ...] = (tuple(range(36, 42)), tuple(range(42, 48)))
_LEFT_LIPS, _RIGHT_LIPS = (48, 49, 50, 58, 59), (54, 53, 52, 56, 55)
_UPPER_LIDS, _LOWER_LIDS = ((37, 38), (43, 44)), ((41, 40), (47, 46))

# fmt: off
DEPTHS: np.ndarray = np.array([
    0.438, 0.424, 0.439, 0.469, 0.479, 0.338, 0.171, 0.025, -0.036, 0.025, 0.171, 0.338, 0.479, 0.469, 0.439, 0.424,
    0.438, 0.117, 0.004, -0.080, -0.126, -0.141, -0.141, -0.126, -0.080, 0.004, 0.117, -0.132, -0.187, -0.243, -0.310,
    -0.145, -0.130, -0.159, -0.130, -0.145, 0.022, -0.035, -0.030, -0.022, -0.034, -0.033, -0.022, -0.030, -0.035,
    0.022, -0.033, -0.034, -0.043, -0.116, -0.149, -0.155, -0.149, -0.116, -0.043, -0.100, -0.125, -0.131, -0.125,
    -0.100, -0.057, -0.127, -0.139, -0.127, -0.057, -0.127, -0.139, -0.127,
])
# fmt: on
DEPTHS.setflags(write=False)
"""(68,): how far each point lies behind the eyes' corners, in face units: the mean of forty procedural actors at rest
(:func:`shared.actors.actor.cast` with seed 0; deviation between them 0.02), made symmetric."""


@dataclass(frozen=True, eq=False)
class Placement:
    """How a head is turned and where it is in its frame.

    Convention:
        turn: (3, 3) rotation without roll, from the head's axes to the camera's
        frame_to_posed: (2, 3) float64, frame pixels to face units after the turn
    """

    turn: np.ndarray
    frame_to_posed: np.ndarray

    @classmethod
    def of(cls, landmarks: np.ndarray, pose: Pose) -> Placement:
        """Of a face with ``landmarks`` (68, 2) in frame pixels and the turn of ``pose``, whose roll does not count.

        Raises:
            ValueError: the landmarks collapse to one point.
        """
        turn = rotation(Pose(pose.yaw_degrees, pose.pitch_degrees, 0.0))
        posed = _turned(MEAN_FACE, turn)
        rigid = list(RIGID)
        return cls(turn, similarity(np.asarray(landmarks, np.float64)[rigid], posed[rigid]))

    @property
    def roll_degrees(self) -> float:
        """How far the head leans clockwise in the frame."""
        linear = self.frame_to_posed[:, :2]
        return -float(np.degrees(np.arctan2(linear[1, 0], linear[0, 0])))

    @property
    def units_per_px(self) -> float:
        """Face units of one frame pixel."""
        return float(np.hypot(*self.frame_to_posed[:, 0]))

    def frontal(self, landmarks: np.ndarray) -> np.ndarray:
        """The shape of ``landmarks`` (68, 2) in frame pixels."""
        posed = map_points(self.frame_to_posed, np.asarray(landmarks, np.float64))
        flat = self.turn[:2, :2]
        return (posed - DEPTHS[:, None] * self.turn[:2, 2]) @ np.linalg.inv(flat).T

    def landmarks(self, shape: np.ndarray) -> np.ndarray:
        """(68, 2) float64 frame pixels of a shape."""
        return map_points(invert(self.frame_to_posed), _turned(shape, self.turn))

    def to_frame(self, points: np.ndarray) -> np.ndarray:
        """Points (N, 2), in face units after the turn, in frame pixels."""
        return map_points(invert(self.frame_to_posed), points)


def _turned(shape: np.ndarray, turn: np.ndarray) -> np.ndarray:
    return shape @ turn[:2, :2].T + DEPTHS[:, None] * turn[:2, 2]


def poses_of(landmarks: Sequence[np.ndarray], *, width: int, height: int) -> list[Pose]:
    """The pose of each of ``landmarks`` (68, 2) in a frame of that size; yaw and pitch are cut where a face is side-on.

    Raises:
        NoFaceError: landmarks fit no head.
    """
    return [head_pose(points, width=width, height=height) for points in landmarks]


def mouth_opening(shape: np.ndarray) -> float:
    """Mean distance of the inner edges of the lips, in face units; 0 for a shut mouth."""
    return float(np.maximum(shape[list(LOWER_INNER), 1] - shape[list(UPPER_INNER), 1], 0.0).mean())


def eye_openings(shape: np.ndarray) -> np.ndarray:
    """(2,): mean distance of the lids of each eye, in face units."""
    pairs = zip(_UPPER_LIDS, _LOWER_LIDS, strict=True)
    return np.array([max(0.0, float((shape[list(low), 1] - shape[list(up), 1]).mean())) for up, low in pairs])


def mouth_width(shape: np.ndarray) -> float:
    """Distance of the corners of the mouth, in face units."""
    return float(np.hypot(*(shape[54] - shape[48])))


def lopsidedness(shape: np.ndarray) -> float:
    """How far the two halves of the lips differ, in face units: 0 for a mouth that is its own mirror image."""
    left, right = shape[list(_LEFT_LIPS)], shape[list(_RIGHT_LIPS)]
    middle = shape[list(RIGID), 0].mean()
    return float(np.abs(left[:, 0] + right[:, 0] - 2 * middle).mean() / 2 + np.abs(left[:, 1] - right[:, 1]).mean())
