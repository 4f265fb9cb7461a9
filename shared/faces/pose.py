"""Head pose from landmarks, and sharpness of crops.

Convention:
    camera: pinhole, x right, y down, z away from the viewer; focal length max(width, height), centre of the frame
    yaw: positive when the face turns towards the right edge of the image
    pitch: positive when the face looks up
    roll: positive when the head leans clockwise in the image
    A face that looks along the camera's axis has all three at 0; "level" is the mean of portraits.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np

from shared.errors import NoFaceError
from shared.types import NUM_LANDMARKS

# fmt: off
_HEAD: dict[int, tuple[float, float, float]] = {
    17: (-0.930, -0.406, 0.345), 21: (-0.186, -0.503, -0.087), 22: (0.186, -0.503, -0.087), 26: (0.930, -0.406, 0.345),
    27: (0.000, -0.297, -0.106), 28: (0.000, -0.106, -0.219), 29: (0.000, 0.085, -0.345), 30: (0.000, 0.283, -0.466),
    31: (-0.239, 0.404, -0.159), 33: (0.000, 0.481, -0.263), 35: (0.239, 0.404, -0.159),
    36: (-0.688, -0.246, 0.239), 39: (-0.303, -0.230, 0.148), 42: (0.303, -0.230, 0.148), 45: (0.688, -0.246, 0.239),
    48: (-0.497, 0.759, 0.211), 54: (0.497, 0.759, 0.211),
}
# fmt: on

HEAD_INDICES: tuple[int, ...] = tuple(_HEAD)
"""The landmarks used for the pose: brow ends, nose, eye corners and mouth corners, which move least."""

HEAD_POINTS: np.ndarray = np.array(list(_HEAD.values()))
HEAD_POINTS.setflags(write=False)
"""(17, 3): a generic head, in units of the distance between the eye centres. Our own: x and y are the mean face of
``align.py``; the depths come from a weak-perspective factorisation (Tomasi and Kanade 1992, with x and y held) over
the landmarks of 1,100 photographs of different adults at yaws of -21 to 25 degrees (5 % to 95 %), made symmetric. By
it the tip of the nose stands 0.71 units, about 44 mm, before the outer eye corners."""


@dataclass(frozen=True, slots=True)
class Pose:
    """Head pose; signs as in the module's convention."""

    yaw_degrees: float
    pitch_degrees: float
    roll_degrees: float


def head_pose(landmarks: np.ndarray, *, width: int, height: int) -> Pose:
    """The pose of the face with ``landmarks`` (68, 2) in a frame of ``width`` by ``height`` pixels.

    Solves the perspective-n-point problem (SQPnP, Terzakis and Lourakis, ECCV 2020) for the generic head. The focal
    length is assumed, so pitch and yaw of a face near the frame's edge are off by a few degrees.

    Raises:
        ValueError: ``landmarks`` are not (68, 2).
        NoFaceError: the landmarks fit no head, for example if they coincide.
    """
    if landmarks.shape != (NUM_LANDMARKS, 2):
        raise ValueError(f"landmarks must be ({NUM_LANDMARKS}, 2), got {landmarks.shape}")
    focal = float(max(width, height))
    camera = np.array([[focal, 0, (width - 1) / 2], [0, focal, (height - 1) / 2], [0, 0, 1]])
    image_points = np.ascontiguousarray(landmarks[list(HEAD_INDICES)], dtype=np.float64)
    try:
        found, turn, _shift = cv2.solvePnP(HEAD_POINTS, image_points, camera, None, flags=cv2.SOLVEPNP_SQPNP)
    except cv2.error as error:
        raise NoFaceError("the landmarks fit no head", hint="they may lie on one point or line") from error
    if not found or not np.isfinite(turn).all():
        raise NoFaceError("the landmarks fit no head", hint="they may lie on one point or line")
    return pose_of(cv2.Rodrigues(turn)[0])


def rotation(pose: Pose) -> np.ndarray:
    """(3, 3) rotation from the head's axes to the camera's: first roll, then pitch, then yaw."""
    yaw, pitch, roll = (math.radians(a) for a in (pose.yaw_degrees, pose.pitch_degrees, pose.roll_degrees))
    cy, sy, cp, sp, cr, sr = (
        math.cos(yaw),
        math.sin(yaw),
        math.cos(pitch),
        math.sin(pitch),
        math.cos(roll),
        math.sin(roll),
    )
    about_y = np.array([[cy, 0, -sy], [0, 1, 0], [sy, 0, cy]])
    about_x = np.array([[1, 0, 0], [0, cp, sp], [0, -sp, cp]])
    about_z = np.array([[cr, -sr, 0], [sr, cr, 0], [0, 0, 1]])
    return about_y @ about_x @ about_z


def pose_of(turn: np.ndarray) -> Pose:
    """The inverse of :func:`rotation`; roll is 0 where it is undefined, looking straight up or down."""
    forward = -turn[:, 2]
    yaw = math.degrees(math.atan2(forward[0], -forward[2]))
    pitch = math.degrees(math.asin(float(np.clip(-forward[1], -1, 1))))
    leaning = rotation(Pose(yaw, pitch, 0.0)).T @ turn
    return Pose(yaw, pitch, math.degrees(math.atan2(leaning[1, 0], leaning[0, 0])))


def sharpness(crop: np.ndarray) -> float:
    """Variance of the Laplacian in grey of (H, W, 3) uint8: 0 for a flat crop, larger for a sharper one.

    Comparable only between crops of one size and framing (Pech-Pacheco et al., ICPR 2000).
    """
    grey = cv2.cvtColor(crop, cv2.COLOR_RGB2GRAY)
    _mean, deviation = cv2.meanStdDev(cv2.Laplacian(grey, cv2.CV_32F))
    return float(deviation[0, 0] ** 2)
