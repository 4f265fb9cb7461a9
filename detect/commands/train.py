"""``assay detect train``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from detect.commands import train_options as options
from detect.commands.show import plain, show_metrics
from detect.config.training import TrainConfig
from shared.commands.options import DeviceOption, PrecisionOption, SeedOption, SettingsOption, resolve
from shared.console import console, counted

if TYPE_CHECKING:
    from detect.training.seeds import SeedsResult
    from detect.training.train import TrainResult


def train(
    dataset: options.DatasetArgument,
    run: options.RunOption,
    model: options.ModelOption = None,
    family: options.FamilyOption = None,
    pretrained: options.PretrainedOption = None,
    download: options.DownloadOption = None,
    input_px: options.InputOption = None,
    framing: options.FramingOption = None,
    steps: options.StepsOption = None,
    minutes: options.MinutesOption = None,
    batch: options.BatchOption = None,
    lr: options.RateOption = None,
    blended: options.BlendedOption = None,
    forged: options.ForgedOption = None,
    real_faces: options.RealFacesOption = None,
    twins: options.TwinsOption = None,
    grades: options.GradesOption = None,
    validation_faces: options.ValidationFacesOption = None,
    validation_twins: options.ValidationTwinsOption = None,
    frames: options.FramesOption = None,
    finder: options.FinderOption = None,
    aggregate: options.AggregateOption = None,
    leave_out: options.LeaveOutOption = None,
    self_swaps: options.SelfSwapsOption = None,
    allow_leak: options.AllowLeakOption = None,
    workers: options.WorkersOption = None,
    device: DeviceOption = None,
    precision: PrecisionOption = None,
    compiled: options.CompileOption = None,
    seed: SeedOption = None,
    seeds: options.SeedsOption = None,
    config: SettingsOption = None,
) -> None:
    """Trains a detector; the val split selects the best step. Ctrl-C saves; the same command continues.

    On several GPUs, which share each batch: accelerate launch --no_python assay detect train ...

    Example: assay detect train set/ --model tf_efficientnet_lite0 --run runs/det

    Example: assay detect train set/ --leave-out manipulation=dfl-* --run runs/without-dfl

    Example: assay detect train set/ --blended 1 --real-faces faces/crowd --twins faces/crowd-twins --run runs/both

    Example: assay detect train set/ --validation-faces faces/more --validation-twins faces/more-twins --run runs/det

    Example: assay detect train set/ --seeds 0,1,2 --run runs/three
    """
    _train(dataset, run, config, seeds, locals())


def _train(dataset: Path, run: Path, config: Path | None, seeds: str | None, given: dict[str, Any]) -> None:
    wanted = options.parse_seeds(seeds, given["seed"])
    settings = resolve(TrainConfig, config, options.as_settings(given))
    if wanted is None:
        from detect.training.train import train_detector

        _show_training(train_detector(dataset, run, settings))
    else:
        from detect.training.seeds import train_seeds

        _show_seeds(train_seeds(dataset, run, settings, wanted), run)


def _show_training(result: TrainResult) -> None:
    console.print(
        f"{counted(result.steps, 'step')} in {result.seconds / 60:.1f} min, {result.images_per_second:.1f} images/s; "
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


def _show_seeds(result: SeedsResult, out: Path) -> None:
    rows = [
        (each.level, each.metric, f"{each.mean:.3f}", "" if each.spread is None else f"{each.spread:.3f}",
         f"{each.low:.3f} to {each.high:.3f}", each.seeds)
        for each in result.metrics
    ]  # fmt: skip
    console.table(
        f"On the val split, over {counted(len(result.runs), 'seed')}",
        ["level", "metric", "mean", "spread", "range", "seeds"],
        rows,
    )
    for run in result.runs:
        console.print(f"seed {run.seed}: step {run.best_step} of {run.steps} kept, {out / run.detector}")
    console.print(f"all of it: {out / 'seeds.json'}")
    console.result(plain(result))
