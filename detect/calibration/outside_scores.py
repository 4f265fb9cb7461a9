"""Reads scores of tools that were not learned from: a set to be scored, an evaluation, or a list of scores.

* a dataset folder is scored here, with the detector that is calibrated;
* a folder of ``assay detect evaluate`` has the scores in ``scores.jsonl`` and names the detector in
  ``evaluation.json``;
* a JSON file holds ``{"name": ..., "detector": MARK, "clips": [{"label": "real" | "fake", "logit": number or null,
  "group": text, "tool": text}, ...]}``. MARK is the ``weights_sha256`` of the detector's ``calibration.json``; clips
  that share people share a group; real clips need no tool.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from detect.calibration.evaluation_section import aggregate_of, mark_of
from detect.calibration.files import detector_mark
from detect.calibration.maps import Calibration, misfit
from detect.calibration.outside import OutsideScores
from detect.config.scoring import EvaluateConfig
from detect.data.crops import dataset_digest
from detect.metrics.compare import SCORES_NAME, ClipLogit
from detect.models.external.settings import parse_reference
from detect.models.training_record import TrainingRecord, clip_mark, read_training_record
from detect.scoring.dataset import score_dataset
from shared.dataset import DatasetFolder
from shared.dataset.splits import clip_clusters
from shared.errors import LeakError, ManifestError, UsageError
from shared.storage import decode_json, read_bytes, read_json, sha256_file
from shared.types import Label

_EVALUATION = "evaluation.json"
_MANIFEST = "manifest.jsonl"
_MAX_BYTES = 64 << 20
_MOST_CLIPS = 200_000
_HINT = "a dataset folder, a folder of assay detect evaluate, or a JSON file of scores"


@dataclass(frozen=True)
class OutsideClip:
    """One clip of a list of scores; ``logit`` is None if it could not be scored."""

    label: Label
    logit: float | None
    group: str
    tool: str = ""


@dataclass(frozen=True)
class OutsideList:
    """A list of scores, as stored."""

    name: str
    detector: str
    clips: list[OutsideClip] = field(default_factory=list)


def need_outside(path: Path, detector: str | Path, calibrated_on: Iterable[str] = ()) -> None:
    """Refuses, before any work, a path without scores or dataset, and a dataset that was learned from.

    Args:
        path: see :func:`read_outside`.
        detector: the detector that is calibrated.
        calibrated_on: the manipulations of its calibration.

    Raises:
        UsageError: it holds neither.
        LeakError: a tool or a clip there was learned from.
    """
    if not (path.is_file() or (path / _MANIFEST).is_file() or (path / SCORES_NAME).is_file()):
        raise UsageError(f"{path} holds no scores and no dataset", hint=_HINT)
    if not (path / _MANIFEST).is_file():
        return
    folder, learned = DatasetFolder.open(path), _learned(detector)
    records = folder.records()
    seen = sum(clip_mark(record) in learned.clips for record in records)
    if seen:
        raise LeakError(
            f"the detector was trained on {seen} of the {len(records)} clips of {folder.name}",
            hint="--outside takes material that it has never seen",
        )
    _refuse_tools(folder.name, {record.id.manipulation or "" for record in records}, learned, calibrated_on)


def read_outside(
    path: Path, detector: str | Path, calibration: Calibration, scoring: EvaluateConfig
) -> tuple[OutsideScores, tuple[str, ...]]:
    """The scores at ``path``, and remarks for readers.

    Args:
        path: dataset folder, evaluation, or list of scores.
        detector: the detector that is calibrated.
        calibration: of the detector; the scores must be made as its own were.
        scoring: device, frames, finder, to score a dataset with.

    Raises:
        UsageError: nothing of the kind there, or scores of another detector or another way from faces to clip.
        LeakError: a tool or a clip there was learned from, in training or by the calibration.
        ManifestError: the list or the set is damaged.
        MediaError, FinderError: a clip of the set cannot be scored.
    """
    need_outside(path, detector, calibration.population.manipulations)
    notes: tuple[str, ...] = ()
    if (path / _MANIFEST).is_file():
        scores, notes = _of_dataset(path, detector, calibration, scoring)
    elif (path / SCORES_NAME).is_file():
        scores = _of_evaluation(path, detector, calibration)
    else:
        scores = _of_list(path, calibration)
    _refuse_learned(scores, detector, calibration)
    return scores, notes


def _of_dataset(
    path: Path, detector: str | Path, calibration: Calibration, scoring: EvaluateConfig
) -> tuple[OutsideScores, tuple[str, ...]]:
    folder = DatasetFolder.open(path)
    records = folder.records()
    scored = score_dataset(detector, folder, records, scoring)
    differs = misfit(calibration, mark_of(detector, scored), aggregate_of(scored, scoring), scored.finder)
    if differs:
        raise UsageError(f"{folder.name} does not bound this calibration: {differs}", hint="--finder as for the fit")
    groups = clip_clusters(records, "group")
    clips = [
        OutsideClip(clip.record.label, clip.score.logit, str(groups[clip.record.id]), clip.record.id.manipulation or "")
        for clip in scored.clips
    ]
    return _scores(folder.name, dataset_digest(folder), clips), scored.notes


def _of_evaluation(path: Path, detector: str | Path, calibration: Calibration) -> OutsideScores:
    about = read_json(path / _EVALUATION, dict, _MAX_BYTES, error=ManifestError, hint="evaluate again")
    known, dataset = (found if isinstance(found := about.get(key), dict) else {} for key in ("detector", "dataset"))
    weights = known.get("weights_sha256") or known.get("sha256")
    mark = detector_mark(parse_reference(detector), weights) if isinstance(weights, str) else ""
    _need_mark(path, mark, calibration)
    lines = read_bytes(path / SCORES_NAME, _MAX_BYTES, error=ManifestError).decode(errors="replace").splitlines()
    rows = [decode_json(line, dict, f"{path / SCORES_NAME}", error=ManifestError) for line in lines[: _MOST_CLIPS + 1]]
    way = calibration.aggregate
    if way is not None and any(row.get("aggregation") != way.method for row in rows):
        raise UsageError(
            f"{path} has clip scores that are not made by {way.method!r}, as the calibration's are",
            hint="evaluate without --aggregate",
        )
    clips = [_clip(row, number, path) for number, row in enumerate(rows)]
    return _scores(str(dataset.get("name", path.name)), sha256_file(path / SCORES_NAME), clips)


def _clip(row: dict[str, Any], number: int, path: Path) -> OutsideClip:
    """One line of ``scores.jsonl``; a clip without a cluster is a group of its own."""
    found = decode_json(json.dumps(row), ClipLogit, f"{path / SCORES_NAME}", error=ManifestError)
    group = f"clip {number}" if found.cluster is None else str(found.cluster)
    parts = found.clip.split("/")
    return OutsideClip(found.label, found.logit, group, parts[1] if found.label == "fake" and len(parts) > 2 else "")


def _of_list(path: Path, calibration: Calibration) -> OutsideScores:
    found = read_json(path, OutsideList, _MAX_BYTES, error=ManifestError, hint=_HINT)
    _need_mark(path, found.detector, calibration)
    return _scores(found.name, sha256_file(path), found.clips)


def _scores(name: str, sha256: str, clips: Sequence[OutsideClip]) -> OutsideScores:
    if len(clips) > _MOST_CLIPS:
        raise ManifestError(f"{name} has more than {_MOST_CLIPS} clips", hint="give a part of it")
    scored = [clip for clip in clips if clip.logit is not None and math.isfinite(clip.logit)]
    names = {group: number for number, group in enumerate(sorted({clip.group for clip in scored}))}
    return OutsideScores(
        name=name,
        sha256=sha256,
        labels=np.array([clip.label == "fake" for clip in scored], bool),
        logits=np.array([clip.logit for clip in scored], np.float64),
        groups=np.array([names[clip.group] for clip in scored], np.int64),
        tools=tuple(sorted({clip.tool for clip in scored if clip.label == "fake" and clip.tool})),
        without_face=len(clips) - len(scored),
    )


def _need_mark(path: Path, mark: str, calibration: Calibration) -> None:
    if mark != calibration.weights_sha256:
        raise UsageError(
            f"{path} holds scores of another detector than the one that is calibrated", hint="score with this one"
        )


def _learned(detector: str | Path) -> TrainingRecord:
    return TrainingRecord() if parse_reference(detector) is not None else read_training_record(Path(detector))


def _refuse_learned(scores: OutsideScores, detector: str | Path, calibration: Calibration) -> None:
    """Raises if a tool is among those that training or calibration learned from, or the set is the calibration's."""
    population = calibration.population
    _refuse_tools(scores.name, scores.tools, _learned(detector), population.manipulations)
    if scores.sha256 == population.manifest_sha256:
        raise LeakError(f"{scores.name} is the set that the calibration was fitted on", hint="give other material")


def _refuse_tools(name: str, tools: Iterable[str], learned: TrainingRecord, calibrated_on: Iterable[str]) -> None:
    known = set(tools) & (learned.manipulations | set(calibrated_on))
    if known:
        raise LeakError(
            f"{', '.join(sorted(known))} of {name} was learned from, in training or by the calibration",
            hint="--outside takes fakes of tools that are new to both",
        )
