"""``assay detect calibrate``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, get_args

import typer

from detect.calibration.config import CalibrateConfig, CountBy, LikelihoodMethod, ProbabilityMethod
from detect.commands.show import plain
from detect.config.scoring import EvaluateConfig
from shared.commands.completion import finders, values, words
from shared.commands.options import DeviceOption, PrecisionOption, SeedOption, SettingsOption, choices, default, resolve
from shared.console import console
from shared.errors import ConfigError
from shared.registry import near_matches

if TYPE_CHECKING:
    from detect.calibration.calibrate import CalibrationResult

_CALIBRATE, _SCORING = CalibrateConfig(), EvaluateConfig()
_METHODS = [*get_args(ProbabilityMethod), *get_args(LikelihoodMethod), "auto"]


def calibrate(
    detector: Annotated[
        Path,
        typer.Argument(
            help="Run or detector folder, or assay; or onnx:FILE, local-dir:FOLDER, python:FILE, csv:FILE.",
            show_default=False,
        ),
    ],
    dataset: Annotated[Path, typer.Option(help="Dataset folder.", show_default=False)],
    split: Annotated[
        str, typer.Option(help="val, or all of a set that has no test split.", autocompletion=words("val", "all"))
    ] = "val",
    method: Annotated[
        list[str] | None,
        typer.Option(
            help=f"Of the probability: {choices(ProbabilityMethod)}; of the likelihood ratio: "
            f"{choices(LikelihoodMethod)}; auto: the best on left-out people. Repeatable.",
            show_default=f"{_CALIBRATE.method} and {_CALIBRATE.ratio}",
            autocompletion=words(*_METHODS),
        ),
    ] = None,
    prior: Annotated[
        float | None,
        typer.Option(help="Prior probability of a fake.", show_default=default(_CALIBRATE.prior)),
    ] = None,
    count_by: Annotated[
        str | None,
        typer.Option(
            help=f"What counts once: {choices(CountBy)}.",
            show_default=_CALIBRATE.count_by,
            autocompletion=values(CountBy),
        ),
    ] = None,
    frames: Annotated[
        int | None,
        typer.Option(help="Frames of each clip, evenly spaced.", show_default=default(_SCORING.frames_per_clip)),
    ] = None,
    finder: Annotated[
        str | None, typer.Option(help="Face finder.", show_default="the detector's", autocompletion=finders)
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            help="Write a copy of the detector folder, calibrated; needed for assay.", show_default="in place"
        ),
    ] = None,
    device: DeviceOption = None,
    precision: PrecisionOption = None,
    seed: SeedOption = None,
    config: SettingsOption = None,
) -> None:
    """Calibrates clip scores to probabilities and likelihood ratios, with the files they hold for.

    Writes calibration.json, validated.json and calibration.png beside the weights. Quality (Cllr, ECE, Brier score) is
    measured on people left out of the fit. With too few clips or people nothing is written.

    Example: assay detect calibrate runs/det --dataset set/

    Example: assay detect calibrate runs/det --dataset calib/ --split all --method isotonic --method kde

    Example: assay detect calibrate assay --dataset mine/ --split all --out assay-mine/
    """
    flags = {**_chosen(method or []), "prior": prior, "count_by": count_by, "seed": seed}
    settings = resolve(CalibrateConfig, config, flags)
    scoring = {"frames_per_clip": frames, "finder": finder, "device": device, "precision": precision, "seed": seed}
    scoring_config = resolve(EvaluateConfig, None, scoring)
    from detect.calibration.calibrate import calibrate_copy, calibrate_detector

    if out is None:
        result = calibrate_detector(detector, dataset, settings, split=split, scoring=scoring_config)  # type: ignore[arg-type]
    else:
        result = calibrate_copy(detector, out, dataset, settings, split=split, scoring=scoring_config)  # type: ignore[arg-type]
    _show(result)
    console.result({"files": result.files, "notes": result.notes, **plain(result.calibration), "domain":
                    plain(result.domain)})  # fmt: skip


def _chosen(names: list[str]) -> dict[str, Any]:
    """The settings that the ``--method`` options name."""
    found: dict[str, Any] = {}
    for name in names:
        if name not in _METHODS:
            raise ConfigError(f"no calibration is named {name!r}", hint=near_matches(name, _METHODS))
        if name == "auto":
            found = {"method": "auto", "ratio": "auto", **found}
        else:
            found["method" if name in get_args(ProbabilityMethod) else "ratio"] = name
    return found


def _show(result: CalibrationResult) -> None:
    calibration = result.calibration
    ratio = calibration.likelihood
    console.print(f"fitted on {calibration.population}")
    console.print(
        f"probability: {calibration.probability.method}, prior {calibration.prior:g}; likelihood ratio: "
        f"{ratio.method}, log10 bounded to {ratio.lower_bound:+.2f} .. {ratio.upper_bound:+.2f}"
    )
    rows = [
        (each.metric, f"{each.value:.3f}", "" if each.low is None else f"{each.low:.3f} to {each.high:.3f}")
        for each in calibration.quality
    ]
    console.print(f"measured on people left out, in {calibration.left_out}")
    console.table("People left out", ["measure", "value", "95 % interval"], rows)
    console.table("Validated domain", ["", "seen"], result.domain.rows())
    for note in result.notes:
        console.print(f"note: {note}")
    for file in result.files:
        console.print(f"written: {file}")
