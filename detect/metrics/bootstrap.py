"""Confidence intervals of metrics: bootstrap over clusters of clips that share people, not over clips or frames.

Frames of a clip, and clips of a person, are correlated; resampling them one by one gives intervals that are too narrow.
So whole clusters are resampled with replacement, real and fake samples together (Field and Welsh, 2007), and the
percentile interval is taken.

All replicates are computed at once: a replicate is a row of weights, the count of each cluster.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from scipy.special import expit

from detect.metrics.classification import (
    MetricSettings,
    all_metrics,
    check_samples,
    equal_mass_bins,
    has_both_classes,
    log_losses,
)
from shared.bootstrap import BootstrapSettings, sample_clusters, widened
from shared.results.scores import Evaluation, Level

_CHUNK_ELEMENTS = 4_000_000
LOSSES = frozenset({"log_loss", "brier", "ece"})
"""Metrics that are no share of clips or pairs."""


def evaluate_samples(
    labels: np.ndarray,
    logits: np.ndarray,
    clusters: np.ndarray,
    *,
    level: Level,
    metrics: MetricSettings | None = None,
    bootstrap: BootstrapSettings | None = None,
) -> list[Evaluation]:
    """All metrics defined for the data, with counts and, with at least two clusters per class, intervals.

    Args:
        labels: (N,) True for fake.
        logits: (N,) raw scores.
        clusters: (N,) int, the cluster of each sample.
        level: of the samples: a face in a frame, a track or a clip.
        metrics: threshold and bins.
        bootstrap: replicates, confidence and seed.

    Returns:
        One value per metric, in the order of :func:`detect.metrics.classification.metric_functions`; metrics that are
        undefined for these data (one class only) are left out.

    Raises:
        ValueError: shapes differ, or a logit is not finite.
    """
    metrics, bootstrap = metrics or MetricSettings(), bootstrap or BootstrapSettings()
    labels, logits = check_samples(labels, logits)
    values = all_metrics(labels, logits, metrics)
    bounds = intervals(labels, logits, clusters, metrics, bootstrap)
    num_fake = int(labels.sum())
    evaluations = []
    for name, value in values.items():
        if value is None:
            continue
        low, high = bounds.get(name, (None, None))
        evaluations.append(
            Evaluation(
                metric=name,
                value=value,
                level=level,
                num_real=labels.size - num_fake,
                num_fake=num_fake,
                low=low,
                high=high,
                clusters=int(np.unique(clusters).size),
                confidence=bootstrap.confidence,
            )
        )
    return evaluations


def intervals(
    labels: np.ndarray,
    logits: np.ndarray,
    clusters: np.ndarray,
    metrics: MetricSettings,
    bootstrap: BootstrapSettings,
) -> dict[str, tuple[float, float]]:
    """Intervals by metric name; empty when a class has fewer than two clusters.

    They are percentiles of the replicates; those in which a class is absent cannot give a ranking metric and are left
    out. That of the AUC is never narrower than what its people can show (:func:`shared.bootstrap.widened`): with few
    people, a bootstrap near perfect separation claims too much. Those of the other shares (accuracy, AP, EER, TPR) are
    widened likewise where all replicates agree.
    """
    labels, logits = check_samples(labels, logits)
    names, clusters = np.unique(np.asarray(clusters), return_inverse=True)
    if not has_both_classes(labels) or fewest_clusters(labels, clusters) < 2:
        return {}
    weights = sample_clusters(names.size, bootstrap.replicates, np.random.default_rng(bootstrap.seed))
    replicates = weighted_metrics(labels, logits, clusters, weights, metrics)
    bounds: dict[str, tuple[float, float]] = {}
    people = fewest_clusters(labels, clusters)
    for name, values in replicates.items():
        low, high = (float(bound) for bound in np.nanpercentile(values, bootstrap.tails))
        if name == "auc" or (name not in LOSSES and low == high in (0.0, 1.0)):
            low, high = widened(low, high, people, bootstrap)
        bounds[name] = (low, high)
    return bounds


def fewest_clusters(labels: np.ndarray, clusters: np.ndarray) -> int:
    """Number of clusters of the class that has fewer; 0 for one class."""
    return min(np.unique(clusters[labels]).size, np.unique(clusters[~labels]).size)


def weighted_metrics(
    labels: np.ndarray, logits: np.ndarray, clusters: np.ndarray, weights: np.ndarray, settings: MetricSettings
) -> dict[str, np.ndarray]:
    """Every metric for every row of cluster weights.

    Args:
        labels: (N,) bool.
        logits: (N,) float64.
        clusters: (N,) int in ``range(C)``.
        weights: (R, C) count of each cluster.
        settings: threshold and bins. Bins of the calibration error are computed once, on the unweighted scores.

    Returns:
        (R,) values by metric name; NaN where a class has no weight in a row.
    """
    ranked = _ranking_metrics(labels, logits, clusters, weights)
    return {**ranked, **_mean_metrics(labels, logits, clusters, weights, settings)}


def _mean_metrics(
    labels: np.ndarray, logits: np.ndarray, clusters: np.ndarray, weights: np.ndarray, settings: MetricSettings
) -> dict[str, np.ndarray]:
    """Metrics that are means over samples: the product of weights and sums by cluster."""
    scores = expit(logits)
    count = weights.shape[1]
    total = weights @ np.bincount(clusters, minlength=count)

    def mean(values: np.ndarray) -> np.ndarray:
        sums = weights @ np.bincount(clusters, weights=values, minlength=count)
        return np.divide(sums, total, out=np.full_like(sums, np.nan), where=total > 0)

    bins = equal_mass_bins(scores, settings.bins)
    gaps = np.zeros((count, settings.bins))
    np.add.at(gaps, (clusters, bins), scores - labels)
    gap = np.abs(weights @ gaps).sum(axis=1)
    return {
        settings.accuracy_name: mean((logits >= settings.threshold_logit) == labels),
        "log_loss": mean(log_losses(labels, logits)),
        "brier": mean((scores - labels) ** 2),
        "ece": np.divide(gap, total, out=np.full_like(gap, np.nan), where=total > 0),
    }


def _ranking_metrics(
    labels: np.ndarray, logits: np.ndarray, clusters: np.ndarray, weights: np.ndarray
) -> dict[str, np.ndarray]:
    """Metrics of the ROC and precision-recall curves, in chunks of rows so that memory stays bounded."""
    order = np.argsort(-logits, kind="stable")
    labels, logits, clusters = labels[order], logits[order], clusters[order]
    starts = np.flatnonzero(np.concatenate(([True], np.diff(logits) != 0)))
    rows = max(1, _CHUNK_ELEMENTS // max(1, labels.size))
    parts = [
        _curve_metrics(weights[first : first + rows][:, clusters], labels, starts)
        for first in range(0, weights.shape[0], rows)
    ]
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def _curve_metrics(weights: np.ndarray, labels: np.ndarray, starts: np.ndarray) -> Mapping[str, np.ndarray]:
    """AUC, AP, EER and TPR of rows of sample weights (R, N), by descending logit, ties by ``starts``."""
    fakes = np.add.reduceat(weights * labels, starts, axis=1)
    reals = np.add.reduceat(weights * ~labels, starts, axis=1)
    caught, alarms = fakes.cumsum(axis=1), reals.cumsum(axis=1)
    num_fake, num_real = caught[:, -1:], alarms[:, -1:]
    with np.errstate(divide="ignore", invalid="ignore"):
        area = (reals * (caught - 0.5 * fakes)).sum(axis=1) / (num_fake * num_real)[:, 0]
        precision = np.where(fakes > 0, caught / (caught + alarms), 0.0)
        ap = (fakes * precision).sum(axis=1) / num_fake[:, 0]
        tpr, fpr = caught / num_fake, alarms / num_real
    undefined = (num_fake[:, 0] == 0) | (num_real[:, 0] == 0)
    curves = {
        "auc": area,
        "ap": ap,
        "eer": _crossing(fpr, tpr),
        "tpr@fpr1%": np.where(fpr <= 0.01 + 1e-12, tpr, 0.0).max(axis=1),
        "tpr@fpr5%": np.where(fpr <= 0.05 + 1e-12, tpr, 0.0).max(axis=1),
    }
    return {name: np.where(undefined, np.nan, values) for name, values in curves.items()}


def _crossing(fpr: np.ndarray, tpr: np.ndarray) -> np.ndarray:
    """(R,) interpolated equal error rates of (R, G) ROC points without the point at the origin."""
    origin = np.zeros((fpr.shape[0], 1))
    fpr, tpr = np.hstack((origin, fpr)), np.hstack((origin, tpr))
    gap = fpr + tpr - 1.0
    rows = np.arange(fpr.shape[0])
    right = np.maximum(1, np.argmax(gap >= 0.0, axis=1))
    left = right - 1
    with np.errstate(divide="ignore", invalid="ignore"):
        share = -gap[rows, left] / (gap[rows, right] - gap[rows, left])
    return fpr[rows, left] + share * (fpr[rows, right] - fpr[rows, left])
