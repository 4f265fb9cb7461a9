"""Quality of calibrated scores, with intervals: Cllr and its parts, ECE, Brier score, log loss.

People have equal weight in their class, as in the fit of a calibration, and whole clusters of clips are resampled for
the intervals. Replicates are vectorised in chunks that bound memory; only PAV, for the discrimination part of Cllr, is
computed one by one.

Replicates contain people several times. PAV and bins overfit such repeats, which biases their metrics; these replicates
are shifted so that their median is the value, and only give the width.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from sklearn.isotonic import isotonic_regression

from detect.calibration.config import CountBy
from detect.calibration.fit import person_weights
from detect.calibration.likelihood import bins_for, probability_metrics, ratio_metrics
from detect.metrics.classification import check_samples, equal_mass_bins, has_both_classes, log_losses
from shared.bootstrap import BootstrapSettings, sample_clusters
from shared.dataset.splits import clip_clusters
from shared.results.scores import Evaluation
from shared.types import ClipRecord

QUALITY = ("cllr", "cllr_min", "cllr_cal", "ece", "brier", "log_loss")
"""The names of the metrics, in the order of reports."""

_FITTED = ("cllr_min", "cllr_cal", "ece")
_LN10 = float(np.log(10.0))
_TINY = 1e-15
_CHUNK_ELEMENTS = 1_000_000


@dataclass(frozen=True, eq=False)
class HeldOutOdds:
    """Clips with the values of a calibration that was not fitted on them.

    Attributes:
        labels: (N,) bool, True for fake.
        probabilities: (N,) of a fake at ``prior``.
        llrs: (N,) log10 likelihood ratios, bounded.
        people: (N,) int, units of equal weight.
        clusters: (N,) int, resampled by the bootstrap.
        prior: of the probabilities.
    """

    labels: np.ndarray
    probabilities: np.ndarray
    llrs: np.ndarray
    people: np.ndarray
    clusters: np.ndarray
    prior: float

    def part(self, chosen: np.ndarray) -> HeldOutOdds:
        """The clips at which ``chosen``, (N,) bool, is true."""
        arrays = (self.labels, self.probabilities, self.llrs, self.people, self.clusters)
        return HeldOutOdds(*(each[chosen] for each in arrays), prior=self.prior)


def quality_of(odds: HeldOutOdds, bootstrap: BootstrapSettings | None = None) -> tuple[Evaluation, ...]:
    """All metrics of :data:`QUALITY` at clip level; empty for one class.

    Returns:
        One value per metric. Cllr and its parts are in bits. There is an interval if each class has two clusters.

    Raises:
        ValueError: arrays that do not fit each other, or an llr that is not finite.
    """
    bootstrap = bootstrap or BootstrapSettings()
    labels, llrs = check_samples(odds.labels, odds.llrs)
    if not has_both_classes(labels):
        return ()
    weights = person_weights(labels, odds.people)
    values = {**ratio_metrics(labels, llrs, weights), **probability_metrics(labels, odds.probabilities, weights,
                                                                            odds.prior)}  # fmt: skip
    bounds = _intervals(odds, weights, values, bootstrap)
    fake = int(labels.sum())
    return tuple(
        Evaluation(
            metric=name,
            value=values[name],
            level="clip",
            num_real=labels.size - fake,
            num_fake=fake,
            low=bounds[name][0] if name in bounds else None,
            high=bounds[name][1] if name in bounds else None,
            clusters=int(np.unique(odds.clusters).size),
            confidence=bootstrap.confidence,
        )
        for name in QUALITY
    )


def _intervals(
    odds: HeldOutOdds, weights: np.ndarray, values: Mapping[str, float], bootstrap: BootstrapSettings
) -> dict[str, tuple[float, float]]:
    """Percentile intervals by name; empty when a class has fewer than two clusters."""
    names, clusters = np.unique(odds.clusters, return_inverse=True)
    if min(np.unique(clusters[odds.labels == truth]).size for truth in (False, True)) < 2:
        return {}
    times = sample_clusters(names.size, bootstrap.replicates, np.random.default_rng(bootstrap.seed))
    rows = max(1, _CHUNK_ELEMENTS // clusters.size)
    parts = [
        resampled_quality(odds, weights * times[first : first + rows][:, clusters])
        for first in range(0, times.shape[0], rows)
    ]
    replicates = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    bounds = {}
    for name, found in replicates.items():
        low, middle, high = np.nanpercentile(found, (bootstrap.tails[0], 50.0, bootstrap.tails[1]))
        shift = values[name] - middle if name in _FITTED else 0.0
        bounds[name] = (max(0.0, float(low + shift)), float(high + shift))
    return bounds


def resampled_quality(odds: HeldOutOdds, weights: np.ndarray) -> dict[str, np.ndarray]:
    """(R,) values of all metrics for each row of clip weights, (R, N); NaN where a row has one class only."""
    fake, real = (_shares(weights * mask) for mask in (odds.labels, ~odds.labels))
    even = 0.5 * fake + 0.5 * real
    at_prior = odds.prior * fake + (1 - odds.prior) * real
    costs = log_losses(odds.labels, odds.llrs * _LN10) / np.log(2.0)
    cllr = even @ costs
    least = _cllr_min(odds, even)
    safe = np.clip(odds.probabilities, _TINY, 1 - _TINY)
    gaps = odds.probabilities - odds.labels
    bins = bins_for(odds.labels.size)
    in_bin = np.eye(bins)[equal_mass_bins(odds.probabilities, bins)]
    return {
        "cllr": cllr,
        "cllr_min": least,
        "cllr_cal": cllr - least,
        "ece": np.abs((at_prior * gaps) @ in_bin).sum(axis=1),
        "brier": at_prior @ gaps**2,
        "log_loss": -(at_prior @ np.log(np.where(odds.labels, safe, 1 - safe))),
    }


def _shares(weights: np.ndarray) -> np.ndarray:
    """Rows normalised to sum to one; NaN for zero rows."""
    with np.errstate(invalid="ignore"):
        return weights / weights.sum(axis=1, keepdims=True)


def _cllr_min(odds: HeldOutOdds, weights: np.ndarray) -> np.ndarray:
    """(R,) Cllr after PAV. Clips with equal llr are one step; a step of one class has no cost."""
    order = np.argsort(odds.llrs, kind="stable")
    starts = np.flatnonzero(np.diff(odds.llrs[order], prepend=-np.inf))
    fakes, everyone = (np.add.reduceat(each[:, order], starts, axis=1) for each in (weights * odds.labels, weights))
    found = np.full(weights.shape[0], np.nan)
    for row, (fake, mass) in enumerate(zip(fakes, everyone, strict=True)):
        held = mass > 0
        if np.isfinite(mass).all() and held.any():
            found[row] = _pav_bits(fake[held], mass[held])
    return found


def _pav_bits(fake: np.ndarray, mass: np.ndarray) -> float:
    """Cost in bits of the best monotone shares of fakes, for steps of ``mass`` of which ``fake`` is fake."""
    share = isotonic_regression(fake / mass, sample_weight=mass, y_min=0.0, y_max=1.0)
    real = np.maximum(mass - fake, 0.0)
    real[real < _TINY * mass] = 0.0  # rounding errors of 0
    with np.errstate(divide="ignore", invalid="ignore"):
        bits = np.nan_to_num(fake * np.log2(share)) + np.nan_to_num(real * np.log2(1 - share))
    return -float(bits.sum())


def people_of(records: Sequence[ClipRecord], count_by: CountBy) -> np.ndarray:
    """(N,) int: a number for each clip, equal for clips that count as one."""
    if count_by == "clip":
        return np.arange(len(records))
    numbers = clip_clusters(records, count_by)
    return np.array([numbers[record.id] for record in records], np.int64)
