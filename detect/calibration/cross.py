"""Cross-fitting over people, to measure the quality of a calibration.

Clips are divided into folds that do not split people, with classes balanced; each is evaluated by a fit to the rest.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from sklearn.model_selection import StratifiedGroupKFold

from detect.calibration.config import LikelihoodMethod, ProbabilityMethod
from detect.calibration.fit import fit_probability
from detect.calibration.likelihood import fit_likelihood
from detect.metrics.classification import has_both_classes
from shared.dataset.splits import clip_clusters
from shared.errors import UsageError
from shared.types import ClipRecord

_MOST_FOLDS = 5
_WORDS: dict[Literal["group", "target"], str] = {
    "group": "people who are linked by any clip together",
    "target": "all clips of one filmed person together (a face put into several people may be in several)",
}


@dataclass(frozen=True, eq=False)
class FitSamples:
    """Clips with a score.

    Attributes:
        labels: (N,) bool, True for fake.
        logits: (N,) float64.
        people: (N,) int, units of equal weight in a fit.
    """

    labels: np.ndarray
    logits: np.ndarray
    people: np.ndarray

    def part(self, chosen: np.ndarray) -> FitSamples:
        """The clips at which ``chosen``, (N,) bool, is true."""
        return FitSamples(self.labels[chosen], self.logits[chosen], self.people[chosen])


@dataclass(frozen=True, eq=False)
class Folds:
    """Folds of clips that are left out together.

    Attributes:
        masks: (N,) bool each; every clip is in exactly one.
        clusters: (N,) int, groups that are not split; resampled by the bootstrap.
        words: description of the folds.
    """

    masks: tuple[np.ndarray, ...]
    clusters: np.ndarray
    words: str


def make_folds(records: Sequence[ClipRecord], labels: np.ndarray, seed: int = 0) -> Folds:
    """Up to five folds over linked people; over filmed persons where all people are linked to each other.

    Args:
        records: of the clips.
        labels: (N,) bool, True for fake.
        seed: of the division.

    Raises:
        UsageError: no way of leaving people out keeps both classes among the others.
    """
    for unit, words in _WORDS.items():
        numbers = clip_clusters(records, unit)
        clusters = np.array([numbers[record.id] for record in records], np.int64)
        most = min(_MOST_FOLDS, np.unique(clusters).size, int(labels.sum()), int((~labels).sum()))
        for wanted in range(most, 1, -1):
            masks = _divide(labels, clusters, wanted, seed)
            if all(has_both_classes(labels[~mask]) for mask in masks):
                return Folds(masks, clusters, f"{wanted} folds that keep {words}")
    raise UsageError(
        "the clips show too few people to leave some out and measure on them",
        hint="calibrate on a set with real and fake clips of more people",
    )


def _divide(labels: np.ndarray, clusters: np.ndarray, wanted: int, seed: int) -> tuple[np.ndarray, ...]:
    dealer = StratifiedGroupKFold(wanted, shuffle=True, random_state=seed)
    masks = []
    for _, places in dealer.split(labels[:, None], labels, clusters):
        mask = np.zeros(labels.size, bool)
        mask[places] = True
        masks.append(mask)
    return tuple(mask for mask in masks if mask.any())


def left_out_odds(samples: FitSamples, folds: Folds, method: ProbabilityMethod) -> np.ndarray:
    """(N,) natural log odds at even prior odds, each from a fit without the clip's people."""
    odds = np.empty(samples.labels.size)
    for out in folds.masks:
        kept = samples.part(~out)
        odds[out] = fit_probability(kept.labels, kept.logits, kept.people, method).log_odds(samples.logits[out])
    return odds


def left_out_llrs(samples: FitSamples, folds: Folds, method: LikelihoodMethod, seed: int = 0) -> np.ndarray:
    """(N,) log10 likelihood ratios, each from a fit, with its own bounds, without the clip's people."""
    llrs = np.empty(samples.labels.size)
    for out in folds.masks:
        kept = samples.part(~out)
        fitted = fit_likelihood(kept.labels, kept.logits, kept.people, method, replicates=0, seed=seed)
        llrs[out] = fitted.llr(samples.logits[out])
    return llrs
