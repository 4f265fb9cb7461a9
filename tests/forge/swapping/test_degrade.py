from __future__ import annotations

import numpy as np
import pytest

from forge.swapping.config import DegradeConfig
from forge.swapping.degrade import degraded, degraded_frame, denoised, noisy, quantised, resampled


def _rng() -> np.random.Generator:
    return np.random.default_rng(5)


def test_the_median_takes_a_dot_away_and_keeps_an_edge():
    picture = np.full((9, 9, 3), 100, np.float32)
    picture[:, 5:] = 200
    picture[4, 2] = 255
    clean = denoised(picture, 1)
    assert (clean[:, :5] == 100).all()
    assert (clean[:, 5:] == 200).all()


def test_resampling_keeps_shades_and_loses_what_is_finer():
    stripes = np.zeros((32, 32, 3), np.float32)
    stripes[:, ::2] = 200
    assert resampled(stripes, 2.0) == pytest.approx(100, abs=1)
    assert resampled(np.full((31, 17, 3), 77, np.float32), 3.0) == pytest.approx(77, abs=1e-3)
    assert resampled(stripes, 2.0).shape == stripes.shape


@pytest.mark.parametrize(("steps", "levels"), [(2, [0, 255]), (4, [0, 85, 170, 255]), (6, [0, 51, 102, 153, 204, 255])])
def test_colour_steps_are_even_and_the_nearest_is_taken(steps, levels):
    ramp = np.repeat(np.arange(256, dtype=np.float32)[None, :, None], 3, axis=2)
    result = quantised(ramp, steps)
    assert np.unique(result).tolist() == pytest.approx(levels)
    assert np.abs(result - ramp).max() <= 255 / (steps - 1) / 2 + 1e-3


def test_noise_has_the_stated_strength_and_is_the_same_again():
    flat = np.full((128, 128, 3), 128, np.float32)
    once, again = noisy(flat, 6.0, _rng()), noisy(flat, 6.0, _rng())
    assert once.std() == pytest.approx(6, rel=0.03)
    assert once.mean() == pytest.approx(128, abs=0.2)
    assert np.array_equal(once, again)
    assert np.corrcoef(once[..., 0].ravel(), once[..., 1].ravel())[0, 1] == pytest.approx(0, abs=0.05)


def test_the_order_is_fixed_and_nothing_is_done_unasked():
    picture = _rng().uniform(0, 255, (24, 24, 3)).astype(np.float32)
    assert degraded(picture, DegradeConfig(), _rng()) is picture
    assert DegradeConfig(color_steps=256).is_none
    every = degraded(picture, DegradeConfig(denoise=1, resample=1.5, color_steps=8, noise=2.0), _rng())
    by_hand = noisy(quantised(resampled(denoised(picture, 1), 1.5), 8), 2.0, _rng())
    assert np.array_equal(every, by_hand)
    frame = degraded_frame(picture.astype(np.uint8), DegradeConfig(color_steps=2), _rng())
    assert frame.dtype == np.uint8
    assert set(np.unique(frame)) == {0, 255}
