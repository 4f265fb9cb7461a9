"""Phones to the parameters of a mouth."""

from __future__ import annotations

import numpy as np
import pytest

from forge.reenacting.lipsync.visemes import TimedPhone, mouth_track


def _at(symbols: str | list[str], seconds: float, each: float = 0.1) -> np.ndarray:
    phones = [TimedPhone(symbol, n * each, (n + 1) * each) for n, symbol in enumerate(symbols)]
    return mouth_track(phones, steps=100, rate=100)[round(seconds * 100)]


def test_lips_shut_between_open_vowels_and_open_again():
    for shut in "pbm":
        assert _at(["ɑ", shut, "ɑ"], 0.15)[0] < 0.15
        assert _at(["ɑ", shut, "ɑ"], 0.05)[0] > 0.6


def test_lips_are_round_for_u_and_spread_for_i():
    assert _at(["t", "u", "t"], 0.15)[1] < -0.6
    assert _at(["t", "i", "t"], 0.15)[1] > 0.5


def test_a_weak_sound_takes_the_shape_of_its_neighbours():
    assert _at(["u", "k", "u"], 0.15)[1] < -0.5
    assert _at(["i", "k", "i"], 0.15)[1] > 0.4


def test_both_alphabets_give_the_same_mouth():
    assert np.allclose(_at(["aa", "b", "iy"], 0.12), _at(["ˈɑː", "b", "iː"], 0.12))
    assert np.allclose(_at(["ay"], 0.08), _at(["a", "ɪ"], 0.08, each=0.05))


@pytest.mark.parametrize("symbols", [[], ["%"], ["_"]])
def test_without_a_known_sound_the_mouth_is_at_rest(symbols):
    assert np.abs(_at(symbols, 0.05)).max() == 0


def test_beyond_all_phones_the_mouth_comes_to_rest():
    assert abs(_at(["ɑ"], 0.95)[0]) < 0.01
