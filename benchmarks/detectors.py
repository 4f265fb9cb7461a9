"""Detectors by kind of training data, tested on manipulations that were left out of training.

Every row of the settings (plain forgeries, self-blends, both, both with the forged region) is trained without each
fold's manipulations, with several seeds. All detectors score the same clips of the same people, none of whom were in
training; a fold's detectors count as "unseen" on the manipulations that were left out and as "seen" on the others.
Self-swaps are trained on but not tested. Finished jobs are kept in the work folder, so a run can be resumed.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import numpy as np

from detect.config.scoring import EvaluateConfig
from detect.config.training import TrainConfig
from detect.data.crops import dataset_digest
from detect.data.masks import ForgedMasks
from detect.evaluation.localization import (
    DEFAULT_THRESHOLD,
    LEVELS,
    RegionPredictions,
    choose_threshold,
    face_ious,
    predict_regions,
)
from detect.models.checkpoint import WEIGHTS_NAME, detector_folder
from detect.models.external.settings import parse_reference
from detect.scoring.dataset import DatasetScores, score_dataset
from detect.training.train import train_detector
from shared.config import digest, from_mapping, read_toml, to_mapping
from shared.console import console
from shared.dataset import DatasetFolder
from shared.errors import ConfigError, StorageError, UsageError
from shared.faces.facesets.reader import Faceset
from shared.storage import read_json, sha256_file, write_text
from shared.types import ClipRecord


@dataclass(frozen=True)
class Settings:
    """The contents of ``detectors.toml``.

    Attributes:
        seeds: of the trainings.
        folds: patterns of the manipulations that are left out together.
        train: settings of all rows; rows: those of each.
    """

    seeds: tuple[int, ...]
    folds: tuple[tuple[str, ...], ...]
    train: dict[str, Any]
    rows: dict[str, dict[str, Any]]


@dataclass(frozen=True)
class Job:
    """One training. ``fold`` is left out of it; empty for a row that is trained on no forgery at all."""

    row: str
    fold: tuple[str, ...]
    seed: int
    config: TrainConfig

    @property
    def name(self) -> str:
        """A name for its folder."""
        left = "-".join(pattern.strip("*-") for pattern in self.fold) or "none"
        return f"{self.row}-without-{left}-{self.seed}"


@dataclass(frozen=True)
class Scores:
    """The scores of one detector.

    Attributes:
        row, fold, seed: as in :class:`Job`.
        logits: dataset name to clip to logit, without clips without a face; of the test split, and of the validation
            split under ``NAME:val``, without left-out manipulations.
        ious: of a detector with a mask output: clip to the mean IoU over its forged faces.
        sets: digests of the scored manifests of further sets by name.
    """

    row: str
    fold: tuple[str, ...]
    seed: int
    logits: dict[str, dict[str, float]]
    ious: dict[str, float] = field(default_factory=dict)
    sets: dict[str, str] = field(default_factory=dict)


def load_settings(path: Path) -> Settings:
    """The settings in ``path``.

    Raises:
        ConfigError: something is unknown or missing.
    """
    return from_mapping(Settings, read_toml(path), where=path.name)


def make_jobs(settings: Settings, faces: Sequence[Path], twins: Sequence[Path], only: Sequence[str]) -> list[Job]:
    """All trainings, seed by seed, so that an interrupted run has complete rows.

    Raises:
        UsageError: an unknown row, or one that needs faces that are not given.
    """
    for row in only:
        if row not in settings.rows:
            raise UsageError(f"no row is called {row!r}", hint=", ".join(settings.rows))
    jobs = []
    for seed in settings.seeds:
        for row, own in settings.rows.items():
            if only and row not in only:
                continue
            mix = own.get("mix", {})
            if mix.get("blended") and not faces:
                raise UsageError(f"{row} blends real faces", hint="give facesets with --faces")
            blended = {"real_faces": [str(path) for path in faces]} if mix.get("blended") else {}
            if mix.get("twins"):
                blended["twin_faces"] = [str(path) for path in twins]
            for fold in settings.folds if mix.get("forged", 1.0) else ((),):
                merged = settings.train | own | {"seed": seed, "mix": mix | blended}
                merged["leave_out"] = [f"manipulation={pattern}" for pattern in fold]
                jobs.append(Job(row, tuple(fold), seed, from_mapping(TrainConfig, merged, where=f"row {row}")))
    return jobs


def run_jobs(jobs: Sequence[Job], dataset: Path, others: Sequence[Path], work: Path) -> Iterator[Scores]:
    """Trains and scores, job by job; finished ones are read from ``work``.

    Raises:
        AssayError: a training or a scoring failed.
    """
    for number, job in enumerate(jobs):
        place = work / job.name
        path = place / "scores.json"
        mark = job_mark(job, dataset)
        found = _stored(path, mark)
        if found is None:
            console.print(f"\n{number + 1} of {len(jobs)}: {job.name}")
            result = train_detector(dataset, place / "run", job.config)
            found = _with_scores(Scores(job.row, job.fold, job.seed, {}), result.run, dataset, job.config)
        yield _kept(path, mark, found, place / "run", others, job.config)


def score_baseline(name: str, detector: str, dataset: Path, others: Sequence[Path], work: Path, frames: int) -> Scores:
    """The scores of a detector that is trained already.

    Raises:
        AssayError: it cannot be loaded.
    """
    path = work / f"baseline-{name}.json"
    weights = (
        sha256_file(detector_folder(Path(detector)) / WEIGHTS_NAME) if parse_reference(detector) is None else detector
    )
    mark = digest({"detector": weights, "frames": frames, "set": dataset_digest(DatasetFolder.open(dataset))})
    config = TrainConfig(frames_per_clip=frames)
    found = _stored(path, mark) or _with_scores(Scores(name, (), 0, {}), detector, dataset, config)
    return _kept(path, mark, found, detector, others, config)


def _kept(
    path: Path, mark: str, found: Scores, detector: str | Path, others: Sequence[Path], config: TrainConfig
) -> Scores:
    """``found`` completed with the scores of ``others``, and saved for the next time."""
    for other in others:
        folder = DatasetFolder.open(other)
        known = dataset_digest(folder)
        if found.sets.get(folder.name) != known:
            if folder.name in found.logits and folder.name not in found.sets:
                raise UsageError(f"{other} has the name of the training set", hint="choose another set")
            scored = score_dataset(detector, folder, counted(folder.records(), ()), _evaluation(config))
            logits, sets = {**found.logits, folder.name: _logits(scored)}, {**found.sets, folder.name: known}
            found = replace(found, logits=logits, sets=sets)
    write_text(path, json.dumps({"mark": mark, **to_mapping(found)}) + "\n")
    return found


def job_mark(job: Job, dataset: Path) -> str:
    """Digest of all that a job's scores depend on: settings, the set's manifest, contents of the facesets."""
    faces = {
        path: Faceset.open(Path(path)).digest() for path in (*job.config.mix.real_faces, *job.config.mix.twin_faces)
    }
    return digest(
        {"config": to_mapping(job.config), "set": dataset_digest(DatasetFolder.open(dataset)), "faces": faces}
    )


def _stored(path: Path, mark: str) -> Scores | None:
    try:
        document = read_json(path, dict, error=StorageError)
        return from_mapping(Scores, document) if document.pop("mark", None) == mark else None
    except (StorageError, ConfigError):
        return None


def _with_scores(about: Scores, detector: str | Path, dataset: Path, config: TrainConfig) -> Scores:
    """``about`` with the detector's scores of the validation and the test split."""
    folder = DatasetFolder.open(dataset)
    logits: dict[str, dict[str, float]] = {}
    ious: dict[str, float] = {}
    threshold = DEFAULT_THRESHOLD
    for split in ("val", "test"):
        records = [record for record in folder.records() if record.split == split]
        scored = score_dataset(
            detector, folder, counted(records, about.fold if split == "val" else ()), _evaluation(config)
        )
        logits[folder.name + (":val" if split == "val" else "")] = _logits(scored)
        if scored.predictor is not None and scored.predictor.spec.has_mask:
            regions = predict_regions(scored.faces, ForgedMasks(folder, scored.faces), scored.predictor)
            if split == "val":
                threshold = choose_threshold(regions) or threshold
            else:
                ious = _clip_ious([str(clip.record.id) for clip in scored.faces], regions, threshold)
    return replace(about, logits=logits, ious=ious)


def _evaluation(config: TrainConfig) -> EvaluateConfig:
    return EvaluateConfig(
        frames_per_clip=config.frames_per_clip, device=config.device, precision=config.precision, workers=config.workers
    )


def _logits(scored: DatasetScores) -> dict[str, float]:
    return {str(clip.record.id): clip.score.logit for clip in scored.clips if clip.score.logit is not None}


def _clip_ious(names: list[str], regions: RegionPredictions, threshold: float) -> dict[str, float]:
    """Clip to the mean IoU over its forged faces."""
    each = face_ious(regions.histograms[regions.fake])[:, round(threshold * LEVELS)]
    owners = regions.clips[regions.fake]
    return {names[owner]: float(each[owners == owner].mean()) for owner in np.unique(owners)}


def counted(records: Sequence[ClipRecord], fold: Sequence[str]) -> list[ClipRecord]:
    """Real clips and identity swaps, without the fakes of ``fold``."""
    return [record for record in records if not record.is_self_swap and not left_out(record, fold)]


def left_out(record: ClipRecord, fold: Sequence[str]) -> bool:
    """Whether ``record`` is a fake of a manipulation in ``fold``."""
    made = record.id.manipulation
    return made is not None and any(fnmatchcase(made, pattern) for pattern in fold)
