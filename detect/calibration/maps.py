"""Calibration maps from clip logits to probability and likelihood ratio, stored beside a detector's weights.

``calibration.json`` holds plain numbers, read strictly. Applying them needs only numpy; ``detect.calibration.fit``
(probabilities) and ``detect.calibration.likelihood`` (likelihood ratios) fit them; ``detect.calibration.files`` has
their paths.

Convention:
    log odds: natural logarithm, at even prior odds; the prior is added for a probability
    llr: log10 of the likelihood ratio; positive supports "fake", negative "real"
"""

from __future__ import annotations

import itertools
import json
import math
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
from scipy.special import expit, logit

from detect.calibration.config import CountBy, LikelihoodMethod, ProbabilityMethod
from detect.calibration.files import CALIBRATION_NAME, beside, read_document
from detect.calibration.prediction_sets import Conformal
from detect.config.scoring import AggregateConfig
from shared.console import counted
from shared.results.calibration import OutsideBound, Share
from shared.results.scores import Evaluation
from shared.storage import write_text

_FORMAT = 3
_READ = (1, 2, 3)  # 1: no prediction sets, no parts, no bounds from outside; 2: one miscoverage for both classes
_MAX_BYTES = 4 << 20


Factor = Literal["manipulation", "family", "paste"]
"""How fakes are told apart: by manipulation, by the family of the swapper, by the way of pasting."""


@dataclass(frozen=True)
class Population:
    """The clips of a fit. ``people`` counts persons, groups or clips, by ``count_by``."""

    dataset: str
    manifest_sha256: str
    split: str
    real: int
    fake: int
    without_face: int
    people_real: int
    people_fake: int
    count_by: CountBy
    manipulations: tuple[str, ...] = ()
    trained_people: int = 0
    """Number of people in them who are also in clips that the detector was trained on."""
    families: tuple[str, ...] = ()
    """Families of the swappers of the fakes, where the set names them."""
    pastes: tuple[str, ...] = ()
    """Likewise the ways of pasting."""

    def names(self, by: Factor) -> tuple[str, ...]:
        """The values of a factor in the fakes."""
        return {"manipulation": self.manipulations, "family": self.families, "paste": self.pastes}[by]

    def __str__(self) -> str:
        what = {"target": "persons", "group": "groups of people", "clip": "clips, each for itself"}[self.count_by]
        seen = counted(self.trained_people, "person", "people")
        return (
            f"{self.real} real and {self.fake} fake clips of {self.dataset} ({self.split}); "
            f"{self.people_real} and {self.people_fake} {what}"
            + (f"; the detector was trained on {seen} of them" if self.trained_people else "")
        )


@dataclass(frozen=True)
class LeftOutPart:
    """A calibration on the fakes of one kind, and all real clips, of people who were left out of the fits.

    Attributes:
        by, name: the factor and its value.
        trained: whether the detector was trained on such fakes; None if not known.
        fake, people: number of fakes, and of people filmed in them.
        cllr_known: of ratios by fits that had such fakes of other people.
        cllr_new: of ratios by fits that had none; None, as ``covered_new``, if too few others are left.
        covered_known, covered_new: likewise the share of these fakes whose prediction set holds "fake"; None without
            such sets.
    """

    by: Factor
    name: str
    trained: bool | None
    fake: int
    people: int
    cllr_known: float
    cllr_new: float | None
    covered_known: Share | None = None
    covered_new: Share | None = None


@dataclass(frozen=True)
class ProbabilityMap:
    """Logit to log odds at even prior odds.

    Attributes:
        method: "temperature" and "platt": ``slope x logit + offset``; "isotonic": between knots.
        slope, offset: of the line.
        logits, probabilities: knots, ascending; linear between them, constant beyond them.
    """

    method: ProbabilityMethod
    slope: float = 1.0
    offset: float = 0.0
    logits: tuple[float, ...] = ()
    probabilities: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        _finite(self.slope, self.offset)
        if self.method == "isotonic":
            _ascending("knots", self.logits)
            inside = all(0 < p < 1 for p in self.probabilities)
            if len(self.logits) != len(self.probabilities) or not self.logits or not inside:
                raise ValueError("an isotonic map needs a probability strictly between 0 and 1 for each knot")
            if any(b < a for a, b in zip(self.probabilities, self.probabilities[1:], strict=False)):
                raise ValueError("the probabilities of an isotonic map must not fall")

    def log_odds(self, logits: np.ndarray) -> np.ndarray:
        """(N,) logits -> (N,) natural log odds at even prior odds."""
        if self.method == "isotonic":
            return logit(np.interp(logits, self.logits, self.probabilities))
        return self.slope * np.asarray(logits, np.float64) + self.offset


@dataclass(frozen=True)
class LikelihoodMap:
    """Logit to llr, as a linearly interpolated table.

    A logit beyond the table is treated as its end: there is no extrapolation.

    Attributes:
        method: of the fit.
        logits, llrs: its points, before bounding.
        low, high: 95 % interval of each, from a bootstrap over people.
        lower_bound, upper_bound: the empirical lower and upper bounds (Vergeer et al., 2016) that the data support.
    """

    method: LikelihoodMethod
    logits: tuple[float, ...]
    llrs: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]
    lower_bound: float
    upper_bound: float

    def __post_init__(self) -> None:
        _ascending("points", self.logits)
        if not self.logits or not len(self.logits) == len(self.llrs) == len(self.low) == len(self.high):
            raise ValueError("a likelihood map needs an llr with its interval for each of its points")
        _finite(*self.llrs, *self.low, *self.high, self.lower_bound, self.upper_bound)
        if not self.lower_bound <= 0 <= self.upper_bound:
            raise ValueError(f"bounds must hold 0 between them, got {self.lower_bound} and {self.upper_bound}")

    def llr(self, logits: np.ndarray) -> np.ndarray:
        """(N,) logits -> (N,) bounded llrs."""
        return self._bounded(np.interp(logits, self.logits, self.llrs))

    def interval(self, logits: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(N,) low and (N,) high ends of the llrs' 95 % intervals, bounded like them."""
        low, high = (np.interp(logits, self.logits, ends) for ends in (self.low, self.high))
        return self._bounded(low), self._bounded(high)

    def _bounded(self, llrs: np.ndarray) -> np.ndarray:
        return np.clip(llrs, self.lower_bound, self.upper_bound)


@dataclass(frozen=True)
class Calibration:
    """A detector's calibration: the contents of ``calibration.json``.

    Attributes:
        weights_sha256: of the detector that it was fitted to (see :func:`detect.calibration.files.detector_mark`); it
            is invalid for another.
        aggregate: the aggregation of the clips' logits, None for a detector of whole clips; it is invalid for others.
        prior: of the probability.
        probability, likelihood: the two maps.
        population: the clips they were fitted on.
        quality: Cllr and its parts, ECE, Brier score and log loss on clips of people that were left out of the fit.
        left_out: description of the folds.
        finder: name of the face finder; empty for detectors of whole clips, and in older files.
        frames_per_clip: number of frames taken of each clip; None likewise.
        conformal: prediction sets; None if there are too few people, or in older files.
        conformal_note: why there are none, or what is not measured.
        parts: the quality by kind of fake, with and without such fakes in the fits.
        outside: bounds from tools that were not learned from; None if no such tool was measured.
        format: of this file.
    """

    weights_sha256: str
    aggregate: AggregateConfig | None
    prior: float
    probability: ProbabilityMap
    likelihood: LikelihoodMap
    population: Population
    quality: tuple[Evaluation, ...] = ()
    left_out: str = ""
    finder: str = ""
    frames_per_clip: int | None = None
    conformal: Conformal | None = None
    conformal_note: str = ""
    parts: tuple[LeftOutPart, ...] = ()
    outside: OutsideBound | None = None
    format: int = _FORMAT

    def __post_init__(self) -> None:
        if not 0 < self.prior < 1:
            raise ValueError(f"prior is a probability between 0 and 1, got {self.prior}")

    @property
    def bounds(self) -> tuple[float, float]:
        """Lower and upper bound of a reported log10 ratio: those of the map, and on tools not learned from if known."""
        own, outside = self.likelihood, self.outside
        if outside is None:
            return own.lower_bound, own.upper_bound
        return max(own.lower_bound, outside.lower_bound), min(own.upper_bound, outside.upper_bound)

    def probabilities(self, logits: np.ndarray, prior: float | None = None) -> np.ndarray:
        """(N,) logits -> (N,) probabilities of a fake, at ``prior`` or at the calibration's own."""
        return expit(self.probability.log_odds(logits) + logit(self.prior if prior is None else prior))


def write_calibration(detector: str | Path, calibration: Calibration) -> Path:
    """Writes the calibration of a detector; returns its path.

    Raises:
        CheckpointError: no detector there.
        StorageError: writing failed.
    """
    path = beside(detector, CALIBRATION_NAME)
    calibration = replace(calibration, format=_FORMAT)
    write_text(path, json.dumps(asdict(calibration), indent=1, allow_nan=False) + "\n")
    return path


def read_calibration(detector: str | Path) -> Calibration | None:
    """The calibration of the detector in a run or folder, or of the one a reference names; None when none was fitted.

    Raises:
        CheckpointError: no detector there; the file is damaged, holds an unknown entry, or is of another format.
        UsageError: the reference does not exist.
    """
    path = beside(detector, CALIBRATION_NAME)
    return read_document(path, Calibration, known=_READ, max_bytes=_MAX_BYTES, present=_present_shape)


def _present_shape(document: dict[str, Any]) -> dict[str, Any]:
    """``document`` with the one miscoverage of the prediction sets in format 2 stated for each class."""
    sets = document.get("conformal")
    if not isinstance(sets, dict) or "miscoverage" not in sets:
        return document
    share = sets["miscoverage"]
    classes = {name: value for name, value in sets.items() if name != "miscoverage"}
    stated = {
        name: {"miscoverage": share, **value} if isinstance(value, dict) else value for name, value in classes.items()
    }
    return {**document, "conformal": stated}


def misfit(
    calibration: Calibration, weights_sha256: str, aggregate: AggregateConfig | None, finder: str = ""
) -> str | None:
    """A sentence on what differs between the calibration and the given scores of a detector; None if it fits.

    Finders are compared if the names of both are known.
    """
    if calibration.weights_sha256 != weights_sha256:
        return "The calibration was fitted to another detector: weights or settings differ."
    if calibration.aggregate != aggregate:
        ways = [repr(way.method) if way else "the detector itself" for way in (calibration.aggregate, aggregate)]
        return f"The calibration was fitted to clip scores made by {ways[0]}; these are by {ways[1]}, or set otherwise."
    if finder and calibration.finder and calibration.finder != finder:
        return f"The calibration was fitted to faces found by {calibration.finder}; these were found by {finder}."
    return None


def _finite(*values: float) -> None:
    if not all(math.isfinite(value) for value in values):
        raise ValueError("a calibration holds finite numbers only")


def _ascending(what: str, values: tuple[float, ...]) -> None:
    _finite(*values)
    if any(b <= a for a, b in itertools.pairwise(values)):
        raise ValueError(f"the {what} of a calibration must ascend")
