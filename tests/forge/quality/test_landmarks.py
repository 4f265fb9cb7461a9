from __future__ import annotations

import math

import numpy as np
import pytest

from forge.quality.landmarks import (
    MOVING,
    STABLE,
    expression_error,
    eye_openness,
    motion_correlation,
    mouth_openness,
    pose_error,
)
from shared.faces.align import MEAN_FACE
from shared.faces.pose import HEAD_INDICES, HEAD_POINTS, Pose, rotation

FACE = MEAN_FACE * 100 + 60
BETWEEN = float(np.linalg.norm(FACE[45] - FACE[36]))


def turned(pose: Pose) -> np.ndarray:
    """Landmarks of the generic head, exactly as its camera sees it in a frame of 256 px."""
    head = HEAD_POINTS @ rotation(pose).T + np.array([0.0, 0.0, 8.0])
    landmarks = np.zeros((68, 2))
    landmarks[list(HEAD_INDICES)] = head[:, :2] / head[:, 2:] * 256 + 127.5
    return landmarks


def test_pose_error_is_the_angle_between_the_heads():
    ahead = turned(Pose(0, 0, 0))
    assert pose_error(ahead, ahead, width=256, height=256) == 0
    for pose in (Pose(10, 0, 0), Pose(0, 10, 0), Pose(0, 0, 10)):
        assert pose_error(turned(pose), ahead, width=256, height=256) == pytest.approx(10, abs=0.05)


def test_points_without_a_pose_have_no_error():
    assert math.isnan(pose_error(np.zeros((68, 2)), turned(Pose(0, 0, 0)), width=256, height=256))


def test_a_face_that_is_elsewhere_larger_and_leaning_has_the_same_expression():
    angle = 0.3
    turn = 1.7 * np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    assert expression_error(FACE @ turn.T + 40, FACE) == pytest.approx(0, abs=1e-9)


def test_a_mouth_three_pixels_lower_is_its_share_of_the_moving_points():
    lower = FACE.copy()
    lower[48:68, 1] += 3
    assert expression_error(lower, FACE) == pytest.approx(3 * 20 / len(MOVING) / BETWEEN)
    assert not set(STABLE) & set(MOVING)


def test_points_that_are_one_have_no_expression():
    assert math.isnan(expression_error(np.zeros((68, 2)), FACE))
    assert math.isnan(expression_error(FACE, np.zeros((68, 2))))


def test_openness_by_hand():
    face = np.zeros((68, 2))
    for start in (36, 42):
        face[start : start + 6] = [[0, 0], [1, -0.5], [3, -0.5], [4, 0], [3, 0.5], [1, 0.5]]
    face[60:68] = [[0, 0], [2, -1], [4, -1], [6, -1], [8, 0], [6, 1], [4, 1], [2, 1]]
    assert eye_openness(face) == pytest.approx((1 + 1) / (2 * 4))
    assert mouth_openness(face) == pytest.approx(2 / 8)
    assert math.isnan(eye_openness(np.zeros((68, 2))))
    assert math.isnan(mouth_openness(np.zeros((68, 2))))


def test_a_mouth_that_follows_correlates_and_a_frozen_one_does_not():
    wanted = [math.sin(0.5 * i) for i in range(30)]
    assert motion_correlation([0.5 * value + 3 for value in wanted], wanted) == pytest.approx(1)
    assert motion_correlation([-value for value in wanted], wanted) == pytest.approx(-1)
    assert motion_correlation([0.2] * 30, wanted) == 0.0
    assert motion_correlation(wanted, [0.2] * 30) is None
    assert motion_correlation(wanted[:7], wanted[:7]) is None
    assert motion_correlation([math.nan, *wanted], [5.0, *wanted]) == pytest.approx(1)
    with pytest.raises(ValueError, match="zip"):
        motion_correlation([1.0], [1.0, 2.0])
