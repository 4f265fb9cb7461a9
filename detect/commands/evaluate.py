"""``assay detect evaluate``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from detect.commands.options import (
    AggregateOption,
    DatasetArgument,
    DetectorArgument,
    FinderOption,
    OnlyOption,
    SplitOption,
    frames_option,
    replicates_option,
)
from detect.commands.show import plain, show_evaluation
from detect.config.scoring import EvaluateConfig, Protocol
from shared.bootstrap import ClusterBy
from shared.commands.completion import values
from shared.commands.engine_options import AddressOption, EngineOption, JobsOption, engine_asked
from shared.commands.options import DeviceOption, PrecisionOption, SeedOption, SettingsOption, choices, resolve
from shared.console import console

if TYPE_CHECKING:
    from detect.evaluation.result import EvaluationResult
    from shared.engine.tasks import Engine

_EVALUATE = EvaluateConfig()


def evaluate(
    detector: DetectorArgument,
    dataset: DatasetArgument,
    split: SplitOption = None,
    protocol: Annotated[
        str | None,
        typer.Option(
            help=f"What must be new to the detector: {choices(Protocol)}.",
            show_default=_EVALUATE.protocol,
            autocompletion=values(Protocol),
        ),
    ] = None,
    only: OnlyOption = None,
    out: Annotated[
        Path | None, typer.Option(help="Folder for the result.", show_default="RUN/evaluations/SET-SPLIT")
    ] = None,
    threshold: Annotated[
        float | None, typer.Option(help="Score from which a clip is classified as fake.", show_default="the detector's")
    ] = None,
    mask_threshold: Annotated[
        float | None,
        typer.Option(help="Probability from which a pixel counts as forged.", show_default="chosen on the val split"),
    ] = None,
    frames: Annotated[int | None, frames_option(_EVALUATE.frames_per_clip)] = None,
    clusters: Annotated[
        str | None,
        typer.Option(
            help=f"Unit of the bootstrap: {choices(ClusterBy)}.",
            show_default=_EVALUATE.cluster_by,
            autocompletion=values(ClusterBy),
        ),
    ] = None,
    replicates: Annotated[int | None, replicates_option(_EVALUATE.replicates)] = None,
    aggregate: AggregateOption = None,
    finder: FinderOption = None,
    device: DeviceOption = None,
    precision: PrecisionOption = None,
    seed: SeedOption = None,
    config: SettingsOption = None,
    engine: EngineOption = None,
    address: AddressOption = None,
    jobs: JobsOption = None,
) -> None:
    """Measures a detector on a split of a dataset: metrics with intervals, curves, error card; JSON and a page.

    in-set evaluates the whole split, cross-set a set without training data. leave-manipulation-out, leave-identity-out
    and cross-rendition evaluate only what training left out: give --leave-out manipulation=NAME,
    group=PERSON (with everybody linked to that person) or rendition=NAME to assay detect train first.

    A third-party detector is evaluated in the same way. Settings that its file lacks are given as ?name=value after
    it or in FILE.toml beside it: px, mean, std, framing, output (logit, probability), fake (class 0 or 1).
    python: runs your own file's predict(path) -> float on each clip; csv: reads scores made elsewhere.

    Clips are scored in turn; with --jobs N in parallel, with --engine ray on many machines.

    Example: assay detect evaluate runs/det set/ --split test

    Example: assay detect evaluate runs/det set/ --protocol leave-manipulation-out --only rendition=h264-crf40

    Example: assay detect evaluate runs/det set/ --split all --protocol leave-identity-out --only group=ann

    Example: assay detect evaluate "onnx:net.onnx?px=256&mean=0,0,0&std=1,1,1&fake=0" set/
    """
    flags = {
        "split": split,
        "protocol": protocol,
        "only": only or None,
        "threshold": threshold,
        "mask_threshold": mask_threshold,
        "frames_per_clip": frames,
        "cluster_by": clusters,
        "replicates": replicates,
        "aggregate": {"method": aggregate},
        "finder": finder,
        "device": device,
        "precision": precision,
        "seed": seed,
    }
    _run(detector, dataset, out, resolve(EvaluateConfig, config, flags), engine_asked(engine, address, jobs))


def _run(detector: Path, dataset: Path, out: Path | None, settings: EvaluateConfig, engine: Engine | None) -> None:
    from detect.evaluation.evaluate import evaluate_detector

    result, folder = evaluate_detector(detector, dataset, settings, out=out, engine=engine)
    show_evaluation(result)
    _say_where(folder, result)
    console.result({"out": folder, **plain(result)})


def _say_where(folder: Path, result: EvaluationResult) -> None:
    console.print(f"page:       {folder / 'evaluation.html'}\nevaluation: {folder / 'evaluation.json'}")
    console.print(f"curves:     {folder / 'curves.png'}")
    if result.calibration is not None and result.calibration.evaluations:
        console.print(f"calibrated: {folder / 'calibration.png'}")
    if result.regions is not None:
        console.print(f"regions:    {folder / 'regions.png'} (faces of people: keep it with the set)")
