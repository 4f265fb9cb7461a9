"""Level, channel and rate of a sound do not change what the network hears."""

from __future__ import annotations

import numpy as np

from forge.reenacting.lipsync.features import BANDS, STEPS, features_of, loudness_of, spectrum_of
from shared.audio.rates import change_rate
from shared.audio.sound import Sound, limited
from tests.forge.reenacting.conftest import syllables


def test_a_row_is_a_step_of_20_ms():
    assert features_of(spectrum_of(syllables(2.0))).shape == (2 * STEPS + 1, BANDS)
    assert STEPS == 50


def test_the_level_does_not_count():
    sound = syllables()
    quiet = Sound(sound.samples * np.float32(0.1), sound.rate)
    assert np.abs(features_of(spectrum_of(sound)) - features_of(spectrum_of(quiet))).max() < 0.1


def test_a_sound_of_another_rate_is_heard_alike():
    sound = syllables()
    other = Sound(limited(change_rate(sound.samples, sound.rate, 44_100)), 44_100)
    one, two = features_of(spectrum_of(sound)), features_of(spectrum_of(other))
    assert np.abs(one - two)[:, : BANDS - 4].mean() < 0.1


def test_silence_gives_numbers():
    assert np.isfinite(features_of(spectrum_of(Sound(np.zeros(8000, np.float32), 16_000)))).all()


def test_loudness_follows_the_syllables():
    level = loudness_of(spectrum_of(syllables()))
    times = np.arange(len(level)) / STEPS
    assert np.corrcoef(level, -np.cos(2 * np.pi * times * 25 / 6))[0, 1] > 0.7
