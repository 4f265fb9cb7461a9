"""Thresholds, likelihood map, quality and domain of a trained detector, from the recordings of a validation split."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from detect.calibration.likelihood import cllr, fit_likelihood
from detect.calibration.maps import LikelihoodMap
from detect.metrics.classification import best_threshold, has_both_classes
from detect.metrics.spoofing import best_f1_threshold
from detect.speech.checkpoint import SpeechFacts
from detect.speech.contract import SpeechDetector
from detect.speech.domain import SpeechDomain, figures_of
from detect.speech.evaluate import ScoredUtterance, score_utterances, segment_metrics, segments, speech_metrics
from detect.speech.score import REALS_WITH_A_SEGMENT, strongest_part
from detect.speech.store import SampleStore
from detect.speech.utterances import Utterance
from shared.bootstrap import BootstrapSettings
from shared.console import console
from shared.results.scores import Evaluation

LEAST_SPEAKERS = 6
"""Speakers of each class from which a likelihood map is fitted."""

_FOLDS = 5
_STEP_SEGMENT = 0.16


def fitted_facts(
    detector: SpeechDetector, utterances: Sequence[Utterance], store: SampleStore, name: str, *, seed: int
) -> SpeechFacts:
    """What the recordings of ``name`` say about a detector.

    The Cllr among its quality is that of maps fitted to other speakers (five folds).

    Raises:
        ManifestError: no recording can be read.
    """
    scored, unread = score_utterances(detector, utterances, store, what="scoring the val split")
    for line in unread:
        console.warn(line)
    labels = np.array([each.utterance.fake for each in scored])
    logits = np.array([each.scores.logit for each in scored])
    speakers = np.unique([each.utterance.speaker for each in scored], return_inverse=True)[1]
    threshold = best_threshold(labels, logits)
    likelihood = fitted_map(labels, logits, speakers, seed)
    settings = BootstrapSettings(replicates=400, seed=seed)
    step_threshold = _step_threshold(scored, threshold or 0.0)
    quality = [each for each in speech_metrics(scored, None, settings)]
    quality += [] if likelihood is None else _left_out(labels, logits, speakers, seed)
    quality += segment_metrics(scored, step_threshold, settings)
    told = f"{(~labels).sum()} real and {labels.sum()} fake recordings of {len(set(speakers))} speakers, {name}"
    return SpeechFacts(
        detector.kind,
        threshold or 0.0,
        f"{name} (largest TPR - FPR)" if threshold is not None else "nothing: the val split has one class",
        step_threshold,
        likelihood,
        told,
        tuple(quality),
        SpeechDomain.over([figures_of(store.get(each.utterance.path)) for each in scored]),
        segment_threshold=_segment_threshold(scored),
        options=detector.options,
    )


def fitted_map(labels: np.ndarray, logits: np.ndarray, speakers: np.ndarray, seed: int) -> LikelihoodMap | None:
    """The likelihood map of (N,) logits by logistic regression; None with too few speakers of a class."""
    if not has_both_classes(labels):
        return None
    fewest = min(len(np.unique(speakers[labels])), len(np.unique(speakers[~labels])))
    if fewest < LEAST_SPEAKERS:
        return None
    return fit_likelihood(labels, logits, speakers, "logistic", replicates=50, seed=seed)


def _left_out(labels: np.ndarray, logits: np.ndarray, speakers: np.ndarray, seed: int) -> list[Evaluation]:
    """Cllr of ratios by maps that were fitted without the speaker's fold; none if a fold has too few speakers left."""
    names = np.random.default_rng(seed).permutation(np.unique(speakers))
    llrs = np.full(len(logits), np.nan)
    for fold in range(_FOLDS):
        mine = np.isin(speakers, names[fold::_FOLDS])
        if not mine.any() or not has_both_classes(labels[~mine]):
            return []
        found = fit_likelihood(labels[~mine], logits[~mine], speakers[~mine], "logistic", replicates=0, seed=seed)
        llrs[mine] = found.llr(logits[mine])
    value = cllr(labels, llrs)
    fakes = int(labels.sum())
    count = len(np.unique(speakers))
    return [] if value is None else [Evaluation("cllr", value, "clip", len(labels) - fakes, fakes, clusters=count)]


def _segment_threshold(scored: Sequence[ScoredUtterance]) -> float | None:
    """The level that one real recording of twenty has a segment at; None without a real one."""
    highest = [strongest_part(each.scores) for each in scored if not each.utterance.fake]
    finite = [each for each in highest if np.isfinite(each)]
    return float(np.quantile(finite, 1 - REALS_WITH_A_SEGMENT)) if finite else None


def _step_threshold(scored: Sequence[ScoredUtterance], threshold: float) -> float:
    """The threshold of steps: that of the best F1 on recordings that are fake in part; without any, that of wholes.

    Wholes are left out: on them every step is of one class, and the best threshold is one that nothing is below.
    """
    in_part = [each for each in scored if each.utterance.spans]
    if not in_part:
        return threshold
    labels, values, _ = segments(in_part, _STEP_SEGMENT)
    found = best_f1_threshold(labels, values)
    return threshold if found is None else found
