"""The detector of speech in the package: loads by its name, is what commands use, hears what it learned to hear."""

import json

import numpy as np
import pytest

from detect.models.shipped import SHIPPED
from detect.speech import shipped
from detect.speech.checkpoint import load_speech
from detect.speech.contract import RATE
from detect.speech.score import score_sound
from detect.speech.shipped import SPEECH_FOLDER, default_speech, has_speech
from shared.audio.sound import Sound
from shared.audio.writing import write_sound
from shared.cli import run
from shared.errors import CheckpointError
from tests.detect.speech.conftest import voice


def test_it_is_small_calibrated_and_says_what_it_learned_from():
    assert has_speech()
    model = load_speech(SHIPPED)
    assert (SPEECH_FOLDER / "model.safetensors").stat().st_size < 3_000_000
    assert model.facts.likelihood is not None
    assert model.facts.domain is not None
    assert {"espeak", "flite", "festival", "hibari", "piper", "griffin-lim", "world"} <= set(model.facts.engines)
    card = (SPEECH_FOLDER / "README.md").read_text()
    for words in ("## Data and rights", "CC-BY-4.0", "python -m benchmarks speech-detector"):
        assert words in card


def test_commands_use_it_and_can_be_told_not_to(tmp_path, capsys, monkeypatch):
    assert default_speech(None) is not None
    assert default_speech("none") is None
    assert str(default_speech("runs/hear")) == "runs/hear"
    write_sound(tmp_path / "tone.wav", Sound(voice(1, 3.0), RATE))
    assert run(["--json", "detect", "speech", "score", str(tmp_path / "tone.wav")]) == 0
    assert json.loads(capsys.readouterr().out)["detector"] == SHIPPED
    monkeypatch.setattr(shipped, "SPEECH_FOLDER", tmp_path / "none")
    assert default_speech(None) is None
    with pytest.raises(CheckpointError, match="no detector of speech comes with this package"):
        load_speech(SHIPPED)


def test_a_sentence_by_an_engine_is_called_fake(tmp_path):
    from forge.speaking.contract import say
    from shared.audio.rates import resampled

    text = "We will meet you at the station tomorrow morning at nine, and then we can walk to the old harbour together."
    sound = resampled(say(text, engine="hibari", seed=3).sound, RATE).samples
    found = score_sound(load_speech(SHIPPED), np.asarray(sound, np.float32)).result
    assert found.logit > found.threshold
    assert found.verdict == "fake"
