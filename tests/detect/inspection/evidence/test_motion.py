"""Eyes, mouth and sound over time, in series whose lag and blinks are known."""

from __future__ import annotations

import wave
from pathlib import Path

import numpy as np
import pytest

from detect.inspection.evidence.contradictions import contradictions
from detect.inspection.evidence.motion import FollowedFace, closed_eyes, lag_curve, mouth_and_sound, sound_track
from detect.inspection.evidence.sound import STEP_SECONDS, SoundFacts, read_sound
from shared.faces.align import mean_in_crop
from shared.types import VideoInfo
from shared.video.reader import probe
from tests.factories import write_clip


def _talk(count: int, seed: int = 0) -> np.ndarray:
    """(count,) in [0, 1]: syllables, about four a second at 50 steps a second."""
    rng = np.random.default_rng(seed)
    series = np.convolve(rng.normal(size=count + 60), np.hanning(13), mode="same")[30 : count + 30]
    return (series - series.min()) / np.ptp(series)


def _face(opening: np.ndarray, rate: float = 25.0) -> FollowedFace:
    base = mean_in_crop(200, "whole")
    landmarks = np.repeat(base[None], len(opening), 0)
    landmarks[:, 65:68, 1] += 25 * opening[:, None]
    return FollowedFace(0, np.arange(len(opening)) / rate, landmarks)


def _sound(levels: np.ndarray) -> SoundFacts:
    return SoundFacts(True, 0.0, 16_000, 1, tuple((levels * 40 - 60).tolist()))


@pytest.mark.parametrize("lag", [0.0, 0.4])
def test_the_lag_of_a_sound_is_found_with_a_small_p(lag):
    levels = _talk(500)
    opening = np.interp(np.arange(200) / 25 + lag, (np.arange(500) + 0.5) * STEP_SECONDS, levels)
    found = mouth_and_sound(_face(opening), _sound(levels), rounds=100, seed=0).evidence
    assert found.details["lag of the sound (s)"] == pytest.approx(lag, abs=0.021)
    assert found.value > 0.9
    assert found.details["p"] <= 0.01
    assert found.odd is (lag > 0.24)


def test_unrelated_sound_has_no_small_p_and_is_not_odd():
    found = mouth_and_sound(_face(_talk(200, seed=3)), _sound(_talk(500, seed=8)), rounds=100, seed=0).evidence
    assert found.details["p"] > 0.02
    assert found.odd is False
    assert "no relation" in found.finding


def test_a_mouth_or_sound_that_hardly_changes_is_not_compared():
    still = mouth_and_sound(_face(np.zeros(200)), _sound(_talk(500)), rounds=20, seed=0).evidence
    assert still.odd is None
    short = mouth_and_sound(_face(np.zeros(20)), _sound(_talk(500)), rounds=20, seed=0).evidence
    assert short.finding == "too short to compare"
    assert np.allclose(lag_curve(np.arange(50) / 25, np.zeros(50), np.arange(100) / 50, _talk(100)), 0)


def test_closed_eyes_are_those_well_below_the_usual_opening():
    opening = np.full(100, 0.3)
    opening[20:23], opening[60:64] = 0.1, 0.12
    assert np.flatnonzero(closed_eyes(opening)).tolist() == [20, 21, 22, 60, 61, 62, 63]


def test_the_level_of_a_sound_is_that_of_its_samples(tmp_path: Path):
    path = tmp_path / "tone.wav"
    tone = np.sin(np.arange(16_000) / 16_000 * 2 * np.pi * 440) * 16_384
    tone[8000:] = 0
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, 16_000, 0, "NONE", ""))
        file.writeframes(tone.astype("<i2").tobytes())
    found = read_sound(path)
    assert (found.present, found.rate, found.channels) == (True, 16_000, 1)
    assert found.level_db[10] == pytest.approx(-9.03, abs=0.1)
    assert found.level_db[40] == -90
    assert "1.0 s of sound" in sound_track(found).finding
    silent = write_clip(tmp_path / "clip.mp4", np.zeros((3, 48, 64, 3), np.uint8))
    assert read_sound(silent) == SoundFacts(False)
    assert "no sound" in sound_track(SoundFacts(False)).finding


@pytest.fixture
def info(tmp_path: Path) -> VideoInfo:
    return probe(write_clip(tmp_path / "clip.mp4", np.zeros((3, 48, 64, 3), np.uint8)))


@pytest.mark.parametrize(
    ("tags", "programs", "still", "words"),
    [
        ({}, (), False, []),
        ({"model": "Phone 4"}, ("Lavf60.3.100",), False, ["names the camera Phone 4, but was written by Lavf60.3.100"]),
        ({"model": "Phone 4", "software": "17.2"}, (), True, []),
        ({"creation_time": "2026-03-01T10:00:00Z", "date": "2024:05:02 09:00:00"}, (), False, ["2024-05-02"]),
        ({"creation_time": "2026-03-01T10:00:00Z", "date": "2026-03-01 23:00:00"}, (), False, []),
        ({"creation_time": "1904-01-01T00:00:00Z", "date": "2026-13-45 23:00:00"}, (), False, []),
        ({"exif.exifimagewidth": "4000", "exif.exifimageheight": "3000"}, (), True, ["EXIF states 4000x3000"]),
        ({"exif.exifimagewidth": "48", "exif.exifimageheight": "64"}, (), True, []),
    ],
)
def test_contradictions_among_statements(info, tags, programs, still, words):
    found = contradictions(tags, info, programs, still=still)
    assert len(found) == len(words)
    assert all(word in text for word, text in zip(words, found, strict=True))
