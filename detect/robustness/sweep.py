"""Scores the clips of each cell of a robustness sweep, one file per cell.

Clips are scored one by one in this process, or as tasks of an engine, one for each clip and cell.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np

from detect.data.labels import LabelsByFrame, face_label
from detect.models.predictor import CropPredictor
from detect.robustness.config import RobustnessConfig
from detect.robustness.faces import perturbed_faces, wanted_frames
from detect.robustness.perturb import Cell
from detect.scoring.samples import ScoredClip, scored_clip
from detect.scoring.tasks import ScoringJob
from detect.scoring.video import input_for
from shared.config import digest
from shared.console import Tick, console
from shared.dataset import DatasetFolder
from shared.device import with_threads
from shared.engine.tasks import Engine, Task
from shared.errors import StorageError
from shared.faces.finders.finder import FaceFinder
from shared.results.scores import FrameScore
from shared.storage import read_json, write_text
from shared.types import ClipRecord
from shared.video.media import clip_reader

CELLS = "cells"
_FORMAT = 1


@dataclass(frozen=True)
class CellClip:
    """Result of one clip in one cell; ``logit`` is None when no face was found."""

    clip: str
    logit: float | None
    frames_searched: int
    frames_with_face: int


@dataclass(frozen=True, eq=False)
class Sweep:
    """What all cells of a sweep share."""

    folder: DatasetFolder
    records: Sequence[ClipRecord]
    labels: Mapping[str, LabelsByFrame]
    predictor: CropPredictor
    finder: FaceFinder
    config: RobustnessConfig
    out: Path


def cell_clips(sweep: Sweep, cell: Cell, tick: Tick) -> list[CellClip]:
    """The clips of one cell: read if measured before, else measured and written."""
    path = _cell_path(sweep, cell, _key(sweep))
    done = _read_cell(path, sweep.records)
    if done is not None:
        tick(len(sweep.records))
        return done
    clips = []
    for record in sweep.records:
        clips.append(_clip(sweep, record, cell))
        tick(1, note=str(cell))
    _write_cell(path, clips)
    return clips


def measure_on(engine: Engine, sweep: Sweep, cells: Sequence[Cell], detector: Path) -> None:
    """Measures the missing cells, one task for each clip and cell, and writes each cell when it is done.

    Raises:
        MediaError: a clip cannot be read or encoded.
        RunError: a worker machine has another detector or finder.
    """
    key, records, config = _key(sweep), sweep.records, sweep.config
    missing = [cell for cell in cells if _read_cell(_cell_path(sweep, cell, key), records) is None]
    name = config.finder or sweep.predictor.facts.finder_name
    job = ScoringJob.of(detector, sweep.predictor, sweep.finder, name=name, config=config)
    tasks = [
        Task(f"{cell}/{number}", _measure_one, (_task(sweep, job, record, cell),), device=config.device)
        for cell in missing
        for number, record in enumerate(records)
    ]
    engine.need([sweep.out], [sweep.folder.media_path(record).absolute() for record in records])
    found: dict[str, CellClip] = {}
    left = Counter({str(cell): len(records) for cell in missing})
    named = {str(cell): cell for cell in missing}
    with console.progress("perturbing", len(tasks), unit="clip") as tick:
        for done in engine.run(tasks):
            found[done.key] = done.result
            word = done.key.rpartition("/")[0]
            left[word] -= 1
            if not left[word]:
                clips = [found.pop(f"{word}/{number}") for number in range(len(records))]
                _write_cell(_cell_path(sweep, named[word], key), clips)
            tick(note=word)


@dataclass(frozen=True)
class _CellTask:
    """One clip in one cell, sent to another process."""

    job: ScoringJob
    dataset: str
    record: ClipRecord
    rows: LabelsByFrame
    cell: Cell
    config: RobustnessConfig


def _task(sweep: Sweep, job: ScoringJob, record: ClipRecord, cell: Cell) -> _CellTask:
    rows = sweep.labels.get(str(record.id), {})
    return _CellTask(job, str(sweep.folder.path.absolute()), record, rows, cell, sweep.config)


def _measure_one(task: _CellTask) -> CellClip:
    """Runs the task of one clip in one cell."""
    with with_threads(1):
        predictor, finder = task.job.load()
        folder, labels = DatasetFolder.open(Path(task.dataset)), {str(task.record.id): task.rows}
        sweep = Sweep(folder, [task.record], labels, predictor, finder, task.config, folder.path)
        return _clip(sweep, task.record, task.cell)


def _clip(sweep: Sweep, record: ClipRecord, cell: Cell) -> CellClip:
    scored = _scored(sweep, record, cell)
    return CellClip(str(record.id), scored.score.logit, scored.score.frames_read, scored.score.frames_with_face)


def _scored(sweep: Sweep, record: ClipRecord, cell: Cell) -> ScoredClip:
    config, predictor = sweep.config, sweep.predictor
    moving = predictor.spec.reads == "landmarks"
    seed = int.from_bytes(hashlib.sha256(f"{config.seed}/{record.id}".encode()).digest()[:4], "big")
    path = sweep.folder.media_path(record)
    rate = None
    if moving:
        with clip_reader(path) as reader:
            rate = reader.info.frame_rate
    wanted = wanted_frames(record.frames, config.frames_per_clip, cell, consecutive=moving, rate=rate)
    crops, places, searched = [], [], 0
    for frame, faces in perturbed_faces(path, wanted, cell, sweep.finder, predictor.facts.faces, seed=seed):
        searched += 1
        for face in faces:
            crops.append(input_for(predictor, frame.image, face.landmarks))
            places.append((frame, face))
    tracks = np.array([-1 if face.track is None else face.track for _, face in places])
    numbers = np.array([frame.index for frame, _ in places])
    logits = predictor.face_logits(np.stack(crops), tracks, numbers, batch=config.batch) if crops else np.empty(0)
    rows = sweep.labels.get(str(record.id), {})
    scores, truth = [], []
    for (frame, face), logit in zip(places, logits, strict=True):
        x0, y0, x1, y1 = (float(side) for side in face.box)
        track = -1 if face.track is None else face.track
        scores.append(FrameScore(record.id, frame.index, frame.time.seconds, track, float(logit), (x0, y0, x1, y1)))
        truth.append(face_label(record, rows, frame.index, face.box))
    aggregate = config.aggregate or predictor.facts.aggregate
    return scored_clip(record, scores, truth, frames_read=searched, config=aggregate)


def _key(sweep: Sweep) -> str:
    """Digest of everything that a cell's result depends on besides its kind and level."""
    config, facts = sweep.config, sweep.predictor.facts
    document = {
        "format": _FORMAT,
        "detector": sweep.predictor.digest,
        "finder": sweep.finder.describe(),
        "faces": msgspec.to_builtins(facts.faces),
        "aggregate": digest(config.aggregate or facts.aggregate),
        "clips": [(str(record.id), record.sha256) for record in sweep.records],
        "frames": config.frames_per_clip,
        "seed": config.seed,
        "device": sweep.predictor.device.describe(),
    }
    return hashlib.sha256(json.dumps(document, sort_keys=True).encode()).hexdigest()[:16]


def _cell_path(sweep: Sweep, cell: Cell, key: str) -> Path:
    return sweep.out / CELLS / f"{cell}-{key}.json"


def _write_cell(path: Path, clips: Sequence[CellClip]) -> None:
    write_text(path, json.dumps([msgspec.to_builtins(clip) for clip in clips], indent=1) + "\n")


def _read_cell(path: Path, records: Sequence[ClipRecord]) -> list[CellClip] | None:
    """The clips of a cell measured before; None if it is missing or damaged."""
    if not path.is_file():
        return None
    try:
        clips = read_json(path, list[CellClip], error=StorageError)
    except StorageError as error:
        console.warn(f"{error}; measuring that cell again")
        return None
    return clips if [clip.clip for clip in clips] == [str(record.id) for record in records] else None
