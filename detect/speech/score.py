"""The result of a detector of speech on one sound: verdict, segments, likelihood ratio where it holds."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from detect.calibration.interpret import ratio_words
from detect.calibration.likelihood import supports, verbal
from detect.speech.checkpoint import SpeechFacts, SpeechModel
from detect.speech.contract import LEAST_SECONDS, RATE, STEP_SECONDS, StepScores
from detect.speech.domain import figures_of
from shared.audio.sound import Sound, is_silent, limited
from shared.audio.speech import speech_spans
from shared.console import counted
from shared.results.scores import Outside, SoundResult, SoundSegment, Verdict

_SMOOTH = 5
_LEAST_STEPS, _PAUSE = 5, 0.16
_MOST_SEGMENTS = 500
_CHANCE = 0.5
LEAST_LLR = 1.0
"""The least log10 likelihood ratio, "moderate support", with which a sound is called fake. A voice is accused on less
than a face is seen: what a microphone, a room and a codec do to speech is wider than any set of it.
"""
LEAST_SPOKEN = 1.0
"""Seconds of speech below which a sound is not scored for a verdict."""

REALS_WITH_A_SEGMENT = 0.05
"""Share of real recordings of validation in which a segment stands out."""

NO_TRACE = " It hears no trace of the engines it learned from; others it may miss."
"""Clause of the verdict "real"."""


@dataclass(frozen=True, eq=False)
class ScoredSound:
    """A result with the scores behind it; ``scores`` is None if nothing could be scored."""

    result: SoundResult
    scores: StepScores | None


def score_sound(
    model: SpeechModel, samples: np.ndarray, *, begins: float = 0.0, read: str = "", seed: int = 0
) -> ScoredSound:
    """Scores (N,) float32 samples at 16 kHz.

    Args:
        model: the detector.
        samples: of the whole sound.
        begins: time of the first sample.
        read: what of the sound was not read, in words.
        seed: of the interval's bootstrap.
    """
    seconds = len(samples) / RATE
    if seconds < LEAST_SECONDS or is_silent(samples):
        why = "The sound is silent" if seconds >= LEAST_SECONDS else f"There are {seconds:.2f} s of sound"
        return ScoredSound(
            _result(model, "inconclusive", f"{why}, so nothing was scored.", begins, seconds, read), None
        )
    scores = model.detector.steps(samples)
    outside = () if model.facts.domain is None else model.facts.domain.outside(figures_of(samples))
    interval = scores.interval(seed=seed)
    segments = segments_above(scores, model.facts.stands_out, begins=begins)
    unusual = len(segments) > usual_segments(model.facts, seconds)
    verdict, reason = _decide(
        model, scores.logit, interval, outside, len(segments) if unusual else 0, spoken_seconds(samples)
    )
    if read:
        verdict = "inconclusive" if verdict == "real" else verdict
        reason += f" All of this leaves out {read}."
    result = _result(model, verdict, reason, begins, seconds, read, scores, interval, outside, segments)
    return ScoredSound(result, scores)


def segments_above(scores: StepScores, threshold: float, *, begins: float = 0.0) -> tuple[SoundSegment, ...]:
    """Parts of at least 0.1 s whose logits, over 0.1 s, reach ``threshold``; pauses below 0.16 s do not part them.

    The 500 with the highest logits, in order of time.
    """
    above = np.flatnonzero((_smoothed(scores) >= threshold) & (scores.weights > 0))
    if not len(above):
        return ()
    parts = np.split(above, np.flatnonzero(np.diff(above) * STEP_SECONDS > _PAUSE) + 1)
    found = []
    for part in parts:
        first, stop = max(0.0, (int(part[0]) - 0.5) * STEP_SECONDS), (int(part[-1]) + 0.5) * STEP_SECONDS
        if int(part[-1]) - int(part[0]) + 1 >= _LEAST_STEPS:
            logit = float(scores.values[part[0] : part[-1] + 1].mean())
            found.append(SoundSegment(round(begins + first, 3), round(begins + stop, 3), round(logit, 3)))
    strongest = sorted(found, key=lambda each: -each.logit)[:_MOST_SEGMENTS]
    return tuple(sorted(strongest, key=lambda each: each.start))


def usual_segments(facts: SpeechFacts, seconds: float) -> int:
    """How many segments above the level a real recording of that length has, at most, in nineteen of twenty cases.

    One in twenty recordings as long as those of validation has one; more of them come with the length (Poisson).
    """
    longest = facts.domain.longest if facts.domain is not None else 0.0
    if facts.segment_threshold is None or not longest:
        return 0
    expected = REALS_WITH_A_SEGMENT * seconds / longest
    chance = total = math.exp(-expected)
    count = 0
    while total < 1 - REALS_WITH_A_SEGMENT - 1e-9:
        count += 1
        chance *= expected / count
        total += chance
    return count


def spoken_seconds(samples: np.ndarray) -> float:
    """Seconds of speech in (N,) samples, by the packaged voice activity detector."""
    return sum(stop - first for first, stop in speech_spans(Sound(limited(samples), RATE))) / RATE


def strongest_part(scores: StepScores) -> float:
    """The highest logit that all of some tenth of a second reaches: :func:`segments_above` finds one there."""
    values = np.where(scores.weights > 0, _smoothed(scores), -np.inf)
    count = min(_LEAST_STEPS, len(values))
    return float(np.lib.stride_tricks.sliding_window_view(values, count).min(1).max())


def _smoothed(scores: StepScores) -> np.ndarray:
    """(T,) means of the values over a tenth of a second."""
    padded = np.pad(scores.values, _SMOOTH // 2, mode="edge")
    return np.convolve(padded, np.ones(_SMOOTH) / _SMOOTH, mode="valid")


def _decide(
    model: SpeechModel,
    logit: float,
    interval: tuple[float, float] | None,
    outside: Sequence[Outside],
    segments: int,
    spoken: float,
) -> tuple[Verdict, str]:
    """Verdict and reason; ``segments`` are those beyond what real speech of that length has, ``spoken`` seconds."""
    facts = model.facts
    bounds = "no interval: too short" if interval is None else f"{interval[0]:+.2f} to {interval[1]:+.2f} over time"
    told = (
        f"The detector scores the speech {logit:+.2f} ({bounds}), its threshold is {facts.threshold:+.2f}, as logits."
    )
    why = _not_validated(model, outside, spoken)
    if why:
        return "not validated", f"{told} It says neither real nor fake. {why}"
    assert facts.likelihood is not None
    llr = float(facts.likelihood.llr(np.array([logit]))[0])
    which = ("synthetic by such engines", "not synthetic")
    first, second = which if llr >= 0 else which[::-1]
    ratio = (
        f"Such a score is {ratio_words(abs(llr))} times as probable if the speech is {first} as if it is {second} "
        f"(log10 likelihood ratio {llr:+.2f}, {verbal(llr)})."
    )
    side = 1 if logit >= facts.threshold else -1
    clear = interval is not None and (interval[0] > facts.threshold or interval[1] < facts.threshold)
    if not clear or supports(llr) != side:
        return "inconclusive", f"{told} It is not clearly on one side. {ratio}"
    if side > 0 and llr < LEAST_LLR:
        return "inconclusive", f"{told} It lies above, but that is no more than weak support. {ratio}"
    if side < 0 and segments:
        parts = counted(segments, "segment")
        return "inconclusive", f"{told} The whole lies below, but {parts} above: it may be synthetic in part. {ratio}"
    if side > 0:
        return "fake", f"{told} It hears traces like those of the engines it learned from. {ratio}"
    return "real", f"{told}{NO_TRACE} {ratio}"


def _not_validated(model: SpeechModel, outside: Sequence[Outside], spoken: float) -> str:
    facts = model.facts
    reasons = []
    if spoken < LEAST_SPOKEN:
        reasons.append(f"Only {spoken:.1f} s of the sound are speech, and it was validated on nothing else.")
    if facts.likelihood is None or facts.domain is None:
        reasons.append("The detector has no calibration.")
    if outside:
        named = "; ".join(each.text for each in outside)
        reasons.append(f"The sound lies outside the domain that the detector was validated on: {named}.")
    area = next((each for each in facts.quality if each.metric == "auc"), None)
    if area is not None and (area.value if area.low is None else area.low) <= _CHANCE:
        reasons.append("The interval of the detector's validation AUC holds 0.5: it cannot tell fake from real.")
    return " ".join(reasons)


def _result(
    model: SpeechModel,
    verdict: Verdict,
    reason: str,
    begins: float,
    seconds: float,
    read: str,
    scores: StepScores | None = None,
    interval: tuple[float, float] | None = None,
    outside: tuple[Outside, ...] = (),
    segments: tuple[SoundSegment, ...] = (),
) -> SoundResult:
    facts = model.facts
    low, high = interval or (None, None)
    llr = llr_low = llr_high = None
    if scores is not None and facts.likelihood is not None and facts.domain is not None and not outside:
        asked = np.array([scores.logit])
        ends = facts.likelihood.interval(asked)
        llr, llr_low, llr_high = (float(each[0]) for each in (facts.likelihood.llr(asked), *ends))
    ratio = facts.likelihood
    return SoundResult(
        name=model.name,
        kind=facts.kind,
        weights_sha256=model.weights_sha256,
        verdict=verdict,
        reason=reason,
        begins=round(begins, 4),
        seconds=round(seconds, 3),
        logit=None if scores is None else scores.logit,
        low=low,
        high=high,
        threshold=facts.threshold,
        step_threshold=facts.stands_out,
        segments=segments,
        llr=llr,
        llr_low=llr_low,
        llr_high=llr_high,
        llr_bounds=None if ratio is None or llr is None else (ratio.lower_bound, ratio.upper_bound),
        words="" if llr is None else verbal(llr),
        population=facts.population,
        engines=facts.engines,
        outside=outside,
        domain="" if facts.domain is None else str(facts.domain),
        quality=facts.quality,
        read=read,
    )
