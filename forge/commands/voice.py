"""``assay forge train-voice``, ``train-text`` and ``convert``: a model of voices, and speech in one of them."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Annotated, Any

import typer

from forge.commands.vocoder import VocoderRunOption
from forge.speaking.conversion.config import VoiceConfig
from forge.speaking.reading.config import TextConfig
from shared.commands.completion import words
from shared.commands.options import DeviceOption, SeedOption, SettingsOption, default, resolve
from shared.console import console, counted

_CONFIG = VoiceConfig()
_TEXT = TextConfig()


def train_voice(
    voicesets: Annotated[
        list[Path],
        typer.Argument(
            help="Voicesets, or folders of them: two identities or more that speech can be converted to.",
            show_default=False,
        ),
    ],
    run: Annotated[Path, typer.Option(help="Run folder; an unfinished run in it continues.", show_default=False)],
    population: Annotated[
        list[Path] | None,
        typer.Option(
            help="Further voicesets that only encoder and decoder learn from; repeatable.", show_default="none"
        ),
    ] = None,
    steps: Annotated[int | None, typer.Option(help="How long.", show_default=default(_CONFIG.steps))] = None,
    minutes: Annotated[
        float | None,
        typer.Option(
            help="Stop after this many minutes; the schedule follows this clock too.", show_default="no limit"
        ),
    ] = None,
    batch: Annotated[
        int | None, typer.Option(help="Stretches of speech in a step.", show_default=default(_CONFIG.batch))
    ] = None,
    device: DeviceOption = None,
    seed: SeedOption = None,
    config: SettingsOption = None,
) -> None:
    """Trains one model of voices for all given identities. Ctrl-C saves; the same command continues.

    A voiceset states the basis on which its voice may be used, and the model's card repeats it. RUN/previews shows
    spectrograms and sounds at the end.

    Example: assay forge train-voice voices/ann voices/bob --population readers --minutes 30 --run runs/voices
    """
    from forge.speaking.conversion.training import train_voices
    from shared.voices.reader import read_voiceset, voicesets_in

    flags = {"steps": steps, "minutes": minutes, "batch": batch, "device": device, "seed": seed}
    settings = resolve(VoiceConfig, config, flags)

    def opened(places: list[Path]) -> list[Any]:
        return [read_voiceset(path) for place in places for path in voicesets_in(place)]

    identities, more = opened(voicesets), opened(population or [])
    chosen = {one.path.resolve() for one in identities}
    result = train_voices(
        identities, run, settings, population=[one for one in more if one.path.resolve() not in chosen]
    )
    names = ", ".join(each.name for each in result.facts.identities)
    console.print(f"{result.model}: {counted(result.steps, 'step')}, identities {names}")
    console.print(f"try it: assay forge convert {run} SPEECH --rights consent --to {result.facts.identities[0].name}")
    console.result(
        {"run": str(result.run), "model": str(result.model), "steps": result.steps, "seconds": result.seconds,
         "identities": [dataclasses.asdict(each) for each in result.facts.identities]}
    )  # fmt: skip


def train_text(
    run: Annotated[
        Path,
        typer.Argument(
            help="Run of a trained voice model; an unfinished training in it continues.", show_default=False
        ),
    ],
    engine: Annotated[
        str | None,
        typer.Option(
            help="Engine that tells the times of phones: flite or espeak.",
            show_default=_TEXT.engine,
            autocompletion=words("flite", "espeak"),
        ),
    ] = None,
    voices: Annotated[
        str | None,
        typer.Option(help="Voices of the engine, with commas; the first reads texts.", show_default="all that tell"),
    ] = None,
    sentences: Annotated[
        int | None, typer.Option(help="Sentences that the engine reads.", show_default=default(_TEXT.sentences))
    ] = None,
    steps: Annotated[int | None, typer.Option(help="How long.", show_default=default(_TEXT.steps))] = None,
    minutes: Annotated[
        float | None,
        typer.Option(
            help="Stop after this many minutes; the schedule follows this clock too.", show_default="no limit"
        ),
    ] = None,
    batch: Annotated[int | None, typer.Option(help="Sentences in a step.", show_default=default(_TEXT.batch))] = None,
    device: DeviceOption = None,
    seed: SeedOption = None,
    config: SettingsOption = None,
) -> None:
    """Trains what lets the identities of a voice model read texts. Ctrl-C saves; the same command continues.

    This text encoder learns from sentences that an engine reads, whose phones and times are known, and from no person.
    The voice model stays as it is. RUN/text/previews shows spectrograms and a sound at the end.

    Example: assay forge train-text runs/voices --voices rms,slt --minutes 20
    """
    from forge.speaking.reading.training import train_text as trained

    flags = {
        "engine": engine,
        "voices": None if voices is None else [each.strip() for each in voices.split(",") if each.strip()],
        "sentences": sentences, "steps": steps, "minutes": minutes, "batch": batch, "device": device, "seed": seed,
    }  # fmt: skip
    result = trained(run, resolve(TextConfig, config, flags))
    front = result.facts.front_end
    console.print(
        f"{result.model}: {counted(result.steps, 'step')} on {counted(result.facts.sentences, 'sentence')} by "
        f"{front.engine} ({', '.join(front.voices)})"
    )
    console.print(f'try it: assay forge speak "The meeting is at nine." --run {run} --identity NAME')
    console.result(
        {"run": str(result.run), "model": str(result.model), "steps": result.steps, "seconds": result.seconds,
         "engine": front.engine, "voices": list(front.voices), "sentences": result.facts.sentences}
    )  # fmt: skip


def convert(
    run: Annotated[Path, typer.Argument(help="Run of a voice model, or its voice-model folder.", show_default=False)],
    speech: Annotated[Path, typer.Argument(help="A recording of speech.", show_default=False)],
    to: Annotated[str, typer.Option(help="Identity that speaks in the result.", show_default=False)],
    rights: Annotated[
        str, typer.Option(help="Basis of use of the recording: consent, CC-BY-4.0, ...", show_default=False)
    ],
    out: Annotated[Path, typer.Option(help="File: .wav, .flac, .mp3 or .m4a.", show_default=False)],
    vocoder_run: VocoderRunOption = None,
    seed: SeedOption = None,
) -> None:
    """Converts a recording to the voice of an identity: the same words at the same times. Labelled synthetic speech.

    The file carries the sound mark, the words "synthetic speech" in its tags, and a signature whose record names the
    model, the identity, and both bases of use. An identity converted to itself is the control.

    Example: assay forge convert runs/voices ann.wav --rights consent --to bob --out ann-as-bob.wav
    """
    from forge.speaking.conversion.checkpoint import load_voice_model
    from forge.speaking.conversion.convert import converted
    from forge.speaking.output import open_recording, write_speech
    from forge.speaking.vocoding.synthesis import inversion_in

    model, inversion = load_voice_model(run), inversion_in(vocoder_run)
    identity = model.facts.identities[model.number_of(to)]
    sound = open_recording(speech, rights, out)
    made = converted(sound, model, to, inversion=inversion, seed=seed or 0)
    facts: dict[str, str | int | None] = {
        "identity": to,
        "identity_rights": identity.rights,
        "population_rights": ", ".join(model.facts.population_rights) or None,
        "rights": rights,
        "weights_sha256": model.weights_sha256,
        **inversion.facts(),
        "seed": seed or 0,
        "segments": f"0-{len(made)}",
    }
    written = write_speech(out, made, manipulation="voice conversion", facts=facts, ingredient=speech)
    console.print(
        f"{out}: {made.seconds:.2f} s in the voice of {to}; synthetic speech, marked {written.mark} and signed"
    )
    console.result(
        {"path": str(out), "seconds": made.seconds, "rate": made.rate, "sha256": written.sha256,
         "mark": written.mark, "record": dict(written.facts)}
    )  # fmt: skip
