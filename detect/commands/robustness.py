"""``assay detect robustness``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from detect.commands.options import (
    DatasetArgument,
    FinderOption,
    OnlyOption,
    SplitOption,
    frames_option,
    replicates_option,
)
from detect.commands.show import plain
from detect.robustness.config import RobustnessConfig
from shared.commands.completion import offered
from shared.commands.engine_options import AddressOption, EngineOption, JobsOption, engine_asked
from shared.commands.options import DeviceOption, PrecisionOption, SeedOption, SettingsOption, default, resolve
from shared.console import console

if TYPE_CHECKING:
    from detect.robustness.result import CellResult, Robustness

_ROBUSTNESS = RobustnessConfig()


def _kinds() -> list[str]:
    from detect.robustness.perturb import KINDS

    return sorted(KINDS)


def robustness(
    detector: Annotated[Path, typer.Argument(help="Run or detector folder, assay, or onnx:FILE.", show_default=False)],
    dataset: DatasetArgument,
    split: SplitOption = None,
    clips: Annotated[
        int | None,
        typer.Option(
            help="At most this many clips, spread over classes and people.", show_default=default(_ROBUSTNESS.clips)
        ),
    ] = None,
    frames: Annotated[int | None, frames_option(_ROBUSTNESS.frames_per_clip)] = None,
    quick: Annotated[
        bool | None, typer.Option("--quick", help="One level of each perturbation.", show_default="all levels")
    ] = None,
    kind: Annotated[
        list[str] | None,
        typer.Option(
            help="Only this perturbation, as blur or jpeg; repeatable.",
            show_default="all",
            autocompletion=offered(lambda: _kinds()),
        ),
    ] = None,
    only: OnlyOption = None,
    out: Annotated[
        Path | None, typer.Option(help="Folder for the result.", show_default="RUN/robustness/SET-SPLIT")
    ] = None,
    replicates: Annotated[int | None, replicates_option(_ROBUSTNESS.replicates)] = None,
    finder: FinderOption = None,
    device: DeviceOption = None,
    precision: PrecisionOption = None,
    seed: SeedOption = None,
    config: SettingsOption = None,
    engine: EngineOption = None,
    address: AddressOption = None,
    jobs: JobsOption = None,
) -> None:
    """Measures a detector on perturbed clips: 7 x 5 of DeeperForensics, JPEG, sizes, double H.264, rates.

    Faces are detected again after each perturbation, and frames without one are counted. After a stop the same command
    continues. Clips are scored in turn; with --jobs N in parallel, with --engine ray on many machines.

    Example: assay detect robustness runs/det set/ --clips 40 --quick
    """
    flags = {
        "split": split,
        "clips": clips,
        "frames_per_clip": frames,
        "quick": quick,
        "kinds": kind or None,
        "only": only or None,
        "replicates": replicates,
        "finder": finder,
        "device": device,
        "precision": precision,
        "seed": seed,
    }
    settings, where = resolve(RobustnessConfig, config, flags), engine_asked(engine, address, jobs)
    from detect.robustness.measure import measure_robustness

    result, folder = measure_robustness(detector, dataset, settings, out=out, engine=where)
    _show(result)
    console.print(f"sweep: {folder / 'robustness.json'}\nmap:   {folder / 'robustness.png'}")
    console.result({"out": folder, **plain(result)})


def _show(result: Robustness) -> None:
    rows = [
        (
            cell.kind,
            "" if cell.value is None else f"{cell.value:g}",
            _auc(cell),
            "" if cell.accuracy is None else f"{cell.accuracy.value:.3f}",
            f"{cell.no_face_clips} of {cell.clips}",
            f"{cell.no_face_rate:.1%}",
        )
        for cell in result.cells
    ]
    columns = ["perturbation", "value", "clip AUC, 95 % interval", "accuracy", "clips without face", "frames without"]
    console.table(f"{result.detector['name']} on {result.dataset['name']}, {result.clusters}", columns, rows)
    if result.mean_auc is not None:
        console.print(f"mean AUC over the 7 x 5 cells of DeeperForensics: {result.mean_auc:.3f}")
    for note in result.notes:
        console.print(f"note: {note}")


def _auc(cell: CellResult) -> str:
    if cell.auc is None:
        return ""
    if cell.auc.low is None or cell.auc.high is None:
        return f"{cell.auc.value:.3f}"
    return f"{cell.auc.value:.3f} ({cell.auc.low:.2f} to {cell.auc.high:.2f})"
