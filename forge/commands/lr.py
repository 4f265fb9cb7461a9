"""``assay forge lr``."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Annotated

import typer

from forge.commands.options import BatchOption, FacesetsArgument, ModelOption, OptimizerOption, WidthOption
from forge.training.config import TrainConfig
from shared.commands.options import DeviceOption, SettingsOption, resolve
from shared.console import console

_TRAIN = TrainConfig()


def lr(
    facesets: FacesetsArgument,
    out: Annotated[Path | None, typer.Option(help="Plot of the trial, a PNG.", show_default="none")] = None,
    steps: Annotated[int, typer.Option(help="Of the trial.")] = 120,
    low: Annotated[float, typer.Option(help="First rate.")] = 1e-6,
    high: Annotated[float, typer.Option(help="Last rate.")] = 1e-2,
    model: ModelOption = None,
    width: WidthOption = None,
    batch: BatchOption = None,
    optimizer: OptimizerOption = None,
    device: DeviceOption = None,
    config: SettingsOption = None,
) -> None:
    """Suggests a learning rate by a short trial with rising rates. The trained weights are discarded.

    Example: assay forge lr faces/ann faces/bob --out lr.png
    """
    flags = {"model": model, "width": width, "batch": batch, "optimizer": optimizer, "device": device}
    settings = resolve(TrainConfig, config, flags)
    from forge.training.lr_finder import find_rate, rate_plot
    from shared.faces.facesets.reader import facesets_in
    from shared.storage import write_bytes

    trial = find_rate(facesets_in(facesets), settings, steps=steps, low=low, high=high)
    if out is not None:
        write_bytes(out, rate_plot(trial))
    console.print(f"suggested: --lr {trial.suggestion:.2g} (tried {trial.rates[0]:.2g} to {trial.rates[-1]:.2g})")
    console.result(dataclasses.asdict(trial))
