"""A probe finds the shortcut it is for, and nothing in a set without one."""

import numpy as np
import pytest

from shared.audio.sound import Sound
from shared.errors import UsageError
from shared.speechsets.audit import PROBES, audit_numbers, probe_numbers

RATE = 16_000


def noise(rng, seconds=1.0, lead=0.2):
    count = round(seconds * RATE)
    sound = rng.normal(0, 0.05, count)
    sound[: round(lead * RATE)] *= 0.005
    return sound


def changed(kind, sound, rng):
    """A fake that is told from its recording by one thing."""
    if kind == "silence":
        return np.concatenate([sound[round(0.15 * RATE) :], rng.normal(0, 0.05, round(0.15 * RATE))])
    if kind == "zeros":
        sound[:300] = 0
    if kind == "offset":
        sound = sound + 0.01
    if kind in ("level", "loudness"):
        sound = sound * 0.5
    if kind == "band":
        spectrum = np.fft.rfft(sound)
        spectrum[round(len(spectrum) * 0.75) :] *= 0.05
        sound = np.fft.irfft(spectrum, len(sound))
    if kind == "length":
        sound = sound[: -round(0.2 * RATE)]
    if kind == "bits":
        sound = np.round(sound * 128) / 128
    return sound


def found(kind, only=PROBES):
    rng = np.random.default_rng(5)
    numbers, manipulations, speakers = [], [], []
    for speaker in range(8):
        for _ in range(3):
            for fake in (False, True):
                sound = noise(rng)
                sound = changed(kind, sound, rng) if fake else sound
                numbers.append(numbers_of(sound, only))
                manipulations.append("made" if fake else None)
                speakers.append(f"r{speaker}")
    return {one.name: one for one in audit_numbers(numbers, manipulations, speakers)}


def numbers_of(sound, only):
    made = Sound(np.clip(sound, -1, 1).astype(np.float32), RATE)
    return {probe.name: probe.numbers(made) for probe in only}


@pytest.mark.parametrize("kind", [probe.name for probe in PROBES])
def test_a_probe_finds_its_shortcut(kind, monkeypatch):
    monkeypatch.setattr("shared.speechsets.audit._TREES", 30)
    only = tuple(probe for probe in PROBES if probe.name == kind)
    monkeypatch.setattr("shared.speechsets.audit.PROBES", only)
    result = found(kind, only)[kind]
    assert result.area > 0.9
    assert result.low > 0.5
    assert result.shortcut
    assert result.by_manipulation["made"] == pytest.approx(result.area, abs=1e-3)


def test_equal_classes_show_nothing(monkeypatch):
    monkeypatch.setattr("shared.speechsets.audit._TREES", 30)
    for result in found("nothing").values():
        assert not result.shortcut
        assert result.low <= 0.5 <= result.high or result.area < 0.5


def test_too_small_a_set_is_refused():
    numbers = [probe_numbers(Sound(np.zeros(400, np.float32), RATE))] * 4
    with pytest.raises(UsageError, match="at least 4 speakers"):
        audit_numbers(numbers, [None, "x", None, "x"], ["a", "b", "a", "b"])
    with pytest.raises(UsageError, match="both classes"):
        audit_numbers(numbers, [None] * 4, list("abcd"))
