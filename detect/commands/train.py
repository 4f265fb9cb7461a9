"""``assay detect train``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from detect.commands.options import DeviceOption, PrecisionOption, SeedOption, SettingsOption, choices, default, resolve
from detect.commands.show import plain, show_metrics
from detect.config import Aggregation, TrainConfig
from shared.console import console
from shared.types import Framing

if TYPE_CHECKING:
    from detect.train import TrainResult

_TRAIN = TrainConfig()


def train(
    dataset: Annotated[Path, typer.Argument(help="Dataset folder with train and val splits.", show_default=False)],
    run: Annotated[Path, typer.Option(help="Run folder. One that holds this run is gone on with.")],
    model: Annotated[
        str | None, typer.Option(help="Any timm backbone, see assay detect models.", show_default=_TRAIN.model)
    ] = None,
    family: Annotated[
        str | None, typer.Option(help="Family of detectors, see assay detect models.", show_default=_TRAIN.family)
    ] = None,
    pretrained: Annotated[
        bool | None, typer.Option(help="Start from ImageNet weights.", show_default="--pretrained")
    ] = None,
    download: Annotated[
        bool | None, typer.Option("--download", help="Allow fetching those weights.", show_default="no")
    ] = None,
    input_px: Annotated[int | None, typer.Option(help="Side of the crops.", show_default="the model's")] = None,
    framing: Annotated[
        str | None, typer.Option(help=f"How much head a crop shows: {choices(Framing)}.", show_default=_TRAIN.framing)
    ] = None,
    steps: Annotated[int | None, typer.Option(help="How long.", show_default=default(_TRAIN.steps))] = None,
    minutes: Annotated[float | None, typer.Option(help="Stop after this long.", show_default="no limit")] = None,
    batch: Annotated[
        int | None, typer.Option(help="Crops in a step, half of them fake.", show_default=default(_TRAIN.batch))
    ] = None,
    lr: Annotated[float | None, typer.Option(help="Learning rate.", show_default=default(_TRAIN.lr))] = None,
    blended: Annotated[
        float | None,
        typer.Option(help="Share of pairs that are self-blended beside 1 of forged ones.", show_default="0"),
    ] = None,
    forged: Annotated[float | None, typer.Option(help="Share of forged pairs; 0 for none.", show_default="1")] = None,
    real_faces: Annotated[
        list[Path] | None, typer.Option(help="Faceset of real people to blend; repeatable.", show_default=False)
    ] = None,
    twins: Annotated[
        list[Path] | None,
        typer.Option(help="Those faces redrawn (assay forge redraw); repeatable.", show_default=False),
    ] = None,
    frames: Annotated[
        int | None,
        typer.Option(help="Frames of each clip, evenly spaced.", show_default=default(_TRAIN.frames_per_clip)),
    ] = None,
    finder: Annotated[str | None, typer.Option(help="Face finder.", show_default=_TRAIN.faces.finder)] = None,
    aggregate: Annotated[
        str | None,
        typer.Option(help=f"Faces to clip: {choices(Aggregation)}.", show_default=_TRAIN.aggregate.method),
    ] = None,
    leave_out: Annotated[
        list[str] | None,
        typer.Option(
            help="KEY=NAME not to learn from: manipulation, rendition, identity; repeatable.", show_default="nothing"
        ),
    ] = None,
    allow_leak: Annotated[
        bool | None,
        typer.Option("--allow-leak", help="Train although splits share people; the card says so.", show_default="no"),
    ] = None,
    workers: Annotated[
        int | None, typer.Option(help="Threads that make batches.", show_default=default(_TRAIN.workers))
    ] = None,
    device: DeviceOption = None,
    precision: PrecisionOption = None,
    seed: SeedOption = None,
    config: SettingsOption = None,
) -> None:
    """Trains a detector; the val split alone chooses the step that is kept. Ctrl-C saves; the same command goes on.

    Example: assay detect train set/ --model tf_efficientnet_lite0 --run runs/det

    Example: assay detect train set/ --leave-out manipulation=dfl-* --run runs/without-dfl

    Example: assay detect train set/ --blended 1 --real-faces faces/crowd --twins faces/crowd-twins --run runs/both
    """
    flags = {
        "model": model,
        "family": family,
        "mix": {
            "blended": blended,
            "forged": forged,
            "real_faces": [str(path) for path in real_faces] if real_faces else None,
            "twin_faces": [str(path) for path in twins] if twins else None,
        },
        "pretrained": pretrained,
        "download": download,
        "input_px": input_px,
        "framing": framing,
        "steps": steps,
        "minutes": minutes,
        "batch": batch,
        "lr": lr,
        "frames_per_clip": frames,
        "faces": {"finder": finder},
        "aggregate": {"method": aggregate},
        "leave_out": leave_out or None,
        "allow_leak": allow_leak,
        "workers": workers,
        "device": device,
        "precision": precision,
        "seed": seed,
    }
    settings = resolve(TrainConfig, config, flags)
    from detect.train import train_detector

    result = train_detector(dataset, run, settings)
    _show_training(result)


def _show_training(result: TrainResult) -> None:
    console.print(
        f"{result.steps} steps in {result.seconds / 60:.1f} min, {result.images_per_second:.1f} images/s; "
        f"step {result.best_step} kept"
    )
    show_metrics("On the val split, which chose the step and the threshold", result.validation)
    console.print(f"detector: {result.detector}\ncard:     {result.detector / 'README.md'}")
    console.result(
        {
            "run": result.run,
            "detector": result.detector,
            "steps": result.steps,
            "best_step": result.best_step,
            "seconds": result.seconds,
            "images_per_second": result.images_per_second,
            "validation": plain(result.validation),
        }
    )
