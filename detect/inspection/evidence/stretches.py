"""Stretches of a face's timeline whose scores stand out from the rest: where a part of a clip alone may be forged.

Circular binary segmentation (Olshen et al., "Circular binary segmentation for the analysis of array-based DNA copy
number data", Biostatistics 2004): of all stretches the one whose mean differs most from that of the rest, then again
within it and on both sides. Scores of neighbouring frames are alike, so they are averaged over times after which they
are not; a stretch counts where it is larger than in all but 1 % of the orders into which these means can be put.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from detect.inspection.evidence.found import Details, Found, Material, Picture, found, rounded, tracks_of
from shared.console import counted
from shared.plots import FAKE_COLOR, INK, REAL_COLOR, figure, png
from shared.results.scores import Evidence, FrameScore

NAME = "stretches of the score"
INSIDE = "mean logit inside"
"""Detail of a stretch."""

_LEVEL = 0.01
_MOST_BINS, _LEAST_BINS = 240, 9
_LEAST_SCORES, _LEAST_SECONDS = 24, 3.0
_SHORTEST = 2
_MOST_STRETCHES = 4
_SHORTEST_BIN_SECONDS = 0.5
_ALIKE = 2.5
"""Length of a bin, in times over which the scores are alike."""
_ROUNDS = 199
_LEAST_CONTRAST = 0.5
"""In logits: a difference that is certain and smaller than this is of no use to a reader."""

_LIMITS = (
    "A detector's scores also change with pose, light, size, focus and compression of the face, so a stretch that "
    "stands out asks for a look at these frames; it is not forged for that. Of simulated timelines without a stretch "
    "about one in twenty has one. A forgery that covers all of a face's frames has none."
)


@dataclass(frozen=True)
class Stretch:
    """A part of one face's timeline.

    Attributes:
        track: of the face.
        start, stop: in seconds.
        inside, outside: mean logit in it, and of the face's other frames.
        p: share of the timelines in another order that hold a stretch as large as this one's bins.
    """

    track: int
    start: float
    stop: float
    inside: float
    outside: float
    p: float


def stretch_evidence(material: Material) -> list[Found]:
    """The stretches of every face; nothing for a single picture or without scores."""
    tracks = tracks_of(material.scores, material.config.tracks)
    if material.still or not tracks:
        return []
    long_enough = {track: scores for track, scores in tracks.items() if _comparable(scores)}
    reference = f"{_ROUNDS} timelines of the same scores in another order"
    if not long_enough:
        told = f"no face has {_LEAST_SECONDS:g} seconds and {_LEAST_SCORES} scores to compare"
        return [Found(Evidence(NAME, told, limits=_LIMITS, reference=reference))]
    stretches = [
        one
        for track, scores in long_enough.items()
        for one in stretches_of(
            track, np.array([s.seconds for s in scores]), np.array([s.logit for s in scores]), seed=material.seed
        )
    ]
    details: Details = {}
    for number, one in enumerate(stretches, start=1):
        details |= {f"{number}: {name}": value for name, value in _details(one).items()}
    told = "; ".join(map(_words, stretches)) or f"none in {counted(len(long_enough), 'face')}"
    largest = max((one.inside - one.outside for one in stretches), key=abs, default=None)
    evidence = Evidence(
        NAME, told, details, _LIMITS, value=rounded(largest), reference=reference, odd=bool(stretches)
    )  # fmt: skip
    return [found(evidence, Picture("stretches", _alt(stretches), _plot(long_enough, stretches)))]


def stretches_of(track: int, seconds: np.ndarray, logits: np.ndarray, *, seed: int) -> list[Stretch]:
    """The stretches of one timeline that stand out, in order of time.

    Args:
        track: of the face.
        seconds: (N,), ascending.
        logits: (N,).
        seed: of the orders.
    """
    starts, values = _binned(seconds, logits)
    rng = np.random.default_rng((seed, track))
    chosen: list[tuple[int, int, float]] = []
    waiting = [(0, len(values))]
    while waiting and len(chosen) < _MOST_STRETCHES:
        first, last = waiting.pop(0)
        part = values[first:last]
        if len(part) < _LEAST_BINS:
            continue
        begin, end, size = largest_stretch(part)
        as_large = 1 + sum(largest_stretch(rng.permutation(part))[2] >= size for _ in range(_ROUNDS))
        contrast = part[begin:end].mean() - np.delete(part, np.s_[begin:end]).mean()
        if as_large > _LEVEL * (_ROUNDS + 1) or abs(contrast) < _LEAST_CONTRAST:
            continue
        chosen.append((first + begin, first + end, as_large / (_ROUNDS + 1)))
        waiting += [(first, first + begin), (first + begin, first + end), (first + end, last)]
    ends = np.append(starts, len(logits))
    size = int(np.diff(starts).max(initial=1))
    bounds = [(int(ends[begin]), int(ends[end])) for begin, end, _ in chosen]
    places = sorted(
        (*_refined(logits, bound, size, bounds), p) for bound, (_, _, p) in zip(bounds, chosen, strict=True)
    )
    rest = np.ones(len(logits), bool)
    for begin, end, _ in places:
        rest[begin:end] = False
    rest = rest if rest.any() else ~rest
    outside = float(logits[rest].mean())
    return [
        Stretch(
            track,
            float(seconds[begin]),
            float(seconds[end - 1]),
            float(logits[begin:end].mean()),
            outside,
            p,
        )
        for begin, end, p in places
    ]


def _refined(
    logits: np.ndarray, stretch: tuple[int, int], reach: int, others: Sequence[tuple[int, int]]
) -> tuple[int, int]:
    """The half-open stretch of scores, at most ``reach`` from both ends of the one given, that differs most.

    It keeps half of the length at least, so that no single score decides, and leaves ``others`` beside it half of the
    scores between.
    """
    begin, end = stretch
    count = len(logits)
    low = max(((before + begin + 1) // 2 for _, before in others if before <= begin), default=0)
    high = min(((after + end) // 2 for after, _ in others if after >= end), default=count)
    sums = np.concatenate([[0.0], np.cumsum(logits - logits.mean())])
    begins = np.arange(max(low, begin - reach), min(begin + reach, count - 1) + 1)[:, None]
    ends = np.arange(max(1, end - reach), min(end + reach, high) + 1)[None]
    length = ends - begins
    inside = np.clip(length, 1, count - 1)
    size = np.abs(sums[ends] - sums[begins]) * np.sqrt(1 / inside + 1 / (count - inside))
    size[(length < (end - begin + 1) // 2) | (length >= count)] = -1.0
    first, last = np.unravel_index(int(np.argmax(size)), size.shape)
    return int(begins[first, 0]), int(ends[0, last])


def largest_stretch(values: np.ndarray, shortest: int = _SHORTEST) -> tuple[int, int, float]:
    """The half-open stretch of ``values`` (N,) whose mean differs most from the rest, and by how many standard errors.

    Stretch and rest have at least ``shortest`` values. The standard deviation is that of successive differences, mean
    absolute value times half the root of pi, so that of a changing level it is that of the values about the level.
    """
    count = len(values)
    sums = np.concatenate([[0.0], np.cumsum(values - values.mean())])
    begin, end = np.triu_indices(count + 1, shortest)
    kept = end - begin <= count - shortest
    begin, end = begin[kept], end[kept]
    # The sum of the rest is minus that of the stretch, as the mean is taken off.
    size = np.abs(sums[end] - sums[begin]) * np.sqrt(1 / (end - begin) + 1 / (count - end + begin))
    best = int(np.argmax(size))
    spread = max(float(np.abs(np.diff(values)).mean()) * np.sqrt(np.pi) / 2, 1e-6)
    return int(begin[best]), int(end[best]), float(size[best]) / spread


def _alike_for(logits: np.ndarray) -> float:
    """Over how many scores neighbours are alike: (1 + r) / (1 - r), r the correlation of two neighbours.

    Without the two largest stretches, so that a change of level is not taken for slow noise. The mean of two estimates:
    from the squared differences of neighbours and of second neighbours, without the largest of them, and the product of
    neighbours. The first alone errs by a lot in short timelines, and the second alone is too small in slow noise.
    """
    left = logits.astype(float)
    for _ in range(2):
        begin, end, _ = largest_stretch(left, _LEAST_SCORES // 3)
        inside = np.zeros(len(left), bool)
        inside[begin:end] = True
        left = np.where(inside, left - left[inside].mean(), left - left[~inside].mean())
    near, far = (_trimmed((left[gap:] - left[:-gap]) ** 2) for gap in (1, 2))
    by_differences = far / max(near, 1e-12) - 1
    by_products = float((left[1:] * left[:-1]).mean() / max((left**2).mean(), 1e-12))
    correlation = min(max((by_differences + by_products) / 2, 0.0), 0.95)
    return (1 + correlation) / (1 - correlation)


def _trimmed(values: np.ndarray) -> float:
    """The mean without the largest twentieth."""
    return float(np.sort(values)[: -(-19 * len(values) // 20)].mean())


def _binned(seconds: np.ndarray, logits: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """First score and mean logit of each bin: runs of scores of equal length, the last may be longer."""
    coarse = -(-len(logits) // _MOST_BINS)
    thinned = np.add.reduceat(logits, np.arange(0, len(logits), coarse)) / coarse
    step = float(np.median(np.diff(seconds)))
    size = max(_SHORTEST_BIN_SECONDS / step, _ALIKE * _alike_for(thinned[:-1]) * coarse)
    starts = np.arange(0, max(len(logits) - round(size) + 1, 1), max(1, round(size)))
    counts = np.diff(np.append(starts, len(logits)))
    return starts, np.add.reduceat(logits, starts) / counts


def _comparable(scores: Sequence[FrameScore]) -> bool:
    return len(scores) >= _LEAST_SCORES and scores[-1].seconds - scores[0].seconds >= _LEAST_SECONDS


def _words(one: Stretch) -> str:
    return (
        f"face {one.track} from {one.start:.1f} to {one.stop:.1f} s: mean logit {one.inside:+.2f}, elsewhere "
        f"{one.outside:+.2f} (p {one.p:.3f})"
    )


def _details(one: Stretch) -> Details:
    return {
        "face": one.track,
        "from (s)": rounded(one.start, 2),
        "to (s)": rounded(one.stop, 2),
        INSIDE: rounded(one.inside),
        "mean logit elsewhere": rounded(one.outside),
        "p": rounded(one.p, 4),
    }


def _alt(stretches: Sequence[Stretch]) -> str:
    return f"Scores of every face over time, {counted(len(stretches), 'stretch', 'stretches')} shaded"


def _plot(tracks: dict[int, list[FrameScore]], stretches: Sequence[Stretch]) -> bytes:
    with figure(9.2, 1.5 * len(tracks) + 0.5, dpi=100) as plot:
        panels = plot.subplots(len(tracks), 1, sharex=True, squeeze=False)[:, 0]
        for panel, (track, scores) in zip(panels, tracks.items(), strict=True):
            panel.plot([s.seconds for s in scores], [s.logit for s in scores], color=REAL_COLOR, linewidth=1.0)
            for one in (each for each in stretches if each.track == track):
                panel.axvspan(one.start, one.stop, color=FAKE_COLOR, alpha=0.18, linewidth=0)
            panel.set_ylabel(f"face {track}\nlogit", color=INK)
        panels[-1].set_xlabel("seconds", color=INK)
        return png(plot)
