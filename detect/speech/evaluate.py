"""Evaluates a detector of speech: metrics by engine and by codec, F1 of segments, with intervals over speakers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from detect.calibration.likelihood import cllr
from detect.calibration.maps import LikelihoodMap
from detect.metrics.bootstrap import intervals
from detect.metrics.classification import MetricSettings, auc, equal_error_rate
from detect.metrics.spoofing import (
    Metric,
    act_dcf,
    interval_over,
    min_dcf,
    segment_f1,
    segment_f1_interval,
    segments_of,
)
from detect.speech.contract import RATE, STEP_SECONDS, SpeechDetector, StepScores
from detect.speech.store import SampleStore
from detect.speech.utterances import Utterance
from shared.bootstrap import BootstrapSettings
from shared.console import console
from shared.errors import ManifestError, MediaError
from shared.results.scores import Evaluation

SEGMENT_SECONDS = (0.02, 0.16)


@dataclass(frozen=True, eq=False)
class ScoredUtterance:
    """A recording with its length and scores."""

    utterance: Utterance
    seconds: float
    scores: StepScores


@dataclass(frozen=True)
class SpeechPart:
    """Metrics of some of the recordings: all, one engine's fakes against all real ones, or those of one codec.

    Attributes:
        by: "all", "engine" or "codec"; ``name`` is the engine or codec.
        speakers: number of speakers.
        metrics: with their intervals, see :func:`speech_metrics`.
    """

    by: str
    name: str
    speakers: int
    metrics: tuple[Evaluation, ...]

    def find(self, metric: str) -> Evaluation | None:
        """The metric of that name; None if it is undefined here."""
        return next((each for each in self.metrics if each.metric == metric), None)


@dataclass(frozen=True)
class SpeechEvaluation:
    """The result of an evaluation: ``detector`` and ``dataset`` name what was evaluated on what; files not read."""

    detector: dict[str, str]
    dataset: dict[str, str]
    parts: tuple[SpeechPart, ...]
    unread: tuple[str, ...] = ()


def score_utterances(
    detector: SpeechDetector, utterances: Sequence[Utterance], store: SampleStore, *, what: str = "scoring"
) -> tuple[list[ScoredUtterance], tuple[str, ...]]:
    """The recordings with their scores, and a sentence for each that cannot be scored.

    Raises:
        ManifestError: none can.
    """
    found, unread = [], []
    for each in console.track(utterances, what, len(utterances), unit="recording"):
        try:
            samples = store.get(each.path)
        except MediaError as error:
            unread.append(str(error))
            continue
        found.append(ScoredUtterance(each, len(samples) / RATE, detector.steps(samples)))
    if not found:
        raise ManifestError(
            f"none of {len(utterances)} recordings could be read: {unread[0]}", hint="check their paths"
        )
    return found, tuple(unread)


def evaluate_scored(
    scored: Sequence[ScoredUtterance],
    likelihood: LikelihoodMap | None,
    step_threshold: float,
    bootstrap: BootstrapSettings,
) -> tuple[SpeechPart, ...]:
    """The parts: all recordings, then each engine, then each codec if there are several."""
    parts = [_part("all", "all", scored, likelihood, step_threshold, bootstrap)]
    reals = [each for each in scored if not each.utterance.fake]
    for engine in sorted({each.utterance.engine for each in scored if each.utterance.fake}):
        fakes = [each for each in scored if each.utterance.fake and each.utterance.engine == engine]
        parts.append(_part("engine", engine, [*reals, *fakes], likelihood, step_threshold, bootstrap))
    codecs = sorted({each.utterance.codec for each in scored})
    for codec in codecs if len(codecs) > 1 else ():
        mine = [each for each in scored if each.utterance.codec == codec]
        parts.append(_part("codec", codec or "none", mine, likelihood, step_threshold, bootstrap))
    return tuple(parts)


def _part(
    by: str,
    name: str,
    scored: Sequence[ScoredUtterance],
    likelihood: LikelihoodMap | None,
    step_threshold: float,
    bootstrap: BootstrapSettings,
) -> SpeechPart:
    metrics = [*speech_metrics(scored, likelihood, bootstrap), *segment_metrics(scored, step_threshold, bootstrap)]
    return SpeechPart(by, name, len({each.utterance.speaker for each in scored}), tuple(metrics))


def speech_metrics(
    scored: Sequence[ScoredUtterance], likelihood: LikelihoodMap | None, bootstrap: BootstrapSettings
) -> list[Evaluation]:
    """AUC, EER and minDCF of the logits; actDCF and Cllr of their likelihood ratios, where there is a map.

    Intervals are over speakers.
    """
    labels = np.array([each.utterance.fake for each in scored])
    logits = np.array([each.scores.logit for each in scored])
    speakers = np.array([each.utterance.speaker for each in scored])
    ranked = intervals(labels, logits, np.unique(speakers, return_inverse=True)[1], MetricSettings(), bootstrap)
    functions: dict[str, tuple[Metric, np.ndarray]] = {
        "auc": (auc, logits),
        "eer": (equal_error_rate, logits),
        "min_dcf": (min_dcf, logits),
    }
    if likelihood is not None:
        llrs = likelihood.llr(logits)
        functions |= {"act_dcf": (act_dcf, llrs), "cllr": (cllr, llrs)}
    found = []
    for name, (metric, values) in functions.items():
        value = metric(labels, values)
        if value is not None:
            bounds = ranked.get(name) or interval_over(speakers, labels, values, metric, bootstrap)
            found.append(_evaluation(name, value, bounds, labels, len(np.unique(speakers)), bootstrap))
    return found


def segment_metrics(
    scored: Sequence[ScoredUtterance], threshold: float, bootstrap: BootstrapSettings
) -> list[Evaluation]:
    """F1 of segments of 20 and 160 ms over all recordings, if some of them are fake in part."""
    if not any(each.utterance.spans for each in scored):
        return []
    found = []
    for seconds in SEGMENT_SECONDS:
        labels, values, speakers = segments(scored, seconds)
        value = segment_f1(labels, values, threshold)
        if value is not None:
            bounds = segment_f1_interval(speakers, labels, values, threshold, bootstrap)
            name = f"segment_f1@{1000 * seconds:.0f}ms"
            found.append(_evaluation(name, value, bounds, labels, len(np.unique(speakers)), bootstrap))
    return found


def segments(scored: Sequence[ScoredUtterance], seconds: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Labels, scores and speakers of all segments of so many ``seconds``, each (S,)."""
    labels, values, speakers = [], [], []
    for each in scored:
        spans = each.utterance.fake_spans(each.seconds)
        truth, score = segments_of(spans, each.scores.values, step_seconds=STEP_SECONDS, segment_seconds=seconds)
        labels.append(truth)
        values.append(score)
        speakers.append(np.full(len(truth), each.utterance.speaker, dtype=object))
    return np.concatenate(labels), np.concatenate(values), np.concatenate(speakers).astype(str)


def _evaluation(
    name: str,
    value: float,
    bounds: tuple[float, float] | None,
    labels: np.ndarray,
    speakers: int,
    bootstrap: BootstrapSettings,
) -> Evaluation:
    low, high = bounds or (None, None)
    fakes = int(labels.sum())
    return Evaluation(name, value, "clip", len(labels) - fakes, fakes, low, high, speakers, bootstrap.confidence)
