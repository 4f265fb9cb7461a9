from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from shared.actors import Actor, film, filming, perform
from shared.actors.actor import plan_track
from shared.actors.voice import SAMPLE_RATE, babble
from shared.video import VideoReader, audio_digest, probe

RATE = Fraction(25)


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ASSAY_HOME", str(tmp_path_factory.mktemp("home")))
        return film(Actor.from_seed(6), tmp_path_factory.mktemp("clips") / "six.mp4", seconds=0.4, px=96, seed=3)


def test_a_film_is_a_clip_with_sound_and_landmarks(clip: Path):
    info = probe(clip, count=True)
    assert (info.width, info.height, info.frames_counted, info.frame_rate) == (96, 96, 10, RATE)
    assert info.has_audio
    table = pq.read_table(clip.with_suffix(".landmarks.parquet"))
    assert str(table.schema.field("frame").type) == "int32"
    assert table["frame"].to_pylist() == list(range(10))
    marks = np.array(table["landmarks"].to_pylist(), dtype=np.float32).reshape(10, 68, 2)
    shots = list(perform(Actor.from_seed(6), frames=10, px=96, seed=3))
    np.testing.assert_array_equal(marks, np.stack([shot.landmarks for shot in shots]))
    with VideoReader(clip) as reader:
        decoded = [frame.image for frame in reader]
    assert np.abs(np.stack(decoded).astype(int) - np.stack([shot.image for shot in shots])).mean() < 6


def test_a_second_film_comes_from_the_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    actor = Actor.from_seed(6)
    first = film(actor, tmp_path / "a.mp4", seconds=0.08, px=64, seed=3)

    def never(*_: object, **__: object) -> None:
        raise AssertionError("the clip was made again")

    monkeypatch.setattr("shared.actors.filming.perform", never)
    second = film(actor, tmp_path / "deep" / "b.mp4", seconds=0.08, px=64, seed=3)
    assert first.read_bytes() == second.read_bytes()
    assert second.with_suffix(".landmarks.parquet").is_file()
    with pytest.raises(AssertionError, match="made again"):
        film(actor, tmp_path / "c.mp4", seconds=0.08, px=64, seed=4)


def test_two_processes_film_the_same_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("ASSAY_HOME", str(tmp_path / "home"))
    actor, shoot = Actor.from_seed(6), filming._shoot

    def overtaken(*args: object, **settings: object) -> None:
        shoot(*args, **settings)
        monkeypatch.setattr(filming, "_shoot", shoot)
        film(actor, tmp_path / "other.mp4", seconds=0.08, px=64, seed=3)

    monkeypatch.setattr(filming, "_shoot", overtaken)
    own = film(actor, tmp_path / "own.mp4", seconds=0.08, px=64, seed=3)
    assert own.read_bytes() == (tmp_path / "other.mp4").read_bytes()


def test_a_silent_film_has_no_sound(tmp_path: Path):
    path = film(Actor.from_seed(6), tmp_path / "mute.mp4", seconds=0.04, px=64, seed=3, audio=False)
    assert audio_digest(path) is None


def test_the_voice_is_loud_when_the_jaw_is_open():
    actor = Actor.from_seed(6)
    track = plan_track(actor, frames=100, frame_rate=RATE, seed=2)
    sound = babble(actor, track, RATE, np.random.default_rng(0))
    assert len(sound) == 4 * SAMPLE_RATE
    assert np.abs(sound).max() <= 0.5
    loudness = np.sqrt((sound.reshape(100, -1) ** 2).mean(axis=1))
    assert np.corrcoef(loudness[:-1], 0.5 * (track.speech[:-1] + track.speech[1:]))[0, 1] > 0.8
    assert loudness[track.speech < 0.02].max() < 0.1 * loudness.max()
