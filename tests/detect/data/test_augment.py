from __future__ import annotations

import dataclasses
import inspect
import time

import numpy as np
import pytest

from detect.config.data import AugmentConfig
from detect.data.augment import augment_with_mask
from detect.data.degrade import jpeg
from shared.errors import ConfigError

NOTHING = AugmentConfig(
    p_flip=0.0, p_affine=0.0, p_color=0.0, p_blur=0.0, p_downscale=0.0, p_noise=0.0, p_jpeg=0.0,
    p_video=0.0, p_reupload=0.0,
)  # fmt: skip


@pytest.fixture
def crop(rng: np.random.Generator) -> np.ndarray:
    """A smooth picture with a bright left side."""
    y, x = np.mgrid[0:64, 0:64].astype(np.float32)
    image = np.stack((220 - 2 * x, 90 + y, 60 + 0.5 * (x + y)), axis=2)
    return np.clip(image + rng.normal(0, 2, image.shape), 0, 255).astype(np.uint8)


def augment(crop: np.ndarray, rng: np.random.Generator, config: AugmentConfig) -> np.ndarray:
    return augment_with_mask(crop, None, rng, config)[0]


def only(**change: object) -> AugmentConfig:
    return dataclasses.replace(NOTHING, **change)  # type: ignore[arg-type]


def test_equal_seed_equal_crop_and_the_input_stays(crop: np.ndarray):
    before = crop.copy()
    first = augment(crop, np.random.default_rng(7), AugmentConfig())
    np.testing.assert_array_equal(first, augment(crop, np.random.default_rng(7), AugmentConfig()))
    np.testing.assert_array_equal(crop, before)
    others = [augment(crop, np.random.default_rng(seed), AugmentConfig()) for seed in range(8, 14)]
    assert all((other != first).any() for other in others)
    assert {(other.shape, other.dtype.name) for other in others} == {((64, 64, 3), "uint8")}


def test_nothing_chosen_changes_nothing(crop: np.ndarray, rng: np.random.Generator):
    np.testing.assert_array_equal(augment(crop, rng, NOTHING), crop)


def test_flip_mirrors_exactly(crop: np.ndarray, rng: np.random.Generator):
    np.testing.assert_array_equal(augment(crop, rng, only(p_flip=1.0)), crop[:, ::-1])


def test_flip_inside_the_warp_is_the_same_mirror(crop: np.ndarray, rng: np.random.Generator):
    config = only(p_flip=1.0, p_affine=1.0, rotate_degrees=0.0, scale=0.0, shift=0.0)
    assert np.abs(augment(crop, rng, config).astype(int) - crop[:, ::-1]).max() <= 1


def test_a_shift_reflects_the_border_instead_of_blackening_it(crop: np.ndarray):
    config = only(p_affine=1.0, shift=0.3, rotate_degrees=10.0)
    for seed in range(10):
        assert augment(crop, np.random.default_rng(seed), config).min() > 30


def test_colour_moves_the_mean_and_hue_leaves_grey_alone(crop: np.ndarray, rng: np.random.Generator):
    assert np.abs(augment(crop, rng, only(p_color=1.0)).astype(int) - crop).mean() > 1
    grey = np.full((16, 16, 3), 120, np.uint8)
    config = only(p_color=1.0, brightness=0.0, contrast=0.0, hue_degrees=90.0, saturation=0.9)
    assert np.abs(augment(grey, rng, config).astype(int) - 120).max() <= 1


@pytest.mark.parametrize("change", [{"p_blur": 1.0, "blur_sigma_px": 3.0}, {"p_downscale": 1.0, "downscale": 6.0}])
def test_blur_and_loss_of_resolution_remove_detail(rng: np.random.Generator, change: dict):
    noise = rng.integers(0, 256, (64, 64, 3), np.uint8)
    worst = min(
        np.diff(augment(noise, np.random.default_rng(seed), only(**change)).astype(float), axis=0).std()
        for seed in range(8)
    )
    assert worst < 0.5 * np.diff(noise.astype(float), axis=0).std()


def test_noise_adds_detail_and_is_unbiased():
    grey = np.full((64, 64, 3), 128, np.uint8)
    noisy = augment(grey, np.random.default_rng(1), only(p_noise=1.0, noise_levels=10.0)).astype(float)
    assert 0 < noisy.std() < 11
    assert abs(noisy.mean() - 128) < 0.5


def test_jpeg_costs_more_at_lower_quality_and_keeps_channels(crop: np.ndarray):
    low, high = (np.abs(jpeg(crop, quality).astype(float) - crop).mean() for quality in (10, 95))
    assert high < low
    assert high < 4  # swapped channels would differ by tens of levels


def test_augmentation_cannot_see_the_label():
    assert "label" not in inspect.signature(augment_with_mask).parameters


def test_bad_settings_are_refused():
    for change in (
        {"p_jpeg": 1.5},
        {"jpeg_quality": (90, 40)},
        {"downscale": 0.5},
        {"shift": 0.6},
        {"hue_degrees": -6.0},
    ):
        with pytest.raises(ConfigError):
            dataclasses.replace(AugmentConfig(), **change)


def test_it_keeps_up_with_training(crop: np.ndarray):
    large = np.ascontiguousarray(np.tile(crop, (4, 4, 1))[:224, :224])
    started = time.thread_time()
    for seed in range(50):
        augment(large, np.random.default_rng(seed), AugmentConfig())
    assert (time.thread_time() - started) / 50 < 0.05


def test_the_mask_moves_with_the_crop(crop: np.ndarray):
    """A dark square in the crop and its mask at half the size stay on each other."""
    picture = np.full((64, 64, 3), 200, np.uint8)
    picture[16:32, 20:44] = 0
    mask = np.zeros((32, 32), np.float32)
    mask[8:16, 10:22] = 1
    config = only(p_flip=0.5, p_affine=1.0, rotate_degrees=8.0, scale=0.1, shift=0.08)
    for seed in range(6):
        moved, its = augment_with_mask(picture, mask, np.random.default_rng(seed), config)
        dark = moved[..., 0].reshape(32, 2, 32, 2).mean((1, 3)) < 100
        agreed = (dark & (its > 0.5)).sum() / (dark | (its > 0.5)).sum()
        assert agreed > 0.8


def test_equal_generators_change_two_crops_alike(crop: np.ndarray):
    """The second half of a pair differs by the same grey step after any damage that does not compress."""
    config = only(p_flip=0.5, p_affine=1.0, p_blur=1.0, p_noise=1.0, noise_levels=4.0)
    for seed in range(4):
        one = augment(crop // 2, np.random.default_rng(seed), config).astype(int)
        two = augment(crop // 2 + 60, np.random.default_rng(seed), config).astype(int)
        inner = (two - one)[8:-8, 8:-8]
        assert abs(np.median(inner) - 60) <= 1
        assert np.abs(inner - 60).max() <= 8  # clipped noise


def test_one_way_of_compressing_at_most(crop: np.ndarray):
    with pytest.raises(ConfigError, match="sum is at most 1"):
        AugmentConfig(p_jpeg=0.6, p_video=0.5)
