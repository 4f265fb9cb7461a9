"""``assay detect evaluate``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from detect.commands.options import DeviceOption, PrecisionOption, SeedOption, SettingsOption, choices, default, resolve
from detect.commands.show import plain, show_metrics
from detect.config import Aggregation, ClusterBy, EvaluateConfig, Protocol
from shared.console import console

_EVALUATE = EvaluateConfig()


def evaluate(
    detector: Annotated[
        Path,
        typer.Argument(
            help="Run or detector folder; or onnx:FILE, local-dir:FOLDER, python:FILE, csv:FILE.", show_default=False
        ),
    ],
    dataset: Annotated[Path, typer.Argument(help="Dataset folder.", show_default=False)],
    split: Annotated[
        str | None, typer.Option(help="train, val, test or all.", show_default=default(_EVALUATE.split))
    ] = None,
    protocol: Annotated[
        str | None,
        typer.Option(help=f"What must be new to the detector: {choices(Protocol)}.", show_default=_EVALUATE.protocol),
    ] = None,
    only: Annotated[
        list[str] | None,
        typer.Option(
            help="KEY=NAME, as manipulation=dfl-*, rendition, identity, group; repeatable.", show_default="all"
        ),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Folder for the result.", show_default="RUN/evaluations/SET-SPLIT")
    ] = None,
    threshold: Annotated[
        float | None, typer.Option(help="Score from which a clip is called fake.", show_default="the detector's")
    ] = None,
    frames: Annotated[
        int | None,
        typer.Option(help="Frames of each clip, evenly spaced.", show_default=default(_EVALUATE.frames_per_clip)),
    ] = None,
    clusters: Annotated[
        str | None,
        typer.Option(help=f"What the bootstrap draws: {choices(ClusterBy)}.", show_default=_EVALUATE.cluster_by),
    ] = None,
    replicates: Annotated[
        int | None, typer.Option(help="Bootstrap replicates.", show_default=default(_EVALUATE.replicates))
    ] = None,
    aggregate: Annotated[
        str | None,
        typer.Option(help=f"Faces to clip: {choices(Aggregation)}.", show_default="the detector's"),
    ] = None,
    finder: Annotated[str | None, typer.Option(help="Face finder.", show_default="the detector's")] = None,
    device: DeviceOption = None,
    precision: PrecisionOption = None,
    seed: SeedOption = None,
    config: SettingsOption = None,
) -> None:
    """Measures a detector on a split of a dataset: scores, metrics with intervals, curves.

    Another maker's detector is measured in the same way. Settings that its file does not state stand behind it as
    ?name=value or beside it as FILE.toml: px, mean, std, framing, output (logit, probability), fake (class 0 or 1).
    python: runs your own file's predict(path) -> float on each clip; csv: reads scores made elsewhere.

    Example: assay detect evaluate runs/det set/ --split test

    Example: assay detect evaluate runs/det set/ --protocol leave-manipulation-out --only rendition=h264-crf40

    Example: assay detect evaluate "onnx:net.onnx?px=256&mean=0,0,0&std=1,1,1&fake=0" set/
    """
    flags = {
        "split": split,
        "protocol": protocol,
        "only": only or None,
        "threshold": threshold,
        "frames_per_clip": frames,
        "cluster_by": clusters,
        "replicates": replicates,
        "aggregate": {"method": aggregate},
        "finder": finder,
        "device": device,
        "precision": precision,
        "seed": seed,
    }
    settings = resolve(EvaluateConfig, config, flags)
    from detect.evaluate import evaluate_detector, split_words

    result, folder = evaluate_detector(detector, dataset, settings, out=out)
    show_metrics(f"{result.detector['name']} on {result.dataset['name']}, {split_words(result.split)}", result)
    console.print(f"evaluation: {folder / 'evaluation.json'}\ncurves:     {folder / 'curves.png'}")
    console.result({"out": folder, **plain(result)})
