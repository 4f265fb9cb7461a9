"""Scores clips as tasks of an engine: each finds the faces of one clip, unless cached, and scores them.

Faces are written to the dataset's cache, logits are returned. A task uses one thread, for equal results on every
machine.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Protocol

import numpy as np

from detect.config.scoring import Precision
from detect.data.crops import CropRequest, clip_faces, faces_folder
from detect.models.external.settings import parse_reference
from detect.models.predictor import CropPredictor
from detect.models.shipped import resolved_folder
from shared.dataset import DatasetFolder
from shared.device import with_threads
from shared.engine.tasks import Engine, Task
from shared.errors import RunError
from shared.faces.finders.finder import FaceFinder, make_finder
from shared.types import ClipId, ClipRecord


class _NetworkSettings(Protocol):
    """Settings of running networks, part of each configuration of a measurement."""

    @property
    def device(self) -> str: ...
    @property
    def precision(self) -> Precision: ...
    @property
    def batch(self) -> int: ...


@dataclass(frozen=True)
class ScoringJob:
    """Description of a detector and a finder that is valid on another machine.

    Attributes:
        detector: its folder, or a reference to a third-party one.
        digest: SHA-256 of its weights.
        finder: name of the face finder; ``finder_facts`` is its description.
        device, precision: of the networks.
        batch: number of crops scored at once.
    """

    detector: str
    digest: str
    finder: str
    finder_facts: tuple[tuple[str, str], ...]
    device: str
    precision: Precision
    batch: int

    @classmethod
    def of(
        cls,
        detector: str | Path,
        predictor: CropPredictor,
        finder: FaceFinder,
        *,
        name: str,
        config: _NetworkSettings,
    ) -> ScoringJob:
        """The job of ``detector``, loaded as ``predictor``, with the ``finder`` that ``name`` makes."""
        folder = detector if parse_reference(detector) is not None else resolved_folder(detector).absolute()
        facts = tuple(sorted(finder.describe().items()))
        return cls(str(folder), predictor.digest, name, facts, config.device, config.precision, config.batch)

    def load(self) -> tuple[CropPredictor, FaceFinder]:
        """The detector and the finder, loaded once per process.

        Raises:
            RunError: they differ from those of the machine that submitted the job.
        """
        return _loaded(self)


@dataclass(frozen=True)
class _ClipTask:
    job: ScoringJob
    record: ClipRecord
    media: str
    cache: str
    request: CropRequest


def run_scoring_tasks(
    engine: Engine,
    job: ScoringJob,
    folder: DatasetFolder,
    records: Sequence[ClipRecord],
    request: CropRequest,
    *,
    tick: Callable[[], object] | None = None,
) -> dict[ClipId, np.ndarray]:
    """The (N,) float32 logits of each clip's faces, in the order of its faceset, which is left in the cache.

    Args:
        engine: where tasks run.
        job: detector and finder.
        folder: the dataset; clips that share an id are scored once.
        records: its clips.
        request: the crops that the detector takes.
        tick: called after each clip.

    Raises:
        ManifestError: a clip's file does not match the manifest.
        MediaError: a clip cannot be read.
        RunError: a worker machine has another detector or finder.
        StorageError: the cache cannot be written.
    """
    cache = faces_folder(folder.path.absolute()) / request.key(dict(job.finder_facts))
    media = {record.id: folder.media_path(record).absolute() for record in records}
    engine.need([cache], list(media.values()))
    tasks = {
        str(record.id): Task(
            str(record.id),
            _score_one,
            (_ClipTask(job, record, str(media[record.id]), str(cache), request),),
            device=job.device,
        )
        for record in records
    }
    ids = {str(record.id): record.id for record in records}
    found: dict[ClipId, np.ndarray] = {}
    for done in engine.run(list(tasks.values())):
        found[ids[done.key]] = done.result
        if tick is not None:
            tick()
    return found


def _score_one(task: _ClipTask) -> np.ndarray:
    """Runs the task of one clip."""
    with with_threads(1):
        predictor, finder = task.job.load()
        clip = clip_faces(Path(task.media), task.record, Path(task.cache), task.request, finder)
        faces = clip.crops(predictor.spec.reads)
        return (
            predictor.face_logits(faces, clip.tracks, clip.frames, batch=task.job.batch) if len(clip.frames) else _NONE
        )


_NONE = np.empty(0, np.float32)


@lru_cache(maxsize=1)
def _loaded(job: ScoringJob) -> tuple[CropPredictor, FaceFinder]:
    predictor = CropPredictor.load(Path(job.detector), job.device, precision=job.precision)
    finder = make_finder(job.finder, device=str(predictor.device.torch_device))
    if predictor.digest != job.digest:
        raise RunError(f"{job.detector} is another detector on this machine", hint="use a folder that all machines see")
    if tuple(sorted(finder.describe().items())) != job.finder_facts:
        raise RunError(
            f"the face finder {job.finder} is another one on this machine: {finder.describe()}",
            hint="install the same packages and weights on every machine (assay doctor)",
        )
    return predictor, finder
