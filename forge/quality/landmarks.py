"""Metrics of a fake's landmarks against the target's: pose, expression, blinks and mouth. Pure functions.

Convention:
    landmarks: (68, 2) frame pixels, iBUG order
    found: of the fake; wanted: of the target, same frame
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from shared.errors import NoFaceError
from shared.faces.align import map_points, similarity
from shared.faces.pose import head_pose, rotation

STABLE: tuple[int, ...] = (*range(27, 36), 36, 39, 42, 45)
"""Points that hardly move with expression: nose bridge and base, eye corners."""

MOVING: tuple[int, ...] = (*range(17, 27), 37, 38, 40, 41, 43, 44, 46, 47, *range(48, 68))
"""Points that move with expression: brows, lids, mouth; not the jaw line, which mainly shows the head's shape."""

_LEFT_EYE = (36, 37, 38, 39, 40, 41)
_RIGHT_EYE = (42, 43, 44, 45, 46, 47)
_MOUTH_WIDTH = (60, 64)
_MOUTH_HEIGHTS = ((61, 67), (62, 66), (63, 65))
_LEAST_PAIRS = 8
_STILL = 1e-4


def pose_error(found: np.ndarray, wanted: np.ndarray, *, width: int, height: int) -> float:
    """The angle of the rotation between both heads, in degrees, 0 to 180.

    Poses are those of :func:`shared.faces.pose.head_pose` in a frame of ``width`` by ``height``. NaN if
    one of them has none.
    """
    try:
        one, other = (rotation(head_pose(points, width=width, height=height)) for points in (found, wanted))
    except NoFaceError:
        return math.nan
    # By the chord: its arc sine is exact near 0, unlike the arc cosine of the trace.
    chord = float(np.linalg.norm(one - other)) / (2 * math.sqrt(2))
    return math.degrees(2 * math.asin(min(1.0, chord)))


def expression_error(found: np.ndarray, wanted: np.ndarray) -> float:
    """Mean distance of brows, lids and mouth from the target's, over the distance of the outer eye corners.

    After aligning the stable points of ``found`` to those of ``wanted`` by rotation, scale and shift (Procrustes,
    Umeyama 1991), so that position, size and roll are no error. NaN if the points coincide.
    """
    between = float(np.linalg.norm(wanted[45] - wanted[36]))
    stable = list(STABLE)
    if between <= 0 or np.ptp(found[stable], axis=0).max() <= 0:
        return math.nan
    laid = map_points(similarity(found[stable], wanted[stable]), np.asarray(found, np.float64))
    moving = list(MOVING)
    return float(np.linalg.norm(laid[moving] - wanted[moving], axis=1).mean()) / between


def eye_openness(landmarks: np.ndarray) -> float:
    """Eye aspect ratio, mean of both eyes: height over width, about 0.3 open and under 0.2 closed.

    Soukupova and Cech, "Real-time eye blink detection using facial landmarks", CVWW 2016, eq. 1. NaN if an
    eye has no width.
    """
    ratios = []
    for corners in (_LEFT_EYE, _RIGHT_EYE):
        p1, p2, p3, p4, p5, p6 = (landmarks[i] for i in corners)
        width = 2 * float(np.linalg.norm(p1 - p4))
        height = float(np.linalg.norm(p2 - p6) + np.linalg.norm(p3 - p5))
        ratios.append(height / width if width > 0 else math.nan)
    return float(np.mean(ratios))


def mouth_openness(landmarks: np.ndarray) -> float:
    """Mouth aspect ratio of the inner lips: mean height over width; 0 closed.

    NaN if the mouth has no width.
    """
    left, right = _MOUTH_WIDTH
    width = float(np.linalg.norm(landmarks[right] - landmarks[left]))
    heights = [float(np.linalg.norm(landmarks[low] - landmarks[high])) for high, low in _MOUTH_HEIGHTS]
    return float(np.mean(heights)) / width if width > 0 else math.nan


def motion_correlation(own: Sequence[float], wanted: Sequence[float]) -> float | None:
    """Pearson's r over time of a measure of the fake and of the target.

    Pairs with NaN are left out. 0 if the fake does not move although the target does; None with fewer than 8 pairs, and
    if the target does not move.

    Raises:
        ValueError: the lists differ in length.
    """
    pairs = np.array(list(zip(own, wanted, strict=True)), np.float64).reshape(-1, 2)
    pairs = pairs[np.isfinite(pairs).all(axis=1)]
    if len(pairs) < _LEAST_PAIRS or pairs[:, 1].std() < _STILL:
        return None
    if pairs[:, 0].std() < _STILL:
        return 0.0
    return float(np.corrcoef(pairs[:, 0], pairs[:, 1])[0, 1])
