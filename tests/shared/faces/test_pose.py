from __future__ import annotations

import numpy as np
import pytest

from shared.errors import NoFaceError
from shared.faces.align import mean_in_crop
from shared.faces.pose import HEAD_INDICES, HEAD_POINTS, Pose, head_pose, pose_of, rotation, sharpness

WIDTH, HEIGHT = 640, 480


def photograph(pose: Pose, at: tuple[float, float, float] = (0.4, -0.3, 10.0)) -> np.ndarray:
    """Landmarks of the generic head, turned by ``pose``, through a camera of focal length WIDTH."""
    head = HEAD_POINTS @ rotation(pose).T + at
    landmarks = np.zeros((68, 2))
    centre = [(WIDTH - 1) / 2, (HEIGHT - 1) / 2]
    landmarks[list(HEAD_INDICES)] = head[:, :2] / head[:, 2:] * WIDTH + centre
    return landmarks


@pytest.mark.parametrize("yaw", [-50, -15, 0, 30])
@pytest.mark.parametrize("pitch", [-25, 0, 20])
@pytest.mark.parametrize("roll", [-30, 0, 45])
def test_known_turns_are_read_back(yaw, pitch, roll):
    found = head_pose(photograph(Pose(yaw, pitch, roll)), width=WIDTH, height=HEIGHT)
    assert (found.yaw_degrees, found.pitch_degrees, found.roll_degrees) == pytest.approx((yaw, pitch, roll), abs=1e-3)


def test_signs_by_looking():
    straight = photograph(Pose(0, 0, 0), (0, 0, 10))
    nose, eye = 30, 36
    to_the_right = photograph(Pose(30, 0, 0), (0, 0, 10))
    assert to_the_right[nose, 0] > straight[nose, 0] + 10
    up = photograph(Pose(0, 30, 0), (0, 0, 10))
    assert up[nose, 1] < straight[nose, 1] - 10
    clockwise = photograph(Pose(0, 0, 30), (0, 0, 10))
    assert clockwise[eye, 1] < clockwise[45, 1] - 10


def test_noise_of_a_pixel_moves_the_pose_by_few_degrees(rng):
    truth = Pose(20, -10, 5)
    errors = []
    for _ in range(20):
        noisy = photograph(truth) + rng.normal(0, 1.0, (68, 2))
        found = head_pose(noisy, width=WIDTH, height=HEIGHT)
        errors.append(abs(found.yaw_degrees - 20) + abs(found.pitch_degrees + 10) + abs(found.roll_degrees - 5))
    assert np.mean(errors) < 6


def test_mean_face_looks_straight_ahead():
    found = head_pose(mean_in_crop(256, "whole"), width=256, height=256)
    assert abs(found.yaw_degrees) < 1e-6
    assert abs(found.roll_degrees) < 1e-6
    assert abs(found.pitch_degrees) < 12


def test_pose_of_inverts_rotation():
    pose = pose_of(rotation(Pose(-35, 25, 170)))
    assert (pose.yaw_degrees, pose.pitch_degrees, pose.roll_degrees) == pytest.approx((-35, 25, 170))


def test_points_in_one_place_are_no_head():
    with pytest.raises(NoFaceError):
        head_pose(np.zeros((68, 2)), width=64, height=64)
    with pytest.raises(ValueError, match="68"):
        head_pose(np.zeros((5, 2)), width=64, height=64)


def test_sharpness_by_hand():
    # One white pixel on black: the Laplacian is -4 * 255 there, 255 at four neighbours; over 7 * 7 pixels its
    # mean is 0 and its variance (16 + 4) * 255^2 / 49.
    crop = np.zeros((7, 7, 3), np.uint8)
    assert sharpness(crop) == 0
    crop[3, 3] = 255
    assert sharpness(crop) == pytest.approx(20 * 255**2 / 49, rel=1e-5)


def test_blur_lowers_sharpness(rng):
    crop = rng.integers(0, 255, (32, 32, 3), dtype=np.uint8)
    blurred = ((crop.astype(int) + np.roll(crop, 1, 0) + np.roll(crop, 1, 1)) // 3).astype(np.uint8)
    assert sharpness(blurred) < 0.5 * sharpness(crop)
