"""Fits the map from clip logits to probabilities: temperature, Platt, isotonic.

People are independent, clips are not: each person (or group) has the same weight within a class, whatever the number of
clips, and both classes have equal weight, which gives log odds at even prior odds.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
from scipy.optimize import minimize
from scipy.special import expit
from sklearn.isotonic import IsotonicRegression

from detect.calibration.config import ProbabilityMethod
from detect.calibration.maps import ProbabilityMap
from detect.metrics.classification import check_samples, has_both_classes

_LONGEST_SLOPE = 1e3


def person_weights(labels: np.ndarray, people: np.ndarray) -> np.ndarray:
    """(N,) weights, equal for each person of a class, which sum to one half for each class.

    Args:
        labels: (N,) bool, True for fake.
        people: (N,) int, the person in the clip; a person in both classes counts in each.

    Raises:
        ValueError: one class only, or shapes that differ.
    """
    labels, people = np.asarray(labels, bool), np.asarray(people)
    if labels.shape != people.shape or not has_both_classes(labels):
        raise ValueError("need real and fake clips, and a person for each")
    weights = np.empty(labels.size)
    for truth in (False, True):
        mine = labels == truth
        _, places, counts = np.unique(people[mine], return_inverse=True, return_counts=True)
        weights[mine] = 0.5 / counts.size / counts[places]
    return weights


def fit_probability(
    labels: np.ndarray, logits: np.ndarray, people: np.ndarray, method: ProbabilityMethod
) -> ProbabilityMap:
    """The probability map of one method.

    All methods use Platt's targets (1999) instead of 0 and 1: ``1 / (n + 2)`` for the n persons of the real clips,
    ``(n + 1) / (n + 2)`` for those of the fakes, so that separable classes give finite odds.

    Methods:
        temperature: logits divided by one number (Guo et al., 2017); no offset.
        platt: a slope and an offset (Platt, 1999).
        isotonic: isotonic regression (Zadrozny and Elkan, 2002), linearly interpolated.

    Raises:
        ValueError: one class only, shapes that differ, or a logit that is not finite.
    """
    labels, logits = check_samples(labels, logits)
    weights = person_weights(labels, people)
    real, fake = (int(np.unique(np.asarray(people)[labels == truth]).size) for truth in (False, True))
    targets = np.where(labels, (fake + 1) / (fake + 2), 1 / (real + 2))
    return _FITS[method](logits, targets, weights)


def _temperature(logits: np.ndarray, targets: np.ndarray, weights: np.ndarray) -> ProbabilityMap:
    slope, _ = _line(logits, targets, weights, shifted=False)
    return ProbabilityMap("temperature", slope, 0.0)


def _platt(logits: np.ndarray, targets: np.ndarray, weights: np.ndarray) -> ProbabilityMap:
    return ProbabilityMap("platt", *_line(logits, targets, weights, shifted=True))


def _line(logits: np.ndarray, targets: np.ndarray, weights: np.ndarray, *, shifted: bool) -> tuple[float, float]:
    """Slope, not negative, and offset with the lowest weighted log loss; the offset is 0 unless ``shifted``."""
    centre = float(logits.mean()) if shifted else 0.0
    scale = float(np.sqrt(np.mean((logits - centre) ** 2))) or 1.0
    x = (logits - centre) / scale

    def loss(parameters: np.ndarray) -> tuple[float, np.ndarray]:
        odds = parameters[0] * x + parameters[1]
        residual = weights * (expit(odds) - targets)
        value = weights @ (np.logaddexp(0.0, odds) - targets * odds)
        return float(value), np.array([residual @ x, residual.sum() if shifted else 0.0])

    bounds = [(0.0, _LONGEST_SLOPE), (None, None) if shifted else (0.0, 0.0)]
    options = {"ftol": 1e-14, "gtol": 1e-10, "maxiter": 500}
    found = minimize(loss, np.array([1.0, 0.0]), jac=True, method="L-BFGS-B", bounds=bounds, options=options).x
    slope = float(found[0]) / scale
    return slope, float(found[1]) - slope * centre


def _isotonic(logits: np.ndarray, targets: np.ndarray, weights: np.ndarray) -> ProbabilityMap:
    steps = IsotonicRegression().fit(logits, targets, sample_weight=weights)
    knots, heights = np.asarray(steps.X_thresholds_), np.asarray(steps.y_thresholds_)
    return ProbabilityMap(
        "isotonic",
        logits=tuple(map(float, knots)),
        probabilities=tuple(map(float, np.maximum.accumulate(np.clip(heights, 1e-9, 1 - 1e-9)))),
    )


_FITS: Mapping[str, Callable[[np.ndarray, np.ndarray, np.ndarray], ProbabilityMap]] = {
    "temperature": _temperature,
    "platt": _platt,
    "isotonic": _isotonic,
}
