"""Bounds of likelihood ratios from tools that were not learned from.

A calibration is fitted on manipulations that the detector may know. Fakes of other tools score otherwise, so a ratio
that holds among the known ones can mislead there. Clips of tools that neither the detector nor its calibration learned
from are never used for the fit; they bound what the ratio may say:

* Misleading ratios: if ratios are right, at most one in L of the clips of the other class gets a ratio of L or more
  (Royall, "On the probability of observing misleading statistical evidence", JASA 2000). The bound is the largest L up
  to which the upper confidence limit of that share, over groups of people, is at most 1 / L. Without a misleading
  clip among n groups it is about n / 3.
* ELUB (Vergeer et al., 2016) of the same clips, as for the calibration itself: where the ratios cost more than a ratio
  of 1 throughout.

The one nearer to a ratio of 1 is taken, on each side.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from detect.calibration.conformal import CONFIDENCE, binomial_limits, person_share, share_of
from detect.calibration.fit import person_weights
from detect.calibration.likelihood import cllr, empirical_bounds, supports
from detect.calibration.maps import Calibration
from shared.errors import UsageError
from shared.results.calibration import OutsideBound, Share

FEWEST_GROUPS = 2
"""Groups of people with clips of each class, at least."""

_TAIL = 1 - CONFIDENCE


@dataclass(frozen=True, eq=False)
class OutsideScores:
    """Scores of clips of tools that were not learned from, by the detector that is calibrated.

    Attributes:
        name: of the set.
        sha256: of its manifest or scores.
        labels: (N,) bool, True for fake.
        logits: (N,) finite.
        groups: (N,) int, equal for clips that share people.
        tools: names of the fakes' manipulations.
        without_face: number of clips that have no score.
    """

    name: str
    sha256: str
    labels: np.ndarray
    logits: np.ndarray
    groups: np.ndarray
    tools: tuple[str, ...]
    without_face: int = 0


def misleading_bound(llrs: np.ndarray, groups: np.ndarray, tail: float = _TAIL) -> float:
    """The largest log10 ratio that misleading ratios bear out, at least 0.

    Args:
        llrs: (N,) log10 ratios of clips of one class, positive for the other one: misleading.
        groups: (N,) int; each counts once, its clips share its weight.
        tail: probability that the limit of a share is too low.
    """
    count = int(np.unique(groups).size)
    cap = 0.0
    for level in [*np.unique(llrs[llrs > 0]), math.inf]:
        share = person_share(llrs >= level, groups)
        cap = -math.log10(binomial_limits(share * count, count, tail)[1])
        if cap < level:
            break
    return max(0.0, cap)


def outside_bound(calibration: Calibration, scores: OutsideScores, *, seed: int = 0) -> OutsideBound:
    """How the ratios and prediction sets of ``calibration`` held on ``scores``, and the bounds that follow.

    Raises:
        UsageError: a class is missing, or has clips of fewer than two groups of people.
    """
    labels, groups = scores.labels, scores.groups
    real, fake = (int(np.unique(groups[labels == truth]).size) for truth in (False, True))
    if min(real, fake) < FEWEST_GROUPS:
        raise UsageError(
            f"{scores.name} bounds nothing: its real clips with a score show {real} and its fake ones {fake} groups of "
            f"people, and {FEWEST_GROUPS} of each are needed",
            hint="give fakes of other tools together with real clips",
        )
    llrs = calibration.likelihood.llr(scores.logits)
    lower, upper = empirical_bounds(labels, llrs, groups, seed)
    misled_real, misled_fake = (
        share_of(_supports(llrs[labels == truth], -1 if truth else 1), groups[labels == truth])
        for truth in (False, True)
    )
    cost = cllr(labels, llrs, person_weights(labels, groups))
    assert cost is not None  # both classes are there
    covered = _covered(calibration, scores)
    return OutsideBound(
        name=scores.name,
        sha256=scores.sha256,
        tools=scores.tools,
        real=int((~labels).sum()),
        fake=int(labels.sum()),
        groups_real=real,
        groups_fake=fake,
        without_face=scores.without_face,
        cllr=cost,
        misled_real=misled_real,
        misled_fake=misled_fake,
        covered_real=covered.get(False),
        covered_fake=covered.get(True),
        lower_bound=max(lower, -misleading_bound(-llrs[labels], groups[labels])) + 0.0,  # never -0.0
        upper_bound=min(upper, misleading_bound(llrs[~labels], groups[~labels])),
    )


def with_outside(calibration: Calibration, scores: OutsideScores, *, seed: int = 0) -> Calibration:
    """``calibration`` with the bounds of ``scores`` in place of earlier ones.

    Raises:
        UsageError: see :func:`outside_bound`.
    """
    return dataclasses.replace(calibration, outside=outside_bound(calibration, scores, seed=seed))


def _supports(llrs: np.ndarray, side: int) -> np.ndarray:
    """(N,) bool: the ratios that support a side, by the words of a report."""
    return np.array([supports(float(llr)) == side for llr in llrs], bool)


def _covered(calibration: Calibration, scores: OutsideScores) -> Mapping[bool, Share]:
    """The share of each class (True: fake) whose prediction set holds it; empty without prediction sets."""
    if calibration.conformal is None:
        return {}
    sets = calibration.conformal.holds(scores.logits)
    return {
        truth: share_of(sets[truth][scores.labels == truth], scores.groups[scores.labels == truth])
        for truth in (False, True)
    }
