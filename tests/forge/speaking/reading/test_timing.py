"""Phones at the places of the voice model's code."""

import numpy as np
import pytest

from forge.speaking.contract import EngineInfo, Phone, Speech
from forge.speaking.reading.timing import TimedPhones, inventory_of, laid_out, symbols_of
from shared.audio.sound import Sound
from shared.errors import SpeechError

INFO = EngineInfo("hum", "formant", "1", "low", None, "CC0")
TWO = TimedPhones(("m", "a"), (0.0, 0.1), (0.1, 0.3), 0.3)


def test_times_are_seconds_of_the_engine():
    sound = Sound(np.zeros(4800, np.float32), 16_000)
    found = TimedPhones.of(Speech(sound, INFO, (Phone("m", 0, 1600), Phone("a", 1600, 4800))))
    assert found == TWO
    with pytest.raises(SpeechError, match="does not tell the times"):
        TimedPhones.of(Speech(sound, INFO))


def test_each_moment_has_the_phone_that_sounds_then():
    places, position = laid_out(TWO, 12)
    # 40 a second: the second phone begins at .1 s, at the fifth moment.
    assert places.tolist() == [0] * 4 + [1] * 8
    assert position.shape == (12, 6)
    assert position[2] == pytest.approx([0.5, 0.5, 0.1, 0.1, 0.2, 0.05 / 0.3], abs=1e-6)
    assert position[4, 0] == pytest.approx(0, abs=1e-6)
    assert position[11, 0] == pytest.approx(0.175 / 0.2, abs=1e-6)


def test_moments_outside_take_the_nearest_phone():
    late = TimedPhones(("m",), (0.05,), (0.1,), 0.3)
    places, position = laid_out(late, 12)
    assert set(places.tolist()) == {0}
    assert position[:, 0].min() == 0
    assert position[:, 0].max() == 1


def test_symbols_are_places_in_the_inventory():
    inventory = inventory_of([TWO, TimedPhones(("o",), (0.0,), (0.2,), 0.2)])
    assert inventory == ("a", "m", "o")
    assert symbols_of(TimedPhones(("m", "x", "a"), (0, 1, 2), (1, 2, 3), 3), inventory).tolist() == [2, 0, 1]


def test_slower_speech_has_longer_phones():
    assert TWO.slower(2.0) == TimedPhones(("m", "a"), (0.0, 0.2), (0.2, 0.6), 0.6)
