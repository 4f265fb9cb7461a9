"""Confidence intervals by bootstrap over clusters.

Frames of a clip, and clips of a person, are correlated; resampling them one by one gives intervals that are too narrow.
So whole clusters are resampled with replacement (Field and Welsh, 2007), and the percentile interval is taken. All
replicates are computed at once: a replicate is a row of weights, the count of each cluster.

A bootstrap knows no outcome that is not in the sample: where all clips are right, or fakes and real clips are
separated, all replicates are equal and the interval is one point. :func:`widened` bounds it there.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

ClusterBy = Literal["group", "target", "clip"]


@dataclass(frozen=True)
class BootstrapSettings:
    """Settings of a bootstrap.

    Attributes:
        replicates: number of resamplings.
        confidence: coverage of the interval.
        seed: of the resampling.
        cluster_by: "group": clips whose people are linked, directly or through others (see ``shared.dataset.splits``);
            "target": clips of one filmed person, which ignores that a source may be in several clusters.
    """

    replicates: int = 1000
    confidence: float = 0.95
    seed: int = 0
    cluster_by: ClusterBy = "group"

    def __post_init__(self) -> None:
        if self.replicates < 1 or not 0.0 < self.confidence < 1.0:
            raise ValueError(f"need replicates >= 1 and confidence in (0, 1), got {self}")

    @property
    def tails(self) -> tuple[float, float]:
        """The percentiles of the interval's ends: 2.5 and 97.5 at 95 %."""
        tail = 50.0 * (1.0 - self.confidence)
        return tail, 100.0 - tail


def sample_clusters(clusters: int, replicates: int, rng: np.random.Generator) -> np.ndarray:
    """(replicates, clusters) float64: the count of each cluster; each row sums to ``clusters``."""
    return rng.multinomial(clusters, np.full(clusters, 1.0 / clusters), size=replicates).astype(np.float64)


def mean_interval(
    totals: np.ndarray, counts: np.ndarray, clusters: np.ndarray, settings: BootstrapSettings
) -> tuple[float, float] | None:
    """Interval of the mean of clustered values; None with fewer than two clusters.

    Args:
        totals: (N,) sum of the values of each unit, such as a clip.
        counts: (N,) number of values in each sum.
        clusters: (N,) the cluster of each unit.
        settings: replicates, confidence and seed.

    Raises:
        ValueError: shapes differ, or a count is not positive.
    """
    totals, counts = np.asarray(totals, np.float64), np.asarray(counts, np.float64)
    if not totals.shape == counts.shape == np.shape(clusters) or totals.ndim != 1 or (counts <= 0).any():
        raise ValueError("need a total, a positive count and a cluster for each unit")
    names, places = np.unique(np.asarray(clusters), return_inverse=True)
    if names.size < 2:
        return None
    weights = sample_clusters(names.size, settings.replicates, np.random.default_rng(settings.seed))
    means = (weights @ np.bincount(places, totals)) / (weights @ np.bincount(places, counts))
    low, high = np.percentile(means, settings.tails)
    return float(low), float(high)


def share_interval(hits: np.ndarray, clusters: np.ndarray, settings: BootstrapSettings) -> tuple[float, float] | None:
    """Interval of the share of ``hits``, (N,) bool, that come in ``clusters``, (N,); None with fewer than two clusters.

    Where all are hits, or none is, :func:`widened` with each cluster counted as one draw.

    Raises:
        ValueError: shapes differ.
    """
    found = mean_interval(np.asarray(hits, np.float64), np.ones(np.shape(hits)), clusters, settings)
    if found is None or 0.0 < np.mean(hits) < 1.0:
        return found
    return widened(*found, int(np.unique(clusters).size), settings)


def widened(low: float, high: float, draws: int, settings: BootstrapSettings) -> tuple[float, float]:
    """``low`` and ``high`` of a share, moved out to the most that ``draws`` independent draws can show.

    If all draws are hits, the exact interval of Clopper and Pearson (Biometrika 1934) reaches down to
    ``tail ** (1 / draws)``, at 95 % ``0.025 ** (1 / draws)``: 0.16 for two draws, 0.63 for eight, 0.91 for forty. If
    none is, it reaches up to one minus that.

    The same bound holds for the area under the ROC curve, the probability that a fake scores higher than a real clip,
    with ``draws`` the number of people (clusters) of the class that has fewer. Perfect separation puts so many pairs,
    each a fake and a real clip of people of its own, in the right order; their chance is at most the area to the power
    of their number (the pairs are those of Hoeffding's bound for two-sample U-statistics, Journal of the American
    Statistical Association 1963, section 5b). It is exact for people of one class each, and for people with clips of
    both as long as what is particular to a person moves both of their scores the same way.
    """
    bound = (settings.tails[0] / 100) ** (1 / draws)
    return min(low, bound), max(high, 1 - bound)
