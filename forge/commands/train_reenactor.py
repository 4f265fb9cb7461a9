"""``assay forge train-reenactor``."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Annotated

import typer

from forge.reenacting.networks.config import NetworkName, ReenactorConfig
from shared.commands.completion import values
from shared.commands.options import (
    DeviceOption,
    PrecisionOption,
    SeedOption,
    SettingsOption,
    choices,
    default,
    given_only,
    resolve,
    typed_options,
)
from shared.console import console, counted

_USUAL = ReenactorConfig()


def train_reenactor(
    facesets: Annotated[
        list[Path],
        typer.Argument(help="Facesets of videos, the person to be driven among them, or folders.", show_default=False),
    ],
    run: Annotated[Path, typer.Option(help="Run folder; an unfinished run in it continues.")],
    family: Annotated[
        str | None,
        typer.Option(
            help=f"One of {choices(NetworkName)}.", show_default=_USUAL.family, autocompletion=values(NetworkName)
        ),
    ] = None,
    steps: Annotated[int | None, typer.Option(help="How long.", show_default="by family")] = None,
    minutes: Annotated[
        float | None, typer.Option(help="Stop after this many minutes.", show_default="no limit")
    ] = None,
    batch: Annotated[int | None, typer.Option(help="Pairs in a step.", show_default=default(_USUAL.batch))] = None,
    lr: Annotated[float | None, typer.Option(help="Learning rate.", show_default=default(_USUAL.learning_rate))] = None,
    holdout: Annotated[
        float | None, typer.Option(help="Last fraction of every clip, left out of the training.", show_default="0")
    ] = None,
    option: Annotated[
        list[str] | None, typer.Option(help="Option of the family, name=value; repeatable.", show_default=False)
    ] = None,
    device: DeviceOption = None,
    precision: PrecisionOption = None,
    seed: SeedOption = None,
    config: SettingsOption = None,
) -> None:
    """Trains a network of re-enactment on faces of videos. Ctrl-C saves; the same command continues.

    Each step shows two moments of a clip and asks for one of them by its landmarks. RUN/previews/latest.png shows the
    progress. The network is for assay forge reenact --run RUN with the same family.

    Example: assay forge train-reenactor faces/ann faces/bob --run runs/driven

    Example: assay forge train-reenactor faces/ann faces/crowd --minutes 60 --holdout 0.2 --run runs/driven
    """
    flags = given_only(
        {
            "family": family, "steps": steps, "minutes": minutes, "batch": batch, "learning_rate": lr,
            "holdout": holdout, "options": typed_options(option) if option else None, "device": device,
            "precision": precision, "seed": seed,
        }
    )  # fmt: skip
    settings = resolve(ReenactorConfig, config, flags)
    from forge.reenacting.networks.training import train_reenactor as train
    from shared.faces.facesets.reader import facesets_in

    result = train(facesets_in(facesets), run, settings)
    console.print(f"{counted(result.steps, 'step')} in {result.seconds / 60:.1f} min")
    of = f"{counted(result.clips, 'clip')} of {counted(result.people, 'person', 'people')}"
    console.print(f"trained on {counted(result.pictures, 'picture')} from {of}")
    console.print(f"preview: {result.run / 'previews' / 'latest.png'}\nnetwork: {result.weights}")
    console.result(dataclasses.asdict(result))
