"""Probes: small classifiers of real and fake clips by one kind of feature.

A probe averages the probabilities of a regularised logistic regression, for additive effects, and a forest of
extremely randomised trees (Geurts et al., Machine Learning 2006), for single values and combinations. It is trained on
one part of the set and tested on the other; a clip's score is the mean over its pictures.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from sklearn.ensemble import ExtraTreesClassifier
from sklearn.feature_extraction import DictVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedGroupKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from shared.dataset.audit.areas import weighted_areas
from shared.dataset.audit.config import AuditConfig
from shared.dataset.audit.samples import ClipSample
from shared.dataset.splits import clip_clusters
from shared.types import ClipRecord

_TOLD = 3
_TELLING = 0.6
_SHOWN_CHARACTERS = 60


@dataclass(frozen=True)
class Probe:
    """A kind of feature that may reveal the label.

    Attributes:
        name: key in the report: a region of the picture, or a kind of file feature.
        title: for readers.
        pixels: whether it uses pictures or file features.
        of: the kind of files that can have it: clips, stills or both.
        advice: how to remove the shortcut.
    """

    name: str
    title: str
    pixels: bool
    advice: str
    of: Literal["both", "clips", "stills"] = "both"


FACE = Probe("face", "Face only", True, "")
PROBES: tuple[Probe, ...] = (
    Probe(
        "container",
        "Container and codec",
        False,
        "write real clips and fakes with one encoder, one container and the same settings: build with the controls on, "
        "or add real clips with assay dataset add and the fakes' --codec and --crf",
    ),
    Probe(
        "rate",
        "Packet sizes",
        False,
        "at constant quality a smoother picture takes fewer bits, so blurred swaps give smaller packets: encode both "
        "classes at one bit rate, sharpen or degrade what is too smooth, and see assay forge quality",
        "clips",
    ),
    Probe(
        "size",
        "File size and length",
        False,
        "cut real clips and fakes to the same frame ranges and sizes, and make every rendition of both; where only the "
        "bytes differ, see packet sizes",
        "clips",
    ),
    Probe(
        "audio",
        "Sound",
        False,
        "copy the target's sound into its fakes, or leave sound out of both classes",
        "clips",
    ),
    Probe(
        "tables",
        "Quantisation tables",
        False,
        "write real and generated pictures as JPEG by one program at one range of qualities, as [[generation]] does",
        "stills",
    ),
    Probe(
        "dimensions",
        "Picture size",
        False,
        "bring both classes to the same width and height before they are written",
        "stills",
    ),
    Probe(
        "chroma",
        "Chroma subsampling",
        False,
        "sample chroma alike in both classes (4:2:0 is usual), and keep JPEG of one class from PNG of the other",
        "stills",
    ),
    Probe(
        "amount",
        "Bytes per pixel",
        False,
        "at one quality a softer picture takes fewer bytes: vary quality alike in both classes and take soft real "
        "pictures too (quality_spread and softened of [[generation]])",
        "stills",
    ),
    Probe(
        "metadata",
        "Metadata",
        False,
        "remove EXIF, profiles and comments from both classes: cameras write them and generators do not",
        "stills",
    ),
    Probe(
        "mark",
        "Imperceptible mark",
        False,
        "write the mark into both classes or into neither: mark in [set] of the build is none or both",
    ),
    Probe(
        "background",
        "Background",
        True,
        "use the same footage for both classes (each fake beside the real clip it was made from), encoded alike",
    ),
    Probe(
        "border",
        "Frame border",
        True,
        "look for padding, scaling or cropping that one class went through and the other did not; wholly generated "
        "pictures need real ones like those that their generator learned from",
    ),
    Probe(
        "colour",
        "Colours",
        True,
        "check colour matrix, range and colour transfer; let real clips pass through the same conversion; wholly "
        "generated pictures need real ones like those that their generator learned from",
    ),
)


@dataclass(frozen=True, eq=False)
class Partition:
    """Division of the clips into training and test.

    Attributes:
        mode: "split" (train split against test split) or "cross" (cross-validation by groups).
        grouped_by: "component" or "target".
        groups: (N,) the group of each clip, kept together in folds and resampled together for intervals.
        folds: pairs of (N,) bool, training and test.
    """

    mode: str
    grouped_by: str
    groups: np.ndarray
    folds: tuple[tuple[np.ndarray, np.ndarray], ...]

    @property
    def tested(self) -> np.ndarray:
        """(N,) bool: clips that are tested in some fold."""
        return np.any([test for _, test in self.folds], axis=0) if self.folds else np.zeros(len(self.groups), bool)

    def describe(self) -> str:
        """One sentence for the report."""
        people = {"component": "people linked by clips", "target": "filmed people"}[self.grouped_by]
        if self.mode == "split":
            return f"trained on the train split, tested on the test split; intervals over groups of {people}"
        return f"cross-validated in {len(self.folds)} folds that keep {people} together; intervals over those groups"


def make_plan(records: Sequence[ClipRecord], config: AuditConfig) -> Partition:
    """Train and test split if the test split has enough groups of people, else cross-validation."""
    labels = labels_of(records)
    groups, grouped_by = _groups(records, config)
    train, test = (np.array([record.split == name for record in records]) for name in ("train", "test"))
    fit = all(_both(labels[part]) for part in (train, test))
    if fit and np.unique(groups[test]).size >= config.min_groups:
        return Partition("split", grouped_by, groups, ((train, test),))
    # Not more folds than clips of a class: each fold must test both.
    count = min(config.folds, np.unique(groups).size, int(labels.sum()), int((~labels).sum()))
    if count < 2 or not _both(labels):
        return Partition("cross", grouped_by, groups, ())
    cut = StratifiedGroupKFold(count, shuffle=True, random_state=config.seed)
    folds = []
    for kept, left in cut.split(np.zeros(len(labels)), labels, groups):
        trained, tested = np.zeros(len(labels), bool), np.zeros(len(labels), bool)
        trained[kept], tested[left] = True, True
        if _both(labels[trained]) and tested.any():
            folds.append((trained, tested))
    return Partition("cross", grouped_by, groups, tuple(folds))


def labels_of(records: Sequence[ClipRecord]) -> np.ndarray:
    """(N,) True for a fake."""
    return np.array([record.label == "fake" for record in records], dtype=bool)


def score_clips(
    probe: Probe, records: Sequence[ClipRecord], samples: Sequence[ClipSample], plan: Partition, config: AuditConfig
) -> tuple[np.ndarray, np.ndarray]:
    """(N,) scores, NaN for a clip that was not tested or lacks the feature; (N,) its stratum, -1 for none.

    Scores of one stratum are compared: those of one fold, and of clips or of stills.
    """
    labels = labels_of(records)
    scores = np.full(len(records), np.nan)
    strata = np.full(len(records), -1)
    medium = _media(samples)
    for number, (train, test) in enumerate(plan.folds):
        rows, owners, weights = _rows(probe, samples, train)
        trained, tested = train[owners], test[owners]
        if not _both(labels[owners[trained]]) or not tested.any():
            continue
        guesses = _fit_predict(rows[trained], labels[owners[trained]], weights[trained], rows[tested], config)
        sums = np.bincount(owners[tested], guesses, minlength=len(records))
        counts = np.bincount(owners[tested], minlength=len(records))
        seen = counts > 0
        scores[seen], strata[seen] = sums[seen] / counts[seen], 2 * number + medium[seen]
    return scores, strata


def telling_facts(probe: Probe, records: Sequence[ClipRecord], samples: Sequence[ClipSample]) -> list[str]:
    """At most three features that separate the classes best on their own, with their areas; none for pictures."""
    if probe.pixels:
        return []
    owners = _with_facts(probe, samples)
    vectorizer = DictVectorizer(sparse=False)
    table = np.asarray(vectorizer.fit_transform([_facts(probe.name, samples[owner]) for owner in owners]))
    labels, ones, medium = labels_of(records)[owners], np.ones((1, len(owners))), _media(samples)[owners]
    found: list[tuple[float, str]] = []
    for column, name in enumerate(vectorizer.get_feature_names_out()):
        area = float(weighted_areas(labels, table[:, column], medium, ones)[0])
        if np.isfinite(area):
            found.append((max(area, 1 - area), str(name)))
    found.sort(key=lambda pair: (-pair[0], pair[1]))
    return [f"{_short(name)} ({area:.2f})" for area, name in found[:_TOLD] if area >= _TELLING]


def _short(name: str) -> str:
    return name if len(name) <= _SHOWN_CHARACTERS else f"{name[:_SHOWN_CHARACTERS]}..."


def has_something(probe: Probe, samples: Sequence[ClipSample]) -> bool:
    """Whether any clip has the probe's feature."""
    if probe.pixels:
        return any(len(sample.rows[probe.name]) for sample in samples)
    return any(getattr(sample.facts, probe.name) for sample in samples)


def _groups(records: Sequence[ClipRecord], config: AuditConfig) -> tuple[np.ndarray, str]:
    linked = clip_clusters(records, "group")
    components = np.array([linked[record.id] for record in records])
    enough = np.unique(components).size >= config.min_groups
    if config.group_by == "component" or (config.group_by == "auto" and enough):
        return components, "component"
    filmed = clip_clusters(records, "target")
    return np.array([filmed[record.id] for record in records]), "target"


def _rows(probe: Probe, samples: Sequence[ClipSample], train: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(R, D) float64 rows, (R,) the clip of each, (R,) weights that are equal in sum for each clip."""
    if probe.pixels:
        parts = [sample.rows[probe.name] for sample in samples]
        counts = np.array([len(part) for part in parts])
        owners = np.repeat(np.arange(len(parts)), counts)
        return np.concatenate(parts).astype(np.float64), owners, 1.0 / counts[owners]
    owners = _with_facts(probe, samples)
    facts = [_facts(probe.name, samples[owner]) for owner in owners]
    vectorizer = DictVectorizer(sparse=False)
    # Values that occur only in test clips are unknown to the model.
    known = [fact for fact, owner in zip(facts, owners, strict=True) if train[owner]]
    if not known:
        return np.zeros((0, 0)), np.zeros(0, np.int64), np.zeros(0)
    vectorizer.fit(known)
    return np.asarray(vectorizer.transform(facts)), owners, np.ones(len(owners))


def probes_for(samples: Sequence[ClipSample]) -> tuple[Probe, ...]:
    """The probes that suit the kinds of files that there are, the face's last."""
    there = {"stills" if sample.facts.is_still else "clips" for sample in samples} | {"both"}
    return (*(probe for probe in PROBES if probe.of in there), FACE)


def _media(samples: Sequence[ClipSample]) -> np.ndarray:
    """(N,) 1 for a still, 0 for a clip."""
    return np.array([sample.facts.is_still for sample in samples], np.int64)


def _with_facts(probe: Probe, samples: Sequence[ClipSample]) -> np.ndarray:
    """Places of the samples whose kind of file can have the probe's features, and has them, or is silent."""

    def counts(sample: ClipSample) -> bool:
        return suits(probe, sample) and (probe.name == "audio" or bool(getattr(sample.facts, probe.name)))

    return np.array([place for place, sample in enumerate(samples) if counts(sample)], np.int64)


def suits(probe: Probe, sample: ClipSample) -> bool:
    """Whether a file of that kind, clip or still, can have the probe's features."""
    return probe.of in ("both", "stills" if sample.facts.is_still else "clips")


def _facts(name: str, sample: ClipSample) -> Mapping[str, float | str]:
    facts = getattr(sample.facts, name)
    return {**facts, "there": float(bool(facts))} if name == "audio" else facts


def _fit_predict(
    train: np.ndarray, labels: np.ndarray, weights: np.ndarray, test: np.ndarray, config: AuditConfig
) -> np.ndarray:
    """(M,) probabilities of being fake, with equal weight of both classes."""
    balanced = weights.copy()
    for label in (True, False):
        balanced[labels == label] *= 0.5 * len(labels) / weights[labels == label].sum()
    linear = make_pipeline(StandardScaler(), LogisticRegression(C=0.05, max_iter=300))
    linear.fit(train, labels, logisticregression__sample_weight=balanced)
    leaf = max(2, len(labels) // 100)
    trees = ExtraTreesClassifier(
        config.trees, min_samples_leaf=leaf, random_state=config.seed, n_jobs=config.workers or -1
    )
    trees.fit(train, labels, sample_weight=balanced)
    # Rounded, so that ties are independent of the order of summation.
    guesses = [np.asarray(model.predict_proba(test))[:, 1] for model in (linear, trees)]
    return np.round(0.5 * (guesses[0] + guesses[1]), 9)


def _both(labels: np.ndarray) -> bool:
    return bool(labels.any()) and not bool(labels.all())
