"""An engine of hums that tells its phones, a voice model of two humming speakers, and a text encoder on both."""

from __future__ import annotations

import shutil

import pytest

from forge.speaking.contract import EngineInfo, Phone, Speech
from forge.speaking.conversion.training import train_voices
from forge.speaking.reading.config import TextConfig
from forge.speaking.reading.training import train_text
from tests.forge.speaking.conversion.conftest import RATE, SMALL, hum, voicesets

__all__ = ["voicesets"]

SMALL_TEXT = TextConfig(engine="hum", sentences=4, width=12, steps=6, batch=2, warmup_steps=2, device="cpu",
                        log_every=2, save_every=2)  # fmt: skip


class HumEngine:
    """Each letter is a phone of a twentieth of a second; the voice ``dumb`` does not tell them."""

    def missing(self):
        return None

    def voices(self):
        return ("low", "high", "dumb")

    def speak(self, text, *, voice, seed):
        letters = [each for each in text.lower() if each.isalpha()][:200]
        step = RATE // 20
        sound = hum(len(letters) / 20, 110 if voice == "low" else 190, seed=len(text))
        phones = tuple(Phone(each, place * step, (place + 1) * step) for place, each in enumerate(letters))
        return Speech(sound, EngineInfo("hum", "formant", "1", voice, None, "CC0"), () if voice == "dumb" else phones)


@pytest.fixture
def hum_engine(monkeypatch):
    """The engine under the name ``hum``."""
    for module in ("forge.speaking.contract", "forge.speaking.reading.material"):
        monkeypatch.setattr(f"{module}.engine_named", lambda name: HumEngine())


@pytest.fixture(scope="session")
def trained(tmp_path_factory):
    """Where both trainings are kept, each made by the first test that needs it."""
    return tmp_path_factory.mktemp("trained")


@pytest.fixture
def voice_run(voicesets, hum_engine, trained, tmp_path):
    """A run of a voice model of r0 and r1."""
    if not (trained / "voice").exists():
        train_voices(voicesets[:2], trained / "voice", SMALL, steps=2)
    return shutil.copytree(trained / "voice", tmp_path / "run")


@pytest.fixture
def text_run(voice_run, trained):
    """The run with a text encoder."""
    if not (trained / "text").exists():
        shutil.copytree(trained / "voice", trained / "text")
        train_text(trained / "text", SMALL_TEXT, steps=2)
    shutil.rmtree(voice_run)
    return shutil.copytree(trained / "text", voice_run)
