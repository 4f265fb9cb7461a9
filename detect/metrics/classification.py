"""Metrics of binary classification, each a pure function of labels and logits.

Convention:
    labels: (N,) bool, True means fake
    logits: (N,) float, raw detector output, larger means more likely fake; finite
    score: sigmoid(logit), in [0, 1]. It is not a probability until a calibration has been fitted; log loss, Brier
        score and calibration error measure the uncalibrated score as if it were one

A metric that is undefined for the data (no clip at all, or one class where two are needed) is None.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from scipy.special import expit
from sklearn.metrics import average_precision_score, roc_auc_score, roc_curve

DEFAULT_THRESHOLD = 0.5
DEFAULT_BINS = 15


@dataclass(frozen=True)
class MetricSettings:
    """Settings of the metrics.

    Attributes:
        threshold: score from which a sample is classified as fake, for accuracy.
        bins: number of equal-mass bins of the calibration error.
    """

    threshold: float = DEFAULT_THRESHOLD
    bins: int = DEFAULT_BINS

    def __post_init__(self) -> None:
        if not 0.0 < self.threshold < 1.0:
            raise ValueError(f"threshold is a score between 0 and 1, got {self.threshold}")
        if self.bins < 1:
            raise ValueError(f"need at least one bin, got {self.bins}")

    @property
    def accuracy_name(self) -> str:
        """The name of the accuracy in reports, which includes the threshold."""
        return f"accuracy@{self.threshold:.3g}"

    @property
    def threshold_logit(self) -> float:
        """The threshold as a logit."""
        return float(np.log(self.threshold / (1.0 - self.threshold)))


def check_samples(labels: np.ndarray, logits: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Both as (N,) arrays, bool and float64.

    Raises:
        ValueError: shapes differ, labels are not 0 and 1, or a logit is not finite.
    """
    labels, logits = np.asarray(labels), np.asarray(logits, dtype=np.float64)
    if labels.ndim != 1 or labels.shape != logits.shape:
        raise ValueError(f"labels and logits must both be (n,), got {labels.shape} and {logits.shape}")
    if not np.isin(labels, (0, 1)).all():
        raise ValueError("labels must be 0 (real) or 1 (fake)")
    if not np.isfinite(logits).all():
        raise ValueError("logits must be finite; leave samples without a score out and count them")
    return labels.astype(bool), logits


def has_both_classes(labels: np.ndarray) -> bool:
    """Whether there is at least one real and one fake sample."""
    return bool(labels.any()) and not bool(labels.all())


def auc(labels: np.ndarray, logits: np.ndarray) -> float | None:
    """Area under the ROC curve: probability that a fake outscores a real, ties count half. None for one class."""
    labels, logits = check_samples(labels, logits)
    return float(roc_auc_score(labels, logits)) if has_both_classes(labels) else None


def average_precision(labels: np.ndarray, logits: np.ndarray) -> float | None:
    """Sum over thresholds of precision x gain in recall, with fakes as positives. None for one class.

    Depends on the share of fakes: compare only between sets with the same share.
    """
    labels, logits = check_samples(labels, logits)
    return float(average_precision_score(labels, logits)) if has_both_classes(labels) else None


def equal_error_rate(labels: np.ndarray, logits: np.ndarray) -> float | None:
    """The rate at which false positive and false negative rate are equal, on the linearly interpolated ROC.

    Interpolated: the nearest measured point (an argmin) can be off by the width of a step. None for one class.
    """
    labels, logits = check_samples(labels, logits)
    if not has_both_classes(labels):
        return None
    fpr, tpr, _ = roc_curve(labels, logits, drop_intermediate=False)
    gap = fpr - (1.0 - tpr)
    right = int(np.argmax(gap >= 0.0))
    left = right - 1
    share = -gap[left] / (gap[right] - gap[left])
    return float(fpr[left] + share * (fpr[right] - fpr[left]))


def tpr_at_fpr(labels: np.ndarray, logits: np.ndarray, max_fpr: float) -> float | None:
    """The largest true positive rate among thresholds with a false positive rate of at most ``max_fpr``.

    Not interpolated: the rate is reached by an actual threshold. With fewer than ``1 / max_fpr`` real samples
    this means no false positive at all. None for one class.
    """
    labels, logits = check_samples(labels, logits)
    if not has_both_classes(labels):
        return None
    fpr, tpr, _ = roc_curve(labels, logits, drop_intermediate=False)
    return float(tpr[fpr <= max_fpr + 1e-12].max())


def accuracy(labels: np.ndarray, logits: np.ndarray, settings: MetricSettings | None = None) -> float | None:
    """Share of correctly classified samples; a score at the threshold counts as fake."""
    labels, logits = check_samples(labels, logits)
    if labels.size == 0:
        return None
    return float(np.mean((logits >= (settings or MetricSettings()).threshold_logit) == labels))


def log_losses(labels: np.ndarray, logits: np.ndarray) -> np.ndarray:
    """(N,) natural-log losses, without clipping, exact for large logits."""
    return np.logaddexp(0.0, np.where(labels, -logits, logits))


def log_loss(labels: np.ndarray, logits: np.ndarray) -> float | None:
    """Mean natural-log loss of the score."""
    labels, logits = check_samples(labels, logits)
    return float(log_losses(labels, logits).mean()) if labels.size else None


def brier(labels: np.ndarray, logits: np.ndarray) -> float | None:
    """Mean squared difference between score and label (Brier, 1950)."""
    labels, logits = check_samples(labels, logits)
    return float(np.mean((expit(logits) - labels) ** 2)) if labels.size else None


def equal_mass_bins(scores: np.ndarray, bins: int) -> np.ndarray:
    """(N,) bin numbers that cut the scores at their quantiles; equal scores share a bin, so some may be empty."""
    edges = np.quantile(scores, np.linspace(0.0, 1.0, bins + 1)[1:-1])
    return np.searchsorted(edges, scores, side="right")


def expected_calibration_error(
    labels: np.ndarray, logits: np.ndarray, settings: MetricSettings | None = None
) -> float | None:
    """Mean over equal-mass bins, weighted by size, of ``|mean score - share of fakes|`` (Naeini et al., 2015).

    Equal-mass bins because detector scores cluster at 0 and 1 and would leave most equal-width bins empty.
    """
    labels, logits = check_samples(labels, logits)
    if labels.size == 0:
        return None
    bins = (settings or MetricSettings()).bins
    scores = expit(logits)
    sums = np.bincount(equal_mass_bins(scores, bins), weights=scores - labels, minlength=bins)
    return float(np.abs(sums).sum() / labels.size)


def metric_functions(settings: MetricSettings) -> Mapping[str, Callable[[np.ndarray, np.ndarray], float | None]]:
    """All metrics by name, in display order."""
    return {
        "auc": auc,
        "ap": average_precision,
        "eer": equal_error_rate,
        "tpr@fpr1%": lambda labels, logits: tpr_at_fpr(labels, logits, 0.01),
        "tpr@fpr5%": lambda labels, logits: tpr_at_fpr(labels, logits, 0.05),
        settings.accuracy_name: lambda labels, logits: accuracy(labels, logits, settings),
        "log_loss": log_loss,
        "brier": brier,
        "ece": lambda labels, logits: expected_calibration_error(labels, logits, settings),
    }


def all_metrics(
    labels: np.ndarray, logits: np.ndarray, settings: MetricSettings | None = None
) -> dict[str, float | None]:
    """All metrics by name; None where undefined."""
    functions = metric_functions(settings or MetricSettings())
    return {name: function(labels, logits) for name, function in functions.items()}


def best_threshold(labels: np.ndarray, logits: np.ndarray) -> float | None:
    """The logit that best splits real from fake: largest true minus false positive rate (Youden, 1950).

    Lies midway between two samples; of equally good thresholds the one in the widest gap, so that separated classes are
    split in the middle. None for one class. Choose it on validation clips, never on test clips.
    """
    labels, logits = check_samples(labels, logits)
    if not has_both_classes(labels):
        return None
    values = np.unique(logits)
    if values.size == 1:
        return float(values[0])
    middles = (values[1:] + values[:-1]) / 2
    ranks = np.searchsorted(values, logits)
    fakes = np.bincount(ranks[labels], minlength=values.size)
    reals = np.bincount(ranks[~labels], minlength=values.size)
    gain = np.cumsum(reals)[:-1] / reals.sum() - np.cumsum(fakes)[:-1] / fakes.sum()
    best = np.flatnonzero(gain >= gain.max() - 1e-12)
    return float(middles[best[np.argmax(np.diff(values)[best])]])
