"""Interpretation of a detector's score of one file: likelihood ratio, probability, and whether they apply to it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.special import expit, logit

from detect.calibration.domain import read_domain
from detect.calibration.facts import FileFacts
from detect.calibration.files import detector_mark
from detect.calibration.likelihood import SCALE, supports, verbal
from detect.calibration.maps import Calibration, misfit, read_calibration
from detect.calibration.prediction_sets import percent
from detect.models.external.settings import parse_reference
from detect.models.predictor import CropPredictor
from shared.console import counted
from shared.results.scores import CalibratedScore, Outside, Verdict

NOT_CALIBRATED = "The detector has not been calibrated, so its score is neither a probability nor a likelihood ratio."

NO_OUTSIDE = "No tool outside was measured: the ratio is bounded by its own calibration alone."
NO_SETS = "The calibration has no prediction sets."

_LN10 = float(np.log(10.0))
_PRIORS = (0.01, 0.1, 0.5)
_NAMED = 6


@dataclass(frozen=True)
class Interpretation:
    """Interpretation of a score.

    Attributes:
        calibrated: None if there is no score or no calibration for it; ``note`` gives the reason.
        outside: facts outside the detector's validated domain.
        domain: its description; empty if the detector has none.
    """

    calibrated: CalibratedScore | None
    note: str
    outside: tuple[Outside, ...] = ()
    domain: str = ""


def interpret(
    detector: str | Path, predictor: CropPredictor, score: float | None, facts: FileFacts, finder: str
) -> Interpretation:
    """Interprets the score of one file.

    Args:
        detector: run or detector folder, or a reference to a third-party one.
        predictor: the same detector, which gave the score.
        score: the file's logit, by the detector's own aggregation; None when nothing was scored.
        facts: of the file.
        finder: name of the face finder.

    Raises:
        CheckpointError: the calibration or the validated domain is damaged.
    """
    if score is None:
        return Interpretation(
            None, "Nothing was scored, so nothing can be said about a probability or a likelihood ratio."
        )
    mark = detector_mark(parse_reference(detector), predictor.digest)
    domain, calibration = read_domain(detector, mark), read_calibration(detector)
    # A domain with a finder has it among its facts.
    other = () if domain is None or domain.finder else _other_finder(predictor, finder)
    outside = () if domain is None else (*domain.outside(facts), *other)
    description = "" if domain is None else str(domain)
    if calibration is None:
        return Interpretation(None, NOT_CALIBRATED, outside, description)
    differs = misfit(calibration, mark, predictor.facts.aggregate, finder)
    if differs:
        return Interpretation(None, f"{differs} It is not used.", outside, description)
    holds = domain is not None and not outside
    note = "" if domain else "The detector does not say on what kind of file its calibration holds."
    return Interpretation(calibrated_score(calibration, score, holds=holds), note, outside, description)


def calibrated_score(calibration: Calibration, score: float, *, holds: bool) -> CalibratedScore:
    """The likelihood ratio of one logit, the resulting probabilities, and context for reading them.

    The probabilities are prior odds times the bounded ratio, not those of the calibration's probability map: they can
    be verified by hand, and none is more certain than the data support. The ratio is also bounded by how ratios held on
    tools that were not learned from, if that was measured.
    """
    asked, ratio, bounds = np.array([score]), calibration.likelihood, calibration.bounds
    learned = float(ratio.llr(asked)[0])
    llr = float(np.clip(learned, *bounds))
    low, high = (float(np.clip(ends[0], *bounds)) for ends in ratio.interval(asked))
    conformal = calibration.conformal
    priors = dict.fromkeys((*_PRIORS, calibration.prior))
    return CalibratedScore(
        holds=holds,
        llr=llr,
        low=low,
        high=high,
        lower_bound=bounds[0],
        upper_bound=bounds[1],
        at_bound=llr in bounds,
        words=verbal(llr),
        scale=SCALE,
        propositions=propositions(
            calibration.population.manipulations, () if calibration.outside is None else calibration.outside.tools
        ),
        probability=posterior(llr, calibration.prior),
        prior=calibration.prior,
        by_prior=tuple((prior, posterior(llr, prior)) for prior in sorted(priors)),
        population=str(calibration.population),
        left_out=calibration.left_out,
        quality=calibration.quality,
        learned_llr=learned,
        learned_bounds=(ratio.lower_bound, ratio.upper_bound),
        outside=calibration.outside,
        prediction=None if conformal is None else conformal.of_score(score),
        prediction_note=calibration.conformal_note or ("" if conformal else NO_SETS),
    )


def posterior(llr: float, prior: float) -> float:
    """The probability of the first proposition by Bayes' rule, from log10 of the ratio and a prior in (0, 1)."""
    return float(expit(logit(prior) + _LN10 * llr))


def propositions(manipulations: tuple[str, ...], outside: tuple[str, ...] = ()) -> tuple[str, str]:
    """The two propositions of the likelihood ratio: forged by the calibration's manipulations, and not forged.

    ``outside`` are tools that were not learned from, which bound the ratio: then it is also about such tools.
    """
    first = f"The faces were forged in one of these ways: {_listed(manipulations) or 'one of those calibrated on'}"
    if outside:
        first += f"; or by a tool that was not learned from, such as {_listed(outside)}"
    return f"{first}.", "The faces were not forged."


def _listed(names: tuple[str, ...]) -> str:
    more = len(names) - _NAMED
    return ", ".join(names[:_NAMED]) + (f" and {more} more" if more > 0 else "")


def ratio_words(llr: float) -> str:
    """A likelihood ratio as text with two digits: "12" or "1/12"."""
    size = float(f"{10.0 ** abs(llr):.2g}")
    text = f"{size:.2g}" if size < 100 else f"{size:,.0f}"
    return text if llr >= 0 or text == "1" else f"1/{text}"


def ratio_sentence(score: CalibratedScore) -> str:
    """The likelihood ratio in a sentence about the score, not about the file."""
    size = abs(score.llr)
    known = "in a way that it knows" if score.outside is None else "by a tool that it learned from or by another"
    first, second = (f"forged {known}", "not forged") if score.llr >= 0 else ("not forged", f"forged {known}")
    return (
        f"Such a score is {ratio_words(size)} times as probable if the faces were {first} as if they were {second} "
        f"(log10 likelihood ratio {score.llr:+.2f}, {score.words})."
    )


def bound_sentence(score: CalibratedScore) -> str:
    """How the ratio stands to tools that were not learned from, in a sentence."""
    outside, learned = score.outside, score.learned_llr
    if outside is None or learned is None:
        return NO_OUTSIDE
    what = (
        f"on {counted(len(outside.tools), 'tool')} that were not learned from ({outside.real} real and {outside.fake} "
    )
    side, limit = ("forged", outside.upper_bound) if learned >= 0 else ("not forged", outside.lower_bound)
    held = f"{what}fake clips of {outside.name}), ratios of up to {ratio_words(abs(limit))} for {side} are borne out"
    if score.llr == learned:
        return f"That is the ratio among the manipulations learned from; {held}."
    return (
        f"Among the manipulations learned from it would be {ratio_words(learned)} (log10 {learned:+.2f}); {held}, and "
        "the smaller counts."
    )


def set_sentence(score: CalibratedScore) -> str:
    """The conformal prediction set in a sentence; why there is none, if there is none."""
    found = score.prediction
    if found is None:
        return score.prediction_note
    return (
        f"Prediction set: {found.words} (conformal; of new people's clips at most {percent(found.miscoverage_real)} of "
        f"the real ones lack real, and {percent(found.miscoverage_fake)} of the forged ones forged; over "
        f"{found.people_real} people with real and {found.people_fake} with forged clips; for manipulations that were "
        "not learned from nothing is promised)."
    )


def qualify(verdict: Verdict, reason: str, score: CalibratedScore | None) -> tuple[Verdict, str]:
    """A verdict with likelihood ratio and prediction set; "inconclusive" if one of them does not support its side."""
    if score is None or not score.holds:
        return verdict, reason
    sentences = [ratio_sentence(score), bound_sentence(score), set_sentence(score)]
    told = " ".join(sentence for sentence in sentences if sentence)
    side = {"fake": 1, "real": -1, "inconclusive": 0}[verdict]
    against = []
    if side and supports(score.llr) != side:
        against.append("its likelihood ratio does not bear it out")
    if side and score.prediction is not None and score.prediction.labels != (verdict,):
        against.append(f"its prediction set is not {'forged' if side > 0 else 'real'} alone")
    if against:
        where = "above" if side > 0 else "below"
        return "inconclusive", f"The score lies {where} the threshold, but {' and '.join(against)}. {told}"
    return verdict, f"{reason} {told}"


def _other_finder(predictor: CropPredictor, finder: str) -> tuple[Outside, ...]:
    """The finder as a fact of its own: boxes and landmarks of another one make other crops, and so other scores."""
    own = predictor.facts.finder.get("name")
    if not own or own == finder:
        return ()
    return (Outside("finder", f"the faces were found by {finder}, validated: {own}", finder),)
