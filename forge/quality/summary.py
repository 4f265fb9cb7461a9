"""Summary of the quality of many fakes: mean of each metric with level, counts and interval over clusters of clips."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from forge.quality.frechet import MOST_VECTORS, frechet_distance, frechet_interval
from forge.quality.result import (
    CLIP_MEASURES,
    FRAMES_FOUND,
    SHARE_MEASURES,
    SPREAD_MEASURES,
    Measure,
    SwapQuality,
)
from shared.bootstrap import BootstrapSettings, mean_interval
from shared.results.scores import Evaluation
from shared.sampling import evenly_spaced

if TYPE_CHECKING:
    from forge.quality.features import FeatureBank

FRECHET = "frechet_{}"
FRECHET_NOTE = (
    "The Fréchet distance is of {n} fake faces to the same {n} frames of their targets, on features of {net}. With few "
    "faces it comes out too large: compare only values of equal n and of the same features."
)


def summarise(
    results: Sequence[SwapQuality], clusters: Sequence[int], settings: BootstrapSettings | None = None
) -> list[Evaluation]:
    """The mean of each metric over all results; metrics without a value are left out.

    Frames have equal weight, so a long clip counts more than a short one; clip values have equal weight. The interval
    is of a bootstrap over ``clusters``, the cluster of each result; there is none with fewer than two. ``num_fake`` is
    the number of values, frames or clips by level, and ``num_real`` the same number of the targets.
    """
    settings = settings or BootstrapSettings()
    found = [_evaluation(measure, _sums(measure, results), clusters, settings) for measure in _MEASURES]
    return [one for one in found if one is not None]


def summarise_features(
    bank: FeatureBank, clusters: Mapping[str, int], net: str, settings: BootstrapSettings | None = None
) -> tuple[Evaluation, str] | None:
    """The Fréchet distance of the faces in ``bank``, of clips by name with their clusters, and a note on it.

    None with fewer than two faces.
    """
    settings = settings or BootstrapSettings()
    fakes, targets, numbers = bank.pairs(clusters)
    kept = evenly_spaced(len(fakes), MOST_VECTORS)
    fakes, targets, numbers = fakes[kept], targets[kept], numbers[kept]
    if len(fakes) < 2:
        return None
    low, high = frechet_interval(fakes, targets, numbers, settings) or (None, None)
    evaluation = Evaluation(
        metric=FRECHET.format(net),
        value=frechet_distance(fakes, targets),
        level="frame",
        num_real=len(targets),
        num_fake=len(fakes),
        low=low,
        high=high,
        clusters=int(np.unique(numbers).size),
        confidence=settings.confidence,
    )
    return evaluation, FRECHET_NOTE.format(n=len(fakes), net=net)


_MEASURES: tuple[Measure, ...] = (*SHARE_MEASURES, *SPREAD_MEASURES, *CLIP_MEASURES, FRAMES_FOUND)


def _sums(measure: Measure, results: Sequence[SwapQuality]) -> list[tuple[float, int]]:
    """For each result the sum and the number of its values; (0, 0) without any."""
    return [_sum(measure, result) for result in results]


def _sum(measure: Measure, result: SwapQuality) -> tuple[float, int]:
    if measure is FRAMES_FOUND:
        return float(result.frames_found), result.frames_with_face
    value = getattr(result, measure.name)
    if value is None:
        return 0.0, 0
    if measure in SPREAD_MEASURES:
        return value.mean * value.n, value.n
    if measure in CLIP_MEASURES:
        return float(value), 1
    frames = result.identity_to_source.n if result.identity_to_source else 0
    return value * frames, frames


def _evaluation(
    measure: Measure, sums: Sequence[tuple[float, int]], clusters: Sequence[int], settings: BootstrapSettings
) -> Evaluation | None:
    pairs = zip(sums, clusters, strict=True)
    rows = [(total, count, number) for (total, count), number in pairs if count > 0]
    if not rows:
        return None
    totals, counts, numbers = (np.array(column) for column in zip(*rows, strict=True))
    low, high = mean_interval(totals, counts, numbers, settings) or (None, None)
    return Evaluation(
        metric=measure.name,
        value=float(totals.sum() / counts.sum()),
        level=measure.level,
        num_real=int(counts.sum()),
        num_fake=int(counts.sum()),
        low=low,
        high=high,
        clusters=int(np.unique(numbers).size),
        confidence=settings.confidence,
    )
