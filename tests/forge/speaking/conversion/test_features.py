"""Features of the voice model, and the way back to samples."""

import numpy as np
import pytest

from forge.speaking.conversion.features import (
    FRAMING,
    PitchRange,
    features_of,
    moved_pitch,
    pitch_range,
    scaled,
    unscaled,
)
from forge.speaking.conversion.inversion import excitation, magnitude_of, sound_of
from shared.audio.features import log_f0, log_mel
from shared.audio.sound import Sound
from shared.errors import SpeechError
from tests.forge.speaking.conversion.conftest import RATE, hum


def test_features_are_aligned_and_of_one_level():
    sound = hum(1.0, 150)
    found = features_of(sound)
    assert found.mel.shape == (81, 80)
    assert found.pitch.shape == found.energy.shape == (81,)
    quiet = features_of(sound.with_samples(sound.samples * 0.1))
    assert np.abs(found.mel - quiet.mel).max() < 0.02
    voiced = np.isfinite(found.pitch)
    assert voiced.mean() > 0.8
    assert np.exp(np.median(found.pitch[voiced])) == pytest.approx(150, rel=0.05)


def test_a_fifth_of_a_second_is_needed():
    with pytest.raises(SpeechError, match=r"only 0\.10 s"):
        features_of(Sound(np.zeros(1600, np.float32), RATE))


def test_scaling_is_undone_above_the_floor():
    values = np.array([[-30.0, -18.0, -11.0, -2.0]])
    assert unscaled(scaled(values)) == pytest.approx(np.array([[-18.0, -18.0, -11.0, -2.0]]), abs=1e-5)


def test_pitch_goes_to_the_range_of_the_target():
    rng = np.random.default_rng(0)
    pitch = np.where(rng.random(4000) < 0.3, np.nan, rng.normal(4.7, 0.1, 4000)).astype(np.float32)
    source = pitch_range([pitch])
    assert source is not None
    assert source.mean == pytest.approx(4.7, abs=0.02)
    assert source.deviation == pytest.approx(0.1, abs=0.01)
    moved = moved_pitch(pitch, source, PitchRange(5.3, 0.14))
    assert np.array_equal(np.isnan(moved), np.isnan(pitch))
    assert np.nanmean(moved) == pytest.approx(5.3, abs=0.02)
    assert np.nanstd(moved) == pytest.approx(0.14, abs=0.02)
    far = moved_pitch(pitch, source, PitchRange(5.3, 1.0))
    assert np.nanstd(far) < 0.16


def test_nothing_voiced_has_no_range():
    assert pitch_range([np.full(100, np.nan, np.float32)]) is None
    assert pitch_range([]) is None


def test_a_spectrogram_becomes_a_sound_with_that_spectrogram_and_pitch():
    sound = hum(1.0, 180)
    found = features_of(sound)
    made = sound_of(found.mel, found.pitch, len(sound))
    again = features_of(made)
    assert len(made) == len(sound)
    heard = found.mel > -0.6
    assert np.abs(again.mel - found.mel)[heard].mean() < 0.06
    both = np.isfinite(again.pitch) & np.isfinite(found.pitch)
    assert np.corrcoef(again.pitch[both], found.pitch[both])[0, 1] > 0.95


def test_the_same_seed_gives_the_same_sound():
    found = features_of(hum(0.4, 120))
    one, two, other = (sound_of(found.mel, found.pitch, 6400, seed=seed).samples for seed in (1, 1, 2))
    assert np.array_equal(one, two)
    assert not np.array_equal(one, other)


def test_magnitudes_have_the_mel_spectrogram():
    found = features_of(hum(0.5, 200))
    spectrum = magnitude_of(found.mel)
    assert spectrum.shape == (len(found), FRAMING.bins)
    tone = 0.5 * np.sin(2 * np.pi * 1000 * np.arange(8000) / RATE).astype(np.float32)
    mel = scaled(log_mel(tone, FRAMING, filters=80))
    # Half of full scale has half the window's sum in its bin.
    assert magnitude_of(mel)[20].max() == pytest.approx(0.5 * FRAMING.window / 4, rel=0.35)


def test_excitation_has_the_pitch_where_it_is_voiced():
    pitch = np.full(81, np.nan, np.float32)
    pitch[20:60] = np.log(140.0)
    made = excitation(pitch, 16_000, np.random.default_rng(0))
    found = log_f0(made.astype(np.float32), FRAMING)
    assert np.exp(found[30:50]) == pytest.approx(140, rel=0.03)
    assert np.isnan(found[:15]).mean() > 0.8
    silent = excitation(np.full(10, np.nan), 1800, np.random.default_rng(0))
    assert silent.shape == (1800,)
