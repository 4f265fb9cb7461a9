"""From the logits of faces in frames to one logit a track and one a clip.

All methods work on logits, not on scores: averaging scores lets a few saturated frames hide how sure the rest are.
A clip without a scored face has no logit. It is never given a middle value, which would count as an opinion.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import cast

import numpy as np

from detect.config import AggregateConfig, Aggregation
from shared.errors import UnknownNameError
from shared.registry import near_matches
from shared.scores import FrameScore, TrackScore

_Reduce = Callable[[np.ndarray, AggregateConfig], float]


def aggregate_clip(scores: Sequence[FrameScore], config: AggregateConfig | None = None) -> float | None:
    """One logit for a clip, or None when no face of it was scored.

    Methods:
        mean, median: over all faces of all frames. A bystander dilutes a forged face.
        max-face: the highest face of each frame, then the mean over frames (Shiohara and Yamasaki, 2022).
        top-k: mean of the highest ``top_share`` of all face scores, at least one: for clips forged in part.
        trimmed: mean without the lowest and highest ``trim_share``.
        max-track: the mean of each track, then the highest track; tracks much shorter than the longest do not count.

    Raises:
        UnknownNameError: no such method.
    """
    config = config or AggregateConfig()
    if not scores:
        return None
    method = _METHODS.get(config.method)
    if method is None:
        raise UnknownNameError(
            f"no aggregation is named {config.method!r}", hint=near_matches(config.method, list(_METHODS))
        )
    return method(scores, config)


def aggregate_tracks(scores: Sequence[FrameScore], config: AggregateConfig | None = None) -> list[TrackScore]:
    """One logit for each track, in the order of track numbers.

    The frames of one track are reduced by the method itself where it reduces frames (mean, median, top-k, trimmed),
    and by their mean for the two that choose between faces.
    """
    config = config or AggregateConfig()
    reduce = _REDUCERS.get(config.method, _mean)
    return [
        TrackScore(scores[0].clip, track, reduce(logits, config), int(logits.size))
        for track, logits in _by_track(scores).items()
    ]


def names() -> list[Aggregation]:
    """The methods there are, sorted."""
    return [cast(Aggregation, name) for name in sorted(_METHODS)]


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


def _max_face(scores: Sequence[FrameScore], _config: AggregateConfig) -> float:
    highest: dict[int, float] = {}
    for score in scores:
        highest[score.frame] = max(score.logit, highest.get(score.frame, -np.inf))
    return float(np.mean(list(highest.values())))


def _max_track(scores: Sequence[FrameScore], config: AggregateConfig) -> float:
    tracks = _by_track(scores)
    longest = max(logits.size for logits in tracks.values())
    return max(float(logits.mean()) for logits in tracks.values() if logits.size >= config.min_track_share * longest)


def _by_track(scores: Sequence[FrameScore]) -> dict[int, np.ndarray]:
    found: dict[int, list[float]] = {}
    for score in scores:
        found.setdefault(score.track, []).append(score.logit)
    return {track: np.array(found[track]) for track in sorted(found)}


def _over_faces(reduce: _Reduce) -> Callable[[Sequence[FrameScore], AggregateConfig], float]:
    def over_faces(scores: Sequence[FrameScore], config: AggregateConfig) -> float:
        return reduce(np.array([score.logit for score in scores]), config)

    return over_faces


_REDUCERS: Mapping[str, _Reduce] = {"mean": _mean, "median": _median, "top-k": _top, "trimmed": _trimmed}

_METHODS: Mapping[str, Callable[[Sequence[FrameScore], AggregateConfig], float]] = {
    **{name: _over_faces(reduce) for name, reduce in _REDUCERS.items()},
    "max-face": _max_face,
    "max-track": _max_track,
}
