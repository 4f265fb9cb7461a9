"""Hibari: a neural engine whose weights are in its package; the one that needs nothing else.

A small convolutional network gives the magnitudes and phases of an inverse Fourier transform, distilled from
Kokoro-82M (hibari-tts, Apache-2.0). The package's downloads of further voices are never started from here.
"""

from __future__ import annotations

from functools import lru_cache
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from forge.speaking.contract import EngineInfo, Speech, engines
from forge.speaking.programs import needs_sound
from shared.audio.sound import Sound, limited
from shared.errors import SpeechError
from shared.storage import sha256_file


@engines.register("hibari")
class HibariEngine:
    """English, 24,000 samples a second; one voice in the package, others if their files were put into its cache."""

    def missing(self) -> str | None:
        """See the protocol."""
        absent = [name for name in ("hibari", "onnxruntime") if find_spec(name) is None]
        return f"{' and '.join(absent)} is not installed (pip install hibari-tts)" if absent else None

    def voices(self) -> tuple[str, ...]:
        """See the protocol."""
        if self.missing():
            return ()
        from hibari.voices import DEFAULT, VOICES

        return tuple(sorted((name for name in VOICES if _model(name)), key=lambda name: (name != DEFAULT, name)))

    def speak(self, text: str, *, voice: str, seed: int) -> Speech:
        """See the protocol."""
        model = _model(voice)
        if model is None:
            raise SpeechError(f"hibari has no file of the voice {voice}", hint="use the voice heart")
        speaker = _speaker(voice, str(model))
        try:
            samples = speaker(text, seed=seed)
        except Exception as error:
            raise SpeechError(f"hibari failed on this text: {type(error).__name__}: {error}",
                              hint="try another text") from error  # fmt: skip
        sound = Sound(limited(np.nan_to_num(samples)), int(speaker.sample_rate))
        info = EngineInfo("hibari", "neural", version("hibari-tts"), voice, _digest(str(model)), "Apache-2.0")
        return Speech(needs_sound(sound, "hibari"), info)


def _model(voice: str) -> Path | None:
    from hibari.voices import voice_path

    try:
        return Path(voice_path(voice, download_missing=False))
    except (FileNotFoundError, ValueError):
        return None


@lru_cache(maxsize=2)
def _speaker(voice: str, model: str) -> Any:
    from hibari import Hibari

    return Hibari(voice=voice, model=model)


@lru_cache(maxsize=8)
def _digest(model: str) -> str:
    return sha256_file(Path(model))
