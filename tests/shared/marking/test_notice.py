"""Notices to people: the label is tested with the command, the tones here."""

from __future__ import annotations

import numpy as np
import pytest

from shared.marking.notice import with_tones


@pytest.mark.parametrize("rate", [8000, 48_000])
def test_three_rising_tones_and_a_rest_come_before_the_sound(rate):
    sound = np.random.default_rng(2).normal(0, 0.1, (rate, 2)).astype(np.float32)
    noticed = with_tones(sound, rate)
    before = len(noticed) - len(sound)
    assert before / rate == pytest.approx(0.84, abs=0.001)
    assert np.array_equal(noticed[before:], sound)
    assert np.array_equal(noticed[:before, 0], noticed[:before, 1])
    heard = []
    for start in (0.0, 0.18, 0.36):
        part = noticed[round(start * rate) : round((start + 0.18) * rate), 0]
        heard.append(np.abs(np.fft.rfft(part)).argmax() * rate / len(part))
    assert heard == pytest.approx([660, 880, 1320], abs=6)
    assert 0.2 < np.abs(noticed[:before]).max() <= 0.25
    assert not noticed[round(0.56 * rate) : before].any()
