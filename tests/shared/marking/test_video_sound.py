"""The sound of a video is marked when that is asked for, stays in time, and is read."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from shared.audio.reading import decode_sound
from shared.audio.writing import write_channels
from shared.errors import UsageError
from shared.marking.files import mark_file, read_marks
from shared.marking.payload import Payload
from shared.marking.sound import read_sound_mark
from shared.marking.video_sound import marked_sound, need_markable_sound
from shared.provenance.read import read_provenance
from shared.types import Timestamp
from shared.video import VideoReader, VideoWriter
from shared.video.audio import audio_digest

PAYLOAD = Payload.of("swap", "5eed15" + "0" * 58)
RATE = 16_000


def _noise(seconds: float, rate: int = RATE) -> np.ndarray:
    rng = np.random.default_rng(7)
    time = np.arange(round(rate * seconds)) / rate
    loud = 0.6 + 0.4 * np.sin(2 * np.pi * 2.3 * time)
    return (0.08 * loud * rng.normal(size=time.size)).astype(np.float32)[:, None]


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """4 s of one picture with sound, 8 frames a second."""
    folder = tmp_path_factory.mktemp("video")
    write_channels(folder / "sound.wav", _noise(4), RATE)
    with marked_sound(folder / "sound.wav", PAYLOAD, ".mp4") as encoded:
        path, clock = folder / "talk.mp4", Fraction(1, 8)
        picture = np.random.default_rng(1).integers(90, 160, (96, 96, 3), dtype=np.uint8)
        with VideoWriter(path, width=96, height=96, time_base=clock, frame_rate=1 / clock, audio_from=encoded) as out:
            for index in range(32):
                out.write(picture, Timestamp(index, clock))
    return path


@pytest.mark.parametrize("suffix", [".mp4", ".webm", ".avi"])
def test_marked_sound_is_read_and_begins_when_it_began(suffix, tmp_path):
    source = tmp_path / "sound.wav"
    sound = _noise(4)
    sound[:RATE] *= 0.01  # the step at 1 s is what is found again
    write_channels(source, sound, RATE)
    with marked_sound(source, PAYLOAD, suffix) as path:
        back, rate = decode_sound(path)
        assert read_sound_mark(back, rate).payload == PAYLOAD
    window = rate // 100
    loud = np.sqrt(np.mean(back[: len(back) // window * window, 0].reshape(-1, window) ** 2, axis=1))
    assert abs(int(np.argmax(loud > 0.02)) - 100) <= 5  # hundredths of a second
    assert not path.exists()


def test_a_video_keeps_its_sound_unless_it_is_to_be_marked(video, tmp_path):
    plain, both = tmp_path / "plain.mp4", tmp_path / "both.mp4"
    mark_file(video, plain)
    assert audio_digest(plain) == audio_digest(video)
    payload = mark_file(video, both, sound=True)
    assert audio_digest(both) != audio_digest(video)
    signature = read_provenance(both)
    assert signature is not None
    assert [binding.algorithm for binding in signature.bindings] == ["assay.tile.1", "assay.loudness.1"]
    assert {binding.value for binding in signature.bindings} == {payload.text}
    with VideoReader(both) as reader:
        assert reader.info.has_audio
        assert sum(1 for _ in reader) == 32


def test_the_reader_finds_the_mark_in_the_sound_of_a_video(video):
    found = read_marks(video)
    assert found.picture is not None
    assert found.picture.payload is None
    assert found.sound is not None
    assert found.sound.payload == PAYLOAD


def test_what_has_no_sound_to_mark_is_refused_before_the_work(make_clip, tmp_path):
    silent = make_clip()
    with pytest.raises(UsageError, match="no sound that could be marked"):
        mark_file(silent, tmp_path / "out.mp4", sound=True)
    write_channels(tmp_path / "low.wav", _noise(1, 6000), 6000)
    with pytest.raises(UsageError, match="6000 samples a second"):
        need_markable_sound(tmp_path / "low.wav")
    with pytest.raises(UsageError, match="no video with sound"):
        mark_file(tmp_path / "low.wav", tmp_path / "out.wav", sound=True)
    assert not {"out.mp4", "out.wav"} & {path.name for path in tmp_path.iterdir()}
