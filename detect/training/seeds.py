"""Training with several seeds, to measure the variation due to the seed before methods are compared.

Each seed has its own run, ``OUT/seed-N``, that can be stopped and resumed; ``OUT/seeds.json`` and ``OUT/seeds.md`` list
all finished ones, with mean, spread and range of each metric of the val split.
"""

from __future__ import annotations

import dataclasses
import json
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from detect.config.training import TrainConfig
from detect.data.crops import dataset_digest
from detect.models.checkpoint import weights_digest
from detect.training.train import TrainResult, train_detector
from shared.console import console
from shared.dataset import DatasetFolder
from shared.errors import UsageError
from shared.storage import write_text
from shared.training.processes import Processes

SEEDS_NAME = "seeds.json"
_TABLE_NAME = "seeds.md"


@dataclass(frozen=True)
class SeedRun:
    """Result of the training with one seed.

    Attributes:
        seed: of the training.
        detector: its folder, inside the folder of all seeds.
        sha256: of its weights.
        steps, best_step: steps taken, and the step kept.
        seconds: of training.
        metrics: value by "level metric", of the val split, without undefined ones.
    """

    seed: int
    detector: str
    sha256: str
    steps: int
    best_step: int
    seconds: float
    metrics: dict[str, float]


@dataclass(frozen=True)
class MetricSpread:
    """One metric over seeds.

    Attributes:
        level, metric: its name.
        mean: over seeds.
        spread: standard deviation of one seed (n - 1); None for one seed.
        low, high: the smallest and the largest value.
        seeds: number of seeds that have the metric.
    """

    level: str
    metric: str
    mean: float
    spread: float | None
    low: float
    high: float
    seeds: int


@dataclass(frozen=True)
class SeedsResult:
    """The contents of ``seeds.json``.

    Attributes:
        dataset, manifest_sha256: the training data.
        asked: all seeds of the command; ``runs`` are those that are finished, in that order.
        metrics: each metric of the val split over the finished seeds.
    """

    dataset: str
    manifest_sha256: str
    asked: tuple[int, ...]
    runs: tuple[SeedRun, ...]
    metrics: tuple[MetricSpread, ...]


def train_seeds(dataset: Path, out: Path, config: TrainConfig, seeds: Sequence[int]) -> SeedsResult:
    """Trains a detector for each of ``seeds`` into ``out/seed-N``, one after the other; the same call resumes.

    ``config.seed`` is not used. Finished seeds are not trained again; an interrupted one resumes from its last
    checkpoint. Ctrl-C saves it first.

    Raises:
        UsageError: no seed, or one twice; ``out`` is a run itself.
        Any error of :func:`detect.training.train.train_detector`.
    """
    if not seeds or len(set(seeds)) != len(seeds):
        raise UsageError(f"seeds must differ, got {list(seeds)}", hint="for example 0, 1 and 2")
    if (out / "run.json").exists():
        raise UsageError(f"{out} is a run of one seed", hint="choose another --run for several")
    folder = DatasetFolder.open(dataset)
    processes = Processes.joined(config.device)
    done: list[SeedRun] = []
    result = SeedsResult(folder.name, dataset_digest(folder), tuple(seeds), (), ())
    try:
        for number, seed in enumerate(seeds):
            if processes.first:
                console.print(f"seed {seed}, {number + 1} of {len(seeds)}")
            own = out / f"seed-{seed}"
            trained = train_detector(dataset, own, dataclasses.replace(config, seed=seed), processes=processes)
            done.append(_seed_run(seed, trained, out))
            result = dataclasses.replace(result, runs=tuple(done), metrics=spreads(done))
            if processes.first:
                _write(result, out)
    finally:
        processes.leave()
    return result


def spreads(runs: Sequence[SeedRun]) -> tuple[MetricSpread, ...]:
    """The spread of each metric over the runs that have it, in order of first appearance."""
    found: list[MetricSpread] = []
    for name in dict.fromkeys(name for run in runs for name in run.metrics):
        values = [run.metrics[name] for run in runs if name in run.metrics]
        level, metric = name.split(" ", 1)
        spread = statistics.stdev(values) if len(values) > 1 else None
        found.append(
            MetricSpread(level, metric, statistics.fmean(values), spread, min(values), max(values), len(values))
        )
    return tuple(found)


def _seed_run(seed: int, trained: TrainResult, out: Path) -> SeedRun:
    return SeedRun(
        seed=seed,
        detector=trained.detector.relative_to(out).as_posix(),
        sha256=weights_digest(trained.detector),
        steps=trained.steps,
        best_step=trained.best_step,
        seconds=trained.seconds,
        metrics={f"{e.level} {e.metric}": e.value for e in trained.validation.evaluations},
    )


def _write(result: SeedsResult, out: Path) -> None:
    text = json.dumps(msgspec.to_builtins(result), indent=2, ensure_ascii=False) + "\n"
    write_text(out / SEEDS_NAME, text)
    write_text(out / _TABLE_NAME, render_table(result))


def render_table(result: SeedsResult) -> str:
    """The spreads as a Markdown table, with a caption."""
    seeds = ", ".join(str(run.seed) for run in result.runs)
    lines = [
        f"Validation split of {result.dataset}, seeds {seeds}. It also chose each seed's step: these numbers flatter.",
        "",
        "| level | metric | mean | spread | range | seeds |",
        "|---|---|---|---|---|---|",
    ]
    for each in result.metrics:
        spread = "" if each.spread is None else f"{each.spread:.3f}"
        span = f"{each.low:.3f} to {each.high:.3f}"
        lines.append(f"| {each.level} | {each.metric} | {each.mean:.3f} | {spread} | {span} | {each.seeds} |")
    return "\n".join(lines) + "\n"
