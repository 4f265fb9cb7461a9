from __future__ import annotations

import math

import cv2
import numpy as np
import pytest

from forge.quality.boundary import (
    around,
    color_step,
    flicker_compensated,
    flows,
    inside_replaced,
    ssim_outside,
)

H, W, PX = 96, 128, 64


@pytest.fixture
def frame(rng) -> np.ndarray:
    return cv2.GaussianBlur(rng.integers(0, 256, (H, W, 3)).astype(np.uint8), (0, 0), 2.0)


@pytest.fixture
def alpha() -> np.ndarray:
    mask = np.zeros((H, W), np.float32)
    cv2.ellipse(mask, (60, 48), (22, 28), 0, 0, 360, 1, -1)
    return np.round(cv2.GaussianBlur(mask, (0, 0), 1.5) * 255).astype(np.uint8)


def test_what_happens_inside_the_mask_is_not_outside(frame, alpha):
    pasted = np.where(alpha[..., None] > 0, 255 - frame, frame)
    assert ssim_outside(frame, frame, alpha) == pytest.approx(1)
    assert ssim_outside(pasted, frame, alpha) == pytest.approx(1)
    assert np.array_equal(inside_replaced(pasted, frame, alpha), frame)


def test_what_happens_outside_is_seen(frame, alpha):
    blurred = cv2.GaussianBlur(frame, (0, 0), 3.0)
    assert ssim_outside(blurred, frame, alpha) < 0.8
    kept = inside_replaced(blurred, frame, alpha)
    assert np.array_equal(kept[48, 60], frame[48, 60])
    assert np.array_equal(kept[5, 5], blurred[5, 5])


def test_no_mask_and_a_mask_of_everything_leave_nothing_to_measure(frame):
    for value in (0, 255):
        mask = np.full((H, W), value, np.uint8)
        assert math.isnan(ssim_outside(frame, frame, mask))
        assert math.isnan(color_step(frame, frame, mask))
    assert around(np.zeros((H, W), np.uint8)) is None


def test_the_box_of_a_mask_grows_by_half_of_it_and_stays_inside():
    mask = np.zeros((100, 100), np.uint8)
    mask[40:60, 5:25] = 255
    rows, columns = around(mask)
    assert (rows.start, rows.stop) == (30, 71)
    assert (columns.start, columns.stop) == (0, 36)


def test_a_hue_step_is_its_distance_in_lab(alpha):
    skin, ruddy = np.array([200, 160, 140], np.uint8), np.array([200, 150, 140], np.uint8)
    target = np.broadcast_to(skin, (H, W, 3)).copy()
    fake = np.where(alpha[..., None] > 127, ruddy, target)
    lab = cv2.cvtColor(np.stack([skin, ruddy])[None].astype(np.float32) / 255, cv2.COLOR_RGB2LAB)[0]
    expected = float(np.linalg.norm(lab[0] - lab[1]))
    assert expected > 3
    assert color_step(fake, target, alpha) == pytest.approx(expected, rel=1e-4)
    assert color_step(target, target, alpha) == 0


def test_opposite_steps_on_both_sides_do_not_cancel(alpha):
    target = np.full((H, W, 3), 128, np.uint8)
    shift = np.where(np.arange(W) < 60, 20, -20)[None, :, None]
    fake = np.where(alpha[..., None] > 127, target + shift, target).astype(np.uint8)
    assert color_step(fake, target, alpha) > 6


def test_light_that_changes_alike_inside_and_out_is_no_step(frame, alpha):
    target = (frame // 2 + 40).astype(np.uint8)
    rng = np.random.default_rng(0)
    grey = np.repeat(target[..., :1], 3, axis=2)
    lighter = grey + np.uint8(20)
    pasted = np.where(alpha[..., None] > 127, grey + np.uint8(rng.integers(20, 21)), lighter)
    assert color_step(pasted, grey, alpha) < 1.5


def _moving(rng: np.random.Generator) -> list[np.ndarray]:
    big = cv2.GaussianBlur(rng.integers(0, 256, (PX + 16, PX + 16, 3)).astype(np.uint8), (0, 0), 3.0)
    return [big[8 : 8 + PX, 4 + 2 * i : 4 + 2 * i + PX].copy() for i in range(3)]


def test_motion_is_no_flicker_and_trembling_light_is(rng):
    before, now, after = _moving(rng)
    mask = np.zeros((PX, PX), np.float32)
    mask[12:52, 12:52] = 1
    moved = flows(before, now, after)
    still = flicker_compensated(before, now, after, mask, moved)
    assert still < 1.5
    brighter = np.clip(now.astype(int) // 2 + 70, 0, 255).astype(np.uint8)
    calm = [np.clip(one.astype(int) // 2 + 60, 0, 255).astype(np.uint8) for one in (before, after)]
    assert flicker_compensated(calm[0], brighter, calm[1], mask, moved) == pytest.approx(10, abs=1.0)


def test_small_crops_are_taken_not_to_move():
    small = np.zeros((8, 8, 3), np.uint8)
    assert not flows(small, small, small)[0].any()
