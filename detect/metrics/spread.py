"""Percentiles of likelihood ratios, with bootstrap intervals over clusters."""

from __future__ import annotations

import numpy as np

from shared.bootstrap import BootstrapSettings, sample_clusters
from shared.results.scoreboard import LlrSpread

_CHUNK_ELEMENTS = 4_000_000
_TAILS = (0.05, 0.5, 0.95)


def llr_spread(llrs: np.ndarray, clusters: np.ndarray, settings: BootstrapSettings | None = None) -> LlrSpread | None:
    """The 5th, 50th and 95th percentile of fakes' llrs, the interval of the median, and the share below zero.

    Args:
        llrs: (N,) log10 likelihood ratios.
        clusters: (N,) cluster of each.
        settings: replicates, confidence and seed.

    Returns:
        None for no value. The interval is None with fewer than two clusters.

    Raises:
        ValueError: shapes differ, or a value is not finite.
    """
    settings = settings or BootstrapSettings()
    llrs = np.asarray(llrs, np.float64)
    if llrs.ndim != 1 or llrs.shape != np.shape(clusters) or not np.isfinite(llrs).all():
        raise ValueError("need one finite value and one cluster for each fake")
    if not llrs.size:
        return None
    low, middle, high = (float(value) for value in np.quantile(llrs, _TAILS, method="inverted_cdf"))
    bounds = _median_interval(llrs, np.asarray(clusters), settings)
    return LlrSpread(
        low=low,
        median=middle,
        high=high,
        misleading=float(np.mean(llrs < 0)),
        num_fake=int(llrs.size),
        median_low=None if bounds is None else bounds[0],
        median_high=None if bounds is None else bounds[1],
    )


def weighted_medians(values: np.ndarray, places: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """(R,) the median of ``values`` for every row of cluster weights: the smallest with half of the weight up to it.

    Args:
        values: (N,) float64.
        places: (N,) int in ``range(C)``, the cluster of each.
        weights: (R, C) count of each cluster. Rows without weight on any value give NaN.
    """
    order = np.argsort(values, kind="stable")
    ranked, owners = values[order], places[order]
    found = np.full(len(weights), np.nan)
    rows = max(1, _CHUNK_ELEMENTS // max(1, values.size))
    for first in range(0, len(weights), rows):
        mass = np.cumsum(weights[first : first + rows][:, owners], axis=1)
        total = mass[:, -1]
        at = (mass < 0.5 * total[:, None] - 1e-9).sum(axis=1)
        found[first : first + rows] = np.where(total > 0, ranked[np.minimum(at, values.size - 1)], np.nan)
    return found


def _median_interval(
    values: np.ndarray, clusters: np.ndarray, settings: BootstrapSettings
) -> tuple[float, float] | None:
    names, places = np.unique(clusters, return_inverse=True)
    if names.size < 2:
        return None
    weights = sample_clusters(names.size, settings.replicates, np.random.default_rng(settings.seed))
    low, high = np.nanpercentile(weighted_medians(values, places, weights), settings.tails)
    return float(low), float(high)
