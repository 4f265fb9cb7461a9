"""Evaluation of a detector on a dataset: metrics with intervals at three levels, by manipulation and rendition.

Clips are keyed by id, so files with the same name stay separate samples. A clip without a usable face has no score; it
is counted, and part of no metric.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
from scipy.special import expit

from detect.calibration.evaluation_section import calibrated
from detect.config.scoring import EvaluateConfig
from detect.data.crops import dataset_digest
from detect.data.protocols import by_protocol, only, parse_only, seen_in_training, select_records, unchecked
from detect.evaluation.curves import CurveData, plot_curves
from detect.evaluation.error_card import error_card, measure_clips, measure_labels
from detect.evaluation.localization_report import RegionReport, measure_regions
from detect.evaluation.page import PAGE_NAME, render_page
from detect.evaluation.result import EvaluationResult, Part, Slice, count, render_json, split_words
from detect.metrics.bootstrap import evaluate_samples
from detect.metrics.classification import MetricSettings
from detect.metrics.paired import evaluate_pairs
from detect.models.external.settings import parse_reference
from detect.models.shipped import is_shipped
from detect.models.training_record import TrainingRecord, read_training_record
from detect.scoring.dataset import DatasetScores, score_dataset
from detect.scoring.samples import Samples, ScoredClip, clip_samples, frame_samples, track_samples, write_scores
from shared.bootstrap import BootstrapSettings
from shared.config import configured
from shared.dataset import DatasetFolder
from shared.dataset.splits import Clustering, clip_clusters, clustering
from shared.engine.tasks import Engine
from shared.plots import Plot
from shared.results.scores import Evaluation
from shared.storage import need_replaceable, replacing_folder
from shared.types import ClipId, ClipRecord

SCORE_NOTE = (
    "Scores are sigmoids of raw logits, not calibrated probabilities; log loss, Brier score and ECE judge them as if "
    "they were."
)
_EDGE = 1e-9
_RESULT = "evaluation.json"


def evaluate_detector(
    detector: str | Path,
    dataset: str | Path,
    config: EvaluateConfig | None = None,
    *,
    out: str | Path | None = None,
    engine: Engine | None = None,
    **settings: Any,
) -> tuple[EvaluationResult, Path]:
    """Scores a split of a dataset with a trained detector and writes the evaluation.

    Args:
        detector: run or detector folder, or a reference to a third-party one (see ``detect.scoring.dataset``).
        dataset: dataset folder.
        config: split, frames, threshold, intervals.
        out: folder of the result; by default ``evaluations/DATASET-SPLIT`` of the run.
        engine: finds faces and scores clips, a task a clip; by default clips are scored in this process, in turn.
        settings: in place of ``config``'s own: ``split="all"``.

    Returns:
        The result, and the folder it was written to.

    Raises:
        CheckpointError: the detector is missing or damaged.
        ManifestError: the split is empty, or a clip is not the file that the manifest lists.
        UsageError: ``out`` holds something that is no evaluation, or the set has no such clips.
        LeakError: the protocol forbids clips or people that the detector was trained on.
        ConfigError: a setting is unknown, of the wrong type or out of range.
    """
    detector, config = Path(detector), configured(EvaluateConfig, config, settings)
    folder = DatasetFolder.open(dataset)
    records = folder.records(split=None if config.split == "all" else config.split)
    if not records:
        raise folder.without_clips(config.split, "choose another --split, or --split all")
    out = check_target(Path(out) if out else default_target(detector, f"{folder.name}-{config.split}"))
    records = chosen_records(records, config, _learned(detector))
    scores = score_dataset(detector, folder, records, config, engine=engine)
    regions = measure_regions(folder, scores, config)
    with_calibration = calibrated(detector, scores, folder, config)
    result = evaluate_clips(
        scores.clips,
        config,
        dataset={"name": folder.name, "manifest_sha256": dataset_digest(folder)},
        detector=scores.detector,
        operating_point=scores.operating_point,
        notes=(
            *scores.notes,
            *seen_in_training(records, scores.learned),
            *unchecked(config.protocol, scores.learned),
            *with_calibration.notes,
        ),
        measured=_measured(folder, scores),
        learned=scores.learned,
        regions=None if regions is None else regions.report,
    )
    result = dataclasses.replace(result, calibration=with_calibration.section)
    sheet = None if regions is None else regions.sheet
    return result, write_evaluation(
        out, result, with_calibration.clips, sheet=sheet, calibration=with_calibration.picture
    )


def _measured(folder: DatasetFolder, scores: DatasetScores) -> Mapping[ClipId, Mapping[str, str]]:
    """Measurements of the clips' pictures: from the scored faces, or without any from the set's labels."""
    if scores.faces:
        return measure_clips(scores.faces)
    wanted = {clip.record.id for clip in scores.clips}
    return measure_labels([label for label in folder.frame_labels() if label.clip in wanted])


def _learned(detector: Path) -> TrainingRecord:
    """The detector's training record; empty for a third-party detector."""
    return TrainingRecord() if parse_reference(detector) is not None else read_training_record(detector)


def default_target(detector: Path, name: str) -> Path:
    """``evaluations/NAME`` in the detector's run, or in the working folder if it has none."""
    for place in () if is_shipped(detector) else (detector, detector.parent):
        if (place / "run.json").is_file():
            return place / "evaluations" / name
    return Path("evaluations") / name


def check_target(out: Path) -> Path:
    """``out`` unchanged, checked to hold at most an earlier evaluation.

    Raises:
        UsageError: it is a file, or a folder that holds something else.
    """
    need_replaceable(out, "evaluation", marks=(_RESULT,))
    return out


def chosen_records(records: Sequence[ClipRecord], config: EvaluateConfig, learned: TrainingRecord) -> list[ClipRecord]:
    """The clips to evaluate: those that the protocol of ``config`` allows, restricted to ``only``.

    Raises:
        LeakError: cross-set, and the detector was trained on clips or people of this set.
        UsageError: ``only`` matches no clip, or the detector has no training record.
        ManifestError: no clip is new to the detector as the protocol demands.
    """
    return only(select_records(records, config.protocol, learned), parse_only(config.only))


def evaluate_clips(
    clips: Sequence[ScoredClip],
    config: EvaluateConfig,
    *,
    dataset: dict[str, str],
    detector: dict[str, str],
    operating_point: tuple[float, str] = (0.0, "nothing: the score 0.5"),
    notes: Sequence[str] = (),
    measured: Mapping[ClipId, Mapping[str, str]] | None = None,
    learned: TrainingRecord | None = None,
    regions: RegionReport | None = None,
) -> EvaluationResult:
    """Metrics of scored clips.

    Args:
        clips: of one dataset, each with a label.
        config: threshold, bins, bootstrap. Without a threshold the operating point of the detector is used.
        dataset: name and digest, for the record.
        detector: name and digest, for the record.
        operating_point: threshold as a logit, and what it was chosen on.
        notes: further notes for the reader.
        measured: measurements of the pictures, for the error card.
        learned: the detector's training record, for the parts by protocol.
        regions: how well it localises forged regions.
    """
    threshold, threshold_from = _threshold(config, operating_point)
    metrics = MetricSettings(threshold=threshold, bins=config.bins)
    drawn = clustering([clip.record for clip in clips], config.cluster_by)
    clusters = drawn.of(clip.record for clip in clips)
    bootstrap = BootstrapSettings(replicates=config.replicates, seed=config.seed, cluster_by=drawn.by)

    def evaluations(samples: Samples, level: Literal["frame", "track", "clip"]) -> list[Evaluation]:
        owners = clusters[samples.clips]
        found = evaluate_samples(
            samples.labels, samples.logits, owners, level=level, metrics=metrics, bootstrap=bootstrap
        )
        if level != "clip":
            return found
        records = [clips[place].record for place in samples.clips]
        paired = evaluate_pairs(samples.logits, parent_pairs(records), owners, bootstrap=bootstrap)
        return found if paired is None else [*found[:1], paired, *found[1:]]

    def slice_of(by: Part, name: str, places: np.ndarray) -> Slice:
        everything = clip_samples(clips)
        chosen = np.isin(everything.clips, places)
        part = Samples(everything.labels[chosen], everything.logits[chosen], everything.clips[chosen])
        return Slice(by, name, count([clips[place] for place in places]), tuple(evaluations(part, "clip")))

    return EvaluationResult(
        dataset=dataset,
        split=config.split,
        protocol=config.protocol,
        only=config.only,
        detector=detector,
        counts=count(clips),
        threshold=threshold,
        threshold_from=threshold_from,
        aggregation=clips[0].score.aggregation if clips else "",
        clusters=drawn.count,
        cluster_by=drawn.by,
        evaluations=(
            *evaluations(clip_samples(clips), "clip"),
            *evaluations(track_samples(clips), "track"),
            *evaluations(frame_samples(clips), "frame"),
        ),
        slices=tuple(slice_of(by, name, places) for by, name, places in _slices(clips)),
        notes=(*_notes(clips, drawn), *notes),
        protocols=tuple(
            slice_of("protocol", name, np.array(places))
            for name, places in by_protocol([clip.record for clip in clips], learned or TrainingRecord()).items()
        ),
        error_card=error_card(clips, clusters, metrics.threshold_logit, measured=measured, bootstrap=bootstrap),
        regions=regions,
    )


def parent_pairs(records: Sequence[ClipRecord]) -> list[tuple[int, int]]:
    """(place of a fake, place of the real clip that it was made from) where both are among ``records``."""
    reals = {record.id: place for place, record in enumerate(records) if record.label == "real"}
    return [
        (place, reals[record.parent])
        for place, record in enumerate(records)
        if record.label == "fake" and record.parent in reals
    ]


def write_evaluation(
    folder: Path,
    result: EvaluationResult,
    clips: Sequence[ScoredClip],
    *,
    sheet: bytes | None = None,
    calibration: Plot | None = None,
) -> Path:
    """Writes ``evaluation.json`` and ``.html``, ``scores.jsonl``, ``frames.parquet`` and ``curves.png`` to ``folder``.

    ``sheet`` (faces with predicted regions) becomes ``regions.png``, ``calibration`` becomes ``calibration.png``.

    Raises:
        StorageError: writing failed.
    """
    samples = clip_samples(clips)
    data = CurveData(
        title=f"{result.detector.get('name', 'detector')} on {result.dataset.get('name', 'dataset')}, "
        f"{split_words(result.split)}: {result.counts.real} real, {result.counts.fake} fake clips, {result.clusters}",
        labels=samples.labels,
        logits=samples.logits,
        threshold=float(np.log(result.threshold / (1 - result.threshold))),
        slices=[(part.name, e) for part in result.slices for e in part.evaluations if e.metric == "auc"],
    )
    curves = plot_curves(data)
    page = render_page(
        result, clips, curves.svg, has_sheet=sheet is not None, calibration=calibration and calibration.svg
    )
    pictures = {"curves.png": curves.png, "regions.png": sheet, "calibration.png": calibration and calibration.png}
    with replacing_folder(folder) as draft:
        (draft / _RESULT).write_text(render_json(result), encoding="utf-8")
        write_scores(draft, clips, clip_clusters([clip.record for clip in clips], result.cluster_by))
        (draft / PAGE_NAME).write_text(page, encoding="utf-8")
        for name, png in pictures.items():
            if png is not None:
                (draft / name).write_bytes(png)
    return folder


def _threshold(config: EvaluateConfig, operating_point: tuple[float, str]) -> tuple[float, str]:
    if config.threshold is not None:
        return config.threshold, "the command"
    logit, chosen_on = operating_point
    return float(np.clip(expit(logit), _EDGE, 1 - _EDGE)), chosen_on


def _slices(clips: Sequence[ScoredClip]) -> list[tuple[Part, str, np.ndarray]]:
    manipulation = np.array([clip.record.id.manipulation or "" for clip in clips])
    rendition = np.array([clip.record.rendition for clip in clips])
    found: list[tuple[Part, str, np.ndarray]] = []
    for name in np.unique(manipulation[manipulation != ""]):
        found.append(("manipulation", str(name), np.flatnonzero((manipulation == name) | (manipulation == ""))))
    for name in np.unique(rendition):
        found.append(("rendition", str(name), np.flatnonzero(rendition == name)))
    return found


def _notes(clips: Sequence[ScoredClip], clusters: Clustering) -> tuple[str, ...]:
    notes = [SCORE_NOTE]
    if len({clip.record.label for clip in clips}) < 2:
        notes.append("Only one class is here, so there is no AUC, AP, EER or TPR.")
    elif clusters.note:
        notes.append(clusters.note)
    missing = sum(label is None for clip in clips for label in clip.frame_labels)
    if missing:
        notes.append(f"{missing} scored faces have no label of their own and are left out at frame and track level.")
    return tuple(notes)
