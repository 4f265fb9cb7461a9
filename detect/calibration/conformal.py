"""Conformal prediction sets of clip scores, over people and for each class on its own.

The set of a clip holds each class that its score is not unusual for. Of two classes it can be one of them, both (the
score fits either: inconclusive), or none (it fits neither: inconclusive too). Split conformal prediction (Vovk,
Gammerman and Shafer, "Algorithmic Learning in a Random World", 2005; Lei et al., JASA 2018; for classes Romano, Sesia
and Candes, NeurIPS 2020) promises that the true class is missing from at most a stated share of the sets. Here:

* class by class (Mondrian, Vovk et al. 2005), so that the promise is kept for real and for forged clips, and a stricter
  one can be made for real clips, whose set without "real" is an accusation;
* over people: clips of one person are not exchangeable with those of others, so the quantile is that of a distribution
  in which each of n people has the mass 1 / (n + 1), divided among their clips, and the next person the rest (Lee,
  Barber and Willett, "Distribution-free inference with hierarchical data", 2023). The promise is for a clip of a
  person who was not calibrated on;
* for manipulations like those calibrated on: a fake of another tool need not score like these, and nothing is
  promised for it.

Convention:
    thresholds: logits; a clip fits "real" up to ``real.threshold``, "fake" from ``fake.threshold``, both included
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
from scipy.stats import beta

from detect.calibration.cross import FitSamples, Folds
from detect.calibration.prediction_sets import ClassLimit, Conformal, Miscoverage, percent
from detect.metrics.classification import check_samples
from shared.results.calibration import Share

CONFIDENCE = 0.95
"""Of the interval of a calibration's coverage, and of measured shares."""

_EPSILON = 1e-9  # so that 10 x (1 - 0.1) is 9 and not a little more


def fewest_people(miscoverage: float) -> int:
    """The fewest people of a class for which a promise can be made at all: 9 for a miscoverage of 0.1."""
    return math.ceil(1 / miscoverage - 1 - _EPSILON)


def person_quantile(values: np.ndarray, people: np.ndarray, miscoverage: float) -> float:
    """The smallest value that covers ``1 - miscoverage`` of the mass of n people and one more, who lies above all.

    With one value a person it is the k-th smallest of the n, ``k = ceil((n + 1) (1 - miscoverage))``.

    Args:
        values: (N,) finite; large means unlike the class.
        people: (N,) int, equal for values of one person.
        miscoverage: share of new people's clips that may lie above.

    Returns:
        Infinity if there are too few people (see :func:`fewest_people`).
    """
    order = np.argsort(values, kind="stable")
    _, places, counts = np.unique(people, return_inverse=True, return_counts=True)
    mass = np.cumsum(1.0 / counts[places][order]) / (counts.size + 1)
    reached = mass >= 1 - miscoverage - _EPSILON
    return float(values[order][np.argmax(reached)]) if reached.any() else math.inf


def coverage_beta(people: int, miscoverage: float, confidence: float = CONFIDENCE) -> tuple[float, float]:
    """Interval of the coverage that one calibration on ``people`` people has, over repeated calibrations.

    The coverage is Beta(k, n + 1 - k) distributed with ``k = ceil((n + 1) (1 - miscoverage))``: exactly with one
    continuous score a person (Vovk, "Conditional validity of inductive conformal predictors", 2012);
    with several clips a person their mean varies less, and so does the coverage.
    """
    k = math.ceil((people + 1) * (1 - miscoverage) - _EPSILON)
    tail = (1 - confidence) / 2
    low, high = beta.ppf((tail, 1 - tail), k, people + 1 - k)
    return float(low), float(high)


def share_of(hits: np.ndarray, people: np.ndarray, confidence: float = CONFIDENCE) -> Share:
    """The share of ``hits``, (N,) bool, each person with the same weight. At least one clip.

    The interval is that of Clopper and Pearson (1934) for as many trials as people; the number of successes, a sum of
    shares, need not be whole. It is too wide rather than too narrow.
    """
    count = int(np.unique(people).size)
    value = person_share(hits, people)
    low, high = binomial_limits(value * count, count, (1 - confidence) / 2)
    return Share(value, min(low, value), max(high, value), count)


def person_share(hits: np.ndarray, people: np.ndarray) -> float:
    """The share of ``hits``, (N,) bool, with equal weight for each person."""
    _, places, counts = np.unique(people, return_inverse=True, return_counts=True)
    return float((np.bincount(places, np.asarray(hits, np.float64)) / counts).mean())


def binomial_limits(successes: float, trials: int, tail: float) -> tuple[float, float]:
    """Lower and upper limit of Clopper and Pearson, each of which is wrong with a probability of at most ``tail``."""
    low = 0.0 if successes <= 0 else float(beta.ppf(tail, successes, trials - successes + 1))
    high = 1.0 if successes >= trials else float(beta.ppf(1 - tail, successes + 1, trials - successes))
    return low, high


def fit_conformal(samples: FitSamples, miscoverage: Miscoverage) -> Conformal | None:
    """Thresholds of both classes; None if a class has too few people (:func:`fewest_people`) for ``miscoverage.fake``.

    Real clips get the least miscoverage that their n people allow, 1 / (n + 1), where ``miscoverage.real`` is less.

    Raises:
        ValueError: shapes differ, or a logit is not finite.
    """
    labels, logits = check_samples(samples.labels, samples.logits)
    limits = []
    for truth, sign in ((False, 1.0), (True, -1.0)):
        mine = labels == truth
        count = int(np.unique(samples.people[mine]).size)
        if count < fewest_people(miscoverage.fake):
            return None
        share = miscoverage.fake if truth else max(miscoverage.real, 1 / (count + 1))
        threshold = sign * person_quantile(sign * logits[mine], samples.people[mine], share)
        limits.append(ClassLimit(threshold, share, count, *coverage_beta(count, share)))
    return Conformal(*limits)


def left_out_sets(samples: FitSamples, folds: Folds, miscoverage: Miscoverage) -> tuple[np.ndarray, np.ndarray] | None:
    """(N,) bool each: the sets that hold "real" and "fake", by fits without its people; None if these are too few."""
    real, fake = np.zeros(samples.labels.size, bool), np.zeros(samples.labels.size, bool)
    for out in folds.masks:
        fitted = fit_conformal(samples.part(~out), miscoverage)
        if fitted is None:
            return None
        real[out], fake[out] = fitted.holds(samples.logits[out])
    return real, fake


def measured_conformal(samples: FitSamples, folds: Folds, miscoverage: Miscoverage) -> tuple[Conformal | None, str]:
    """The thresholds fitted to all clips, with their coverage measured on people left out, and a note.

    Returns:
        None, with the reason in the note, if there are too few people of a class.
    """
    fitted = fit_conformal(samples, miscoverage)
    if fitted is None:
        return None, no_claim(samples, miscoverage)
    sets = left_out_sets(samples, folds, miscoverage)
    if sets is None:
        return fitted, "Too few people to leave some out, so the coverage of the prediction sets is not measured."
    limits = []
    for truth, limit in ((False, fitted.real), (True, fitted.fake)):
        mine = samples.labels == truth
        own, other = (sets[1], sets[0]) if truth else (sets[0], sets[1])
        covered, alone = (share_of(hit[mine], samples.people[mine]) for hit in (own, own & ~other))
        limits.append(replace(limit, measured=covered, alone=alone))
    return Conformal(*limits), ""


def no_claim(samples: FitSamples, miscoverage: Miscoverage) -> str:
    """Why no prediction sets are given, as a sentence."""
    real, fake = (int(np.unique(samples.people[samples.labels == truth]).size) for truth in (False, True))
    return (
        f"No conformal claim: a miscoverage of {percent(miscoverage.fake)} takes at least "
        f"{fewest_people(miscoverage.fake)} people of each class, and there are {real} with real and "
        f"{fake} with fake clips."
    )
