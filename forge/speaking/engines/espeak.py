"""eSpeak NG: formant synthesis with exact times of every phone.

The library is loaded by a small program in a process of its own (``espeak_program.py``): it is under the GPL, and a
crash in it ends that process only. It is taken from the package espeakng-loader, else from the system.
"""

from __future__ import annotations

import ctypes.util
import sys
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path

from forge.speaking.contract import EngineInfo, Phone, Speech, engines
from forge.speaking.programs import own_folder, run_program, time_for, written_sound
from shared.errors import SpeechError
from shared.storage import read_json

_PROGRAM = Path(__file__).with_name("espeak_program.py")
_VOICES = ("en-us", "en-us+f3", "en-us+m3", "en", "en+f2", "en-gb-scotland", "en-gb-x-rp", "en-029")
_MOST_BYTES = 16 << 20


@engines.register("espeak")
class EspeakEngine:
    """Many languages; the English voices and two of its variants are listed."""

    def missing(self) -> str | None:
        """See the protocol."""
        if find_spec("espeakng_loader") is None and ctypes.util.find_library("espeak-ng") is None:
            return "neither espeakng-loader nor libespeak-ng is installed (pip install espeakng-loader)"
        return None

    def voices(self) -> tuple[str, ...]:
        """See the protocol."""
        return () if self.missing() else _VOICES

    def speak(self, text: str, *, voice: str, seed: int) -> Speech:
        """See the protocol."""
        with own_folder() as folder:
            wav, times = folder / "out.wav", folder / "phones.json"
            arguments = [sys.executable, str(_PROGRAM), voice, str(wav), str(times)]
            said = run_program(arguments, folder, text=text, seconds=time_for(text))
            sound = written_sound(wav, "espeak")
            found = read_json(times, list[tuple[str, int]], _MOST_BYTES, error=SpeechError)
        info = EngineInfo("espeak", "formant", said.strip()[:40] or _package(), voice, None, "GPL-3.0-or-later")
        return Speech(sound, info, phones_from_starts(found, len(sound)))


def phones_from_starts(starts: list[tuple[str, int]], count: int) -> tuple[Phone, ...]:
    """Phones from their first samples: each ends where the next begins, the last with the sound."""
    inside = [(symbol, min(max(0, first), count)) for symbol, first in starts]
    stops = [first for _, first in inside[1:]] + [count]
    return tuple(
        Phone(symbol or "_", first, stop) for (symbol, first), stop in zip(inside, stops, strict=True) if stop > first
    )


def _package() -> str:
    try:
        return version("espeakng-loader")
    except PackageNotFoundError:
        return "unknown"
