"""Prints results on the console."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from shared.console import console

if TYPE_CHECKING:
    from detect.evaluation.error_card import Rate
    from detect.evaluation.result import EvaluationResult
    from shared.results.scores import Evaluation


_MISSES_SHOWN = 14


def show_evaluation(result: EvaluationResult) -> None:
    """Prints an evaluation, without parts that are missing."""
    from detect.evaluation.result import split_words

    show_metrics(f"{result.detector['name']} on {result.dataset['name']}, {split_words(result.split)}", result)
    if result.protocols:
        names = ("auc", "paired_accuracy", "tpr@fpr1%")
        rows = [(part.name, part.counts.real, part.counts.fake, *(_cell(part.find(name)) for name in names))
                for part in result.protocols]  # fmt: skip
        console.table(
            "The same clips by what is new to the detector",
            ["protocol", "real", "fake", "AUC", "paired accuracy", "TPR at 1 % FPR"],
            rows,
        )
    _show_misses(result)
    _show_regions(result)
    _show_calibration(result)


def _show_misses(result: EvaluationResult) -> None:
    """Prints the most missed values of the error card, those with few clips last."""
    missed = [row for row in result.error_card if row.factor != "all" and row.miss_rate is not None and row.missed]
    missed.sort(key=lambda row: (row.small, -(row.miss_rate.value if row.miss_rate else 0.0)))
    rows = [
        (row.factor, row.value, f"{row.missed} of {row.fakes}", _rate(row.miss_rate), row.clusters,
         "few" if row.small else "")
        for row in missed[:_MISSES_SHOWN]
    ]  # fmt: skip
    if rows:
        console.table(
            "Missed most: share of fakes below the threshold, 95 % interval (all of it in evaluation.html)",
            ["factor", "value", "missed", "share", "people", ""],
            rows,
        )


def _show_regions(result: EvaluationResult) -> None:
    if result.regions is None:
        return
    rows = [(part.manipulation or "all", part.clips, part.iou.num_fake, _cell(part.iou), _cell(part.ap))
            for part in result.regions.parts]  # fmt: skip
    console.table(
        f"Drawn regions, from {result.regions.threshold:.2f} (chosen on {result.regions.threshold_from})",
        ["manipulation", "clips", "faces", "mean IoU", "pixel AP"],
        rows,
    )


def _show_calibration(result: EvaluationResult) -> None:
    section = result.calibration
    if section is None or not section.evaluations:
        return
    from detect.calibration.card import known_words

    parts = [part for part in section.parts if part.by in ("known", "new")]
    rows = [
        (each.metric, _cell(each), *(_cell(part.evaluations[place]) for part in parts))
        for place, each in enumerate(section.evaluations)
    ]
    heads = [f"{part.name}\n{part.real} real, {part.fake} fake" for part in parts]
    console.table(f"Calibrated scores, fitted on {section.fitted_on}", ["measure", "all clips", *heads], rows)
    kinds = [
        (f"{part.by} {part.name}", known_words(part.trained), known_words(part.calibrated), part.fake,
         _cell(part.find("cllr")), str(part.covered or ""))
        for part in section.parts if part.by not in ("known", "new")
    ]  # fmt: skip
    console.table(
        "Calibrated scores by kind of fake",
        ["kind", "learned from", "calibrated on", "fakes", "Cllr", 'sets that hold "fake"'],
        kinds,
    )
    if section.covered_real is not None:
        console.print(f"prediction sets cover {section.covered_real} of the real clips")


def _rate(rate: Rate | None) -> str:
    if rate is None:
        return ""
    return f"{rate.value:.0%}" + ("" if rate.low is None else f" ({rate.low:.0%} to {rate.high:.0%})")


def show_metrics(title: str, result: EvaluationResult) -> None:
    """Prints a row a metric and a column a level, with intervals."""
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
    slices = [(part.by, part.name, part.counts.real, part.counts.fake, _cell(e), _cell(part.find("paired_accuracy")))
              for part in result.slices for e in part.evaluations if e.metric == "auc"]  # fmt: skip
    if len(slices) > 1:
        console.table("Clip AUC by part", ["by", "part", "real", "fake", "AUC", "paired accuracy"], slices)
    for note in result.notes:
        console.print(f"note: {note}")


def _cell(evaluation: Evaluation | None) -> str:
    if evaluation is None:
        return ""
    if evaluation.low is None or evaluation.high is None:
        return f"{evaluation.value:.3f}"
    return f"{evaluation.value:.3f} ({evaluation.low:.2f} to {evaluation.high:.2f})"


def plain(value: object) -> dict[str, Any]:
    """A value as plain data for JSON."""
    import msgspec

    return msgspec.to_builtins(value, enc_hook=str)
