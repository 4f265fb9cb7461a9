"""Measures a detector on perturbed clips: each kind of perturbation at each level, with faces found again.

Each cell of the sweep is written when it is done, so an interrupted sweep can be resumed. All cells use the same clips,
so differences between cells are due to the perturbation.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import msgspec
import numpy as np

from detect.data.crops import dataset_digest
from detect.data.labels import labels_by_clip
from detect.data.protocols import only, parse_only, sample_evenly, seen_in_training
from detect.metrics.bootstrap import evaluate_samples
from detect.metrics.classification import MetricSettings
from detect.models.checkpoint import detector_title
from detect.models.predictor import CropPredictor
from detect.models.shipped import is_shipped
from detect.models.training_record import TrainingRecord, read_training_record
from detect.robustness.config import RobustnessConfig
from detect.robustness.page import plot_heat_map, render_table
from detect.robustness.perturb import CLEAN, KINDS, Cell, all_cells, quick_cells
from detect.robustness.result import CellResult, Robustness
from detect.robustness.sweep import CELLS, CellClip, Sweep, cell_clips, measure_on
from detect.scoring.clip_fusion import need_one_detector
from shared.bootstrap import BootstrapSettings
from shared.console import console
from shared.dataset import DatasetFolder
from shared.dataset.files import need_media
from shared.dataset.splits import clustering
from shared.engine.tasks import Engine
from shared.errors import UsageError
from shared.faces.finders.finder import make_finder
from shared.registry import near_matches
from shared.storage import need_own_folder, write_bytes, write_text
from shared.types import ClipRecord

RESULT_NAME = "robustness.json"
_EDGE = 1e-9


def measure_robustness(
    detector: Path, dataset: Path, config: RobustnessConfig, *, out: Path | None = None, engine: Engine | None = None
) -> tuple[Robustness, Path]:
    """Scores perturbed clips with a detector and writes ``robustness.json``, a table and a heat map.

    Args:
        detector: run or detector folder, or a reference to a third-party network.
        dataset: dataset folder.
        config: clips, frames and cells.
        out: folder of the sweep; cells in it are kept. Default ``robustness/DATASET-SPLIT`` in the run.
        engine: runs one task for each clip and cell; without an engine they are measured one by one in this process.

    Returns:
        The result, and the folder.

    Raises:
        CheckpointError: no detector there, or a damaged one.
        ManifestError: no clip to perturb, or a file does not match the manifest.
        UsageError: unknown kind; ``out`` holds something else; or ``detector`` refers to a detector of whole clips.
        MediaError: a clip cannot be read or encoded.
    """
    folder = DatasetFolder.open(dataset)
    cells = chosen_cells(config)
    records = _records(folder, config)
    out = out or _default_target(detector, f"{folder.name}-{config.split}")
    need_own_folder(out, "sweep", marks=(RESULT_NAME, CELLS))
    predictor = CropPredictor.load(detector, config.device, precision=config.precision)
    need_one_detector(predictor, "a sweep")
    finder = make_finder(config.finder or predictor.facts.finder_name, device=str(predictor.device.torch_device))
    wanted = {record.id for record in records}
    labels = labels_by_clip([label for label in folder.frame_labels() if label.clip in wanted])
    named = {str(clip): rows for clip, rows in labels.items()}
    sweep = Sweep(folder, records, named, predictor, finder, config, out)
    if engine is not None:
        measure_on(engine, sweep, cells, detector)
    known = read_training_record(detector) if is_shipped(detector) or Path(detector).exists() else TrainingRecord()
    name = detector_title(detector, predictor.facts.spec)
    result = _measure(sweep, cells, name, seen_in_training(records, known))
    write_text(out / RESULT_NAME, json.dumps(msgspec.to_builtins(result), indent=2, ensure_ascii=False) + "\n")
    write_text(out / "robustness.md", render_table(result))
    write_bytes(out / "robustness.png", plot_heat_map(result))
    return result, out


def chosen_cells(config: RobustnessConfig) -> list[Cell]:
    """The cells of ``config``; the unperturbed clips come first.

    Raises:
        UsageError: unknown kind.
    """
    for kind in config.kinds:
        if kind not in KINDS:
            raise UsageError(f"no perturbation is named {kind!r}", hint=near_matches(kind, list(KINDS)))
    cells = quick_cells() if config.quick else all_cells()
    return [cell for cell in cells if cell == CLEAN or not config.kinds or cell.kind in config.kinds]


def _measure(sweep: Sweep, cells: Sequence[Cell], name: str, notes: tuple[str, ...]) -> Robustness:
    config, facts = sweep.config, sweep.predictor.facts
    logit, chosen_on = sweep.predictor.operating_point
    threshold = float(np.clip(1 / (1 + np.exp(-logit)), _EDGE, 1 - _EDGE))
    clustered = clustering(sweep.records, config.cluster_by)
    clusters = clustered.of(sweep.records)
    bootstrap = BootstrapSettings(config.replicates, seed=config.seed, cluster_by=clustered.by)
    results: list[CellResult] = []
    with console.progress("perturbing", len(cells) * len(sweep.records), unit="clip") as tick:
        for cell in cells:
            tick(0, note=str(cell))
            clips = cell_clips(sweep, cell, tick)
            results.append(_result(cell, sweep.records, clips, clusters, MetricSettings(threshold), bootstrap))
    published = [r.auc for r in results if r.kind in KINDS and KINDS[r.kind].group == "DeeperForensics"]
    values = [auc.value for auc in published if auc is not None]
    whole = len(values) == sum(len(kind.levels) for kind in KINDS.values() if kind.group == "DeeperForensics")
    return Robustness(
        dataset={"name": sweep.folder.name, "manifest_sha256": dataset_digest(sweep.folder)},
        split=config.split,
        detector={
            "name": name,
            "network": facts.spec.name,
            "weights_sha256": sweep.predictor.digest,
            "finder": sweep.finder.describe().get("name", ""),
        },
        threshold=threshold,
        threshold_from=chosen_on,
        clusters=clustered.count,
        cells=tuple(results),
        mean_auc=float(np.mean(values)) if whole else None,
        notes=(*notes, *([clustered.note] if clustered.note else [])),
    )


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


def _records(folder: DatasetFolder, config: RobustnessConfig) -> list[ClipRecord]:
    listed = [record for record in folder.records() if config.split in ("all", record.split)]
    if not listed:
        raise folder.without_clips(config.split, "choose another --split, or --split all")
    chosen = sample_evenly(only(listed, parse_only(config.only)), config.clips, config.seed)
    for record in chosen:
        need_media(folder.media_path(record), record)
    return chosen


def _default_target(detector: Path, name: str) -> Path:
    for place in () if is_shipped(detector) else (detector, detector.parent):
        if (place / "run.json").is_file():
            return place / "robustness" / name
    return Path("robustness") / name
