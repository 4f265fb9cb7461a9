"""``assay detect`` and ``assay inspect``: train, evaluate and use detectors. Torch is imported inside the commands."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar, get_args

import typer

from detect.config import Aggregation, ClusterBy, EvaluateConfig, TrainConfig
from shared.config import from_mapping, read_toml
from shared.console import console
from shared.types import Framing

if TYPE_CHECKING:
    from collections.abc import Mapping

    from detect.evaluate import EvaluationResult
    from detect.train import TrainResult
    from shared.scores import Evaluation

T = TypeVar("T")

app = typer.Typer(help="Train detectors, evaluate them with an interval on every number.", no_args_is_help=True)

_TRAIN = TrainConfig()
_EVALUATE = EvaluateConfig()

_Device = Annotated[str | None, typer.Option(help="auto, cpu, cuda, cuda:N or mps.", show_default="auto")]
_Precision = Annotated[str | None, typer.Option(help="auto, float32 or bfloat16.", show_default="auto")]
_Seed = Annotated[int | None, typer.Option(help="Start of every random draw.", show_default="0")]
_Settings = Annotated[
    Path | None, typer.Option("--config", help="TOML file with any setting; flags overrule it.", show_default=False)
]


def _default(value: object) -> str:
    return str(value)


def _choices(kind: object) -> str:
    return ", ".join(get_args(kind))


@app.command()
def train(
    dataset: Annotated[Path, typer.Argument(help="Dataset folder with train and val splits.", show_default=False)],
    run: Annotated[Path, typer.Option(help="Run folder. One that holds this run is gone on with.")],
    model: Annotated[
        str | None, typer.Option(help="Any timm backbone, see assay detect models.", show_default=_TRAIN.model)
    ] = None,
    pretrained: Annotated[
        bool | None, typer.Option(help="Start from ImageNet weights.", show_default="--pretrained")
    ] = None,
    download: Annotated[
        bool | None, typer.Option("--download", help="Allow fetching those weights.", show_default="no")
    ] = None,
    input_px: Annotated[int | None, typer.Option(help="Side of the crops.", show_default="the model's")] = None,
    framing: Annotated[
        str | None, typer.Option(help=f"How much head a crop shows: {_choices(Framing)}.", show_default=_TRAIN.framing)
    ] = None,
    steps: Annotated[int | None, typer.Option(help="How long.", show_default=_default(_TRAIN.steps))] = None,
    minutes: Annotated[float | None, typer.Option(help="Stop after this long.", show_default="no limit")] = None,
    batch: Annotated[
        int | None, typer.Option(help="Crops in a step, half of them fake.", show_default=_default(_TRAIN.batch))
    ] = None,
    lr: Annotated[float | None, typer.Option(help="Learning rate.", show_default=_default(_TRAIN.lr))] = None,
    frames: Annotated[
        int | None,
        typer.Option(help="Frames of each clip, evenly spaced.", show_default=_default(_TRAIN.frames_per_clip)),
    ] = None,
    finder: Annotated[str | None, typer.Option(help="Face finder.", show_default=_TRAIN.faces.finder)] = None,
    aggregate: Annotated[
        str | None,
        typer.Option(help=f"Faces to clip: {_choices(Aggregation)}.", show_default=_TRAIN.aggregate.method),
    ] = None,
    allow_leak: Annotated[
        bool | None,
        typer.Option("--allow-leak", help="Train although splits share people; the card says so.", show_default="no"),
    ] = None,
    workers: Annotated[
        int | None, typer.Option(help="Threads that make batches.", show_default=_default(_TRAIN.workers))
    ] = None,
    device: _Device = None,
    precision: _Precision = None,
    seed: _Seed = None,
    config: _Settings = None,
) -> None:
    """Trains a detector; the val split alone chooses the step that is kept. Ctrl-C saves; the same command goes on.

    Example: assay detect train set/ --model tf_efficientnet_lite0 --run runs/det
    """
    flags = {
        "model": model,
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


@app.command()
def evaluate(
    detector: Annotated[Path, typer.Argument(help="Run or detector folder.", show_default=False)],
    dataset: Annotated[Path, typer.Argument(help="Dataset folder.", show_default=False)],
    split: Annotated[
        str | None, typer.Option(help="train, val, test or all.", show_default=_default(_EVALUATE.split))
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Folder for the result.", show_default="RUN/evaluations/SET-SPLIT")
    ] = None,
    threshold: Annotated[
        float | None, typer.Option(help="Score from which a clip is called fake.", show_default="the detector's")
    ] = None,
    frames: Annotated[
        int | None,
        typer.Option(help="Frames of each clip, evenly spaced.", show_default=_default(_EVALUATE.frames_per_clip)),
    ] = None,
    clusters: Annotated[
        str | None,
        typer.Option(help=f"What the bootstrap draws: {_choices(ClusterBy)}.", show_default=_EVALUATE.cluster_by),
    ] = None,
    replicates: Annotated[
        int | None, typer.Option(help="Bootstrap replicates.", show_default=_default(_EVALUATE.replicates))
    ] = None,
    aggregate: Annotated[
        str | None,
        typer.Option(help=f"Faces to clip: {_choices(Aggregation)}.", show_default="the detector's"),
    ] = None,
    finder: Annotated[str | None, typer.Option(help="Face finder.", show_default="the detector's")] = None,
    device: _Device = None,
    precision: _Precision = None,
    seed: _Seed = None,
    config: _Settings = None,
) -> None:
    """Measures a detector on a split of a dataset: scores, metrics with intervals, curves.

    Example: assay detect evaluate runs/det set/ --split test
    """
    flags = {
        "split": split,
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
    _show_metrics(f"{result.detector['name']} on {result.dataset['name']}, {split_words(result.split)}", result)
    console.print(f"evaluation: {folder / 'evaluation.json'}\ncurves:     {folder / 'curves.png'}")
    console.result({"out": folder, **_plain(result)})


@app.command()
def models(
    text: Annotated[str, typer.Argument(metavar="[FILTER]", help="Part of the name.", show_default=False)] = "",
) -> None:
    """Lists the models a detector can be made of.

    Example: assay detect models convnext
    """
    from detect.models.frame import model_names
    from shared.errors import UnknownNameError

    names = model_names(text)
    if not names:
        raise UnknownNameError(f"no model has {text!r} in its name", hint="try a shorter part, or none")
    for name in names:
        console.print(name)
    console.result({"models": names})


def inspect(
    suspect: Annotated[Path, typer.Argument(help="The video in question.", show_default=False)],
    detector: Annotated[Path, typer.Option(help="Run or detector folder.")],
    out: Annotated[Path, typer.Option(help="Case folder that receives the report.")],
    finder: Annotated[str | None, typer.Option(help="Face finder.", show_default="auto")] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace a case folder that exists.")] = False,
    device: _Device = None,
    config: _Settings = None,
) -> None:
    """Inspects one suspect video: hashes, container, provenance, score over time, and a careful word.

    Example: assay inspect suspect.mp4 --detector runs/det --out case/
    """
    from detect.inspect import InspectConfig, inspect_file, show

    settings = resolve(InspectConfig, config, {"finder": finder, "force": force or None})
    report = inspect_file(suspect, detector, out, settings, device=device or "auto")
    show(report, out)
    console.result(_plain(report))


def resolve(cls: type[T], path: Path | None, flags: Mapping[str, Any]) -> T:
    """A ``cls`` from defaults, a TOML file and the flags that were given, in this order of precedence.

    A flag for a setting inside another one comes as a mapping, and changes that one alone.

    Raises:
        ConfigError: the file cannot be read, or a setting is unknown, of the wrong type or out of range.
    """
    settings = {} if path is None else read_toml(path)
    for name, value in flags.items():
        given = {key: inner for key, inner in value.items() if inner is not None} if isinstance(value, dict) else value
        if isinstance(given, dict):
            if given:
                settings[name] = {**settings.get(name, {}), **given}
        elif given is not None:
            settings[name] = given
    return from_mapping(cls, settings, where="settings" if path is None else path.name)


def _show_metrics(title: str, result: EvaluationResult) -> None:
    """A row a metric, a column a level, each cell with its interval."""
    console.print(f"{result.counts}; {result.clusters}; threshold {result.threshold:.3g}, from {result.threshold_from}")
    levels = list(dict.fromkeys(e.level for e in result.evaluations))
    found = {(e.metric, e.level): e for e in result.evaluations}
    rows = [
        (metric, *(_cell(found.get((metric, level))) for level in levels))
        for metric in dict.fromkeys(e.metric for e in result.evaluations)
    ]
    first = {level: next(e for e in result.evaluations if e.level == level) for level in levels}
    heads = [f"{level}\n{first[level].num_real} real, {first[level].num_fake} fake" for level in levels]
    console.table(f"{title}: value, 95 % interval", ["metric", *heads], rows)
    slices = [(part.by, part.name, part.counts.real, part.counts.fake, _cell(e))
              for part in result.slices for e in part.evaluations if e.metric == "auc"]  # fmt: skip
    if len(slices) > 1:
        console.table("Clip AUC by part", ["by", "part", "real", "fake", "AUC"], slices)
    for note in result.notes:
        console.print(f"note: {note}")


def _cell(evaluation: Evaluation | None) -> str:
    if evaluation is None:
        return ""
    if evaluation.low is None or evaluation.high is None:
        return f"{evaluation.value:.3f}"
    return f"{evaluation.value:.3f} ({evaluation.low:.2f} to {evaluation.high:.2f})"


def _plain(value: object) -> dict[str, Any]:
    import msgspec

    return msgspec.to_builtins(value, enc_hook=str)


def _show_training(result: TrainResult) -> None:
    console.print(
        f"{result.steps} steps in {result.seconds / 60:.1f} min, {result.images_per_second:.1f} images/s; "
        f"step {result.best_step} kept"
    )
    _show_metrics("On the val split, which chose the step and the threshold", result.validation)
    console.print(f"detector: {result.detector}\ncard:     {result.detector / 'README.md'}")
    console.result(
        {
            "run": result.run,
            "detector": result.detector,
            "steps": result.steps,
            "best_step": result.best_step,
            "seconds": result.seconds,
            "images_per_second": result.images_per_second,
            "validation": _plain(result.validation),
        }
    )
