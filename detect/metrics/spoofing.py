"""Metrics of detectors of synthetic speech: detection costs of ASVspoof 5, and F1 of segments.

Convention:
    labels: (N,) bool, True means fake (spoofed)
    scores: (N,) float, larger means more likely fake; for the actual cost they are log10 likelihood ratios
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from detect.metrics.classification import check_samples, has_both_classes
from shared.bootstrap import BootstrapSettings, sample_clusters

Metric = Callable[[np.ndarray, np.ndarray], float | None]


@dataclass(frozen=True)
class DetectionCosts:
    """Costs and prior of a decision; the values are those of ASVspoof 5, track 1 (evaluation plan, 2024).

    Attributes:
        prior_fake: share of fakes that is assumed.
        miss: cost of a real utterance that is taken for a fake.
        false_accept: cost of a fake that is taken for real.
    """

    prior_fake: float = 0.05
    miss: float = 1.0
    false_accept: float = 10.0

    @property
    def default(self) -> float:
        """The cost of the better of two decisions without a detector: all real, or all fake."""
        return min(self.miss * (1 - self.prior_fake), self.false_accept * self.prior_fake)

    @property
    def llr_threshold(self) -> float:
        """The log10 likelihood ratio from which calling it a fake costs less (Bayes)."""
        return float(np.log10(self.miss * (1 - self.prior_fake) / (self.false_accept * self.prior_fake)))

    def cost(self, missed: float | np.ndarray, accepted: float | np.ndarray) -> np.ndarray:
        """The normalised cost of shares of real utterances missed and of fakes accepted; 1 is that of no detector."""
        paid = self.miss * (1 - self.prior_fake) * np.asarray(missed)
        return (paid + self.false_accept * self.prior_fake * np.asarray(accepted)) / self.default


def min_dcf(labels: np.ndarray, scores: np.ndarray, costs: DetectionCosts = DetectionCosts()) -> float | None:
    """The least normalised cost over all thresholds (Brummer and du Preez, 2006). None for one class."""
    labels, scores = check_samples(labels, scores)
    if not has_both_classes(labels):
        return None
    limits = np.append(np.unique(scores), np.inf)
    real, fake = np.sort(scores[~labels]), np.sort(scores[labels])
    missed = 1 - np.searchsorted(real, limits) / len(real)
    accepted = np.searchsorted(fake, limits) / len(fake)
    return float(costs.cost(missed, accepted).min())


def act_dcf(labels: np.ndarray, llrs: np.ndarray, costs: DetectionCosts = DetectionCosts()) -> float | None:
    """The normalised cost at the threshold that log10 likelihood ratios imply. None for one class."""
    labels, llrs = check_samples(labels, llrs)
    if not has_both_classes(labels):
        return None
    called = llrs >= costs.llr_threshold
    return float(costs.cost(called[~labels].mean(), (~called[labels]).mean()))


def interval_over(
    groups: np.ndarray, labels: np.ndarray, scores: np.ndarray, metric: Metric, settings: BootstrapSettings
) -> tuple[float, float] | None:
    """Percentile interval of a metric by a bootstrap over ``groups``, (N,), such as speakers; None with fewer than two.

    Replicates in which the metric is undefined, because a class is absent, are left out.
    """
    names = np.unique(groups)
    if len(names) < 2:
        return None
    rows = [np.flatnonzero(groups == name) for name in names]
    rng = np.random.default_rng(settings.seed)
    values = []
    for _ in range(settings.replicates):
        chosen = np.concatenate([rows[place] for place in rng.integers(0, len(rows), len(rows))])
        value = metric(labels[chosen], scores[chosen])
        if value is not None:
            values.append(value)
    if len(values) < settings.replicates / 2:
        return None
    low, high = np.percentile(values, settings.tails)
    return float(low), float(high)


def segments_of(
    spans: Sequence[tuple[float, float]], scores: np.ndarray, *, step_seconds: float, segment_seconds: float
) -> tuple[np.ndarray, np.ndarray]:
    """Labels and scores of equal segments of one utterance.

    A segment is fake if any part of it is (PartialSpoof, Zhang et al., 2021); its score is the highest of its steps.

    Args:
        spans: the fake parts, (first, stop) in seconds.
        scores: (T,) one every ``step_seconds``.
        step_seconds: length of a step.
        segment_seconds: length of a segment, a whole number of steps.

    Returns:
        (S,) bool and (S,) float32.
    """
    steps = max(1, round(segment_seconds / step_seconds))
    edges = np.arange(len(scores)) * step_seconds
    fake = np.zeros(len(scores), bool)
    for first, stop in spans:
        fake |= (edges < stop - 1e-9) & (edges + step_seconds > first + 1e-9)
    firsts = np.arange(0, len(scores), steps)
    if not len(firsts):
        return np.zeros(0, bool), np.zeros(0, np.float32)
    return np.logical_or.reduceat(fake, firsts), np.maximum.reduceat(np.asarray(scores, np.float32), firsts)


def segment_f1(labels: np.ndarray, scores: np.ndarray, threshold: float) -> float | None:
    """F1 of the fake segments with a score of at least ``threshold``. None without a fake segment."""
    labels = np.asarray(labels, bool)
    if not labels.any():
        return None
    called = np.asarray(scores) >= threshold
    return float(2 * (called & labels).sum() / (called.sum() + labels.sum()))


def segment_f1_interval(
    groups: np.ndarray, labels: np.ndarray, scores: np.ndarray, threshold: float, settings: BootstrapSettings
) -> tuple[float, float] | None:
    """Percentile interval of :func:`segment_f1` by a bootstrap over ``groups``, (N,); None with fewer than two."""
    names, places = np.unique(groups, return_inverse=True)
    if len(names) < 2 or not np.any(labels):
        return None
    labels, called = np.asarray(labels, bool), np.asarray(scores) >= threshold
    weights = sample_clusters(len(names), settings.replicates, np.random.default_rng(settings.seed))
    hits = weights @ np.bincount(places, labels & called)
    total = weights @ (np.bincount(places, labels) + np.bincount(places, called))
    low, high = np.percentile(2 * hits[total > 0] / total[total > 0], settings.tails)
    return float(low), float(high)


def best_f1_threshold(labels: np.ndarray, scores: np.ndarray) -> float | None:
    """The score with the highest F1 as a threshold. None without a fake segment."""
    labels, scores = np.asarray(labels, bool), np.asarray(scores, np.float64)
    if not labels.any():
        return None
    order = np.argsort(-scores, kind="stable")
    hits = np.cumsum(labels[order])
    f1 = 2 * hits / (np.arange(1, len(order) + 1) + labels.sum())
    last = np.append(np.diff(scores[order]) != 0, True)  # equal scores are called together
    return float(scores[order][int(np.argmax(np.where(last, f1, -1)))])
