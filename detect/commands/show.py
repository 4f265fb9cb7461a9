"""How results are shown on the console."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from shared.console import console

if TYPE_CHECKING:
    from detect.evaluate import EvaluationResult
    from shared.scores import Evaluation


def show_metrics(title: str, result: EvaluationResult) -> None:
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


def plain(value: object) -> dict[str, Any]:
    """A value as JSON would hold it."""
    import msgspec

    return msgspec.to_builtins(value, enc_hook=str)
