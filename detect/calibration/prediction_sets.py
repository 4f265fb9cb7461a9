"""Conformal prediction sets of clip scores, as stored; ``detect.calibration.conformal`` fits them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from shared.results.calibration import PredictionSet, Share
from shared.types import Label

LABELS: tuple[Label, Label] = ("real", "fake")


@dataclass(frozen=True)
class Miscoverage:
    """Share of the clips of each class whose prediction set may lack their class."""

    real: float
    fake: float

    def __post_init__(self) -> None:
        if not 0 < self.real <= self.fake < 1:
            raise ValueError(f"miscoverage ascends from real to fake within 0 and 1, got {self.real} and {self.fake}")


@dataclass(frozen=True)
class ClassLimit:
    """The conformal threshold of one class.

    Attributes:
        threshold: the last logit that the class fits.
        miscoverage: share of new people's clips of the class that may lie beyond it.
        people: number of people (or groups) with clips of the class.
        low, high: interval of the coverage of this one calibration, see
            :func:`detect.calibration.conformal.coverage_beta`.
        measured: share of clips of left-out people whose set holds their class, by fits without them; None if too few
            people are left for such fits. For real clips these may miss 1 / (n + 1) of their n people where
            ``miscoverage`` is less.
        alone: share of the same clips whose set is their class and no other.
    """

    threshold: float
    miscoverage: float
    people: int
    low: float
    high: float
    measured: Share | None = None
    alone: Share | None = None

    def __post_init__(self) -> None:
        if not math.isfinite(self.threshold):
            raise ValueError("a conformal threshold is a finite logit")
        if not 0 < self.miscoverage < 1:
            raise ValueError(f"miscoverage lies between 0 and 1, got {self.miscoverage}")


@dataclass(frozen=True)
class Conformal:
    """Conformal prediction sets of a calibration."""

    real: ClassLimit
    fake: ClassLimit

    @property
    def miscoverage(self) -> Miscoverage:
        """What is promised for each class."""
        return Miscoverage(self.real.miscoverage, self.fake.miscoverage)

    def holds(self, logits: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(N,) bool each: the sets of (N,) logits that hold "real", and those that hold "fake"."""
        logits = np.asarray(logits, np.float64)
        return logits <= self.real.threshold, logits >= self.fake.threshold

    def prediction(self, logit: float) -> tuple[Label, ...]:
        """The classes that a logit fits: one, both, or none."""
        return tuple(label for label, held in zip(LABELS, self.holds(np.array([logit])), strict=True) if held[0])

    def of_score(self, logit: float) -> PredictionSet:
        """The prediction set of a logit, as a report shows it."""
        labels = self.prediction(logit)
        real, fake = self.real, self.fake
        return PredictionSet(labels, set_words(labels), real.miscoverage, fake.miscoverage, real.people, fake.people)


def percent(share: float) -> str:
    """A share as a percentage with at most three digits: "10 %"."""
    return f"{100 * share:.3g} %"


def set_words(labels: Sequence[Label]) -> str:
    """What a prediction set says, in a few words."""
    if len(labels) == 2:
        return "real or forged: the score fits both"
    if not labels:
        return "neither: the score is unlike both the real and the forged clips of the calibration"
    return "real" if labels[0] == "real" else "forged"
