"""``assay detect speech``: train, evaluate and use detectors of synthetic speech."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from detect.commands.show import plain
from shared.commands.completion import words
from shared.commands.options import DeviceOption, SeedOption, SettingsOption, resolve
from shared.console import console, counted
from shared.errors import MediaError, UsageError

if TYPE_CHECKING:
    from detect.speech.evaluate import SpeechEvaluation

app = typer.Typer(help="Detectors of synthetic speech.", no_args_is_help=True)

_IN_THE_PACKAGE = Path("assay")
"""Name of the detector in the package: ``detect.models.shipped`` knows it, and importing that here would load torch."""

SetArgument = Annotated[
    Path, typer.Argument(help="Set of speech: a folder with speech.csv, or such a list.", show_default=False)
]
DetectorOption = Annotated[
    Path, typer.Option(help="Run or folder of a detector of speech; assay is the one in the package.")
]


@app.command()
def train(
    dataset: SetArgument,
    run: Annotated[Path, typer.Option(help="Folder of the training run.", show_default=False)],
    model: Annotated[str | None, typer.Option(help="spectral, raw, timm or lfcc-gmm.", show_default="spectral")] = None,
    steps: Annotated[int | None, typer.Option(help="Training steps of the network.", show_default="600")] = None,
    batch: Annotated[int | None, typer.Option(help="Sounds of a step.", show_default="16")] = None,
    lr: Annotated[float | None, typer.Option(help="Highest learning rate.", show_default="0.002")] = None,
    leave_out: Annotated[
        list[str] | None, typer.Option(help="Engine whose fakes are left out; repeatable; with * and ?.")
    ] = None,
    backbone: Annotated[str | None, typer.Option(help="Backbone of timm.", show_default="lcnet_050")] = None,
    device: DeviceOption = None,
    seed: SeedOption = None,
    config: SettingsOption = None,
) -> None:
    """Trains on the train split, sets thresholds and likelihood ratios on the val split. Ctrl-C saves.

    Example: assay detect speech train voices-set/ --run runs/hear

    Example: assay detect speech train voices-set/ --run runs/floor --model lfcc-gmm

    Example: assay detect speech train voices-set/ --run runs/picture --model timm --backbone resnet10t
    """
    from detect.speech.card import WORDS, metric_text
    from detect.speech.train import SpeechTrainConfig, train_speech

    flags = {"model": model, "steps": steps, "batch": batch, "lr": lr, "device": device, "seed": seed,
             "leave_out": tuple(leave_out) if leave_out else None,
             "network": {"backbone": backbone} if backbone is not None else None}  # fmt: skip
    result = train_speech(dataset, run, resolve(SpeechTrainConfig, config, flags))
    for each in result.facts.quality:
        console.print(f"val, {WORDS.get(each.metric, each.metric)}: {metric_text(each)}")
    console.print(f"detector: {result.detector}")
    console.result(plain(result))


@app.command()
def evaluate(
    dataset: SetArgument,
    detector: DetectorOption = _IN_THE_PACKAGE,
    out: Annotated[Path | None, typer.Option(help="Write the result here, as JSON.", show_default=False)] = None,
    split: Annotated[
        str, typer.Option(help="train, val, test or all.", autocompletion=words("train", "val", "test", "all"))
    ] = "test",
    seed: SeedOption = None,
) -> None:
    """Measures EER, detection costs, Cllr and F1 of segments, by engine and codec, with intervals over speakers.

    Example: assay detect speech evaluate voices-set/ --detector runs/hear --out hear.json
    """
    from detect.speech.evaluation_run import evaluate_speech

    result = evaluate_speech(dataset, detector, split=split, out=out, seed=seed or 0)
    show_speech(result)
    console.result(plain(result))


@app.command()
def score(
    files: Annotated[list[Path], typer.Argument(help="Sound or video files.", show_default=False)],
    detector: DetectorOption = _IN_THE_PACKAGE,
) -> None:
    """Scores the sound of files: a logit for the whole, likelihood ratio where it holds, segments above the threshold.

    A file that cannot be scored is named and left out.

    Example: assay detect speech score call.mp3

    Example: assay detect speech score call.mp3 --detector runs/hear
    """
    from detect.speech.checkpoint import load_speech
    from detect.speech.score import score_sound
    from detect.speech.store import read_samples

    if len(files) > 10_000:
        raise UsageError(f"{len(files):,} files are too many", hint="score at most 10,000 at once")
    loaded = load_speech(detector)
    rows, results, problems = [], [], []
    for file in console.track(files, "scoring", len(files), unit="file"):
        try:
            found = score_sound(loaded, read_samples(file)).result
        except MediaError as error:
            problems.append(error)
            continue
        results.append({"file": str(file), **plain(found)})
        ratio = "" if found.llr is None else f"{found.llr:+.2f}"
        parts = ", ".join(f"{each.start:.2f}-{each.stop:.2f}" for each in found.segments[:4])
        more = len(found.segments) - 4
        logit = "" if found.logit is None else f"{found.logit:+.2f}"
        rows.append((file.name, found.verdict, logit, ratio, parts + (f" and {more} more" if more > 0 else "")))
    if not rows:
        raise problems[0]
    for problem in problems:
        console.warn(str(problem))
    console.table(
        f"{loaded.name}, {counted(len(rows), 'file')}", ["file", "result", "logit", "log10 LR", "segments (s)"], rows
    )
    not_scored = [str(problem) for problem in problems]
    console.result(
        {"detector": loaded.name, "weights_sha256": loaded.weights_sha256, "files": results, "not_scored": not_scored}
    )


@app.command()
def robustness(
    dataset: SetArgument,
    detector: DetectorOption = _IN_THE_PACKAGE,
    change: Annotated[
        list[str] | None,
        typer.Option(help="Only this change, as opus-16k or room-0.6s; repeatable.", show_default="all"),
    ] = None,
    recordings: Annotated[int, typer.Option(help="Recordings, at most.", min=2)] = 200,
    split: Annotated[
        str, typer.Option(help="train, val or test.", autocompletion=words("train", "val", "test"))
    ] = "test",
    out: Annotated[Path | None, typer.Option(help="Write the result here, as JSON.", show_default=False)] = None,
    seed: SeedOption = None,
) -> None:
    """Measures a detector on recordings after codecs, lower rates, noise, rooms and cuts.

    Example: assay detect speech robustness voices-set/ --out robustness.json
    """
    from detect.speech.card import WORDS, metric_text
    from detect.speech.robustness import measure_robustness

    result = measure_robustness(
        dataset, detector, split=split, changes=change or (), most=recordings, out=out, seed=seed or 0
    )
    names = ("auc", "eer", "cllr")
    rows = [
        (cell.change, *("" if (each := cell.find(name)) is None else metric_text(each) for name in names))
        for cell in result.cells
    ]
    title = f"{result.detector['name']} on {result.dataset['name']}, {result.dataset['split']}"
    console.table(title, ["change", *(WORDS[name] for name in names)], rows)
    console.result(plain(result))


def show_speech(result: SpeechEvaluation) -> None:
    """Prints an evaluation as a table, a row a metric of each part."""
    from detect.speech.card import WORDS, metric_text

    for line in result.unread:
        console.warn(line)
    rows = []
    for part in result.parts:
        name = part.name if part.by == "all" else f"{part.by}: {part.name}"
        for each in part.metrics:
            counts = f"{each.num_real} / {each.num_fake}"
            rows.append((name, WORDS.get(each.metric, each.metric), metric_text(each), counts))
            name = ""
    title = f"{result.detector['name']} on {result.dataset['name']}, {result.dataset['split']}"
    console.table(title, ["part", "metric", "value (95 % interval over speakers)", "real / fake"], rows)
