"""What validation shows at the kept step, and what its numbers could owe to anything but the forgery.

Beside the grades: the spread of real people's scores beside the shift that a forgery makes; what facts of the container
alone and softness alone reach on the same clips (the zero-pixel null); and the AUC of faces of equal quality.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np

from detect.data.crops import ClipFaces, CropStore
from detect.data.softness import face_detail
from detect.metrics.classification import has_both_classes
from detect.metrics.matched import MatchedAuc, matched_auc, person_spread
from detect.scoring.samples import ScoredClip
from detect.training.choice import GradeScore, StepChoice, chosen_text
from detect.training.grades import auc_interval
from shared.dataset import DatasetFolder
from shared.dataset.audit.areas import estimate_area
from shared.dataset.audit.config import AuditConfig
from shared.dataset.audit.facts import Facts, FileFacts, read_facts
from shared.dataset.audit.probes import PROBES, labels_of, make_plan, score_clips
from shared.dataset.audit.samples import ClipSample
from shared.dataset.splits import clustering
from shared.errors import AssayError
from shared.sampling import evenly_spaced
from shared.storage import write_text
from shared.types import ClipRecord

REPORT_NAME = "validation.json"
DETECTOR, MATCHED = "the detector, face by face", "the detector, among faces of equal quality"
CONTAINER, SOFTNESS = "facts of the container alone", "softness of the face alone"

_FACES_PER_CLIP = 8
_FACTS = ("seconds", "frames", "width", "height", "bytes_log", "bits_per_pixel_log", "bit_rate_log", "frame_rate")


@dataclass(frozen=True)
class Comparison:
    """The AUC of something that scores the val split; ``low`` and ``high`` are None where people are too few."""

    name: str
    auc: float
    low: float | None
    high: float | None
    note: str = ""


@dataclass(frozen=True)
class ValidationReport:
    """The contents of ``validation.json``.

    Attributes:
        step: the kept one.
        chosen: what chose it.
        solved_at: the step at which every grade was solved; None if one is not.
        solved: name of each solved grade, with the step.
        grades: at the kept step.
        spread: standard deviation of real people's mean logits; None for one person.
        people: number of these people.
        comparisons: the detector, and what needs no picture or no trace of a forgery.
    """

    step: int
    chosen: str
    solved_at: int | None
    solved: dict[str, int]
    grades: tuple[GradeScore, ...]
    spread: float | None
    people: int
    comparisons: tuple[Comparison, ...]


@dataclass(frozen=True, eq=False)
class _Faces:
    """Faces of the val split, a few of each clip.

    Convention:
        labels: (N,) bool, True for fake; logits, detail: (N,); clips: (N,) place of the clip; people: (N,) int
    """

    labels: np.ndarray
    logits: np.ndarray
    detail: np.ndarray
    clips: np.ndarray
    people: np.ndarray


def make_report(
    choice: StepChoice,
    folder: DatasetFolder,
    clips: Sequence[ClipFaces],
    scored: Sequence[ScoredClip],
    store: CropStore,
) -> ValidationReport:
    """The report on the kept step.

    Args:
        choice: of the step.
        folder: the dataset, whose files are read for facts of the container.
        clips: of the val split.
        scored: the same clips, scored by the kept weights.
        store: crops of these clips.
    """
    assert choice.kept is not None
    faces = _sampled(clips, scored, store)
    real = ~faces.labels
    facts = _container_facts(folder, [clip.record for clip in clips])
    return ValidationReport(
        step=choice.kept.step,
        chosen=chosen_text(choice),
        solved_at=choice.solved_at,
        solved=dict(choice.solved),
        grades=choice.kept.all_grades,
        spread=person_spread(faces.logits[real], faces.people[real]),
        people=int(np.unique(faces.people[real]).size),
        comparisons=tuple(_comparisons([clip.record for clip in clips], faces, facts)),
    )


def write_report(folder: Path, report: ValidationReport) -> None:
    """Writes ``validation.json`` into ``folder``.

    Raises:
        StorageError: writing failed.
    """
    write_text(folder / REPORT_NAME, json.dumps(msgspec.to_builtins(report), indent=2) + "\n")


def _sampled(clips: Sequence[ClipFaces], scored: Sequence[ScoredClip], store: CropStore) -> _Faces:
    people = {person: number for number, person in enumerate(sorted({clip.identity for clip in clips}))}
    rows: list[tuple[bool, float, float, int, int]] = []
    for place, (clip, result) in enumerate(zip(clips, scored, strict=True)):
        if clip.faceset is None:
            continue
        known = np.flatnonzero(clip.truth >= 0)
        landmarks = clip.faceset.landmarks_in_crop()
        for face in known[list(evenly_spaced(len(known), min(_FACES_PER_CLIP, len(known))))] if len(known) else ():
            detail = face_detail(store.crop((place, int(face))), landmarks[face])
            logit = result.frames[face].logit
            rows.append((clip.truth[face] == 1, logit, detail, place, people[clip.identity]))
    table = np.array(rows, np.float64).reshape(-1, 5)
    labels, clip_places, owners = table[:, 0] > 0.5, table[:, 3].astype(np.int64), table[:, 4].astype(np.int64)
    return _Faces(labels, table[:, 1], table[:, 2], clip_places, owners)


def _comparisons(records: Sequence[ClipRecord], faces: _Faces, facts: Sequence[Facts | None]) -> list[Comparison]:
    if not has_both_classes(faces.labels):
        return []
    clusters = clustering(records).of(records)
    found = (
        _area(DETECTOR, faces.labels, faces.logits, clusters[faces.clips]),
        _matched(faces, facts),
        _container_null(records, facts),
        _area(SOFTNESS, faces.labels, -faces.detail, clusters[faces.clips], note="the softer as the fake"),
    )
    return [each for each in found if each is not None]


def _area(name: str, labels: np.ndarray, scores: np.ndarray, clusters: np.ndarray, *, note: str = "") -> Comparison:
    found = estimate_area(labels, scores, clusters)
    assert found is not None
    low, high = auc_interval(labels, scores, clusters) or (None, None)
    return Comparison(name, found.value, low, high, note)


def _matched(faces: _Faces, facts: Sequence[Facts | None]) -> Comparison | None:
    """Matched by softness, and by bits a pixel of the clip where these are known of all."""
    columns = [faces.detail]
    bits = [None if fact is None else fact.get("bits_per_pixel_log") for fact in facts]
    used = [bits[place] for place in faces.clips]
    if all(isinstance(value, float) for value in used):
        columns.append(np.array(used, np.float64))
    found: MatchedAuc | None = matched_auc(faces.labels, faces.logits, np.stack(columns, 1), faces.people)
    if found is None:
        return None
    by = "softness and bits a pixel" if len(columns) > 1 else "softness"
    note = f"matched by {by}: {found.matched} of {found.fakes} fake faces have a match"
    return Comparison(MATCHED, found.value, found.low, found.high, note)


def _container_facts(folder: DatasetFolder, records: Sequence[ClipRecord]) -> list[Facts | None]:
    """Length, size, frame rate and bit rate of each file; None for one that cannot be read."""
    found: list[Facts | None] = []
    for record in records:
        try:
            facts = read_facts(folder.media_path(record))
        except (AssayError, OSError):
            found.append(None)
            continue
        together = {**facts.container, **facts.rate, **facts.size}
        found.append({name: together[name] for name in _FACTS if name in together})
    return found


def _container_null(records: Sequence[ClipRecord], facts: Sequence[Facts | None]) -> Comparison | None:
    """What a probe of these facts reaches, cross-validated by people; None where there are too few of them."""
    known = [(record, fact) for record, fact in zip(records, facts, strict=True) if fact is not None]
    kept = [record for record, _ in known]
    samples = [ClipSample(FileFacts(fact, {}, {}, {}), {}, np.zeros((0, 32, 32), np.uint8)) for _, fact in known]
    config = AuditConfig(workers=1)
    labels = labels_of(kept)
    if not has_both_classes(labels):
        return None
    plan = make_plan(kept, config)
    scores, strata = score_clips(PROBES[0], kept, samples, plan, config)
    seen = np.isfinite(scores)
    found = None
    if seen.any():
        found = estimate_area(labels[seen], scores[seen], plan.groups[seen], strata=strata[seen])
    if found is None:
        return None
    note = "length, size, frame rate and bit rate; a probe " + plan.describe().partition(";")[0]
    return Comparison(CONTAINER, found.value, found.low, found.high, note)
