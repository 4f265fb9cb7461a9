"""``assay forge speak`` and ``assay forge engines``."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from forge.commands.vocoder import VocoderRunOption
from forge.speaking.contract import DEFAULT_ENGINE
from shared.commands.completion import words
from shared.commands.options import SeedOption
from shared.console import console
from shared.errors import UsageError

if TYPE_CHECKING:
    from forge.speaking.contract import EngineInfo, Phone
    from shared.audio.sound import Sound

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
        str | None,
        typer.Option(
            help="hibari, espeak, piper, flite or festival.",
            autocompletion=words(*_ENGINES),
            show_default=f"{DEFAULT_ENGINE}, or that of the run",
        ),
    ] = None,
    voice: Annotated[str | None, typer.Option(help="Voice of the engine.", show_default="its first")] = None,
    run: Annotated[
        Path | None,
        typer.Option(help="Run of a voice model with a text encoder, in whose voices it is read.", show_default=False),
    ] = None,
    identity: Annotated[str | None, typer.Option(help="Identity of the run that speaks.", show_default=False)] = None,
    vocoder_run: VocoderRunOption = None,
    phones: Annotated[
        Path | None, typer.Option(help="Write the times of all phones to this .csv file.", show_default=False)
    ] = None,
    seed: SeedOption = None,
) -> None:
    """Reads a text aloud, by an engine or in the voice of an identity of a trained run: labelled synthetic speech.

    Every file carries the sound mark, the words "synthetic speech" in its tags, and a signature whose record names
    engine, voice and text; with --run the identity, the bases on which its voice may be used, and the models.

    Example: assay forge speak "The meeting is at nine." --out nine.wav

    Example: assay forge speak --file story.txt --engine espeak --phones story.csv --out story.flac

    Example: assay forge speak "The meeting is at nine." --run runs/voices --identity bob --out bob.wav
    """
    from forge.speaking.contract import checked_text
    from forge.speaking.output import need_speech_suffix, write_phones, write_speech
    from shared.provenance.identity import SigningIdentity
    from shared.provenance.sign import need_signable

    place = out or Path("speech.wav")
    need_speech_suffix(place)
    _need_phones_place(phones, place, file)
    _need_whose_voice(run, identity, engine, vocoder_run)
    number = seed or 0
    said = checked_text(_given(text, file))
    signer = SigningIdentity.load_or_create()
    need_signable(signer, None)
    if run is not None:
        spoken = _in_trained_voice(said, run, str(identity), voice, vocoder_run, number)
    else:
        spoken = _by_engine(said, engine or DEFAULT_ENGINE, voice, number)
    if phones is not None and not spoken.phones:
        raise UsageError(
            f"{spoken.info.name} does not tell the times of phones", hint="espeak does; or leave --phones out"
        )
    made = write_speech(place, spoken.sound, manipulation=spoken.manipulation, facts=spoken.facts, identity=signer)
    if phones is not None:
        write_phones(phones, spoken.phones, spoken.sound.rate)
    console.print(
        f"{place}: {spoken.sound.seconds:.2f} s {spoken.described}; synthetic speech, marked {made.mark} and signed"
    )
    console.result(
        {
            "path": str(place),
            "seconds": spoken.sound.seconds,
            "rate": spoken.sound.rate,
            "sha256": made.sha256,
            "mark": made.mark,
            "engine": dataclasses.asdict(spoken.info),
            "record": dict(made.facts),
            "phones": [dataclasses.asdict(one) for one in spoken.phones],
        }
    )


@dataclasses.dataclass(frozen=True, eq=False)
class _Spoken:
    """A text that was read: the sound, its phones, the engine, and what the record and the console say of it."""

    sound: Sound
    phones: tuple[Phone, ...]
    info: EngineInfo
    manipulation: str
    facts: dict[str, str | int | None]
    described: str


def _by_engine(text: str, engine: str, voice: str | None, seed: int) -> _Spoken:
    from forge.speaking.contract import say
    from forge.speaking.output import engine_facts

    speech = say(text, engine=engine, voice=voice, seed=seed)
    info = speech.info
    described = f"by {info.name} {info.version}, voice {info.voice}"
    return _Spoken(speech.sound, speech.phones, info, engine, engine_facts(speech, text, seed), described)


def _in_trained_voice(
    text: str, run: Path, identity: str, voice: str | None, vocoder: Path | None, seed: int
) -> _Spoken:
    from forge.speaking.conversion.checkpoint import load_voice_model
    from forge.speaking.output import text_facts
    from forge.speaking.reading.checkpoint import load_text_model
    from forge.speaking.reading.read import MANIPULATION, read_text, reader_facts
    from forge.speaking.vocoding.synthesis import inversion_in

    model = load_voice_model(run)
    encoder = load_text_model(run, model)
    inversion = inversion_in(vocoder)
    made = read_text(text, model, encoder, identity, engine_voice=voice, inversion=inversion, seed=seed)
    facts = {
        **reader_facts(made, model, encoder, identity, inversion),
        **text_facts(text, seed),
        "segments": f"0-{len(made.sound)}",
    }
    described = f"in the voice of {identity}, phones by {made.info.name}"
    return _Spoken(made.sound, made.phones, made.info, MANIPULATION, facts, described)


def _need_whose_voice(run: Path | None, identity: str | None, engine: str | None, vocoder_run: Path | None) -> None:
    if run is None and identity is not None:
        raise UsageError(f"{identity} is an identity of which run?", hint="give --run with a voice model's run")
    if run is None and vocoder_run is not None:
        raise UsageError("an engine needs no vocoder", hint="--vocoder-run goes with --run")
    if run is not None and identity is None:
        raise UsageError("which identity of the run speaks?", hint="give --identity")
    if run is not None and engine is not None:
        raise UsageError("--engine does not go with --run", hint="the run's text encoder has an engine of its own")


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
