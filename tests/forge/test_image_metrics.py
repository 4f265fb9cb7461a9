from __future__ import annotations

import cv2
import numpy as np
import pytest

from forge.image_metrics import Spread, flicker, landmark_distance, seam_ratio, sharpness_ratio, ssim
from shared.faces.align import MEAN_FACE

PX = 64


@pytest.fixture
def crop(rng) -> np.ndarray:
    return cv2.GaussianBlur(rng.random((PX, PX, 3), dtype=np.float32), (0, 0), 1.5)


@pytest.fixture
def whole() -> np.ndarray:
    return np.ones((PX, PX), np.float32)


def test_spread_of_five_numbers_by_hand():
    assert Spread.of([9.0, 1.0, 3.0, 2.0, 4.0, float("nan")]) == Spread(5, 3.0, 2.0, 4.0, 3.8)
    assert Spread.of([float("nan")]) is None


def test_ssim_is_one_for_itself_and_falls_with_noise_and_shift(crop, rng):
    noisy = np.clip(crop + rng.normal(0, 0.05, crop.shape), 0, 1).astype(np.float32)
    shifted = np.roll(crop, 3, axis=1)
    assert ssim(crop, crop) == pytest.approx(1.0, abs=1e-6)
    assert ssim(crop, shifted) < ssim(crop, noisy) < 0.99


def test_ssim_of_two_flat_pictures_is_the_luminance_term_by_hand():
    a, b = np.full((PX, PX, 3), 0.5, np.float32), np.full((PX, PX, 3), 0.25, np.float32)
    assert ssim(a, b) == pytest.approx((2 * 0.5 * 0.25 + 1e-4) / (0.25 + 0.0625 + 1e-4), abs=1e-5)


def test_ssim_inside_a_mask_does_not_see_the_rest(crop, rng):
    other = crop.copy()
    other[:, 40:] = rng.random((PX, 24, 3))
    mask = np.zeros((PX, PX), np.float32)
    mask[:, :30] = 1
    assert ssim(crop, other, mask) == pytest.approx(1.0, abs=1e-5)
    assert ssim(crop, other) < 0.8
    assert np.isnan(ssim(crop, other, np.zeros((PX, PX), np.float32)))


def test_bytes_and_floats_are_the_same_picture(crop):
    assert ssim((crop * 255).round().astype(np.uint8), crop) > 0.999


def test_sharpness_ratio_is_the_square_of_contrast_and_falls_with_blur(crop, whole):
    assert sharpness_ratio(crop, crop, whole) == pytest.approx(1.0)
    half = (crop - crop.mean()) / 2 + crop.mean()
    assert sharpness_ratio(half, crop, whole) == pytest.approx(0.25, rel=1e-3)
    assert sharpness_ratio(cv2.GaussianBlur(crop, (0, 0), 2.0), crop, whole) < 0.3
    assert np.isnan(sharpness_ratio(crop, np.full_like(crop, 0.5), whole))


def test_sharpness_outside_the_mask_does_not_count(crop, whole):
    mask = np.zeros((PX, PX), np.float32)
    mask[8:40, 8:40] = 1
    other = crop.copy()
    other[44:] = 0
    assert sharpness_ratio(other, crop, mask) == pytest.approx(1.0)
    assert np.isnan(sharpness_ratio(crop, crop, np.zeros((PX, PX), np.float32)))


def test_landmarks_three_pixels_off_are_three_over_the_eye_distance():
    landmarks = (MEAN_FACE * 100).astype(np.float32)
    between = 100 * np.linalg.norm(MEAN_FACE[45] - MEAN_FACE[36])
    assert landmark_distance(landmarks + np.array([3, 0]), landmarks) == pytest.approx(3 / between, rel=1e-5)
    assert landmark_distance(landmarks, landmarks) == 0


def _disc(soft: float) -> np.ndarray:
    alpha = np.zeros((PX, PX), np.float32)
    cv2.circle(alpha, (32, 32), 18, 1.0, -1)
    return np.round(cv2.GaussianBlur(alpha, (0, 0), soft) * 255).astype(np.uint8)


def test_a_hard_pasted_edge_is_a_seam_and_the_untouched_frame_is_none():
    frame = np.full((PX, PX, 3), 120, np.uint8)
    alpha = _disc(1.5)
    pasted = np.where(alpha[..., None] > 127, 180, frame).astype(np.uint8)
    assert seam_ratio(frame, frame, alpha) == pytest.approx(1.0)
    assert seam_ratio(pasted, frame, alpha) > 5
    assert np.isnan(seam_ratio(frame, frame, np.zeros((PX, PX), np.uint8)))


def test_a_softer_edge_is_less_of_a_seam():
    frame = np.full((PX, PX, 3), 120, np.uint8)

    def with_edge(soft: float) -> float:
        alpha = _disc(soft)
        mixed = frame + (alpha[..., None] / 255) * 60.0
        return seam_ratio(mixed.round().astype(np.uint8), frame, alpha)

    assert with_edge(4.0) < with_edge(1.0)


def test_flicker_of_a_blinking_light_is_its_swing_and_of_a_steady_change_nothing(crop, whole):
    step = np.float32(4 / 255)
    assert flicker(crop, crop, crop, whole) == pytest.approx(0.0, abs=1e-4)
    assert flicker(crop, crop + step, crop, whole) == pytest.approx(4.0, abs=0.01)
    assert flicker(crop, crop + step, crop + 2 * step, whole) == pytest.approx(0.0, abs=0.01)
    assert np.isnan(flicker(crop, crop, crop, np.zeros((PX, PX), np.float32)))
