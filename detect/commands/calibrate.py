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
from shared.errors import ConfigError, UsageError
from shared.registry import near_matches

if TYPE_CHECKING:
    from detect.calibration.calibrate import CalibrationResult
    from detect.calibration.maps import Calibration

_CALIBRATE, _SCORING = CalibrateConfig(), EvaluateConfig()
_METHODS = [*get_args(ProbabilityMethod), *get_args(LikelihoodMethod), "auto"]

_Detector = Annotated[
    Path,
    typer.Argument(
        help="Run or detector folder, or assay; or onnx:FILE, local-dir:FOLDER, python:FILE, csv:FILE.",
        show_default=False,
    ),
]
_Dataset = Annotated[
    Path | None,
    typer.Option(help="Dataset folder; without it, --outside bounds what is calibrated.", show_default=False),
]
_Outside = Annotated[
    Path | None,
    typer.Option(
        help="Material of tools that were not learned from: a dataset, an evaluation of it, or a JSON file of "
        "scores. It bounds the ratios and takes no part in the fit.",
        show_default=False,
    ),
]
_Methods = Annotated[
    list[str] | None,
    typer.Option(
        help=f"Of the probability: {choices(ProbabilityMethod)}; of the likelihood ratio: "
        f"{choices(LikelihoodMethod)}; auto: the best on left-out people. Repeatable.",
        show_default=f"{_CALIBRATE.method} and {_CALIBRATE.ratio}",
        autocompletion=words(*_METHODS),
    ),
]
_CountBy = Annotated[
    str | None,
    typer.Option(
        help=f"What counts once: {choices(CountBy)}.",
        show_default=_CALIBRATE.count_by,
        autocompletion=values(CountBy),
    ),
]
_Miscoverage = Annotated[
    float | None,
    typer.Option(
        help="Share of the forged clips whose prediction set may lack that class.",
        show_default=default(_CALIBRATE.miscoverage),
    ),
]
_RealMiscoverage = Annotated[
    float | None,
    typer.Option(
        help="Share of the real clips whose prediction set may lack that class, if the people are enough for it.",
        show_default=default(_CALIBRATE.real_miscoverage),
    ),
]
_Out = Annotated[
    Path | None,
    typer.Option(help="Write a copy of the detector folder, calibrated; needed for assay.", show_default="in place"),
]


def calibrate(
    detector: _Detector,
    dataset: _Dataset = None,
    outside: _Outside = None,
    split: Annotated[
        str, typer.Option(help="val, or all of a set that has no test split.", autocompletion=words("val", "all"))
    ] = "val",
    method: _Methods = None,
    prior: Annotated[
        float | None,
        typer.Option(help="Prior probability of a fake.", show_default=default(_CALIBRATE.prior)),
    ] = None,
    count_by: _CountBy = None,
    miscoverage: _Miscoverage = None,
    real_miscoverage: _RealMiscoverage = None,
    frames: Annotated[
        int | None,
        typer.Option(help="Frames of each clip, evenly spaced.", show_default=default(_SCORING.frames_per_clip)),
    ] = None,
    finder: Annotated[
        str | None, typer.Option(help="Face finder.", show_default="the detector's", autocompletion=finders)
    ] = None,
    out: _Out = None,
    device: DeviceOption = None,
    precision: PrecisionOption = None,
    seed: SeedOption = None,
    config: SettingsOption = None,
) -> None:
    """Calibrates clip scores: probabilities, likelihood ratios, prediction sets, and the files they hold for.

    Writes calibration.json, validated.json and calibration.png beside the weights. Quality (Cllr, ECE, Brier score) is
    measured on people left out of the fit, prediction sets promise a coverage over people (conformal), and kinds of
    fakes are measured with and without others like them in the fit. With too few clips or people nothing is written.

    Example: assay detect calibrate runs/det --dataset set/

    Example: assay detect calibrate runs/det --dataset calib/ --split all --method isotonic --method kde

    Example: assay detect calibrate assay --dataset mine/ --split all --out assay-mine/

    Example: assay detect calibrate runs/det --outside other-tools/
    """
    sets = {"miscoverage": miscoverage, "real_miscoverage": real_miscoverage}
    flags = {**_chosen(method or []), **sets, "prior": prior, "count_by": count_by, "seed": seed}
    settings = resolve(CalibrateConfig, config, flags)
    scoring = {"frames_per_clip": frames, "finder": finder, "device": device, "precision": precision, "seed": seed}
    scoring_config = resolve(EvaluateConfig, None, scoring)
    if dataset is None and (outside is None or out is not None):
        raise UsageError("nothing to calibrate on", hint="--dataset SET, or --outside for a calibrated detector")
    from detect.calibration.calibrate import bound_detector, calibrate_copy, calibrate_detector

    how: dict[str, Any] = {"split": split, "scoring": scoring_config, "outside": outside}
    if dataset is None and outside is not None:
        result = bound_detector(detector, outside, settings, scoring=scoring_config)
    elif dataset is not None and out is not None:
        result = calibrate_copy(detector, out, dataset, settings, **how)
    elif dataset is not None:
        result = calibrate_detector(detector, dataset, settings, **how)
    else:
        raise AssertionError("refused above")
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
    _show_sets(calibration)
    _show_parts(calibration)
    if calibration.outside is not None:
        found = calibration.outside
        console.print(
            f"tools not learned from: {found}; Cllr {found.cllr:.3f}; misleading for {found.misled_real} of the real "
            f"and {found.misled_fake} of the fake clips; log10 ratios bounded to {found.lower_bound:+.2f} .. "
            f"{found.upper_bound:+.2f}"
        )
    console.table("Validated domain", ["", "seen"], result.domain.rows())
    for note in result.notes:
        console.print(f"note: {note}")
    for file in result.files:
        console.print(f"written: {file}")


def _show_sets(calibration: Calibration) -> None:
    """Prints what the prediction sets promise and what was measured."""
    found = calibration.conformal
    if found is None:
        return
    rows = [
        (name, f"{limit.threshold:+.2f}", limit.people, f"{1 - limit.miscoverage:.3g}",
         f"{limit.low:.0%} to {limit.high:.0%}",
         str(limit.measured or "not measured"), str(limit.alone or "not measured"))
        for name, limit in (("real", found.real), ("fake", found.fake))
    ]  # fmt: skip
    console.table(
        "Prediction sets, for new people",
        [
            "clips",
            "logit",
            "people",
            "promised",
            "95 % interval",
            "measured on people left out",
            "no other class in the set",
        ],
        rows,
    )


def _show_parts(calibration: Calibration) -> None:
    """Prints the quality on each kind of fake, with and without others like it in the fits."""
    from detect.calibration.card import known_words

    rows = [
        (f"{part.by} {part.name}", known_words(part.trained), part.fake, f"{part.cllr_known:.3f}",
         "" if part.cllr_new is None else f"{part.cllr_new:.3f}", str(part.covered_known or ""),
         str(part.covered_new or ""))
        for part in calibration.parts
    ]  # fmt: skip
    if rows:
        console.table(
            "By kind of fake, on people left out, with and without such fakes in the fits",
            ["kind", "learned from", "fakes", "Cllr with", "Cllr without", "covered with", "covered without"],
            rows,
        )
