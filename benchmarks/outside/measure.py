"""Areas, paired accuracies and spreads of scores on other people's fakes, with intervals over pairs and people.

The area under the ROC curve of a kind or family compares its fakes with all reals of the folder; the paired accuracy
compares each fake with its own real. Groups of files that share a pair or a person are resampled whole.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import spearmanr

from benchmarks.outside.forms import FORMS, Form
from benchmarks.outside.index import KINDS, OutsideFile, groups, pairs
from benchmarks.outside.scores import UNTRAINED, FileScores
from detect.calibration.quality import HeldOutOdds, quality_of
from detect.metrics.bootstrap import intervals
from detect.metrics.classification import MetricSettings, auc
from detect.metrics.paired import evaluate_pairs, pair_outcomes
from shared.bootstrap import BootstrapSettings, mean_interval, share_interval

ALL = "all kinds"
FAMILIES_IN: Form = "matched"
"""The form in which single families are reported."""

SUPPORTS = (("moderate", 1.0), ("strong", 3.0))
"""Words of ENFSI's scale and the log10 likelihood ratio from which each is used (``detect.calibration.likelihood``)."""


@dataclass(frozen=True)
class Figure:
    """One number of one scoring.

    Attributes:
        detector, form, part: of which scores; the part is all kinds, a kind or a family of fakes.
        what: AUC, paired accuracy and so on.
        unit: of the value.
        value, low, high: with the bounds of its 95 % interval; None where there is none.
        real, fake: number of files that it was measured on.
    """

    detector: str
    form: Form
    part: str
    what: str
    unit: str
    value: float
    low: float | None = None
    high: float | None = None
    real: int = 0
    fake: int = 0


@dataclass(frozen=True, eq=False)
class Files:
    """The listed files as arrays.

    Attributes:
        labels: (N,) bool, True for fake.
        clusters: (N,) int, the group of each.
        pairs: places of each fake and its own real.
        parts: (N,) bool by name of a kind or family: its fakes.
    """

    labels: np.ndarray
    clusters: np.ndarray
    pairs: list[tuple[int, int]]
    parts: Mapping[str, np.ndarray]

    @classmethod
    def of(cls, files: Sequence[OutsideFile]) -> Files:
        """The arrays of an index."""
        labels = np.array([file.label == "fake" for file in files])
        kinds = np.array([file.kind for file in files])
        families = np.array([file.family for file in files])
        parts = {ALL: labels} | {kind: kinds == kind for kind in KINDS[1:] if (kinds == kind).any()}
        for family in sorted(set(families[labels].tolist())):
            parts[f"family {family}"] = labels & (families == family)
        return cls(labels, groups(files), pairs(files), parts)


def figures(files: Files, scores: FileScores, detail: np.ndarray, bootstrap: BootstrapSettings) -> list[Figure]:
    """All figures of one scoring.

    Args:
        files: what the scored files are.
        scores: of one detector.
        detail: (N,) log detail inside each face.
        bootstrap: replicates, confidence and seed.
    """
    return [
        figure
        for form in FORMS
        for figure in (
            *_separations(files, scores, form, bootstrap),
            *_spreads(files, scores, form, detail, bootstrap),
            *_decisions(files, scores, form, bootstrap),
        )
    ]


def _separations(files: Files, scores: FileScores, form: Form, bootstrap: BootstrapSettings) -> Iterator[Figure]:
    logits = scores.logits[form]
    known = np.isfinite(logits)
    for part, fakes in files.parts.items():
        if part.startswith("family ") and form != FAMILIES_IN:
            continue
        chosen = known & (fakes | ~files.labels)
        labels, values, clusters = files.labels[chosen], logits[chosen], files.clusters[chosen]
        area = auc(labels, values)
        if area is not None:
            low, high = intervals(labels, values, clusters, MetricSettings(), bootstrap).get("auc", (None, None))
            real, fake = int((~labels).sum()), int(labels.sum())
            yield Figure(scores.name, form, part, "AUC", "AUC", area, low, high, real, fake)
        own = [(fake, real) for fake, real in files.pairs if fakes[fake]]
        paired = evaluate_pairs(logits, own, files.clusters, bootstrap=bootstrap)
        if paired is not None:
            yield Figure(
                scores.name, form, part, "paired accuracy", "share", paired.value, paired.low, paired.high,
                paired.num_real, paired.num_fake,
            )  # fmt: skip


def _spreads(
    files: Files, scores: FileScores, form: Form, detail: np.ndarray, bootstrap: BootstrapSettings
) -> Iterator[Figure]:
    """How far reals differ from one another, against how far a fake lies above its own real."""
    logits = scores.logits[form]
    unit = "log detail" if scores.name in UNTRAINED else "logit"
    reals = ~files.labels & np.isfinite(logits)
    count = int(reals.sum())
    if count >= 2:
        deviation = float(np.std(logits[reals], ddof=1))
        yield Figure(scores.name, form, ALL, "standard deviation of reals", unit, deviation, real=count)
    if count >= 3 and np.ptp(logits[reals]) > 0 and np.ptp(detail[reals]) > 0:
        rank = float(np.asarray(spearmanr(logits[reals], detail[reals]))[0])
        yield Figure(scores.name, form, ALL, "Spearman of reals with detail", "rho", rank, real=count)
    for part, fakes in files.parts.items():
        own = [pair for pair in files.pairs if fakes[pair[0]] and np.isfinite(logits[list(pair)]).all()]
        if part.startswith("family ") or not own:
            continue
        shifts = np.array([logits[fake] - logits[real] for fake, real in own])
        owners = files.clusters[[fake for fake, _ in own]]
        low, high = mean_interval(shifts, np.ones(shifts.size), owners, bootstrap) or (None, None)
        reached = len({real for _, real in own})
        yield Figure(scores.name, form, part, "fake above own real", unit, float(shifts.mean()), low, high, reached,
                     pair_outcomes(logits, own)[0].size)  # fmt: skip


def _costs(
    name: str, files: Files, detector: str, form: Form, llrs: np.ndarray, bootstrap: BootstrapSettings
) -> Iterator[Figure]:
    """The cost of log10 likelihood ratios, for all kinds of fake and each; ``name`` says of which."""
    for part, fakes in files.parts.items():
        chosen = np.isfinite(llrs) & (fakes | ~files.labels)
        if part.startswith("family ") or len(set(files.labels[chosen].tolist())) < 2:
            continue
        labels, values, clusters = files.labels[chosen], llrs[chosen], files.clusters[chosen]
        odds = HeldOutOdds(labels, 1 / (1 + 10**-values), values, clusters, clusters, 0.5)
        cllr = next(one for one in quality_of(odds, bootstrap) if one.metric == "cllr")
        yield Figure(detector, form, part, name, "bits", cllr.value, cllr.low, cllr.high, cllr.num_real, cllr.num_fake)


def _decisions(files: Files, scores: FileScores, form: Form, bootstrap: BootstrapSettings) -> Iterator[Figure]:
    """Reals called fake, fakes called fake, and, with a calibration, Cllr and reals with strong support for fake."""
    logits = scores.logits[form]
    if scores.threshold is not None:
        for name, wanted in (("reals called fake", ~files.labels), ("fakes called fake", files.labels)):
            chosen = wanted & np.isfinite(logits)
            if chosen.any():
                called = logits[chosen] >= scores.threshold
                low, high = share_interval(called, files.clusters[chosen], bootstrap) or (None, None)
                counts = {"real" if wanted is not files.labels else "fake": int(chosen.sum())}
                yield Figure(scores.name, form, ALL, name, "share", float(called.mean()), low, high, **counts)
    if form not in scores.llrs:
        return
    llrs = scores.llrs[form]
    for name, values in (("Cllr", llrs), ("Cllr among what was learned", scores.learned_llrs[form])):
        yield from _costs(name, files, scores.name, form, values, bootstrap)
    reals = ~files.labels & np.isfinite(llrs)
    if reals.any():
        for word, limit in SUPPORTS:
            share, count = float((llrs[reals] >= limit).mean()), int(reals.sum())
            yield Figure(scores.name, form, ALL, f"reals with {word} support for fake", "share", share, real=count)
