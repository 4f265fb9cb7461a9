"""The benchmark of a vocoder: levels, voices that were learned from, and what is measured of each way."""

import numpy as np
import pytest

from benchmarks import vocoder
from benchmarks.vocoder import at_level_of, held_out_of, measure
from forge.speaking.vocoding.checkpoint import load_vocoder
from shared.audio.sound import Sound
from shared.errors import UsageError
from tests.forge.speaking.conversion.conftest import RATE, voicesets
from tests.forge.speaking.vocoding.conftest import vocoder_run

__all__ = ["vocoder_run", "voicesets"]


def test_levels_are_made_equal():
    rng = np.random.default_rng(0)
    sound, made = (Sound(rng.normal(0, level, 4000).astype(np.float32), RATE) for level in (0.1, 0.01))
    same = at_level_of(sound, made)
    assert np.mean(same.samples**2) == pytest.approx(np.mean(sound.samples**2), rel=1e-3)
    assert np.corrcoef(same.samples, made.samples)[0, 1] == pytest.approx(1)


def test_only_voices_that_were_not_learned_from_are_measured(vocoder_run, voicesets, monkeypatch):
    model = load_vocoder(vocoder_run)
    with pytest.raises(UsageError, match="learned from r1"):
        held_out_of(model, voicesets[1:], most=1)
    with pytest.raises(UsageError, match="no utterance has"):
        held_out_of(model, voicesets[2:], most=1)
    monkeypatch.setattr(vocoder, "_LEAST_SECONDS", 1.0)
    monkeypatch.setattr(vocoder, "available_vocoders", lambda: ["griffin-lim"])
    monkeypatch.setattr(vocoder, "recogniser", lambda _: None)
    found = measure(model, voicesets[2:], None, utterances=1, sentences=1, seed=0)
    ways = ("istft", "Griffin-Lim of voice models", "griffin-lim of twins")
    assert [each.name for each in found if each.name.startswith("log-mel")] == [
        f"log-mel distance, {way}" for way in ways
    ]
    assert len(found) == 4 * len(ways)
    assert all(np.isfinite(each.values).all() for each in found)
