"""Quality of a calibration on kinds of fakes that were left out of its fit: manipulations, families, pastes.

Each kind is measured twice, both times on people who were left out: by fits that had such fakes of other people, and by
fits that had none. Where the two differ, the calibration does not carry over to kinds that it has not seen.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import get_args

import numpy as np

from detect.calibration.config import LikelihoodMethod
from detect.calibration.conformal import fit_conformal, share_of
from detect.calibration.cross import FitSamples, Folds
from detect.calibration.fit import person_weights
from detect.calibration.likelihood import cllr, fit_likelihood
from detect.calibration.maps import Factor, LeftOutPart
from detect.calibration.prediction_sets import Miscoverage
from detect.metrics.classification import has_both_classes
from detect.models.training_record import TrainingRecord
from shared.results.calibration import Share
from shared.types import ClipRecord

MOST_VALUES = 24
"""A factor with more values is not told apart."""

FACTORS: tuple[Factor, ...] = get_args(Factor)

_DRAWS = 11


def factor_of(record: ClipRecord, by: Factor) -> str:
    """The value of a factor of a fake; empty for a real clip, or if the set does not name it."""
    if record.label == "real":
        return ""
    if by == "manipulation":
        return record.id.manipulation or ""
    return (record.architecture if by == "family" else record.factors.get("paste")) or ""


def factor_names(records: Sequence[ClipRecord], by: Factor) -> tuple[str, ...]:
    """The values of a factor in ``records``, sorted."""
    return tuple(sorted({name for record in records if (name := factor_of(record, by))}))


def trained_names(learned: TrainingRecord) -> dict[Factor, frozenset[str] | None]:
    """The values of each factor in a detector's training; None where its list does not tell."""
    known = bool(learned.clips)
    return {
        "manipulation": learned.manipulations if known else None,
        "family": learned.families,
        "paste": learned.pastes,
    }


def left_out_parts(
    samples: FitSamples,
    records: Sequence[ClipRecord],
    folds: Folds,
    known: np.ndarray,
    method: LikelihoodMethod,
    miscoverage: Miscoverage,
    *,
    trained: Mapping[Factor, frozenset[str] | None],
    fewest_clips: int,
    seed: int = 0,
) -> tuple[LeftOutPart, ...]:
    """The quality on each value of each factor that has two or more.

    Args:
        samples: clips with a score.
        records: of the same clips.
        folds: people who are left out together.
        known: (N,) llrs of the clips by fits that left out only their people.
        method: of the ratios.
        miscoverage: of the prediction sets.
        trained: values in the detector's training, by factor; None if not known.
        fewest_clips: of fakes in a fit; with fewer, nothing is said about fits without a kind.
        seed: of the bounds.
    """
    parts = []
    for by in FACTORS:
        kinds = np.array([factor_of(record, by) for record in records])
        names = [name for name in np.unique(kinds).tolist() if name]
        if not 2 <= len(names) <= MOST_VALUES:
            continue
        within = _sets(samples, folds, miscoverage, np.zeros(kinds.size, bool))
        for name in names:
            chosen, seen = kinds == name, trained.get(by)
            new = _left_out_llrs(samples, folds, chosen, method, fewest_clips, seed)
            without = None if new is None else _sets(samples, folds, miscoverage, chosen)
            parts.append(
                LeftOutPart(
                    by=by,
                    name=name,
                    trained=None if seen is None else name in seen,
                    fake=int(chosen.sum()),
                    people=int(np.unique(samples.people[chosen]).size),
                    cllr_known=_cost(samples, known, chosen),
                    cllr_new=None if new is None else _cost(samples, new, chosen),
                    covered_known=_covered(samples, within, chosen),
                    covered_new=_covered(samples, without, chosen),
                )
            )
    return tuple(parts)


def _left_out_llrs(
    samples: FitSamples, folds: Folds, chosen: np.ndarray, method: LikelihoodMethod, fewest: int, seed: int
) -> np.ndarray | None:
    """(N,) llrs of all clips by fits without their people and without the chosen fakes; None if too few are left."""
    if int((samples.labels & ~chosen).sum()) < fewest:
        return None
    llrs = np.empty(samples.labels.size)
    for out in folds.masks:
        kept = samples.part(~out & ~chosen)
        if not has_both_classes(kept.labels):
            return None
        fitted = fit_likelihood(kept.labels, kept.logits, kept.people, method, replicates=0, draws=_DRAWS, seed=seed)
        llrs[out] = fitted.llr(samples.logits[out])
    return llrs


def _sets(samples: FitSamples, folds: Folds, miscoverage: Miscoverage, without: np.ndarray) -> np.ndarray | None:
    """(N,) bool: the sets that hold "fake", by fits without their people and some fakes; None: too few are left."""
    held = np.zeros(samples.labels.size, bool)
    for out in folds.masks:
        fitted = fit_conformal(samples.part(~out & ~without), miscoverage)
        if fitted is None:
            return None
        held[out] = fitted.holds(samples.logits[out])[1]
    return held


def _covered(samples: FitSamples, held: np.ndarray | None, chosen: np.ndarray) -> Share | None:
    return None if held is None else share_of(held[chosen], samples.people[chosen])


def _cost(samples: FitSamples, llrs: np.ndarray, chosen: np.ndarray) -> float:
    """Cllr of the chosen fakes and all real clips, people with equal weight."""
    part = chosen | ~samples.labels
    labels = samples.labels[part]
    found = cllr(labels, llrs[part], person_weights(labels, samples.people[part]))
    assert found is not None  # real clips, and at least one fake
    return found
