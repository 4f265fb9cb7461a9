"""How a detector holds when clips are damaged: every kind of damage at every level, faces found anew after each.

Each cell of the sweep is written when it is done, so a sweep that was stopped goes on where it was. The clips are the
same in every cell, so a difference between cells is the damage and not the choice.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np

from detect.bootstrap import BootstrapSettings, clip_clusters, evaluate_samples
from detect.data import dataset_digest
from detect.learned import Learned, read_learned
from detect.metrics import MetricSettings
from detect.perturb import CLEAN, KINDS, Cell, all_cells, quick_cells
from detect.perturbed_faces import perturbed_faces, wanted_frames
from detect.predictor import Predictor
from detect.protocols import only, parse_only, sample_evenly, seen_in_training
from detect.robustness_config import RobustnessConfig
from detect.robustness_page import draw_heat_map, render_table
from detect.scored import ScoredClip, scored_clip
from detect.scoring import crop_for
from detect.truth import LabelsByFrame, face_truth, labels_by_clip
from shared.config import digest
from shared.console import console
from shared.dataset import DatasetFolder
from shared.errors import ManifestError, StorageError, UsageError
from shared.faces.finder import FaceFinder, make_finder
from shared.registry import near_matches
from shared.scores import Evaluation, FrameScore
from shared.storage import sha256_file, write_bytes, write_text
from shared.types import ClipRecord

RESULT_NAME = "robustness.json"
_CELLS = "cells"
_FORMAT = 1
_EDGE = 1e-9


@dataclass(frozen=True)
class CellClip:
    """What became of one clip in one cell; ``logit`` is None when no face was found any more."""

    clip: str
    logit: float | None
    frames_searched: int
    frames_with_face: int


@dataclass(frozen=True)
class CellResult:
    """One cell of the sweep.

    Attributes:
        kind, level, value: the damage; ``value`` is None for the clean clips.
        auc: at clip level, of the clips that still have a face; None with one class only.
        accuracy: at the detector's own threshold.
        no_face_clips: clips without any face, of ``clips``; they have no score and are not in the metrics.
        no_face_rate: share of the searched frames in which no face was found.
    """

    kind: str
    level: int
    value: float | None
    clips: int
    no_face_clips: int
    no_face_rate: float
    auc: Evaluation | None
    accuracy: Evaluation | None


@dataclass(frozen=True)
class Robustness:
    """What ``robustness.json`` holds.

    ``mean_auc`` is over the 7 x 5 cells of DeeperForensics, as papers print it, and None unless all were measured.
    """

    dataset: dict[str, str]
    split: str
    detector: dict[str, str]
    threshold: float
    threshold_from: str
    clusters: str
    cells: tuple[CellResult, ...]
    mean_auc: float | None
    notes: tuple[str, ...]

    def find(self, kind: str, level: int) -> CellResult | None:
        """The cell of ``kind`` at ``level``, if it was measured."""
        return next((cell for cell in self.cells if (cell.kind, cell.level) == (kind, level)), None)


@dataclass(frozen=True, eq=False)
class _Sweep:
    """What every cell of one sweep has in common."""

    folder: DatasetFolder
    records: Sequence[ClipRecord]
    labels: Mapping[str, LabelsByFrame]
    predictor: Predictor
    finder: FaceFinder
    config: RobustnessConfig
    out: Path


def measure_robustness(
    detector: Path, dataset: Path, config: RobustnessConfig, *, out: Path | None = None
) -> tuple[Robustness, Path]:
    """Sweeps a detector over perturbed clips and writes ``robustness.json``, its table and its heat map.

    Args:
        detector: run or detector folder, or a reference to another maker's network.
        dataset: dataset folder.
        config: clips, frames and cells.
        out: folder of the sweep, which goes on with what it holds; without it ``robustness/DATASET-SPLIT`` of the run.

    Returns:
        The result, and the folder.

    Raises:
        CheckpointError: no detector there, or a damaged one.
        ManifestError: no clip to perturb, or one is not the file the manifest means.
        UsageError: no such kind; ``out`` is something else, or a reference to a detector of whole clips.
        MediaError: a clip cannot be read or encoded.
    """
    folder = DatasetFolder.open(dataset)
    cells = chosen_cells(config)
    records = _records(folder, config)
    out = _target(out or _default_target(detector, f"{folder.name}-{config.split}"))
    predictor = Predictor.load(detector, config.device, precision=config.precision)
    finder = _finder(predictor, config)
    wanted = {record.id for record in records}
    labels = labels_by_clip([label for label in folder.frame_labels() if label.clip in wanted])
    named = {str(clip): rows for clip, rows in labels.items()}
    sweep = _Sweep(folder, records, named, predictor, finder, config, out)
    known = read_learned(detector) if Path(detector).exists() else Learned()
    result = _measure(sweep, cells, seen_in_training(records, known))
    write_text(out / RESULT_NAME, json.dumps(msgspec.to_builtins(result), indent=2, ensure_ascii=False) + "\n")
    write_text(out / "robustness.md", render_table(result))
    write_bytes(out / "robustness.png", draw_heat_map(result))
    return result, out


def chosen_cells(config: RobustnessConfig) -> list[Cell]:
    """The cells that ``config`` asks for, the clean clips always first.

    Raises:
        UsageError: no such kind.
    """
    for kind in config.kinds:
        if kind not in KINDS:
            raise UsageError(f"no perturbation is named {kind!r}", hint=near_matches(kind, list(KINDS)))
    cells = quick_cells() if config.quick else all_cells()
    return [cell for cell in cells if cell == CLEAN or not config.kinds or cell.kind in config.kinds]


def _measure(sweep: _Sweep, cells: Sequence[Cell], notes: tuple[str, ...]) -> Robustness:
    config, facts = sweep.config, sweep.predictor.facts
    logit, chosen_on = sweep.predictor.operating_point
    threshold = float(np.clip(1 / (1 + np.exp(-logit)), _EDGE, 1 - _EDGE))
    numbers = clip_clusters(sweep.records, config.cluster_by)
    clusters = np.array([numbers[record.id] for record in sweep.records], np.int64)
    bootstrap = BootstrapSettings(config.replicates, seed=config.seed, cluster_by=config.cluster_by)
    results: list[CellResult] = []
    with console.progress("perturbing", len(cells) * len(sweep.records), unit="clip") as tick:
        for cell in cells:
            tick(0, note=str(cell))
            clips = _cell(sweep, cell, tick)
            results.append(_result(cell, sweep.records, clips, clusters, MetricSettings(threshold), bootstrap))
    published = [r.auc for r in results if r.kind in KINDS and KINDS[r.kind].group == "DeeperForensics"]
    values = [auc.value for auc in published if auc is not None]
    whole = len(values) == sum(len(kind.levels) for kind in KINDS.values() if kind.group == "DeeperForensics")
    return Robustness(
        dataset={"name": sweep.folder.name, "manifest_sha256": dataset_digest(sweep.folder)},
        split=config.split,
        detector={
            "name": facts.spec.name,
            "weights_sha256": sweep.predictor.digest,
            "finder": sweep.finder.describe().get("name", ""),
        },
        threshold=threshold,
        threshold_from=chosen_on,
        clusters=f"{np.unique(clusters).size} clusters by {config.cluster_by}",
        cells=tuple(results),
        mean_auc=float(np.mean(values)) if whole else None,
        notes=notes,
    )


def _cell(sweep: _Sweep, cell: Cell, tick: object) -> list[CellClip]:
    """The clips of one cell: read where they were measured before, else measured and written."""
    assert callable(tick)
    path = sweep.out / _CELLS / f"{cell}-{_key(sweep)}.json"
    done = _read_cell(path, sweep.records)
    if done is not None:
        tick(len(sweep.records))
        return done
    clips = []
    for record in sweep.records:
        clips.append(_clip(sweep, record, cell))
        tick(1, note=str(cell))
    write_text(path, json.dumps([msgspec.to_builtins(clip) for clip in clips], indent=1) + "\n")
    return clips


def _clip(sweep: _Sweep, record: ClipRecord, cell: Cell) -> CellClip:
    scored = _scored(sweep, record, cell)
    return CellClip(str(record.id), scored.score.logit, scored.score.frames_read, scored.score.frames_with_face)


def _scored(sweep: _Sweep, record: ClipRecord, cell: Cell) -> ScoredClip:
    config, predictor = sweep.config, sweep.predictor
    wanted = wanted_frames(record.frames, config.frames_per_clip, cell)
    seed = int.from_bytes(hashlib.sha256(f"{config.seed}/{record.id}".encode()).digest()[:4], "big")
    path = sweep.folder.media_path(record)
    crops, places, searched = [], [], 0
    for frame, faces in perturbed_faces(path, wanted, cell, sweep.finder, predictor.facts.faces, seed=seed):
        searched += 1
        for face in faces:
            crops.append(crop_for(predictor, frame.image, face))
            places.append((frame, face))
    tracks = np.array([-1 if face.track is None else face.track for _, face in places])
    logits = predictor.face_logits(np.stack(crops), tracks, batch=config.batch) if crops else np.empty(0)
    rows = sweep.labels.get(str(record.id), {})
    scores, truth = [], []
    for (frame, face), logit in zip(places, logits, strict=True):
        x0, y0, x1, y1 = (float(side) for side in face.box)
        track = -1 if face.track is None else face.track
        scores.append(FrameScore(record.id, frame.index, frame.time.seconds, track, float(logit), (x0, y0, x1, y1)))
        truth.append(face_truth(record, rows, frame.index, face.box))
    aggregate = config.aggregate or predictor.facts.aggregate
    return scored_clip(record, scores, truth, frames_read=searched, config=aggregate)


def _result(
    cell: Cell,
    records: Sequence[ClipRecord],
    clips: Sequence[CellClip],
    clusters: np.ndarray,
    metrics: MetricSettings,
    bootstrap: BootstrapSettings,
) -> CellResult:
    labels = np.array([record.label == "fake" for record in records], bool)
    scored = np.array([clip.logit is not None for clip in clips], bool)
    logits = np.array([clip.logit for clip in clips if clip.logit is not None], np.float64)
    found = {
        e.metric: e
        for e in evaluate_samples(
            labels[scored], logits, clusters[scored], level="clip", metrics=metrics, bootstrap=bootstrap
        )
    }
    searched = sum(clip.frames_searched for clip in clips)
    seen = sum(clip.frames_with_face for clip in clips)
    return CellResult(
        kind=cell.kind,
        level=cell.level,
        value=cell.value,
        clips=len(clips),
        no_face_clips=int((~scored).sum()),
        no_face_rate=1 - seen / searched if searched else 1.0,
        auc=found.get("auc"),
        accuracy=found.get(metrics.accuracy_name),
    )


def _key(sweep: _Sweep) -> str:
    """Names what a cell's numbers depend on beside its kind and level: equal names, equal numbers."""
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


def _read_cell(path: Path, records: Sequence[ClipRecord]) -> list[CellClip] | None:
    """The clips of a cell measured before; None when there is none, or it is damaged."""
    try:
        clips = msgspec.json.decode(path.read_bytes(), type=list[CellClip])
    except FileNotFoundError:
        return None
    except OSError as error:
        raise StorageError(f"cannot read {path}: {error}", hint="check its permissions") from error
    except msgspec.DecodeError:
        console.warn(f"{path} is damaged; measuring that cell again")
        return None
    return clips if [clip.clip for clip in clips] == [str(record.id) for record in records] else None


def _records(folder: DatasetFolder, config: RobustnessConfig) -> list[ClipRecord]:
    listed = [record for record in folder.records() if config.split in ("all", record.split)]
    if not listed:
        raise ManifestError(
            f"{folder.path} has no clip in its {config.split} split", hint="choose another --split, or --split all"
        )
    chosen = sample_evenly(only(listed, parse_only(config.only)), config.clips, config.seed)
    for record in chosen:
        path = folder.media_path(record)
        if not path.is_file() or sha256_file(path) != record.sha256:
            raise ManifestError(
                f"{record.id}: {path} is missing or not the file the manifest means",
                hint="assay dataset verify says more",
            )
    return chosen


def _finder(predictor: Predictor, config: RobustnessConfig) -> FaceFinder:
    facts = predictor.facts
    name = config.finder or facts.finder.get("name") or facts.faces.finder
    return make_finder(name, device=str(predictor.device.torch_device))


def _default_target(detector: Path, name: str) -> Path:
    for place in (detector, detector.parent):
        if (place / "run.json").is_file():
            return place / "robustness" / name
    return Path("robustness") / name


def _target(out: Path) -> Path:
    """``out``, when it is new, empty, or the folder of a sweep.

    Raises:
        UsageError: it holds something else.
    """
    known = (RESULT_NAME, _CELLS)
    if out.exists() and not (out.is_dir() and (not any(out.iterdir()) or any((out / name).exists() for name in known))):
        raise UsageError(f"{out} is there and holds no sweep", hint="choose another --out")
    return out
