"""``assay forge train``."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from forge.commands.options import (
    BatchOption,
    FacesetsArgument,
    ModelOption,
    OptimizerOption,
    WidthOption,
    recipes_offered,
)
from forge.training.config import TrainConfig
from forge.training.recipe import load_recipe
from shared.commands.options import (
    DeviceOption,
    SeedOption,
    SettingsOption,
    default,
    typed_options,
)
from shared.config import from_mapping, merged, read_toml
from shared.console import console, counted

if TYPE_CHECKING:
    from forge.training.train import TrainResult

_TRAIN = TrainConfig()

MinutesOption = Annotated[
    float | None,
    typer.Option(
        help="Stop after this many minutes; learning rate, warp and phases follow this clock too, so a busy "
        "machine makes fewer steps. --steps alone makes the same on every machine.",
        show_default="no limit",
    ),
]
StartOption = Annotated[
    str | None,
    typer.Option(
        "--from",
        help="Run, swapper or checkpoint to take initial weights from; base: the one in the package; none: random "
        "weights.",
        show_default="base where it fits",
    ),
]


def train(
    facesets: FacesetsArgument,
    run: Annotated[Path, typer.Option(help="Run folder; an unfinished run in it continues.")],
    model: ModelOption = None,
    width: WidthOption = None,
    steps: Annotated[int | None, typer.Option(help="How long.", show_default=default(_TRAIN.steps))] = None,
    minutes: MinutesOption = None,
    batch: BatchOption = None,
    lr: Annotated[float | None, typer.Option(help="Learning rate.", show_default=default(_TRAIN.learning_rate))] = None,
    optimizer: OptimizerOption = None,
    accumulate: Annotated[
        int | None,
        typer.Option(help="Batches per step (gradient accumulation).", show_default=default(_TRAIN.accumulate)),
    ] = None,
    recipe: Annotated[
        str | None,
        typer.Option(
            help="Losses, warps and rates by phase: a name or a TOML file.",
            show_default="none",
            autocompletion=recipes_offered,
        ),
    ] = None,
    start_from: StartOption = None,
    load_parts: Annotated[
        str | None, typer.Option(help="Parts to take, by comma: encoder,inter.", show_default="all that fit")
    ] = None,
    freeze: Annotated[str | None, typer.Option(help="Parts to freeze, by comma.", show_default="none")] = None,
    holdout: Annotated[
        float | None,
        typer.Option(help="Last fraction of every clip, held out for measuring.", show_default="0"),
    ] = None,
    option: Annotated[
        list[str] | None, typer.Option(help="Option of the family, name=value; repeatable.", show_default=False)
    ] = None,
    device: DeviceOption = None,
    seed: SeedOption = None,
    config: SettingsOption = None,
) -> None:
    """Trains one swapper for all given people. Ctrl-C saves; the same command continues.

    RUN/previews/latest.jpg shows the progress: first after half a minute, then less and less often, and at a stop.

    Which recipe: --recipe assay-cpu on a CPU; --recipe assay-quality for a GPU and a night, which has not been
    measured. docs/swappers.md has what was measured.

    On several GPUs: accelerate launch --no_python assay forge train ...

    Example: assay forge train faces/ann faces/bob --recipe assay-cpu --run runs/ann-bob
    """
    flags = {
        "model": model,
        "width": width,
        "steps": steps,
        "minutes": minutes,
        "batch": batch,
        "learning_rate": lr,
        "optimizer": optimizer,
        "accumulate": accumulate,
        "start_from": start_from,
        "load_parts": load_parts,
        "freeze": freeze,
        "holdout": holdout,
        "model_options": typed_options(option) if option else None,
        "device": device,
        "seed": seed,
    }
    settings = _settings(flags, recipe, config)
    from forge.training.train import train_swapper
    from shared.faces.facesets.reader import facesets_in

    result = train_swapper(facesets_in(facesets), run, settings)
    _tell(result, settings)


def _settings(flags: Mapping[str, Any], recipe: str | None, config: Path | None) -> TrainConfig:
    """The settings of a recipe, overridden by those of a file, and these by the flags that were given."""
    below = load_recipe(recipe) if recipe is not None else {}
    below = merged(below, read_toml(config)) if config is not None else below
    given = {name: value for name, value in flags.items() if value is not None}
    return from_mapping(TrainConfig, merged(below, given), where=config.name if config else recipe or "flags")


def _tell(result: TrainResult, settings: TrainConfig) -> None:
    """Prints the result, and what drove the schedule."""
    loss = f", loss {result.loss:.4f}" if math.isfinite(result.loss) else ""
    console.print(f"{counted(result.steps, 'step')} in {result.seconds / 60:.1f} min{loss}")
    if settings.minutes is not None and result.steps < settings.steps:
        console.print(
            f"its schedule went by the clock: a busier machine makes fewer steps in {settings.minutes:g} minutes; "
            f"--steps {result.steps} without --minutes makes as many on any machine"
        )
    console.print(f"previews: {result.run / 'previews'}\nswapper:  {result.swapper}")
    plain = dataclasses.asdict(result)
    console.result(plain if math.isfinite(result.loss) else {**plain, "loss": None})
