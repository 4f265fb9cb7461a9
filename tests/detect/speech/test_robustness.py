"""The sweep over changes of recordings: through the command line, on small sounds with a trace at 6 kHz."""

import json

import numpy as np
import pytest

from detect.speech.contract import RATE
from detect.speech.robustness import CHANGES, UNCHANGED
from shared.cli import run
from tests.detect.speech.conftest import voice


def test_what_takes_the_trace_away_takes_the_detector_away(floor, speech_set, tmp_path, capsys):
    out = tmp_path / "robustness.json"
    asked = ["--change", "rate-8k", "--change", "cut-1s", "--out", str(out)]
    assert run(["detect", "speech", "robustness", str(speech_set), "--detector", str(floor), *asked]) == 0
    found = json.loads(out.read_text())
    assert [cell["change"] for cell in found["cells"]] == [UNCHANGED, "rate-8k", "cut-1s"]
    assert found["dataset"]["split"] == "test"
    rates = {
        cell["change"]: {each["metric"]: each["value"] for each in cell["metrics"]}["eer"] for cell in found["cells"]
    }
    assert rates[UNCHANGED] == 0
    assert rates["cut-1s"] <= 0.25
    assert rates["rate-8k"] > 0.25  # a tone at 6 kHz is gone
    assert "rate-8k" in capsys.readouterr().out


@pytest.mark.parametrize("name", CHANGES)
def test_a_change_repeats_and_keeps_the_times(name):
    samples = voice(3, 2.5)
    one, again = (CHANGES[name](samples, np.random.default_rng(5)) for _ in range(2))
    assert np.array_equal(one, again)
    assert np.isfinite(one).all()
    expected = {"cut-1s": RATE, "cut-2s": 2 * RATE}.get(name, len(samples))
    assert len(one) == expected
    assert np.array_equal(one, samples) == (name == UNCHANGED)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (["--change", "opus"], "no change is named"),
        (["--out", "."], "is a folder"),
        (["--detector", "nowhere"], "nowhere"),
        (["--split", "val", "--recordings", "1"], "recordings"),
    ],
)
def test_wrong_uses_are_a_sentence(floor, speech_set, capsys, change, words):
    given = ["--detector", str(floor)] if "--detector" not in change else []
    assert run(["detect", "speech", "robustness", str(speech_set), *given, *change]) != 0
    assert words in capsys.readouterr().err
