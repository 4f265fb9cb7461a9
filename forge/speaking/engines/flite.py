"""Flite, where it is installed: a diphone voice and statistical voices (CMU, BSD-like licence)."""

from __future__ import annotations

import re
from functools import lru_cache

from forge.speaking.contract import EngineInfo, EngineKind, Phone, Speech, engines
from forge.speaking.programs import found_program, own_folder, run_program, time_for, written_sound
from shared.errors import SpeechError

_KNOWN: dict[str, EngineKind] = {"slt": "statistical", "awb": "statistical", "rms": "statistical",
                                 "kal16": "diphone", "kal": "diphone"}  # fmt: skip

_PHONE = re.compile(r"([a-z]{1,4}):([0-9]{1,4}\.[0-9]{1,6})(?= |$)")


@engines.register("flite")
class FliteEngine:
    """English. The program is called; nothing of it is in this process."""

    def missing(self) -> str | None:
        """See the protocol."""
        return None if found_program("flite") else "the program flite is not installed (apt install flite)"

    def voices(self) -> tuple[str, ...]:
        """See the protocol."""
        program = found_program("flite")
        if program is None:
            return ()
        try:
            listed = _listed(program)
        except SpeechError:
            return ()
        return tuple(name for name in _KNOWN if name in listed)

    def speak(self, text: str, *, voice: str, seed: int) -> Speech:
        """See the protocol."""
        program = found_program("flite")
        if program is None:
            raise SpeechError("the program flite is not installed", hint="apt install flite")
        with own_folder() as folder:
            source, wav = folder / "text.txt", folder / "out.wav"
            source.write_text(text + "\n", encoding="utf-8")
            arguments = [program, "-voice", voice, "-psdur", "-f", str(source), "-o", str(wav)]
            said = run_program(arguments, folder, seconds=time_for(text))
            sound = written_sound(wav, "flite")
        info = EngineInfo("flite", _KNOWN[voice], "installed program", voice, None, "BSD-like")
        # The times that diphone voices print are not those of their sound.
        told = info.kind == "statistical"
        return Speech(sound, info, phones_in(said, sound.rate, len(sound)) if told else ())


def phones_in(said: str, rate: int, count: int) -> tuple[Phone, ...]:
    """The phones that ``flite -psdur`` prints as ``symbol:end``, ends in seconds.

    Every sentence is a line of its own and its times begin at 0, so the lines are laid one behind the other.
    """
    phones: list[Phone] = []
    for line in said.splitlines():
        begin = phones[-1].stop if phones else 0
        for symbol, end in _PHONE.findall(line):
            first = phones[-1].stop if phones else 0
            stop = min(count, begin + round(float(end) * rate))
            if stop > first:
                phones.append(Phone(symbol, first, stop))
    return tuple(phones)


@lru_cache(maxsize=2)
def _listed(program: str) -> tuple[str, ...]:
    """Names that ``flite -lv`` prints behind a colon."""
    with own_folder() as folder:
        said = run_program([program, "-lv"], folder, seconds=20)
    return tuple(said.split(":")[-1].split())
