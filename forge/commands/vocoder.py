"""``assay forge train-vocoder``: a vocoder of our own."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from forge.speaking.vocoding.config import VocoderConfig
from shared.commands.options import DeviceOption, SeedOption, SettingsOption, default, resolve
from shared.console import console, counted

_CONFIG = VocoderConfig()

VocoderRunOption = Annotated[
    Path | None, typer.Option(help="Run of a trained vocoder that makes the sound.", show_default="Griffin-Lim")
]
"""Option of the commands whose models give spectrograms."""


def train_vocoder(
    voicesets: Annotated[
        list[Path], typer.Argument(help="Voicesets that it learns from, or folders of them.", show_default=False)
    ],
    run: Annotated[Path, typer.Option(help="Run folder; an unfinished run in it continues.", show_default=False)],
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
    """Trains a vocoder, which makes sound of the voice model's spectrograms. Ctrl-C saves; the same command continues.

    It is the vocoder istft of forge vocode and forge speech-set, and stands in for Griffin-Lim in conversions and
    readings. It speaks in no voice of its own. RUN/previews shows spectrograms and a sound at the end.

    Example: assay forge train-vocoder readers --minutes 30 --run runs/vocoder
    """
    from forge.speaking.vocoding.training import train_vocoder as trained
    from shared.voices.reader import read_voiceset, voicesets_in

    flags = {"steps": steps, "minutes": minutes, "batch": batch, "device": device, "seed": seed}
    settings = resolve(VocoderConfig, config, flags)
    result = trained([read_voiceset(path) for place in voicesets for path in voicesets_in(place)], run, settings)
    facts = result.facts
    console.print(
        f"{result.model}: {counted(result.steps, 'step')} on {facts.seconds:.0f} s of speech by "
        f"{counted(len(facts.voices), 'voice')}"
    )
    console.print(f"try it: assay forge vocode SPEECH --rights consent --vocoder istft --run {run} --out twin.wav")
    console.result(
        {"run": str(result.run), "model": str(result.model), "steps": result.steps, "seconds": result.seconds,
         "voices": list(facts.voices), "seconds_of_speech": facts.seconds}
    )  # fmt: skip
