"""Trains a detector on a dataset's train split, chooses the best of its steps on the val split, and exports that.

The test split is used neither for training nor for choosing a step; its frames are read once, to refuse duplicates of
them in the other splits. Choosing the checkpoint by its score on the reported sets is the most common way in which
published numbers are too optimistic (see ``detect.evaluation.evaluate``).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from detect.config.scoring import AggregateConfig, AggregationChoice, EvaluateConfig
from detect.config.training import TrainConfig
from detect.data.batches import need_whole_pairs
from detect.data.crops import CropStore, leak_among
from detect.data.duplicates import find_duplicates
from detect.evaluation.evaluate import evaluate_clips, write_evaluation
from detect.evaluation.result import EvaluationResult, validation_facts
from detect.metrics.classification import best_threshold
from detect.models import Detector, build_detector
from detect.models.backbone import backbone_of
from detect.models.checkpoint import FOLDER_NAME, DetectorFacts, OperatingPoint, save_detector
from detect.models.fused_clips import FAMILY
from detect.models.training_record import LEARNED_NAME, training_document
from detect.models.tuning import tune
from detect.scoring.aggregate_choice import choose_aggregation, reaggregated
from detect.scoring.samples import ScoredClip, clip_samples
from detect.training.card import CardFacts, render_card, validated_domain
from detect.training.data import TrainingData, prepare
from detect.training.loop import TrainingLoop
from detect.training.trainer import Trainer
from detect.training.validation_report import make_report, write_report
from shared.config import configured
from shared.console import console
from shared.dataset import DatasetFolder
from shared.device import pick_device, seed_everything
from shared.errors import ConfigError, RunError
from shared.storage import read_json
from shared.training.processes import Processes
from shared.training.run import Run

KIND = "detector"
WHILE_RUNNING = ("steps", "minutes", "workers", "patience")
"""Settings that may differ when a run is resumed: its duration, and what changes no training step."""

_VAL = Path("evaluations") / "val"


@dataclass(frozen=True)
class TrainResult:
    """Result of a training.

    Attributes:
        run, detector: folders of the run and of the exported detector in it.
        steps: total number taken; ``best_step`` is the one kept.
        seconds: total training time.
        images_per_second: in this call, over all processes.
        validation: the kept detector on the val split.
    """

    run: Path
    detector: Path
    steps: int
    best_step: int
    seconds: float
    images_per_second: float
    validation: EvaluationResult


def train_detector(
    dataset: str | Path,
    run: str | Path,
    config: TrainConfig | None = None,
    *,
    processes: Processes | None = None,
    **settings: Any,
) -> TrainResult:
    """Trains a detector in the folder ``run``, or goes on with the training there, and exports ``run/detector``.

    ``settings`` are those of :class:`~detect.config.training.TrainConfig`, in place of those of
    ``config``: ``minutes=10``, ``mix={"blended": 1}``.

    Ctrl-C (or a termination signal) saves a checkpoint first. After a kill the run goes on from the last one; where it
    is limited by steps on a CPU it ends in the very weights that an uninterrupted one ends in.

    Under ``accelerate launch`` every process calls this, and they share each batch; ``processes`` are already joined
    ones, for callers that train more than once.

    Raises:
        ManifestError: a split or a class is missing, or a file is not the one the manifest means.
        LeakError: splits share people, clips or pictures, and ``allow_leak`` is off.
        ConfigError: a setting is unknown, of the wrong type or out of range; a batch cannot be shared by so many
            processes.
        UnknownNameError: no such model or finder.
        WeightsError: pretrained weights are not available.
        RunError: the folder is in use, or holds a run with other settings or data.
        TrainingDivergedError: the loss became non-finite; the last good checkpoint is kept.
        StorageError: writing failed.
    """
    dataset, run, config = Path(dataset), Path(run), configured(TrainConfig, config, settings)
    if config.family == FAMILY:
        raise ConfigError(
            "detectors that are fused clip by clip are trained one by one", hint="assay detect fuse --clips"
        )
    if processes is not None:
        return _train(dataset, run, config, processes)
    processes = Processes.joined(config.device)
    try:
        return _train(dataset, run, config, processes)
    finally:
        processes.leave()


def _train(dataset: Path, run: Path, config: TrainConfig, processes: Processes) -> TrainResult:
    if not processes.first:
        console.configure(quiet=True)
    device = pick_device(processes.device_name(config.device), config.precision)
    need_whole_pairs(config.batch, processes.count)
    folder = DatasetFolder.open(dataset)
    leaks = [leak_among(folder.records(), allowed=config.allow_leak)]
    seed_everything(config.seed)
    model = _build(config)
    if not processes.first:
        processes.wait()  # until the first has searched the clips and cached their faces
    alike = find_duplicates(folder, workers=config.workers)
    leaks.append(leak_among((), allowed=config.allow_leak, alike=alike))
    data = prepare(folder, model.spec, config, device, "; ".join(leak for leak in leaks if leak) or None)
    if processes.first:
        processes.wait()
    with ExitStack() as stack:
        opened = None
        if processes.first:
            opened = stack.enter_context(_open_run(run, config, data, model, device.describe()))
        loop = TrainingLoop(opened, run, Trainer(model, device, config, processes=processes), data)
        loop.train()
        result = processes.from_first(_finish(loop) if processes.first else None)
    assert result is not None
    return result


def _build(config: TrainConfig) -> Detector:
    model = build_detector(
        config.model,
        family=config.family,
        input_px=config.input_px,
        framing=config.framing,
        pretrained=config.pretrained,
        download=config.download,
        drop_rate=config.drop_rate,
        drop_path_rate=config.drop_path_rate,
    )
    tune(backbone_of(model), config.tuning, rank=config.tuning_rank)
    return model


def _open_run(path: Path, config: TrainConfig, data: TrainingData, model: Detector, device: str) -> Run:
    return Run.open_or_create(
        path,
        config,
        seed=config.seed,
        inputs={
            data.name: data.digest,
            **data.facesets,
            "finder": data.finder.get("name", ""),
            "weights": model.initial_weights,
        },
        kind=KIND,
        device=device,
        may_change=WHILE_RUNNING,
    )


def _finish(loop: TrainingLoop) -> TrainResult:
    """The result; exports the best step unless an earlier call has done so."""
    assert loop.best is not None
    found = _measured_before(loop) or _export(loop)
    return TrainResult(
        loop.path,
        loop.path / FOLDER_NAME,
        loop.trainer.step,
        loop.best.step,
        loop.seconds,
        loop.rate,
        found,
    )


def _measured_before(loop: TrainingLoop) -> EvaluationResult | None:
    """The evaluation beside a detector that was exported when the run ended; None if there is work left."""
    if loop.trainer.step != loop.first_step or not (loop.path / FOLDER_NAME).is_dir():
        return None
    try:
        return read_json(loop.path / _VAL / "evaluation.json", EvaluationResult, error=RunError)
    except RunError:
        return None


def _export(loop: TrainingLoop) -> EvaluationResult:
    """Restores the best weights, evaluates them with intervals, and exports them."""
    config, data, best = loop.config, loop.data, loop.best
    assert best is not None
    loop.put_best_back()
    scored = loop.score_val()
    aggregate, choice = choose_aggregation(scored, config.aggregate)
    scored = [reaggregated(clip, aggregate) for clip in scored]
    facts = _facts(loop, scored, aggregate, choice)
    result = evaluate_clips(
        scored,
        EvaluateConfig(split="val", seed=config.seed),
        dataset={"name": data.name, "manifest_sha256": data.digest},
        detector={"name": facts.spec.name, "step": str(best.step)},
        operating_point=(facts.operating_point.logit, facts.operating_point.chosen_on),
    )
    facts = dataclasses.replace(facts, validation=validation_facts(result))
    write_evaluation(loop.path / _VAL, result, scored)
    pixels = loop.val_store if data.reads == "pixels" else CropStore(data.clips["val"])
    report = make_report(loop.choice, data.folder, data.clips["val"], scored, pixels)
    write_report(loop.path / _VAL, report)
    card = CardFacts(
        data.name,
        {**data.clips},
        config,
        loop.trainer.step,
        best.step,
        report.chosen,
        leak=data.leak,
        validation=report,
    )
    save_detector(
        loop.trainer.average,
        loop.path / FOLDER_NAME,
        facts,
        card=render_card(facts, card, result),
        extra={
            "validated.json": validated_domain(data.clips["val"], data.name, data.digest),
            LEARNED_NAME: training_document(clip.record for clips in data.clips.values() for clip in clips),
        },
    )
    return result


def _facts(
    loop: TrainingLoop, scored: Sequence[ScoredClip], aggregate: AggregateConfig, choice: AggregationChoice
) -> DetectorFacts:
    samples = clip_samples(scored)
    threshold = best_threshold(samples.labels, samples.logits)
    point = OperatingPoint()
    if threshold is not None:
        point = OperatingPoint(threshold, f"the val split of {loop.data.name} (largest TPR - FPR over clips)")
    return DetectorFacts(
        spec=loop.trainer.model.spec,
        faces=loop.config.faces,
        finder=loop.data.finder,
        aggregate=aggregate,
        aggregation=choice,
        operating_point=point,
        initial_weights=loop.trainer.model.initial_weights,
    )
