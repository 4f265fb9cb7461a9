from __future__ import annotations

import cv2
import numpy as np
import pytest

from detect.calibration.crop_quality import block_power, crop_quality, detail, grain
from detect.data.degrade import coded, jpeg


@pytest.fixture(scope="module")
def crop() -> np.ndarray:
    """(192, 192, 3) uint8: blurred noise, shapes and grain."""
    rng = np.random.default_rng(3)
    rough = cv2.GaussianBlur(rng.normal(0, 60, (192, 192)), (0, 0), 4) + 120
    cv2.circle(rough, (96, 96), 60, 180.0, 3)
    rough += cv2.GaussianBlur(rng.normal(0, 6, rough.shape), (0, 0), 0.7)
    return np.repeat(np.clip(rough, 0, 255).astype(np.uint8)[..., None], 3, axis=2)


def luma(image: np.ndarray) -> np.ndarray:
    return image[..., 0].astype(np.float32)


def test_a_blur_takes_detail_and_grain(crop):
    soft = cv2.GaussianBlur(crop, (0, 0), 2.0)
    assert detail(luma(soft)) < 0.7 * detail(luma(crop))
    assert grain(luma(soft)) < 0.5 * grain(luma(crop))
    assert 0 < detail(luma(crop)) < 1
    assert detail(np.full((64, 64), 9, np.float32)) == grain(np.full((64, 64), 9, np.float32)) == 0


def test_the_grain_of_white_noise_is_its_deviation():
    noise = np.random.default_rng(0).normal(100, 5, (256, 256)).astype(np.float32)
    assert grain(noise) == pytest.approx(5, rel=0.03)


def test_compression_takes_grain(crop):
    found = [grain(luma(coded(crop, crf))) for crf in (18, 28, 40)]
    assert found == sorted(found, reverse=True)
    assert found[2] < 0.6 * grain(luma(crop))


@pytest.mark.parametrize("scale", [0.6, 1.0, 1.3])
def test_a_grid_of_blocks_is_seen_at_the_scale_of_the_crop(crop, scale):
    size = round(192 * scale), round(192 * scale)
    resize = [cv2.resize(image, size, interpolation=cv2.INTER_LINEAR) for image in (crop, jpeg(crop, 15))]
    clean, blocky = (block_power(luma(image), scale) for image in resize)
    assert clean is not None
    assert blocky is not None
    assert clean < 3
    assert blocky > 6 * clean


def test_no_grid_can_be_seen_in_a_crop_that_is_too_small_for_it(crop):
    assert block_power(luma(crop), 0.3) is None
    assert block_power(luma(crop), 0.0) is None
    assert block_power(luma(crop)[:20, :20], 1.0) is None


def test_a_clip_has_the_median_of_its_crops(crop):
    soft = cv2.GaussianBlur(crop, (0, 0), 2.0)
    found = crop_quality([(crop, 0.2), (soft, 0.2), (crop, 0.2)])
    assert found is not None
    assert (found.detail, found.grain, found.blocks) == (detail(luma(crop)), grain(luma(crop)), None)
    assert crop_quality([]) is None
