"""What is carried over is motion: nobody's proportions, and nothing outside the region."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from forge.reenacting.config import ReenactConfig, StrengthConfig
from forge.reenacting.performance import Performance
from forge.reenacting.shape import mouth_opening
from forge.reenacting.transfer import LIPS, aligned_drive, plan_drive
from shared.errors import UsageError
from tests.forge.reenacting.conftest import FRAMES, performance, talking

CONFIG = ReenactConfig(regions=("mouth",), fade_seconds=0)


def _still(frames: int = FRAMES, *, size: float = 60.0, left: float = 20.0) -> Performance:
    """A larger face that keeps its mouth shut."""
    acted = performance(frames=frames, size=size, left=left)
    acted.landmarks[:] = acted.landmarks[0]
    return acted


def _opening(driven, points: np.ndarray) -> float:
    return mouth_opening(driven.placement.frontal(points))


def test_a_shut_mouth_opens_as_the_driver_opens_his():
    plan = plan_drive(_still(), performance(), range(FRAMES), CONFIG)
    openings = [_opening(plan.frames[frame], plan.frames[frame].drive) for frame in range(7)]
    assert openings[0] == pytest.approx(0.002, abs=2e-3)
    assert openings[3] == pytest.approx(0.122, abs=5e-3)
    assert openings[6] == pytest.approx(0.002, abs=2e-3)
    assert plan.neutral % 6 == 0


def test_a_clip_that_drives_itself_stays_as_it_is():
    acted = performance()
    plan = plan_drive(acted, acted, range(FRAMES), replace(CONFIG, regions=("mouth", "brows", "eyes", "tilt")))
    for driven in plan.frames.values():
        np.testing.assert_allclose(driven.drive, driven.source, atol=1e-6)
        assert driven.driver == driven.frame


def test_points_outside_the_region_do_not_move_at_all():
    plan = plan_drive(_still(), performance(), range(FRAMES), CONFIG)
    driven = plan.frames[3]
    moved = np.flatnonzero((driven.drive != driven.source).any(axis=1)).tolist()
    assert set(moved) <= {*LIPS, *range(4, 13)}
    assert set(LIPS[7:12]) <= set(moved)


def test_strength_scales_the_motion_and_replacing_removes_the_targets_own():
    still, acted = _still(), performance()
    half = plan_drive(still, acted, [3], replace(CONFIG, strength=StrengthConfig(mouth=0.5))).frames[3]
    assert _opening(half, half.drive) == pytest.approx(0.062, abs=5e-3)
    # A mouth that talks, driven by one that does not, is shut; with its motion added it goes on talking.
    silent = plan_drive(acted, still, [3], CONFIG).frames[3]
    assert _opening(silent, silent.drive) < 0.01
    added = plan_drive(acted, still, [3], replace(CONFIG, motion="add")).frames[3]
    np.testing.assert_allclose(added.drive, added.source, atol=1e-6)


def test_the_motion_sets_in_slowly_where_frames_before_are_left():
    plan = plan_drive(_still(), performance(), range(8, FRAMES), replace(CONFIG, fade_seconds=0.2))
    weights = [plan.frames[frame].weight for frame in (8, 10, 13, FRAMES - 1)]
    assert 0 < weights[0] < weights[1] < weights[2] == weights[3] == 1


def test_frames_beyond_the_driver_are_left_and_counted():
    plan = plan_drive(_still(), performance(), range(FRAMES), replace(CONFIG, offset_seconds=0.48))
    assert sorted(plan.frames) == list(range(12))
    assert plan.outside == 12
    assert plan.frames[0].driver == 12
    with pytest.raises(UsageError, match="shows no face at the time"):
        plan_drive(_still(), performance(), range(FRAMES), replace(CONFIG, offset_seconds=9.0))


def test_a_driver_of_another_rate_is_read_between_its_frames():
    driver = performance()
    driver = replace(driver, seconds=driver.seconds * 25 / 30)
    plan = plan_drive(_still(), driver, range(10), CONFIG)
    assert plan.frames[1].driver == pytest.approx(1.2)
    openings = [_opening(plan.frames[frame], plan.frames[frame].drive) for frame in (1, 2)]
    assert openings[0] < openings[1]


def test_heads_that_are_turned_apart_are_refused_and_single_frames_left():
    with pytest.raises(UsageError, match="turned more than 15 degrees apart"):
        plan_drive(_still(), performance(yaw=40), range(FRAMES), CONFIG)
    driver = performance()
    driver.yaw[10:14] = 30
    plan = plan_drive(_still(), driver, range(FRAMES), replace(CONFIG, fade_seconds=0.2))
    assert plan.apart == 4
    assert not set(range(10, 14)) & set(plan.frames)
    assert plan.frames[9].weight < 1


def test_an_eye_opens_no_wider_than_a_warp_can_make_it_and_lips_do_not_cross():
    driver = performance()
    driver.landmarks[5, [37, 38, 43, 44], 1] -= 8
    driver.landmarks[5, [67, 66, 65], 1] -= 30
    plan = plan_drive(_still(), driver, [5], replace(CONFIG, regions=("mouth", "eyes")))
    driven = plan.frames[5]
    before, after = (driven.placement.frontal(points) for points in (driven.source, driven.drive))
    for upper, lower in ((37, 41), (43, 47)):
        assert after[lower, 1] - after[upper, 1] <= 1.26 * (before[lower, 1] - before[upper, 1])
    assert (after[[67, 66, 65], 1] >= after[[61, 62, 63], 1] - 1e-9).all()


def test_tilt_turns_every_point_and_is_cut():
    driver = performance()
    angle = np.radians(20)
    turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    driver.landmarks[7] = driver.landmarks[7] @ turn
    driven = plan_drive(_still(), driver, [7], replace(CONFIG, regions=("tilt",), neutral=0)).frames[7]
    assert driven.tilt_degrees == pytest.approx(8.0)
    arm = driven.drive[27] - driven.drive[33]
    before = driven.source[27] - driven.source[33]
    turned = np.degrees(np.arctan2(*arm[::-1]) - np.arctan2(*before[::-1]))
    assert turned == pytest.approx(8.0, abs=1e-6)


def test_a_decoded_face_is_where_the_drivers_landmarks_lie_on_the_target():
    driver = performance()
    plan = aligned_drive(plan_drive(_still(), driver, [3], CONFIG), driver)
    expected = talking(3, size=60.0, left=20.0)
    # Both faces are the mean face, so only the size and the place differ.
    assert np.abs(plan.frames[3].drive - expected)[17:].max() < 4
