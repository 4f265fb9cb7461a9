"""Aggregation of face logits to one logit per track and one per clip.

All methods give logits, not scores, because scores saturate. ("confident", which is defined on scores, is computed in
logarithms.) A clip without a scored face has no logit, and is not given a default value.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import cast

import numpy as np
from scipy.special import log_expit, logsumexp

from detect.config.scoring import AggregateConfig, Aggregation
from shared.errors import UnknownNameError, UsageError
from shared.registry import near_matches
from shared.results.scores import FrameScore, TrackScore

STATISTICS = ("10 %", "25 %", "50 %", "75 %", "90 %", "max-face", "max-track")
"""Features of the learned aggregation: order statistics of all face logits, and two methods that use tracks and frames.

None decreases when a face's logit increases, so with non-negative weights the clip's logit does not either.
"""

_QUANTILES = (0.1, 0.25, 0.5, 0.75, 0.9)
_CONFIDENT_LOGIT = float(np.log(0.8 / 0.2))
_Method = Callable[[Sequence[FrameScore], AggregateConfig], float]
_Reduce = Callable[[np.ndarray, AggregateConfig], float]


def aggregate_clip(scores: Sequence[FrameScore], config: AggregateConfig | None = None) -> float | None:
    """One logit for a clip; None if no face was scored.

    Methods:
        mean, median: over all faces of all frames.
        max-face: the maximum over the faces of each frame, then the mean over frames (Shiohara and Yamasaki, 2022).
        top-k: mean of the highest ``top_share`` of all face logits, at least one; for partial fakes.
        trimmed: mean without the lowest and highest ``trim_share``.
        max-track: the mean of each track, then the maximum over tracks; tracks much shorter than the longest are
            ignored.
        confident: the rule of the winner of the DFDC challenge (Seferbekov, 2020): more than 11 faces, and more than a
            2.5th of all, score above 0.8: the mean score of those; else more than 90 % score below 0.2: the mean of
            those; else the mean of all. Means are of scores; the result is the logit of the mean.
        learned: a weighted sum of :data:`STATISTICS`, fitted on validation clips (``detect.scoring.aggregate_choice``).

    Raises:
        UnknownNameError: no such method.
        UsageError: "auto", or "learned" that is not fitted yet.
    """
    config = config or AggregateConfig()
    method = _method(config)
    return method(scores, config) if scores else None


def aggregate_tracks(scores: Sequence[FrameScore], config: AggregateConfig | None = None) -> list[TrackScore]:
    """One logit for each track, by track number: the method applied to the track as if it were a clip.

    For "max-face" and "max-track" this is the mean over the track's frames.
    """
    config = config or AggregateConfig()
    method = _method(config)
    return [
        TrackScore(scores[0].clip, track, method(rows, config), len(rows)) for track, rows in _by_track(scores).items()
    ]


def names() -> list[Aggregation]:
    """The names of the methods, sorted, without "auto"."""
    return [cast(Aggregation, name) for name in sorted(_METHODS)]


def statistics(scores: Sequence[FrameScore], config: AggregateConfig) -> np.ndarray:
    """(7,) float64: the :data:`STATISTICS` of one clip with at least one face."""
    quantiles = np.quantile(_logits(scores), _QUANTILES)
    return np.array([*quantiles, _max_face(scores, config), _max_track(scores, config)])


def while_training(config: AggregateConfig) -> AggregateConfig:
    """The aggregation to use during training: "max-face" in place of "auto" and "learned", which are not fitted yet."""
    waiting = config.method == "auto" or (config.method == "learned" and config.learned is None)
    return dataclasses.replace(config, method="max-face") if waiting else config


def resolved(wanted: AggregateConfig | None, own: AggregateConfig) -> AggregateConfig:
    """The aggregation to use with a trained detector, from the one ``wanted`` and the detector's ``own``.

    None and "auto" give the detector's own; "learned" uses the weights stored in it.

    Raises:
        UsageError: "learned" is wanted, and the detector has none.
    """
    if wanted is None or wanted.method == "auto":
        return own
    if wanted.method == "learned" and wanted.learned is None:
        if own.learned is None:
            raise UsageError(
                "this detector has no learned aggregation",
                hint="train it with --aggregate learned, or --aggregate auto",
            )
        return dataclasses.replace(wanted, learned=own.learned)
    return wanted


def _method(config: AggregateConfig) -> _Method:
    if config.method == "auto" or (config.method == "learned" and config.learned is None):
        raise UsageError(
            f"the aggregation {config.method!r} is not fitted yet",
            hint="it is when a training ends; name another with --aggregate",
        )
    method = _METHODS.get(config.method)
    if method is None:
        raise UnknownNameError(
            f"no aggregation is named {config.method!r}", hint=near_matches(config.method, list(_METHODS))
        )
    return method


def _logits(scores: Sequence[FrameScore]) -> np.ndarray:
    return np.array([score.logit for score in scores], np.float64)


def _mean(logits: np.ndarray, _config: AggregateConfig) -> float:
    return float(logits.mean())


def _median(logits: np.ndarray, _config: AggregateConfig) -> float:
    return float(np.median(logits))


def _top(logits: np.ndarray, config: AggregateConfig) -> float:
    count = max(1, round(config.top_share * logits.size))
    return float(np.sort(logits)[-count:].mean())


def _trimmed(logits: np.ndarray, config: AggregateConfig) -> float:
    dropped = int(config.trim_share * logits.size)
    return float(np.sort(logits)[dropped : logits.size - dropped].mean())


def _confident(logits: np.ndarray, _config: AggregateConfig) -> float:
    fake, real = logits > _CONFIDENT_LOGIT, logits < -_CONFIDENT_LOGIT
    if fake.sum() > logits.size // 2.5 and fake.sum() > 11:
        return _logit_of_mean_score(logits[fake])
    if real.sum() > 0.9 * logits.size:
        return _logit_of_mean_score(logits[real])
    return _logit_of_mean_score(logits)


def _logit_of_mean_score(logits: np.ndarray) -> float:
    """The logit of the mean of the sigmoids, computed in logarithms: exact where every sigmoid would round to 1."""
    ordered = np.sort(logits)  # sorted, so that the order of the faces does not change the rounding
    fake, real = np.asarray(logsumexp(log_expit(ordered))), np.asarray(logsumexp(log_expit(-ordered)))
    return float(fake - real)


def _max_face(scores: Sequence[FrameScore], _config: AggregateConfig) -> float:
    highest: dict[int, float] = {}
    for score in scores:
        highest[score.frame] = max(score.logit, highest.get(score.frame, -np.inf))
    return float(np.mean(list(highest.values())))


def _max_track(scores: Sequence[FrameScore], config: AggregateConfig) -> float:
    tracks = _by_track(scores)
    longest = max(map(len, tracks.values()))
    kept = [_logits(rows) for rows in tracks.values() if len(rows) >= config.min_track_share * longest]
    return max(float(logits.mean()) for logits in kept)


def _learned(scores: Sequence[FrameScore], config: AggregateConfig) -> float:
    fitted = config.learned
    if fitted is None or len(fitted.weights) != len(STATISTICS):
        raise UsageError(
            f"a learned aggregation has {len(STATISTICS)} weights", hint="let training fit it: --aggregate learned"
        )
    return float(statistics(scores, config) @ np.array(fitted.weights) + fitted.bias)


def _by_track(scores: Sequence[FrameScore]) -> dict[int, list[FrameScore]]:
    found: dict[int, list[FrameScore]] = {}
    for score in scores:
        found.setdefault(score.track, []).append(score)
    return {track: found[track] for track in sorted(found)}


def _over_faces(reduce: _Reduce) -> _Method:
    def over_faces(scores: Sequence[FrameScore], config: AggregateConfig) -> float:
        return reduce(_logits(scores), config)

    return over_faces


_REDUCERS: Mapping[str, _Reduce] = {
    "mean": _mean,
    "median": _median,
    "top-k": _top,
    "trimmed": _trimmed,
    "confident": _confident,
}

_METHODS: Mapping[str, _Method] = {
    **{name: _over_faces(reduce) for name, reduce in _REDUCERS.items()},
    "max-face": _max_face,
    "max-track": _max_track,
    "learned": _learned,
}
