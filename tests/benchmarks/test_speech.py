"""The benchmark of detectors of speech: its settings, probes and changes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from benchmarks.speech import SpeechPlan, changes, probes, properties
from detect.speech.contract import RATE
from detect.speech.store import SampleStore
from detect.speech.utterances import Utterance
from shared.audio.sound import Sound
from shared.audio.writing import write_sound
from tests.detect.speech.conftest import voice


def test_an_engine_is_left_out_with_its_fakes_in_part():
    plan = SpeechPlan(steps=9, steps_left_out=5)
    assert plan.config("spectral", None).leave_out == ()
    assert plan.config("spectral", None).steps == 9
    left = plan.config("lfcc-gmm", "world")
    assert left.leave_out == ("world", "world-in-part")
    assert (left.steps, left.model, left.device) == (5, "lfcc-gmm", "cpu")


def test_properties_are_those_of_the_sound():
    lead = np.concatenate([np.zeros(RATE // 2, np.float32), voice(0, 1.0)])
    found = properties(lead)
    assert found["leading silence"] == pytest.approx(0.5, abs=0.15)
    assert found["length"] == pytest.approx(1.5)
    assert properties(0.1 * lead)["loudness"] == pytest.approx(found["loudness"] - 20, abs=0.1)


def test_a_probe_finds_what_separates_the_classes(tmp_path: Path):
    utterances = []
    for number in range(8):
        fake = number % 2 > 0
        path = tmp_path / f"{number}.wav"
        write_sound(path, Sound(voice(number, 1.0 if fake else 2.0), RATE))
        utterances.append(Utterance(path, fake, str(number), "e" if fake else ""))
    found = {each.name: each for each in probes(utterances, SampleStore())}
    assert found["probe: length"].median == 1.0
    assert found["probe: length"].met is False
    assert all(0.5 <= each.median <= 1 for each in found.values())


def test_changes_keep_the_length_and_change_the_sound():
    samples = voice(2, 1.0)
    for name, change in changes().items():
        changed = change(samples, np.random.default_rng(0))
        assert changed.shape == samples.shape, name
        assert not np.allclose(changed, samples, atol=1e-3), name
