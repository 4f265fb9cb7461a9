"""The sound mark is read from what was marked, and from nothing else."""

import numpy as np
import pytest

from shared.audio.reading import decode_sound
from shared.audio.writing import write_channels
from shared.marking.payload import Payload
from shared.marking.sound import CHANGE_DB, mark_sound, read_sound_mark

PAYLOAD = Payload.of("speech", "5eed15" + "0" * 58)
RATE = 16_000


def voice(seconds=5):
    """A hum with overtones whose pitch and loudness wander, and breath."""
    rng = np.random.default_rng(7)
    time = np.arange(RATE * seconds) / RATE
    pitch = 2 * np.pi * np.cumsum(120 + 25 * np.sin(2 * np.pi * 0.7 * time)) / RATE
    tone = sum(np.sin(order * pitch) / order for order in range(1, 30))
    loud = 0.55 + 0.45 * np.sin(2 * np.pi * 2.3 * time)
    return (0.05 * loud * tone + 0.02 * rng.normal(size=time.size)).astype(np.float32)


def test_a_marked_sound_says_its_payload_and_an_unmarked_one_nothing(monkeypatch):
    monkeypatch.setattr("shared.marking.sound.SPEEDS", (1.0,))
    sound = voice()
    marked = mark_sound(sound, RATE, PAYLOAD)
    assert marked.shape == sound.shape
    change = 10 * np.log10(np.sum(sound**2) / np.sum((marked - sound) ** 2))
    assert change == pytest.approx(-20 * np.log10(10 ** (CHANGE_DB / 20) - 1), abs=2.5)
    assert read_sound_mark(marked, RATE).payload == PAYLOAD
    assert read_sound_mark(marked[RATE + 123 :], RATE).payload == PAYLOAD
    assert read_sound_mark(sound, RATE).payload is None


def test_channels_are_changed_alike(tmp_path):
    sound = np.stack([voice(2), 0.5 * voice(2)], axis=1)
    marked = mark_sound(sound, RATE, PAYLOAD)
    assert np.abs(marked[:, 0] - 2 * marked[:, 1]).max() < 1e-5
    write_channels(tmp_path / "two.wav", marked, RATE)
    back, rate = decode_sound(tmp_path / "two.wav")
    assert (back.shape, rate) == (marked.shape, RATE)
    assert np.abs(back - marked).max() < 1e-4


def test_silence_stays_silent_and_says_nothing():
    silence = np.zeros(2 * RATE, np.float32)
    assert not mark_sound(silence, RATE, PAYLOAD).any()
    assert not read_sound_mark(silence, RATE).found
    assert not read_sound_mark(voice(1)[:100], RATE).found


def test_a_rate_below_8000_is_refused():
    with pytest.raises(ValueError, match="8,000"):
        mark_sound(voice(1), 4000, PAYLOAD)
