"""``assay forge speak`` and ``assay forge engines``."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Annotated

import typer

from forge.speaking.contract import DEFAULT_ENGINE
from shared.commands.completion import words
from shared.commands.options import SeedOption
from shared.console import console
from shared.errors import UsageError

_MOST_BYTES = 1 << 20
_ENGINES = ("espeak", "festival", "flite", "hibari", "piper")


def speak(
    text: Annotated[str | None, typer.Argument(help="What is said.", show_default=False)] = None,
    file: Annotated[
        Path | None, typer.Option(help="Text file to read aloud instead of TEXT.", show_default=False)
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="File: .wav, .flac, .mp3 or .m4a.", show_default="speech.wav")
    ] = None,
    engine: Annotated[
        str, typer.Option(help="hibari, espeak, piper, flite or festival.", autocompletion=words(*_ENGINES))
    ] = DEFAULT_ENGINE,
    voice: Annotated[str | None, typer.Option(help="Voice of the engine.", show_default="its first")] = None,
    phones: Annotated[
        Path | None, typer.Option(help="Write the times of all phones to this .csv file.", show_default=False)
    ] = None,
    seed: SeedOption = None,
) -> None:
    """Reads a text aloud with an engine: labelled synthetic speech.

    Every file carries the sound mark, the words "synthetic speech" in its tags, and a signature whose record names
    engine, voice and text.

    Example: assay forge speak "The meeting is at nine." --out nine.wav

    Example: assay forge speak --file story.txt --engine espeak --phones story.csv --out story.flac
    """
    from forge.speaking.contract import checked_text, say
    from forge.speaking.output import engine_facts, need_speech_suffix, write_phones, write_speech
    from shared.provenance.identity import SigningIdentity
    from shared.provenance.sign import need_signable

    place = out or Path("speech.wav")
    need_speech_suffix(place)
    _need_phones_place(phones, place, file)
    number = seed or 0
    said = checked_text(_given(text, file))
    identity = SigningIdentity.load_or_create()
    need_signable(identity, None)
    speech = say(said, engine=engine, voice=voice, seed=number)
    if phones is not None and not speech.phones:
        raise UsageError(f"{engine} does not tell the times of phones", hint="espeak does; or leave --phones out")
    made = write_speech(
        place, speech.sound, manipulation=engine, facts=engine_facts(speech, said, number), identity=identity
    )
    if phones is not None:
        write_phones(phones, speech.phones, speech.sound.rate)
    info = speech.info
    console.print(
        f"{place}: {speech.sound.seconds:.2f} s by {info.name} {info.version}, voice {info.voice}; synthetic speech, "
        f"marked {made.mark} and signed"
    )
    console.result(
        {
            "path": str(place),
            "seconds": speech.sound.seconds,
            "rate": speech.sound.rate,
            "sha256": made.sha256,
            "mark": made.mark,
            "engine": dataclasses.asdict(info),
            "record": dict(made.facts),
            "phones": [dataclasses.asdict(one) for one in speech.phones],
        }
    )


def engines() -> None:
    """Lists the engines that read text aloud, with their voices, or what has to be installed.

    Example: assay forge engines
    """
    from forge.speaking.contract import engine_states

    states = engine_states()
    console.table(
        "speech engines",
        ["engine", "voices", "missing"],
        [(one.name, ", ".join(one.voices), one.missing or "") for one in states],
    )
    console.result({"engines": [dataclasses.asdict(one) for one in states]})


def _need_phones_place(phones: Path | None, out: Path, file: Path | None) -> None:
    if phones is None:
        return
    if phones.suffix.lower() != ".csv":
        raise UsageError(
            f"times of phones are not written as {phones.suffix or 'a file without suffix'}", hint="use .csv"
        )
    if phones.resolve() in {one.resolve() for one in (out, file) if one is not None}:
        raise UsageError(f"{phones} is also --out or --file", hint="give --phones a file of its own")


def _given(text: str | None, file: Path | None) -> str:
    from shared.storage import read_bytes

    if (text is None) == (file is None):
        raise UsageError("what should be said?", hint="give a text, or --file with a text file")
    if file is None:
        return str(text)
    try:
        return read_bytes(file, _MOST_BYTES, error=UsageError, hint="a text file in UTF-8").decode()
    except UnicodeDecodeError as error:
        raise UsageError(f"{file} is no text in UTF-8", hint="save it as UTF-8") from error
