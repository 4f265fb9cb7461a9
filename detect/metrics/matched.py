"""Fakes beside real faces of equal quality, and how much real people differ.

An AUC mixes three things: how far a forgery moves the score of a face, how much real people differ in score, and
whatever else differs between fakes and real media, such as their sharpness. These measures take them apart.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from detect.metrics.paired import outranked
from shared.bootstrap import BootstrapSettings, mean_interval


@dataclass(frozen=True)
class MatchedAuc:
    """The AUC over pairs of a fake and a real face of equal quality.

    Attributes:
        value: share of these pairs in which the fake scores higher, ties count half; each fake has the same weight.
        low, high: its interval over the people of the fakes; None with fewer than two.
        matched, fakes: number of fakes with a real face of their quality, and of all.
    """

    value: float
    low: float | None
    high: float | None
    matched: int
    fakes: int


def person_spread(logits: np.ndarray, people: np.ndarray) -> float | None:
    """Standard deviation (n - 1) of the mean logit of each person; None for fewer than two people.

    Args:
        logits: (N,) of real faces.
        people: (N,) int, the person of each.
    """
    _, places = np.unique(people, return_inverse=True)
    means = np.bincount(places, logits) / np.maximum(1, np.bincount(places)) if len(places) else np.empty(0)
    return float(np.std(means, ddof=1)) if len(means) > 1 else None


def matched_auc(
    labels: np.ndarray,
    logits: np.ndarray,
    quality: np.ndarray,
    people: np.ndarray,
    *,
    caliper: float = 0.1,
    neighbours: int = 3,
    bootstrap: BootstrapSettings | None = None,
) -> MatchedAuc | None:
    """The AUC after each fake is matched with the real faces of other people that are nearest to it in quality.

    Matching on covariates within a caliper, with replacement (Stuart, "Matching Methods for Causal Inference",
    Statistical Science 2010). If quality alone makes the scores, the result is about 0.5; if it plays no part, it is
    the plain AUC. None if no fake has a match.

    Args:
        labels: (N,) True for fake.
        logits: (N,) scores.
        quality: (N, D) measures of quality; each is divided by its standard deviation.
        people: (N,) int, the person of each; a face is not matched with its own person.
        caliper: greatest distance of a match.
        neighbours: at most so many matches a fake.
        bootstrap: of the interval.
    """
    labels, logits = np.asarray(labels, bool), np.asarray(logits, np.float64)
    quality = np.asarray(quality, np.float64).reshape(len(labels), -1)
    spread = quality.std(axis=0)
    scaled = quality / np.where(spread > 0, spread, 1.0)
    reals = np.flatnonzero(~labels)
    won: list[float] = []
    owners: list[int] = []
    for fake in np.flatnonzero(labels):
        others = reals[people[reals] != people[fake]]
        distance = np.linalg.norm(scaled[others] - scaled[fake], axis=1)
        nearest = np.argsort(distance, kind="stable")[:neighbours]
        chosen = others[nearest[distance[nearest] <= caliper]]
        if chosen.size:
            won.append(float(outranked(logits[fake], logits[chosen]).mean()))
            owners.append(int(people[fake]))
    if not won:
        return None
    bounds = mean_interval(np.array(won), np.ones(len(won)), np.array(owners), bootstrap or BootstrapSettings())
    low, high = bounds or (None, None)
    return MatchedAuc(float(np.mean(won)), low, high, len(won), int(labels.sum()))
