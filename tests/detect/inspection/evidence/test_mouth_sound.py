"""Mouth against sound, in series whose lag and closed lips are known."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from detect.inspection.evidence.mouth_sound import LAGS, MouthTrack, mouth_and_sound, synchrony
from detect.inspection.evidence.sound import STEP_SECONDS, SoundFacts
from shared.faces.align import mean_in_crop


def _talk(count: int, seed: int = 0) -> np.ndarray:
    """(count,) in [0, 1]: syllables, about four a second at 50 steps a second."""
    rng = np.random.default_rng(seed)
    series = np.convolve(rng.normal(size=count + 60), np.hanning(13), mode="same")[30 : count + 30]
    return (series - series.min()) / np.ptp(series)


def _mouth(opening: np.ndarray, rate: float = 25.0) -> MouthTrack:
    return MouthTrack(0, np.arange(len(opening)) / rate, opening)


def _sound(levels: np.ndarray, voiced: np.ndarray | None = None) -> SoundFacts:
    level = tuple((levels * 40 - 60).tolist())
    heard = np.zeros(len(levels), bool) if voiced is None else voiced
    return SoundFacts(True, 0.0, 16_000, 1, level, (level,) * 7, tuple(heard.tolist()))


def _spoken(lag: float, count: int = 200) -> tuple[MouthTrack, SoundFacts]:
    """A mouth whose sound comes ``lag`` seconds late."""
    levels = _talk(500)
    opening = 0.2 * np.interp(np.arange(count) / 25 + lag, (np.arange(500) + 0.5) * STEP_SECONDS, levels)
    return _mouth(opening), _sound(levels)


@pytest.mark.parametrize("lag", [0.0, 0.4, -0.2])
def test_the_lag_of_a_sound_is_found_with_a_small_p(lag):
    found = mouth_and_sound(*_spoken(lag)).evidence
    assert found.details["lag of the sound (s)"] == pytest.approx(lag, abs=0.021)
    assert found.value > 0.8
    assert found.details["p"] <= 0.01
    assert found.odd is (lag != 0.0)
    assert ("go together" in found.finding) is (lag == 0.0)


def test_a_late_sound_moves_the_curve_by_as_much_and_makes_the_margin_negative():
    mouth, sound = _spoken(0.0)
    still, moved = synchrony(mouth, sound), synchrony(mouth, sound, late=0.16)
    assert still.lag == pytest.approx(0, abs=0.021)
    assert moved.lag - still.lag == pytest.approx(0.16, abs=1e-9)
    assert still.margin > 0.3 > 0 > moved.margin
    assert len(still.curve) == len(LAGS) == 51


def test_unrelated_sounds_have_small_p_values_no_more_often_than_chance():
    values = [synchrony(_mouth(0.2 * _talk(200, seed=3)), _sound(_talk(500, seed=seed))).p for seed in range(10, 50)]
    assert np.mean(np.array(values) <= 0.1) <= 0.25
    assert 0.3 < np.mean(values) < 0.7
    found = mouth_and_sound(_mouth(0.2 * _talk(200, seed=3)), _sound(_talk(500, seed=8))).evidence
    assert "no relation" in found.finding
    assert found.odd is False


def test_closed_lips_are_counted_in_voiced_and_in_other_sound():
    opening = np.full(100, 0.1)
    opening[:25] = 0.0  # closed until 0.97 s of four, as the next frame begins to open
    voiced = np.zeros(200, bool)
    voiced[25:75] = True  # from 0.5 to 1.5 s
    sync = synchrony(_mouth(opening), _sound(_talk(200), voiced))
    assert sync.closed_voiced == pytest.approx(0.48, abs=0.03)
    assert sync.closed_unvoiced == pytest.approx(25 / 148, abs=0.03)
    silent = synchrony(_mouth(opening), _sound(_talk(200)))
    assert silent.closed_voiced is None


def test_a_mouth_or_sound_that_hardly_changes_is_not_compared():
    still = mouth_and_sound(_mouth(np.zeros(200)), _sound(_talk(500))).evidence
    assert still.odd is None
    assert "nothing to compare" in still.finding
    short = mouth_and_sound(_mouth(np.zeros(20)), _sound(_talk(500)))
    assert short.evidence.finding == "too short to compare"
    assert short.pictures == ()
    assert synchrony(_mouth(np.zeros(200)), dataclasses.replace(_sound(_talk(500)), bands_db=())) is None
    constant = synchrony(_mouth(np.full(200, 0.1)), _sound(np.zeros(500)))
    assert (constant.strength, constant.p) == (0.0, 1.0)


def test_the_opening_of_a_face_is_that_of_its_inner_lips():
    landmarks = np.repeat(mean_in_crop(200, "whole")[None].astype(np.float64), 3, 0)
    landmarks[1, 65:68, 1] += 30
    eyes = np.linalg.norm(landmarks[0, 36] - landmarks[0, 45])
    opening = MouthTrack.of(0, np.arange(3) / 25, landmarks).opening
    assert opening[1] - opening[0] == pytest.approx(30 / eyes, rel=0.15)
    assert opening[2] == opening[0]


def test_the_finding_has_its_picture_and_says_what_it_does_not_show():
    found = mouth_and_sound(*_spoken(0.0))
    assert found.evidence.pictures[0].file == "evidence/mouth-and-sound.png"
    assert found.pictures[0].png.startswith(b"\x89PNG")
    assert "no sign that either is authentic" in found.evidence.limits
