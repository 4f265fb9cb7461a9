"""Comparison of two detectors on the same clips: DeLong's test, and a bootstrap over people.

DeLong's variance treats clips as independent. Clips of one person are not, so rely on the interval of the cluster
bootstrap; DeLong's is given because papers report it, and to show the effect of the clusters.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
import numpy as np
from scipy.stats import norm, rankdata

from detect.metrics.bootstrap import LOSSES, fewest_clusters, weighted_metrics
from detect.metrics.classification import MetricSettings, all_metrics, check_samples, has_both_classes
from detect.metrics.paired import PAIRED, own_reals, pair_outcomes, weighted_pairs
from shared.bootstrap import BootstrapSettings, sample_clusters, widened
from shared.errors import ManifestError, UsageError
from shared.storage import decode_json, read_bytes, write_text
from shared.types import Kind, Label

COMPARED = ("auc", PAIRED, "ap", "eer", "tpr@fpr1%", "tpr@fpr5%", "log_loss", "brier")
SCORES_NAME = "scores.jsonl"

_MAX_BYTES = 1 << 30


@dataclass(frozen=True)
class DeLong:
    """The test of DeLong, DeLong and Clarke-Pearson (1988) for two correlated areas under ROC curves.

    ``difference`` is first minus second, ``z`` that over its standard error, ``p`` two-sided. With a variance of zero
    ``z`` is None, and ``p`` is 1 for equal areas and 0 otherwise; where both separate the classes, ``low`` and ``high``
    are as far apart as so few clips demand (:func:`shared.bootstrap.widened`).
    """

    auc_first: float
    auc_second: float
    difference: float
    variance: float
    z: float | None
    p: float
    low: float
    high: float


@dataclass(frozen=True)
class Difference:
    """One metric of both detectors, first minus second, with the interval of a bootstrap over clusters.

    ``low``, ``high`` and ``p`` are None where a class has fewer than two clusters. ``p`` is two-sided: twice the share
    of replicates on the other side of zero, at least 1 / (number of replicates). Where both detectors are perfect, or
    both always wrong, ``low`` and ``high`` are as far apart as so few people demand
    (:func:`shared.bootstrap.widened`).
    """

    metric: str
    first: float
    second: float
    difference: float
    low: float | None = None
    high: float | None = None
    p: float | None = None


@dataclass(frozen=True)
class Comparison:
    """Comparison of two detectors on the clips scored by both.

    Attributes:
        first, second: their names.
        num_real, num_fake: clips compared.
        left_out: number of clips that one or both could not score.
        clusters: of people.
        delong: DeLong's test; None when a class is missing.
        differences: by metric.
        notes: remarks for readers.
    """

    first: str
    second: str
    num_real: int
    num_fake: int
    left_out: int
    clusters: int
    delong: DeLong | None
    differences: tuple[Difference, ...]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class ClipLogit:
    """One clip in an evaluation.

    Attributes:
        clip, label: its id, and what it is.
        logit: its score; None without a usable face.
        cluster: the people it shares with others.
        parent: id of the real clip that a fake was made from, if that is known.
        kind, target, source, rendition, codec, architecture, factors: of its record, by which clips are chosen; left
            out in evaluations of older versions.
    """

    clip: str
    label: Label
    logit: float | None
    cluster: int | None = None
    parent: str | None = None
    kind: Kind | None = None
    target: str = ""
    source: str | None = None
    rendition: str = "original"
    codec: str = ""
    architecture: str | None = None
    factors: dict[str, str] = field(default_factory=dict)


def placements(labels: np.ndarray, logits: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The rank of each sample among the other class, as a share: (fakes,), (reals,), ties counted half.

    A fake's is the share of reals below it, a real's the share of fakes above it; the mean of either is the AUC. From
    mid-ranks in O(n log n) (Sun and Xu, IEEE Signal Processing Letters, 2014).
    """
    fakes, reals = logits[labels], logits[~labels]
    together = rankdata(np.concatenate([fakes, reals]))
    above = (together[: fakes.size] - rankdata(fakes)) / reals.size
    below = 1.0 - (together[fakes.size :] - rankdata(reals)) / fakes.size
    return above, below


def delong(labels: np.ndarray, first: np.ndarray, second: np.ndarray, *, confidence: float = 0.95) -> DeLong | None:
    """DeLong's test of two scorings of the same samples; None for one class.

    Args:
        labels: (N,) True for fake.
        first: (N,) logits of one detector.
        second: (N,) logits of the other.
        confidence: coverage of the interval of the difference.

    Raises:
        ValueError: shapes differ, a logit is not finite, or a class has a single sample, which has no variance.
    """
    labels, first = check_samples(labels, first)
    _, second = check_samples(labels, second)
    if not has_both_classes(labels):
        return None
    if min(labels.sum(), (~labels).sum()) < 2:
        raise ValueError("DeLong's test needs two samples of each class")
    above, below = zip(placements(labels, first), placements(labels, second), strict=True)
    areas = [float(part.mean()) for part in above]
    covariance = np.cov(np.stack(above)) / above[0].size + np.cov(np.stack(below)) / below[0].size
    variance = max(0.0, float(covariance[0, 0] + covariance[1, 1] - 2 * covariance[0, 1]))
    difference = areas[0] - areas[1]
    error = float(np.sqrt(variance))
    reach = float(norm.ppf(0.5 + confidence / 2)) * error
    if error < 1e-12:
        if areas[0] == areas[1] in (0.0, 1.0):
            _, reach = widened(0.0, 0.0, min(above[0].size, below[0].size), BootstrapSettings(confidence=confidence))
        z, p = None, float(abs(difference) < 1e-12)
    else:
        z = difference / error
        p = float(2 * norm.sf(abs(z)))
    return DeLong(areas[0], areas[1], difference, variance, z, p, difference - reach, difference + reach)


def compare_scores(
    labels: np.ndarray,
    first: np.ndarray,
    second: np.ndarray,
    clusters: np.ndarray,
    *,
    pairs: Sequence[tuple[int, int]] = (),
    bootstrap: BootstrapSettings | None = None,
) -> tuple[Difference, ...]:
    """Differences of all metrics that need no threshold, each with the interval of a paired bootstrap over clusters.

    Both detectors are weighted by the same replicates, so common variation cancels out. ``pairs`` are places of a fake
    and its own real, for the paired accuracy.

    Raises:
        ValueError: shapes differ, or a logit is not finite.
    """
    bootstrap, settings = bootstrap or BootstrapSettings(), MetricSettings()
    labels, first = check_samples(labels, first)
    _, second = check_samples(labels, second)
    one, other = all_metrics(labels, first, settings), all_metrics(labels, second, settings)
    names, places = np.unique(np.asarray(clusters), return_inverse=True)
    differences: dict[str, np.ndarray] = {}
    fakes, outcomes = pair_outcomes(first, pairs)
    _, others = pair_outcomes(second, pairs)
    if fakes.size:
        one[PAIRED], other[PAIRED] = float(outcomes.mean()), float(others.mean())
    people = fewest_clusters(labels, places)
    if people >= 2:
        weights = sample_clusters(names.size, bootstrap.replicates, np.random.default_rng(bootstrap.seed))
        left = weighted_metrics(labels, first, places, weights, settings)
        right = weighted_metrics(labels, second, places, weights, settings)
        differences = {name: left[name] - right[name] for name in COMPARED if name != PAIRED}
        if np.unique(places[fakes]).size >= 2:
            differences[PAIRED] = weighted_pairs(outcomes - others, places[fakes], weights)
    return tuple(
        _difference(name, a, b, differences.get(name), people, bootstrap)
        for name in COMPARED
        if (a := one.get(name)) is not None and (b := other.get(name)) is not None
    )


def compare_clips(
    first: Sequence[ClipLogit],
    second: Sequence[ClipLogit],
    *,
    names: tuple[str, str] = ("first", "second"),
    clusters: Mapping[str, int] | None = None,
    bootstrap: BootstrapSettings | None = None,
) -> Comparison:
    """Compares two evaluations on the clips that both hold and both have scored.

    Args:
        first: one detector's clips, keyed by id.
        second: the other's.
        names: of the detectors.
        clusters: cluster of each clip by id; default those of ``first``; a clip without one is its own cluster.
        bootstrap: replicates, confidence and seed.

    Raises:
        ManifestError: no clip in common, or a clip that one calls real and the other fake.
    """
    others = {clip.clip: clip for clip in second}
    shared_clips = [(clip, others[clip.clip]) for clip in first if clip.clip in others]
    if not shared_clips:
        raise ManifestError("the two evaluations have no clip in common", hint="evaluate both on one set and split")
    for one, other in shared_clips:
        if one.label != other.label:
            raise ManifestError(f"{one.clip} is {one.label} in one evaluation and {other.label} in the other",
                                hint="evaluate both on the same version of the set")  # fmt: skip
    scored = [(a, b) for a, b in shared_clips if a.logit is not None and b.logit is not None]
    union = len({clip.clip for clip in first} | set(others))
    labels = np.array([a.label == "fake" for a, _ in scored], bool)
    left = np.array([a.logit for a, _ in scored], np.float64)
    right = np.array([b.logit for _, b in scored], np.float64)
    owners, notes = _owners([a for a, _ in scored], clusters)
    enough = labels.size and min(labels.sum(), (~labels).sum()) >= 2
    if not enough:
        notes.append("A class has fewer than two clips that both detectors scored, so there is no DeLong test.")
    by_id = {a.clip: place for place, (a, _) in enumerate(scored) if a.label == "real"}
    pairs = own_reals([[a.parent or b.parent or ""] if a.label == "fake" else [] for a, b in scored], by_id)
    return Comparison(
        first=names[0],
        second=names[1],
        num_real=int((~labels).sum()),
        num_fake=int(labels.sum()),
        left_out=union - len(scored),
        clusters=int(np.unique(owners).size),
        delong=delong(labels, left, right) if enough else None,
        differences=compare_scores(labels, left, right, owners, pairs=pairs, bootstrap=bootstrap)
        if labels.size
        else (),
        notes=tuple(notes),
    )


def read_scores(folder: Path) -> list[ClipLogit]:
    """The clip scores of an evaluation folder.

    Raises:
        UsageError: there are none, or they are damaged.
    """
    path = folder / SCORES_NAME
    hint = "name a folder that assay detect evaluate wrote"
    lines = read_bytes(path, _MAX_BYTES, error=UsageError, hint=hint).splitlines()
    clips = [decode_json(line, ClipLogit, path, error=UsageError, hint=hint) for line in lines if line.strip()]
    if any(clip.logit is not None and not np.isfinite(clip.logit) for clip in clips):
        raise UsageError(f"{path} holds a score that is not finite", hint="evaluate again")
    return clips


def write_comparison(path: Path, comparison: Comparison) -> None:
    """Writes the comparison as JSON.

    Raises:
        StorageError: writing failed.
    """
    write_text(path, json.dumps(msgspec.to_builtins(comparison), indent=2, ensure_ascii=False) + "\n")


def _difference(
    name: str, first: float, second: float, differences: np.ndarray | None, people: int, bootstrap: BootstrapSettings
) -> Difference:
    if differences is None:
        return Difference(name, first, second, first - second)
    differences = differences[np.isfinite(differences)]
    low, high = np.percentile(differences, bootstrap.tails)
    if low == high and name not in LOSSES and first == second in (0.0, 1.0):
        _, reach = widened(0.0, 0.0, people, bootstrap)
        low, high = low - reach, high + reach
    beyond = 2 * min(float(np.mean(differences <= 0)), float(np.mean(differences >= 0)))
    p = min(1.0, max(beyond, 1 / bootstrap.replicates))
    return Difference(name, first, second, first - second, float(low), float(high), p)


def _owners(clips: Sequence[ClipLogit], given: Mapping[str, int] | None) -> tuple[np.ndarray, list[str]]:
    """(N,) cluster of each clip, and a note if clusters are unknown."""
    numbers = [(given or {}).get(clip.clip, clip.cluster) for clip in clips]
    if all(number is not None for number in numbers):
        return np.array(numbers, np.int64), []
    note = "The evaluations do not say which clips share people, so clips were drawn one by one: intervals too narrow."
    return np.arange(len(clips)), [note]
