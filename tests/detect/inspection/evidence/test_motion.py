"""Eyes and sound over time, in series whose blinks and levels are known."""

from __future__ import annotations

import wave
from pathlib import Path

import numpy as np
import pytest

from detect.inspection.evidence.contradictions import contradictions
from detect.inspection.evidence.motion import closed_eyes, sound_track
from detect.inspection.evidence.sound import SoundFacts, sound_facts
from shared.types import VideoInfo
from shared.video.reader import probe
from tests.factories import write_clip
from tests.shared.audio.test_reading import write_raw


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
    found = sound_facts(path)
    assert (found.present, found.rate, found.channels) == (True, 16_000, 1)
    assert found.level_db[10] == pytest.approx(-9.03, abs=0.1)
    assert found.level_db[40] == -90
    assert {len(band) for band in found.bands_db} == {len(found.level_db)} == {50}
    assert [band[10] > -20 for band in found.bands_db] == [False, True, False, False, False, False, False]
    assert found.bands_db[1][40] == -90
    assert found.voiced[5:20] == (True,) * 15
    assert not any(found.voiced[30:])
    assert "1.0 s of sound" in sound_track(found).finding
    silent = write_clip(tmp_path / "clip.mp4", np.zeros((3, 48, 64, 3), np.uint8))
    assert sound_facts(silent) == SoundFacts(False)
    assert "no sound" in sound_track(SoundFacts(False)).finding


def test_a_gap_in_a_sound_is_silence_and_what_follows_keeps_its_time(tmp_path: Path):
    tone = (0.5 * np.sin(np.arange(8000) / 16_000 * 2 * np.pi * 440)).astype(np.float32)[None]
    write_raw(tmp_path / "gap.mkv", [tone, tone], 16_000, "pcm_f32le", "flt", starts=[0, 24_000])
    found = sound_facts(tmp_path / "gap.mkv")
    assert len(found.level_db) == 100
    assert [found.level_db[step] > -20 for step in (10, 50, 80)] == [True, False, True]


def test_samples_that_are_no_numbers_are_no_sound_and_do_not_end_the_inspection(tmp_path: Path):
    broken = np.full((1, 8000), np.nan, np.float32)
    write_raw(tmp_path / "nan.wav", [broken], 16_000, "pcm_f32le", "flt")
    found = sound_facts(tmp_path / "nan.wav")
    assert not found.present
    assert "no numbers" in found.stopped


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
