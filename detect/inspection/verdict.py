"""The verdict on one file, and the interval of its score.

"fake" and "real" need a calibration that holds for the file. Without one the verdict is "not validated", and the score
is given with the detector's results on its validation clips.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np

from detect.calibration.interpret import Interpretation, qualify
from detect.config.scoring import AggregateConfig
from detect.scoring.aggregate import aggregate_clip
from shared.results.scores import Evaluation, FrameScore, Verdict

_BOOTSTRAP_ROUNDS = 400
_CHANCE = 0.5
NO_TRACE = ": it sees no trace of the forgeries it was trained on; others it may miss"
"""Clause of the verdict "real"."""


def block_interval(
    scores: Sequence[FrameScore],
    aggregate: AggregateConfig | None = None,
    *,
    block_seconds: float,
    seed: int,
    rounds: int = _BOOTSTRAP_ROUNDS,
) -> tuple[float, float] | None:
    """95 % interval of the clip's logit by a bootstrap over blocks of time; None with fewer than two blocks.

    Neighbouring frames are nearly equal, so blocks are resampled, not frames (Kuensch, "The jackknife
    and the bootstrap for general stationary observations", 1989, with blocks that do not overlap). Each replicate is
    aggregated like the clip, so that the interval is that of the clip's logit.

    Args:
        scores: of all faces of the clip.
        aggregate: function from scores to the clip's logit.
        block_seconds: length of a block.
        seed: of the resampling.
        rounds: number of replicates.
    """
    blocks: dict[int, list[FrameScore]] = {}
    for score in scores:
        blocks.setdefault(int(score.seconds // block_seconds), []).append(score)
    if len(blocks) < 2:
        return None
    copies = _Copies(list(blocks.values()))
    generator = np.random.default_rng(seed)
    found = []
    for _ in range(rounds):
        drawn = np.bincount(generator.integers(0, len(blocks), len(blocks)), minlength=len(blocks))
        found.append(aggregate_clip(copies.of(drawn.tolist()), aggregate))
    low, high = np.quantile(np.array(found, np.float64), (0.025, 0.975))
    return float(low), float(high)


class _Copies:
    """Copies of blocks of scores, one for each time that a replicate contains the block.

    Each copy has its own frame numbers, so a frame that is sampled twice counts twice, also where faces of one frame
    are compared. Copies are cached between replicates.
    """

    def __init__(self, blocks: Sequence[Sequence[FrameScore]]) -> None:
        self._span = 1 + max(score.frame for block in blocks for score in block)
        self._copies = [[list(block)] for block in blocks]

    def of(self, times: Sequence[int]) -> list[FrameScore]:
        """All scores of a replicate that contains each block so many ``times``."""
        return [score for block, count in enumerate(times) for copy in range(count) for score in self._get(block, copy)]

    def _get(self, block: int, copy: int) -> list[FrameScore]:
        known = self._copies[block]
        while len(known) <= copy:
            shift = self._span * len(known)
            known.append([dataclasses.replace(score, frame=score.frame + shift) for score in known[0]])
        return known[copy]


def decide(
    logit: float | None,
    interval: tuple[float, float] | None,
    threshold: float,
    interpretation: Interpretation,
    validation: Sequence[Evaluation] = (),
) -> tuple[Verdict, str]:
    """The verdict and the sentences that explain it.

    Args:
        logit: of the clip; None when nothing was scored.
        interval: of the logit, see :func:`block_interval`.
        threshold: logit from which a clip is classified as fake.
        interpretation: of the score by the calibration, and facts of the file outside its domain.
        validation: the detector's results on its validation clips.
    """
    if logit is None:
        return "inconclusive", "No usable face was found, so nothing was scored."
    reasons = _why_not_validated(interpretation, validation)
    if reasons:
        return "not validated", f"{_score_words(logit, interval, threshold)} It says neither real nor fake. {reasons}"
    return qualify(*_side(logit, interval, threshold), interpretation.calibrated)


def at_chance(validation: Sequence[Evaluation]) -> bool:
    """Whether the interval of the validation AUC includes 0.5, so that the detector is not shown to work."""
    found = next((each for each in validation if each.metric == "auc"), None)
    return found is not None and (found.value if found.low is None else found.low) <= _CHANCE


def validation_words(validation: Sequence[Evaluation]) -> str:
    """The detector's results on its validation clips, in one or two sentences."""
    if not validation:
        return "The detector does not say how it did on validation clips."
    measured = "; ".join(_measured(each) for each in validation)
    knows = " By these clips the detector cannot tell fake from real." if at_chance(validation) else ""
    return f"On its validation clips: {measured}.{knows}"


def _measured(found: Evaluation) -> str:
    name, counts = "AUC", f"{found.num_real} real and {found.num_fake} fake clips"
    if found.metric != "auc":
        name, counts = "false alarms at the threshold", f"{found.num_real} real clips"
    bounds = "no interval" if found.low is None or found.high is None else f"{found.low:.2f} to {found.high:.2f}"
    return f"{name} {found.value:.2f} ({bounds}; {counts})"


def _score_words(logit: float, interval: tuple[float, float] | None, threshold: float) -> str:
    bounds = "no interval: too little was scored" if interval is None else f"{interval[0]:+.2f} to {interval[1]:+.2f}"
    return f"The detector's score is {logit:+.2f} ({bounds}), its threshold {threshold:+.2f}, both as logits."


def _why_not_validated(interpretation: Interpretation, validation: Sequence[Evaluation]) -> str:
    """Why no verdict may be given; empty if one may."""
    reasons = []
    if interpretation.calibrated is None:
        reasons.append(interpretation.note)
    elif not interpretation.calibrated.holds:
        reasons.append(interpretation.note or "The calibration does not hold for this file.")
    if interpretation.outside:
        named = "; ".join(each.text for each in interpretation.outside)
        reasons.append(
            f"The file lies outside the domain that the detector was validated on ({interpretation.domain}): {named}."
        )
    if at_chance(validation):
        reasons.append("The interval of the detector's validation AUC holds 0.5: it cannot tell fake from real.")
    return " ".join(reasons)


def _side(logit: float, interval: tuple[float, float] | None, threshold: float) -> tuple[Verdict, str]:
    """Verdict by the threshold: "inconclusive" unless score and interval lie on one side of it."""
    if interval is None:
        return (
            "inconclusive",
            f"The score is {logit:+.2f}, but too little of the clip was scored to say how far it can be trusted.",
        )
    low, high = interval
    if (logit < threshold and low > threshold) or (logit >= threshold and high < threshold):
        return (
            "inconclusive",
            f"The score is {logit:+.2f}, but its interval ({low:+.2f} to {high:+.2f}) lies on the other side of the "
            f"threshold {threshold:+.2f}: it hangs on few moments of the clip.",
        )
    if low <= threshold <= high:
        return (
            "inconclusive",
            f"The score is {logit:+.2f}; its interval ({low:+.2f} to {high:+.2f}) holds the threshold "
            f"{threshold:+.2f}.",
        )
    if low > threshold:
        return (
            "fake",
            f"The detector scores the faces {logit:+.2f}, above its threshold {threshold:+.2f} throughout the interval "
            f"({low:+.2f} to {high:+.2f}): it sees traces like those of the forgeries it was trained on.",
        )
    return (
        "real",
        f"The detector scores the faces {logit:+.2f}, below its threshold {threshold:+.2f} throughout the interval "
        f"({low:+.2f} to {high:+.2f}){NO_TRACE}.",
    )
