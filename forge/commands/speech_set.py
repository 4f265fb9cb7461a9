"""``assay forge speech-set``."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Annotated

import typer

from shared.commands.options import SeedOption
from shared.console import console, counted
from shared.errors import UsageError


def speech_set(
    voices: Annotated[
        list[Path], typer.Argument(help="Voicesets of recorded people, or folders of them.", show_default=False)
    ],
    out: Annotated[Path, typer.Option(help="Folder of the set; one that was begun goes on.", show_default=False)],
    name: Annotated[str | None, typer.Option(help="Name of the set.", show_default="of its folder")] = None,
    license: Annotated[str, typer.Option(help="SPDX identifier, or other.")] = "other",
    engines: Annotated[str, typer.Option(help="Engines that read sentences, with commas.")] = "hibari",
    vocoders: Annotated[str, typer.Option(help="Vocoders of twins, with commas.")] = "griffin-lim",
    convert: Annotated[
        Path | None, typer.Option(help="Run of a voice model that converts each utterance.", show_default="none")
    ] = None,
    read: Annotated[
        Path | None,
        typer.Option(help="Run of a voice model with a text encoder; its voices read sentences.", show_default="none"),
    ] = None,
    vocoder_run: Annotated[
        Path | None,
        typer.Option(
            help="Run of a trained vocoder: of istft among --vocoders, and of what --convert and --read give.",
            show_default="Griffin-Lim",
        ),
    ] = None,
    per_speaker: Annotated[int, typer.Option(help="Utterances of each voice.")] = 4,
    codecs: Annotated[str | None, typer.Option(help="Codecs of the chains, with commas.", show_default="all")] = None,
    light: Annotated[float, typer.Option(help="Share of chains that change little: one codec, little noise.")] = 0.5,
    seconds: Annotated[float, typer.Option(help="Longest recording.")] = 6.0,
    seed: SeedOption = None,
) -> None:
    """Makes a labelled set of speech: real utterances, vocoded twins, partial fakes, sentences of engines and models.

    A recording and its fakes leave by one chain of silence, rate, room, noise, level, bits and codec, so that none of
    these tells them apart. No speaker is in two splits. Every file is signed, and the set is sealed. After a stop the
    same command continues.

    Example: assay forge speech-set voices --engines hibari,espeak --vocoders griffin-lim,world --out sets/speech

    Example: assay forge speech-set voices --convert runs/voices --read runs/voices --out sets/voices
    """
    from forge.speaking.building.build import build_speech_set
    from forge.speaking.building.spec import SpeechSetSpec
    from shared.audio.codecs import CODECS
    from shared.voices.reader import read_voiceset, voicesets_in

    spec = SpeechSetSpec(
        name=name or out.name,
        license=license,
        engines=_listed(engines),
        vocoders=_listed(vocoders),
        model=convert,
        reader=read,
        vocoder=vocoder_run,
        per_speaker=per_speaker,
        codecs=tuple(CODECS) if codecs is None else _listed(codecs),
        light=light,
        most_seconds=seconds,
        seed=seed or 0,
    )
    if codecs is not None and not spec.codecs:
        raise UsageError("no codec is named", hint=f"--codecs none, or some of {', '.join(CODECS)}")
    sets = [read_voiceset(path) for folder in voices for path in voicesets_in(folder)]
    made = build_speech_set(sets, out, spec)
    counts = Counter(record.manipulation or "real" for record in made.records)
    splits = Counter(record.split for record in made.records)
    listed = ", ".join(f"{count} {what}" for what, count in sorted(counts.items()))
    console.print(f"{out}: {counted(len(made.records), 'recording')} of {len(sets)} speakers: {listed}; sealed")
    console.result(
        {"path": str(out), "name": made.info.name, "recordings": len(made.records), "made_by": dict(counts),
         "splits": dict(splits)}
    )  # fmt: skip


def _listed(text: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(each.strip() for each in text.split(",") if each.strip()))
