"""Voicesets of humming speakers, and a small voice model trained on them for a few steps."""

from __future__ import annotations

import numpy as np
import pytest

from forge.speaking.conversion.config import VoiceConfig
from shared.audio.sound import Sound
from shared.audio.writing import write_sound
from shared.voices.extract import extract_voice
from shared.voices.layout import ExtractSettings
from shared.voices.reader import read_voiceset

RATE = 16_000
SMALL = VoiceConfig(width=12, code=4, rank=2, steps=6, batch=2, frames=32, warmup_steps=2, population_share=0.5,
                    device="cpu", log_every=2, save_every=2)  # fmt: skip


def hum(seconds: float, pitch: float, seed: int = 0) -> Sound:
    """Harmonics at a gliding pitch, with a vowel's peak that moves."""
    rng = np.random.default_rng(seed)
    time = np.arange(round(seconds * RATE)) / RATE
    phase = 2 * np.pi * np.cumsum(pitch * (1 + 0.1 * np.sin(2 * np.pi * 1.5 * time))) / RATE
    middle = 900 + 500 * np.sin(2 * np.pi * 2 * time)
    tone = sum(np.sin(order * phase) * np.exp(-(((order * pitch - middle) / 500) ** 2)) for order in range(1, 20))
    return Sound((0.1 * tone + 0.002 * rng.normal(size=time.size)).astype(np.float32), RATE)


@pytest.fixture
def voicesets(tmp_path, monkeypatch):
    """Three speakers with two utterances each: r0, r1 and r2."""
    monkeypatch.setattr("shared.voices.extract.speech_spans", lambda sound, _=None: [(0, len(sound))])
    found = []
    for number in range(3):
        files = [tmp_path / f"{number}-{take}.wav" for take in range(2)]
        for take, file in enumerate(files):
            write_sound(file, hum(1.5, 100 + 45 * number, seed=10 * number + take))
        place = tmp_path / "voices" / f"r{number}"
        extract_voice(files, place, ExtractSettings(f"r{number}", "consent"))
        found.append(read_voiceset(place))
    return found
