"""An evaluation as one self-contained HTML page: settings, metrics with intervals, plots.

The page shows no face, so it can be shared; faces with predicted regions are in a separate file.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from markupsafe import Markup

from detect.calibration.card import CALIBRATION_WORDS, known_words
from detect.data.protocols import PROTOCOL_WORDS
from detect.evaluation.error_card import Rate
from detect.evaluation.plots import plot_error_card, plot_parts, plot_region_parts
from detect.evaluation.result import EvaluationResult, Part, Slice
from detect.metrics.paired import PAIRED
from detect.scoring.samples import ScoredClip
from shared.pages import page_environment
from shared.results.scores import Evaluation

TEMPLATES = Path(__file__).parent / "templates"
PAGE_NAME = "evaluation.html"
METRIC_WORDS = {
    "auc": "chance that a fake scores above a real one",
    "paired_accuracy": "fakes that score above the very real clip they were made from",
    "ap": "average precision",
    "eer": "error rate where both kinds of error are equal",
    "tpr@fpr1%": "fakes found when 1 % of real ones are called fake",
    "tpr@fpr5%": "fakes found when 5 % of real ones are called fake",
    "log_loss": "log loss of the score taken as a probability, nats",
    "brier": "squared error of the score taken as a probability",
    "ece": "calibration error of the score taken as a probability",
}
_LEVELS = ("clip", "track", "frame")


def render_page(
    result: EvaluationResult,
    clips: Sequence[ScoredClip],
    curves: Markup,
    *,
    has_sheet: bool = False,
    calibration: Markup | None = None,
) -> str:
    """The page as HTML with all plots embedded and all text from the dataset escaped.

    Args:
        result: of the evaluation.
        clips: scored, for the distribution of scores in each part.
        curves: see :func:`detect.evaluation.curves.plot_curves`.
        has_sheet: whether ``regions.png`` lies beside the page.
        calibration: see :func:`detect.calibration.curves.plot_calibration`.
    """
    environment = page_environment(TEMPLATES)
    environment.filters["metric"] = _metric
    environment.filters["rate"] = _rate
    environment.filters["known"] = known_words
    regions = result.regions
    return environment.get_template("evaluation.html.j2").render(
        result=result,
        summary=summary(result),
        asked=PROTOCOL_WORDS.get(result.protocol, result.protocol),
        protocol_words=PROTOCOL_WORDS,
        metric_words=METRIC_WORDS,
        metrics=_metrics(result),
        levels=_LEVELS,
        curves=curves,
        parts=[_part(result, by, clips) for by in ("manipulation", "rendition") if _of(result, by)],
        protocols_plot=plot_parts(result.protocols) if result.protocols else None,
        card_plot=plot_error_card(result.error_card) if len(result.error_card) > 1 else None,
        regions_plot=None if regions is None else plot_region_parts(regions.parts),
        has_sheet=has_sheet,
        calibration=calibration,
        calibration_words=CALIBRATION_WORDS,
    )


def summary(result: EvaluationResult) -> list[str]:
    """The outcome in a few sentences: AUC, errors at the threshold, clips without a score."""
    sentences = []
    area = result.find("auc")
    if area is None:
        sentences.append("Only one class could be scored, so there is no AUC.")
    else:
        sentences.append(f"Clip AUC {_metric(area)} on {area.num_real} real and {area.num_fake} fake clips.")
    paired = result.find(PAIRED)
    if paired is not None:
        sentences.append(f"{paired.num_fake} fakes and their own real clips: paired accuracy {_metric(paired)}.")
    if result.error_card:
        everything = result.error_card[0]
        missed, alarms = _rate(everything.miss_rate), _rate(everything.alarm_rate)
        sentences.append(
            f"At the threshold {result.threshold:.3g} (chosen on {result.threshold_from}) it misses {missed} of the "
            f"fakes and calls {alarms} of the real clips fake."
        )
    cost = result.calibration.find("cllr") if result.calibration else None
    if cost is not None:
        sentences.append(f"Calibrated: Cllr {_metric(cost)} bits, where 0 is perfect and 1 says nothing.")
    blind = result.counts.real_without_face + result.counts.fake_without_face
    if blind:
        some = "clip has" if blind == 1 else "clips have"
        sentences.append(f"{blind} {some} no usable face, so no score, and no part in any metric.")
    return sentences


def _metrics(result: EvaluationResult) -> list[tuple[str, str, list[Evaluation | None]]]:
    """Name, description and values by level of every metric that was measured."""
    names = dict.fromkeys(e.metric for e in result.evaluations)
    return [(name, _words(name), [result.find(name, level) for level in _LEVELS]) for name in names]


def _words(metric: str) -> str:
    return "share told right at the threshold" if metric.startswith("accuracy") else METRIC_WORDS.get(metric, "")


def _part(result: EvaluationResult, by: Part, clips: Sequence[ScoredClip]) -> dict[str, object]:
    slices = sorted(_of(result, by), key=_area)
    logit = float(np.log(result.threshold / (1 - result.threshold)))
    return {"by": by, "slices": slices, "plot": plot_parts(slices, clips=clips, threshold_logit=logit)}


def _of(result: EvaluationResult, by: Part) -> list[Slice]:
    return [part for part in result.slices if part.by == by]


def _area(part: Slice) -> float:
    """Sort key of parts: lowest AUC first, those without one last."""
    found = part.find("auc")
    return 2.0 if found is None else found.value


def _metric(found: Evaluation | None) -> str:
    if found is None:
        return "–"
    if found.low is None or found.high is None:
        return f"{found.value:.3f} (no interval)"
    return f"{found.value:.3f} [{found.low:.3f}, {found.high:.3f}]"


def _rate(found: Rate | None) -> str:
    if found is None:
        return "–"
    if found.low is None or found.high is None:
        return f"{found.value:.1%} (no interval)"
    return f"{found.value:.1%} [{found.low:.0%}, {found.high:.0%}]"
