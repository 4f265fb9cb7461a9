from __future__ import annotations

import dataclasses
from typing import get_args

import cv2
import numpy as np
import pytest

from detect.config.data import AugmentConfig, QualityChange
from detect.data.augment import augment_with_mask
from detect.data.quality import inner_face, quality_changed
from shared.errors import ConfigError
from shared.faces.align import mean_in_crop

CHANGES: tuple[QualityChange, ...] = get_args(QualityChange)
STILL = AugmentConfig(
    p_flip=0.0, p_affine=0.0, p_color=0.0, p_blur=0.0, p_downscale=0.0, p_noise=0.0, p_jpeg=0.0,
    p_video=0.0, p_reupload=0.0,
)  # fmt: skip


@pytest.fixture
def crop(rng: np.random.Generator) -> np.ndarray:
    """Coarse and fine texture of mean 128."""
    coarse = cv2.resize(rng.integers(60, 196, (12, 12, 3), np.uint8), (96, 96), interpolation=cv2.INTER_CUBIC)
    return np.clip(coarse + rng.normal(0, 8, (96, 96, 3)), 0, 255).astype(np.uint8)


def detail(crop: np.ndarray) -> float:
    """Mean square of the difference to a blurred copy."""
    fine = crop.astype(np.float32)
    return float(((fine - cv2.GaussianBlur(fine, (0, 0), 1.0)) ** 2).mean())


@pytest.mark.parametrize("change", CHANGES)
def test_a_change_is_one_of_sharpness_alone(crop: np.ndarray, change: QualityChange):
    before = crop.copy()
    made = [quality_changed(crop, np.random.default_rng(seed), (change,)) for seed in range(6)]
    np.testing.assert_array_equal(crop, before)
    np.testing.assert_array_equal(made[0], quality_changed(crop, np.random.default_rng(0), (change,)))
    for one in made:
        assert one.shape == crop.shape
        assert one.dtype == np.uint8
        assert one.mean() == pytest.approx(crop.mean(), abs=3)
        assert np.corrcoef(one.ravel(), crop.ravel())[0, 1] > 0.85
    changes = [detail(one) / detail(crop) for one in made]
    assert min(changes) > 1.1 if change == "sharp" else max(changes) < 1.1


def test_a_region_ends_the_change(crop: np.ndarray, rng: np.random.Generator):
    region = np.zeros((96, 96), np.float32)
    region[30:60, 30:60] = 1
    for change in CHANGES:
        made = quality_changed(crop, rng, (change,), region)
        np.testing.assert_array_equal(made[region == 0], crop[region == 0])
        assert (made != crop)[region == 1].any()


@pytest.mark.parametrize("framing", ["full", "whole", "head"])
def test_the_inner_face_lies_on_the_face_and_differs_from_draw_to_draw(framing):
    drawn = [inner_face(96, framing, np.random.default_rng(seed)) for seed in range(20)]
    nose = tuple(mean_in_crop(96, framing)[30].round().astype(int)[::-1])
    for region in drawn:
        assert region.shape == (96, 96)
        assert region.min() >= 0
        assert region.max() <= 1
        assert region[nose] > 0.8
    assert len({region.tobytes() for region in drawn}) == 20
    edges = [((region > 0.1) & (region < 0.9)).mean() for region in drawn]
    assert max(edges) > 3 * min(edges)  # hard and soft edges


def test_real_and_fake_get_the_same_draws(crop: np.ndarray):
    """Two pictures that differ by a grey step, the same seed: the same change in the same place."""
    config = dataclasses.replace(STILL, p_inner_quality=1.0, quality_changes=("soft", "sharp", "resampled"))
    dark = crop // 2
    for seed in range(5):
        one, two = (augment_with_mask(each, None, np.random.default_rng(seed), config)[0] for each in (dark, dark + 60))
        assert (one != dark).any()
        assert np.abs(two.astype(int) - one - 60).max() <= 2


@pytest.mark.parametrize("name", ["p_quality", "p_inner_quality", "p_jpeg_twice", "p_webp"])
def test_each_is_off_unless_asked_and_then_happens(crop: np.ndarray, name: str):
    assert getattr(AugmentConfig(), name) == 0
    asked = dataclasses.replace(STILL, **{name: 1.0})
    made = [augment_with_mask(crop, None, np.random.default_rng(seed), asked)[0] for seed in range(4)]
    for one in made:
        assert one.shape == crop.shape
        assert (one != crop).any()
        assert np.abs(one.astype(int) - crop).mean() < 20
    assert len({one.tobytes() for one in made}) == 4


def test_settings_that_were_there_keep_their_crops(crop: np.ndarray):
    """New settings left at 0 draw nothing: the same crop as with only the old ones, whatever is added."""
    for seed in range(8):
        plain, _ = augment_with_mask(crop, None, np.random.default_rng(seed), AugmentConfig())
        other = AugmentConfig(quality_changes=("soft",), p_alike=0.9)
        np.testing.assert_array_equal(augment_with_mask(crop, None, np.random.default_rng(seed), other)[0], plain)


def test_bad_settings_are_refused():
    for change in ({"p_quality": 1.1}, {"quality_changes": ()}, {"quality_changes": ("blunt",)}, {"p_webp": 0.5}):
        with pytest.raises(ConfigError):
            dataclasses.replace(AugmentConfig(), **change)
