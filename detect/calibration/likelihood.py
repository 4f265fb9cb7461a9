"""Likelihood ratios from clip logits, and metrics of likelihood ratios.

Score-to-LR models and bounds are those of ``lir``, the toolkit of the Netherlands Forensic Institute; it is imported
only for fitting, because it is heavy. The result is a table of numbers
(:class:`detect.calibration.maps.LikelihoodMap`), so that using a detector does not need it.

The metrics (Bruemmer and du Preez, "Application-independent evaluation of speaker detection", 2006) take llrs to base
10 and weights, so that people instead of clips can have equal weight.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from sklearn.isotonic import IsotonicRegression

from detect.calibration.config import LikelihoodMethod
from detect.calibration.fit import person_weights
from detect.calibration.maps import LikelihoodMap
from detect.metrics.classification import check_samples, equal_mass_bins, has_both_classes, log_losses
from shared.bootstrap import sample_clusters

MOST_BINS = 15

BOUND_DRAWS = 51
"""Random choices of one clip per person and class for empirical bounds."""

_LN10 = float(np.log(10.0))
_POINTS = 129
_REPEATS = 60
_RIDGE_C = 100.0
_EPSILON = 1e-9  # so that a ratio of exactly 10 is in the class that starts there
_WORDS = (
    (np.log10(2.0), "no support for either"),
    (1.0, "weak support"),
    (2.0, "moderate support"),
    (3.0, "moderately strong support"),
    (4.0, "strong support"),
    (6.0, "very strong support"),
    (np.inf, "extremely strong support"),
)


SCALE = (
    "ENFSI Guideline for Evaluative Reporting (2015), likelihood ratio: up to 2 no support, 2 to 10 weak, 10 to 100 "
    "moderate, 100 to 1000 moderately strong, 1000 to 10 000 strong, 10 000 to 1 000 000 very strong, above extremely "
    "strong; the other way round for ratios below 1"
)
"""The scale of :func:`verbal`."""


def supports(llr: float) -> int:
    """1 if a ratio supports the first proposition, -1 for the second, 0 between 1/2 and 2, for neither."""
    return 0 if abs(llr) + _EPSILON < _WORDS[0][0] else 1 if llr > 0 else -1


def verbal(llr: float) -> str:
    """The words of ENFSI's scale (Guideline for Evaluative Reporting, 2015) for an llr, and for which proposition.

    A ratio between 1/2 and 2 supports neither; from 2 weak, 10 moderate, 100 moderately strong, 1000 strong, 10 000
    very strong, 1 000 000 extremely strong.
    """
    size = abs(llr) + _EPSILON
    words = next(words for limit, words in _WORDS if size < limit)
    if not supports(llr):
        return f"{words} proposition"
    return f"{words} for {'forged' if llr > 0 else 'not forged'}"


def cllr(labels: np.ndarray, llrs: np.ndarray, weights: np.ndarray | None = None) -> float | None:
    """Log-likelihood-ratio cost, in bits: 0 is perfect, 1 is the cost of always "LR = 1". None for one class.

    ``(mean over fakes of log2(1 + 1/LR) + mean over reals of log2(1 + LR)) / 2``
    """
    labels, llrs = check_samples(labels, llrs)
    if not has_both_classes(labels):
        return None
    costs = log_losses(labels, llrs * _LN10) / np.log(2.0)
    return float(np.average(costs, weights=_balanced(labels, weights)))


def pav_llrs(labels: np.ndarray, values: np.ndarray, weights: np.ndarray | None = None) -> np.ndarray:
    """(N,) llrs of ``values`` after pool-adjacent-violators: the optimal monotone map for these data.

    Minus and plus infinity at the ends with one class only.

    Raises:
        ValueError: one class only, or a value that is not finite.
    """
    labels, values = check_samples(labels, values)
    if not has_both_classes(labels):
        raise ValueError("PAV needs real and fake samples")
    share = IsotonicRegression().fit_transform(values, labels.astype(float), sample_weight=_balanced(labels, weights))
    with np.errstate(divide="ignore"):
        return np.log10(share) - np.log10(1.0 - share)


def cllr_min(labels: np.ndarray, llrs: np.ndarray, weights: np.ndarray | None = None) -> float | None:
    """The discrimination part of Cllr: Cllr after PAV. None for one class."""
    labels, llrs = check_samples(labels, llrs)
    if not has_both_classes(labels):
        return None
    best = pav_llrs(labels, llrs, weights)
    mass = _balanced(labels, weights)
    known = np.isfinite(best)  # an infinite one is never misleading here, and has no cost
    costs = np.zeros(labels.size)
    costs[known] = log_losses(labels[known], best[known] * _LN10) / np.log(2.0)
    return float(np.average(costs, weights=mass))


def bins_for(samples: int) -> int:
    """Bins of about ten samples, at most 15: with fewer in each, chance alone gives a calibration error."""
    return max(2, min(MOST_BINS, samples // 10))


def weighted_ece(labels: np.ndarray, probabilities: np.ndarray, weights: np.ndarray, bins: int | None = None) -> float:
    """Expected calibration error over equal-mass bins, each sample with its weight."""
    bins = bins or bins_for(labels.size)
    numbers = equal_mass_bins(probabilities, bins)
    gaps = np.bincount(numbers, weights=weights * (probabilities - labels), minlength=bins)
    return float(np.abs(gaps).sum() / weights.sum())


def probability_metrics(
    labels: np.ndarray, probabilities: np.ndarray, weights: np.ndarray, prior: float, bins: int | None = None
) -> dict[str, float]:
    """ECE, Brier score and log loss of probabilities, with classes weighted by ``prior``.

    A probability assumes a share of fakes; these weights test it at that share and not at the set's own.
    """
    mass = _balanced(labels, weights) * np.where(labels, prior, 1.0 - prior)
    mass = mass / mass.sum()
    safe = np.clip(probabilities, 1e-15, 1 - 1e-15)
    return {
        "ece": weighted_ece(labels, probabilities, mass, bins),
        "brier": float(mass @ (probabilities - labels) ** 2),
        "log_loss": float(-mass @ np.log(np.where(labels, safe, 1 - safe))),
    }


def ratio_metrics(labels: np.ndarray, llrs: np.ndarray, weights: np.ndarray | None = None) -> dict[str, float]:
    """Cllr and its two parts, as "cllr", "cllr_min" and "cllr_cal"; empty for one class."""
    values = {"cllr": cllr(labels, llrs, weights), "cllr_min": cllr_min(labels, llrs, weights)}
    known = {name: value for name, value in values.items() if value is not None}
    return {**known, "cllr_cal": known["cllr"] - known["cllr_min"]} if known else {}


def fit_likelihood(
    labels: np.ndarray,
    logits: np.ndarray,
    people: np.ndarray,
    method: LikelihoodMethod,
    *,
    replicates: int = 100,
    draws: int = BOUND_DRAWS,
    seed: int = 0,
) -> LikelihoodMap:
    """Likelihood ratios of clip logits, with bounds and intervals.

    Args:
        labels: (N,) True for fake.
        logits: (N,) finite.
        people: (N,) int, units of equal weight.
        method: "logistic": logistic regression; "kde": Gaussian kernel densities per class, with Silverman's
            bandwidth for the number of people.
        replicates: bootstrap replicates over people for the interval; 0 for none, both ends are then the llr.
        draws: random choices of clips for the bounds.
        seed: of the bootstrap and of these choices.

    The empirical bounds are the median over several random choices of one clip per person and class: clips of one
    person are not independent, and bounds grow with the number of independent samples.

    Raises:
        ValueError: one class only, shapes that differ, or a logit that is not finite.
    """
    labels, logits = check_samples(labels, logits)
    people = np.unique(np.asarray(people), return_inverse=True)[1]
    spread = logits.max() - logits.min()
    grid = np.linspace(logits.min(), logits.max(), _POINTS) if spread > 0 else logits[:1]
    llrs = _curve(labels, logits, people, method, grid)
    lower, upper = empirical_bounds(labels, np.interp(logits, grid, llrs), people, seed, draws=draws)
    low, high = _band(labels, logits, people, method, grid, replicates, seed) or (llrs, llrs)
    return LikelihoodMap(
        method=method,
        logits=_floats(grid),
        llrs=_floats(llrs),
        low=_floats(np.minimum(low, llrs)),
        high=_floats(np.maximum(high, llrs)),
        lower_bound=lower,
        upper_bound=upper,
    )


def _curve(
    labels: np.ndarray, logits: np.ndarray, people: np.ndarray, method: LikelihoodMethod, grid: np.ndarray
) -> np.ndarray:
    """(G,) unbounded llrs at the grid's logits, by a model of lir fitted to repeated clips."""
    centre, scale = float(logits.mean()), float(logits.std()) or 1.0
    repeats = _repeats(labels, people)
    x, y = np.repeat((logits - centre) / scale, repeats), np.repeat(labels, repeats).astype(int)
    model = _logistic(repeats) if method == "logistic" else _kde((logits - centre) / scale, labels, people)
    model.fit(x.reshape(-1, 1), y)
    found = np.asarray(model.transform(((grid - centre) / scale).reshape(-1, 1)), np.float64).ravel()
    return np.clip(np.nan_to_num(found, posinf=99.0, neginf=-99.0), -99.0, 99.0)


def _repeats(labels: np.ndarray, people: np.ndarray) -> np.ndarray:
    """(N,) repeats of each clip, for models without weights: 60 for a person's clips of a class."""
    weights = person_weights(labels, people)
    lone = np.where(labels, weights[labels].max(), weights[~labels].max())
    found = np.maximum(1, np.round(_REPEATS * weights / lone)).astype(int)
    return found // np.gcd.reduce(found)


def _logistic(repeats: np.ndarray) -> Any:
    """Logistic regression with a ridge so small that the bounds, not it, limit separable classes.

    It is divided by the repeats, so that its strength does not depend on them.
    """
    from lir.algorithms.logistic_regression import LogitCalibrator

    return LogitCalibrator(C=float(_RIDGE_C * repeats.size / repeats.sum()))  # type: ignore[arg-type]


def _kde(values: np.ndarray, labels: np.ndarray, people: np.ndarray) -> Any:
    from lir.algorithms.kde import KDECalibrator

    weights = person_weights(labels, people)
    widths = [_silverman(values[labels == truth], weights[labels == truth], people[labels == truth])
              for truth in (False, True)]  # fmt: skip
    return KDECalibrator(bandwidth=(widths[0], widths[1]))


def _silverman(values: np.ndarray, weights: np.ndarray, people: np.ndarray) -> float:
    """Silverman's rule (1986) for the number of people; a deviation of 0 counts as a tenth."""
    mean = np.average(values, weights=weights)
    spread = float(np.sqrt(np.average((values - mean) ** 2, weights=weights))) or 0.1
    return spread * (4 / 3 / np.unique(people).size) ** 0.2


def empirical_bounds(
    labels: np.ndarray, llrs: np.ndarray, people: np.ndarray, seed: int = 0, *, draws: int = BOUND_DRAWS
) -> tuple[float, float]:
    """ELUB (Vergeer et al., 2016) of (N,) llrs over one clip per person and class: lower and upper, 0 between them.

    The median over random choices of these clips, the one towards 0 of two.
    """
    from lir.algorithms.bayeserror import elub

    rng = np.random.default_rng(seed)
    found = []
    for _ in range(draws):
        order = rng.permutation(labels.size)
        _, first = np.unique(2 * people[order] + labels[order], return_index=True)
        chosen = order[first]
        found.append(elub(llrs[chosen].copy(), labels[chosen].astype(int)))  # it changes its arguments
    lower, upper = np.median(np.array(found, np.float64), axis=0)
    return min(0.0, float(lower)), max(0.0, float(upper))


def _band(
    labels: np.ndarray,
    logits: np.ndarray,
    people: np.ndarray,
    method: LikelihoodMethod,
    grid: np.ndarray,
    replicates: int,
    seed: int,
) -> tuple[np.ndarray, np.ndarray] | None:
    """(G,) 2.5th and 97.5th percentiles over replicates of people; None if too few have both classes."""
    if not replicates:
        return None
    counts = sample_clusters(int(people.max()) + 1, replicates, np.random.default_rng(seed)).astype(int)
    curves = [
        curve for times in counts if (curve := _resampled(labels, logits, people, method, grid, times)) is not None
    ]
    if len(curves) < max(2, replicates // 2):
        return None
    low, high = np.percentile(np.stack(curves), (2.5, 97.5), axis=0)
    return low, high


def _resampled(
    labels: np.ndarray,
    logits: np.ndarray,
    people: np.ndarray,
    method: LikelihoodMethod,
    grid: np.ndarray,
    times: np.ndarray,
) -> np.ndarray | None:
    """The curve of one replicate; a person sampled twice counts as two."""
    parts = [(np.flatnonzero(people == who), copy) for who in np.flatnonzero(times) for copy in range(times[who])]
    rows = np.concatenate([places for places, _ in parts])
    names = np.concatenate([np.full(places.size, number) for number, (places, _) in enumerate(parts)])
    if not has_both_classes(labels[rows]):
        return None
    return _curve(labels[rows], logits[rows], names, method, grid)


def _balanced(labels: np.ndarray, weights: np.ndarray | None) -> np.ndarray:
    """(N,) weights that sum to one half for each class."""
    mass = np.ones(labels.size) if weights is None else np.asarray(weights, np.float64)
    return np.where(labels, 0.5 * mass / mass[labels].sum(), 0.5 * mass / mass[~labels].sum())


def _floats(values: np.ndarray | Sequence[float]) -> tuple[float, ...]:
    return tuple(float(value) for value in values)
