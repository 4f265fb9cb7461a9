"""Festival, where it is installed: diphone and HMM voices, by its program text2wave."""

from __future__ import annotations

from pathlib import Path

from forge.speaking.contract import EngineInfo, EngineKind, Speech, engines
from forge.speaking.programs import found_program, own_folder, run_program, time_for, written_sound
from shared.errors import SpeechError

_FOLDERS = (Path("/usr/share/festival/voices"), Path("/usr/local/share/festival/voices"))
_KINDS: dict[str, EngineKind] = {
    "cmu_us_slt_arctic_hts": "statistical", "kal_diphone": "diphone", "ked_diphone": "diphone", "rab_diphone": "diphone"
}  # fmt: skip


@engines.register("festival")
class FestivalEngine:
    """English. The program is called; nothing of it is in this process."""

    def missing(self) -> str | None:
        """See the protocol."""
        if found_program("text2wave") is None:
            return "the program text2wave is not installed (apt install festival)"
        return None if self.voices() else "festival has no voice (apt install festvox-us-slt-hts or festvox-kallpc16k)"

    def voices(self) -> tuple[str, ...]:
        """See the protocol."""
        if found_program("text2wave") is None:
            return ()
        there = {path.name for folder in _FOLDERS if folder.is_dir() for path in folder.glob("*/*")}
        return tuple(name for name in _KINDS if name in there)

    def speak(self, text: str, *, voice: str, seed: int) -> Speech:
        """See the protocol."""
        program = found_program("text2wave")
        if program is None or voice not in _KINDS:
            raise SpeechError("the program text2wave or the voice is not installed", hint="apt install festival")
        with own_folder() as folder:
            source, wav = folder / "text.txt", folder / "out.wav"
            source.write_text(text + "\n", encoding="utf-8")
            arguments = [program, "-o", str(wav), "-eval", f"(voice_{voice})", str(source)]
            run_program(arguments, folder, seconds=2 * time_for(text))
            sound = written_sound(wav, "festival")
        return Speech(sound, EngineInfo("festival", _KINDS[voice], "installed program", voice, None, "BSD-like"))
