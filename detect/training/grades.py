"""Scores of grades, and of the set's own fakes as the first of them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from detect.data.crops import ClipFaces
from detect.data.grades import GradeSet
from detect.data.pairs import partners_of
from detect.metrics.bootstrap import fewest_clusters, intervals
from detect.metrics.classification import MetricSettings, auc
from detect.metrics.paired import outranked
from detect.models.predictor import CropPredictor
from detect.scoring.samples import ScoredClip, clip_samples
from detect.training.choice import OWN, GradeScore, ValScore
from shared.bootstrap import BootstrapSettings
from shared.dataset.splits import clustering

_BOOTSTRAP = BootstrapSettings(replicates=400)


def grade_score(
    name: str, real: np.ndarray, fake: np.ndarray, people: np.ndarray, *, bootstrap: BootstrapSettings = _BOOTSTRAP
) -> GradeScore:
    """The score of fakes that each have a real face of their own.

    Args:
        name: of the grade.
        real: (N,) logits of the real faces.
        fake: (N,) logits of the fakes made from them.
        people: (N,) number of the person.
        bootstrap: of the interval over people.
    """
    real, fake = np.asarray(real, np.float64), np.asarray(fake, np.float64)
    labels, logits = np.repeat([False, True], len(real)), np.concatenate([real, fake])
    clusters = np.concatenate([people, people])
    found = auc(labels, logits)
    assert found is not None  # both classes have as many
    low, high = auc_interval(labels, logits, clusters, bootstrap) or (None, None)
    return GradeScore(
        name,
        found,
        low,
        high,
        paired=float(outranked(fake, real).mean()),
        shift=float(np.mean(fake - real)),
        fakes=len(fake),
        people=int(np.unique(people).size),
    )


def auc_interval(
    labels: np.ndarray, logits: np.ndarray, clusters: np.ndarray, bootstrap: BootstrapSettings = _BOOTSTRAP
) -> tuple[float, float] | None:
    """The interval of the AUC over ``clusters``; None with fewer than two in a class."""
    _, places = np.unique(clusters, return_inverse=True)
    if fewest_clusters(labels, places) < 2:
        return None
    return intervals(labels, logits, clusters, MetricSettings(), bootstrap).get("auc")


def score_grades(sets: Sequence[GradeSet], predictor: CropPredictor, *, batch: int = 32) -> tuple[GradeScore, ...]:
    """The score of every grade, in order of kind and strength."""
    found: list[GradeScore] = []
    for own in sets:
        real = predictor.logits(own.reals, batch=batch)
        for strength, fakes in own.fakes.items():
            fake = predictor.logits(fakes, batch=batch)
            found.append(grade_score(f"{own.kind} {strength:g}", real, fake, own.people))
    return tuple(found)


def own_score(clips: Sequence[ClipFaces], scored: Sequence[ScoredClip]) -> GradeScore | None:
    """The set's own fakes as a grade; None if a class has no scored clip.

    The AUC is of clips; pairs are faces of fakes and of the real frames that they were made from.
    """
    samples = clip_samples(scored)
    found = auc(samples.labels, samples.logits)
    if found is None:
        return None
    records = [scored[place].record for place in samples.clips]
    low, high = auc_interval(samples.labels, samples.logits, clustering(records).of(records)) or (None, None)
    real, fake, _ = own_pairs(clips, scored)
    return GradeScore(
        OWN,
        found,
        low,
        high,
        paired=float(outranked(fake, real).mean()) if len(real) else None,
        shift=float(np.mean(fake - real)) if len(real) else None,
        fakes=int(samples.labels.sum()),
        people=len({record.target_identity for record in records}),
    )


def own_pairs(clips: Sequence[ClipFaces], scored: Sequence[ScoredClip]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Logits of faces of fakes beside those of the real frames that they were made from.

    Returns:
        (M,) logits of the real faces, (M,) of the fakes, (M,) the clip of each fake.
    """
    logits = [np.array([face.logit for face in clip.frames], np.float64) for clip in scored]
    pairs = [
        (logits[real[0]][real[1]], logits[fake[0]][fake[1]], fake[0])
        for fake, real in sorted(partners_of(clips).items())
    ]
    table = np.array(pairs, np.float64).reshape(-1, 3)
    return table[:, 0], table[:, 1], table[:, 2].astype(np.int64)


def grade_metrics(score: ValScore) -> dict[str, float | None]:
    """AUC and paired accuracy of every grade by name, for the run's metrics."""
    found: dict[str, float | None] = {}
    for grade in score.all_grades:
        name = grade.name.replace(" ", "_")
        if grade is not score.own:
            found[f"{name}_auc"] = grade.auc
        found[f"{name}_paired"] = grade.paired
    return found
