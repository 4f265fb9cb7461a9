"""Paired accuracy: how often a fake is scored above the real media that it was made from.

An area under the ROC curve compares every fake with every real clip, so it mixes two differences: that between people,
their cameras and light, and that between a face and its forgery. A fake and its own real share the former. Their
comparison is the two-alternative forced choice of psychophysics (Green and Swets, "Signal Detection Theory and
Psychophysics", 1966), with the interval of a bootstrap over clusters of people.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from shared.bootstrap import BootstrapSettings, mean_interval, widened
from shared.results.scores import Evaluation, Level

PAIRED = "paired_accuracy"


def outranked(fake: np.ndarray, real: np.ndarray) -> np.ndarray:
    """For each fake and real logit of one place: 1 if the fake's is higher, 0.5 if they are equal, else 0."""
    return (np.sign(fake - real) + 1) / 2


def own_reals(parents: Sequence[Sequence[str]], places: Mapping[str, int]) -> list[tuple[int, int]]:
    """(place of a fake, place of a real it was made from) for each fake and each of its reals that is known.

    Args:
        parents: names of the reals of each sample; empty for a real, and for a fake whose real is unknown.
        places: place of each real by name; names that are missing are passed over.
    """
    return [(fake, places[name]) for fake, names in enumerate(parents) for name in names if name in places]


def pair_outcomes(logits: np.ndarray, pairs: Sequence[tuple[int, int]]) -> tuple[np.ndarray, np.ndarray]:
    """The fakes that have a pair and the outcome of each: 1 above its real, 0.5 tied with it, 0 below.

    Args:
        logits: (N,) raw scores; a pair with one that is not finite has no outcome.
        pairs: places of a fake and its real. The outcome of a fake with several reals is the mean over them.

    Returns:
        (F,) int places of the fakes, ascending, and (F,) float64 outcomes.
    """
    logits = np.asarray(logits, np.float64)
    found: dict[int, list[float]] = {}
    for fake, real in pairs:
        if np.isfinite(logits[fake]) and np.isfinite(logits[real]):
            found.setdefault(fake, []).append(float(outranked(logits[fake], logits[real])))
    places = sorted(found)
    return np.array(places, np.int64), np.array([np.mean(found[place]) for place in places], np.float64)


def paired_accuracy(logits: np.ndarray, pairs: Sequence[tuple[int, int]]) -> float | None:
    """Share of the fakes that are scored above their own real, ties counted half; None without a scored pair."""
    _, outcomes = pair_outcomes(logits, pairs)
    return float(outcomes.mean()) if outcomes.size else None


def evaluate_pairs(
    logits: np.ndarray,
    pairs: Sequence[tuple[int, int]],
    clusters: np.ndarray,
    *,
    level: Level = "clip",
    bootstrap: BootstrapSettings | None = None,
) -> Evaluation | None:
    """The paired accuracy with counts and, with at least two clusters of fakes, its interval.

    Args:
        logits: (N,) raw scores.
        pairs: places of a fake and its real.
        clusters: (N,) int, the cluster of each sample; that of a pair is its fake's.
        level: of the samples.
        bootstrap: replicates, confidence and seed.

    Returns:
        None without a scored pair. Where all fakes are above their reals, or none is, the interval is as wide as so few
        clusters demand (:func:`shared.bootstrap.widened`).
    """
    bootstrap = bootstrap or BootstrapSettings()
    fakes, outcomes = pair_outcomes(logits, pairs)
    if not fakes.size:
        return None
    value, owners = float(outcomes.mean()), np.asarray(clusters)[fakes]
    count = int(np.unique(owners).size)
    bounds = mean_interval(outcomes, np.ones(outcomes.size), owners, bootstrap)
    if bounds is not None and value in (0.0, 1.0):
        bounds = widened(*bounds, count, bootstrap)
    finite = np.isfinite(np.asarray(logits, np.float64))
    reals = {real for fake, real in pairs if finite[fake] and finite[real]}
    low, high = bounds or (None, None)
    return Evaluation(PAIRED, value, level, len(reals), int(fakes.size), low, high, count, bootstrap.confidence)


def weighted_pairs(outcomes: np.ndarray, owners: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """(R,) the mean of ``outcomes`` for every row of cluster weights; NaN where a row has none of them.

    Args:
        outcomes: (F,) of :func:`pair_outcomes`, or the difference of two detectors' outcomes.
        owners: (F,) int in ``range(C)``, the cluster of each.
        weights: (R, C) count of each cluster.
    """
    count = weights.shape[1]
    sums = weights @ np.bincount(owners, weights=outcomes, minlength=count)
    total = weights @ np.bincount(owners, minlength=count)
    return np.divide(sums, total, out=np.full_like(sums, np.nan), where=total > 0)
