"""Small sounds of two kinds, and a set of them, for detectors of speech."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from detect.speech.contract import RATE
from detect.speech.train import train_speech
from detect.speech.utterances import LIST_NAME, Utterance, write_speech
from shared.audio.sound import Sound
from shared.audio.writing import write_sound


def voice(seed: int, seconds: float = 1.5, *, buzz: bool = False) -> np.ndarray:
    """(N,) float32: syllables of noise with a pitch; ``buzz`` adds a weak tone at 6 kHz, the trace to be found."""
    rng = np.random.default_rng(seed)
    time = np.arange(int(seconds * RATE)) / RATE
    pitch = np.cumsum(rng.uniform(90, 200) * (1 + 0.05 * np.sin(2 * np.pi * 3 * time))) / RATE
    tone = sum(np.sin(2 * np.pi * n * pitch) / n for n in range(1, 12))
    loud = 0.3 + 0.7 * np.abs(np.sin(2 * np.pi * 2 * time + rng.uniform(0, 6)))
    sound = 0.1 * loud * tone + 0.01 * loud * rng.normal(size=len(time))
    if buzz:
        sound += 0.02 * loud * np.sin(2 * np.pi * 6000 * time) * (1 + np.sin(2 * np.pi * 50 * time))
    return np.clip(sound, -1, 1).astype(np.float32)


@pytest.fixture(scope="session")
def speech_set(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A set: 8 speakers to train on, 8 to validate, 4 to test, each with a real and a fake recording, some in part."""
    folder = tmp_path_factory.mktemp("speech")
    utterances = []
    for number in range(20):
        split = "train" if number < 8 else "val" if number < 16 else "test"
        who = f"reader{number}"
        real, fake = voice(number), voice(number, buzz=True)
        part = real.copy()
        part[RATE // 2 : RATE] = fake[RATE // 2 : RATE]
        for name, samples, fake_one in (("real", real, False), ("buzz", fake, True), ("part", part, True)):
            path = folder / f"{name}-{number}.wav"
            write_sound(path, Sound(samples, RATE))
            spans = ((0.5, 1.0),) if name == "part" else ()
            engine = name if fake_one else ""
            codec = "odd" if number % 2 else "even"
            utterances.append(Utterance(path, fake_one, who, engine, codec, split, spans))
    write_speech(folder / LIST_NAME, utterances)
    return folder


@pytest.fixture(scope="session")
def floor(speech_set, tmp_path_factory) -> Path:
    """A run of the mixtures."""
    out = tmp_path_factory.mktemp("runs") / "floor"
    train_speech(speech_set, out, model="lfcc-gmm", components=4, most_frames=2000, augment={"noise": 0, "room": 0,
                 "line": 0, "band": 0, "companding": 0, "clipping": 0})  # fmt: skip
    return out


@pytest.fixture(autouse=True)
def heard_as_speech(monkeypatch: pytest.MonkeyPatch) -> None:
    """The small sounds count as speech, which a detector of voice activity does not think."""
    monkeypatch.setattr("detect.speech.score.speech_spans", lambda sound: [(0, len(sound))])
