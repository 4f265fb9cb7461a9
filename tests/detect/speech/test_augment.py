"""Changes of sound in training: they keep length and range, follow their chances, and come from the seed."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from detect.speech.augment import AugmentConfig, at_level, augmented
from detect.speech.contract import RATE
from shared.errors import ConfigError
from tests.detect.speech.conftest import voice

NOTHING = AugmentConfig(0, 0, 0, 0, 0, 0)


@pytest.mark.parametrize("name", [field.name for field in dataclasses.fields(AugmentConfig)])
def test_each_change_keeps_length_and_range_and_changes_something(name):
    samples = voice(0)
    config = dataclasses.replace(NOTHING, **{name: 1.0})
    changed = augmented(samples, config, np.random.default_rng(1))
    assert changed.shape == samples.shape
    assert changed.dtype == np.float32
    assert np.abs(changed).max() <= 1
    assert (changed == augmented(samples, config, np.random.default_rng(1))).all()
    shape = at_level(changed.astype(np.float64), -20) - at_level(samples.astype(np.float64), -20)
    assert np.sqrt(np.mean(shape**2)) > 1e-3


def test_without_changes_only_the_level_is_another():
    samples = voice(0)
    changed = augmented(samples, NOTHING, np.random.default_rng(0))
    assert np.corrcoef(changed, samples)[0, 1] == pytest.approx(1, abs=1e-6)
    level = 10 * np.log10(np.mean(changed.astype(np.float64) ** 2))
    assert -36.5 <= level <= -14


def test_a_band_takes_away_what_is_above_it():
    samples = np.random.default_rng(0).normal(0, 0.1, RATE).astype(np.float32)
    changed = augmented(samples, dataclasses.replace(NOTHING, band=1.0), np.random.default_rng(0))
    power = np.abs(np.fft.rfft(changed)) ** 2
    assert power[-200:].mean() < 1e-3 * power[:2000].mean()


def test_silence_stays_silent_and_a_chance_is_a_chance():
    everything = AugmentConfig(1, 1, 1, 1, 1, 1)
    assert np.isfinite(augmented(np.zeros(RATE, np.float32), everything, np.random.default_rng(0))).all()
    with pytest.raises(ConfigError, match=r"augment\.noise is a chance"):
        AugmentConfig(noise=1.5)
