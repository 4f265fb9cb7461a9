"""Trains a detector on a dataset's train split, chooses the best of its steps on the val split, and exports that.

Nothing is learned from the test split nor chosen by it; its pictures are looked at once, to refuse copies of them among
those that are. Picking the checkpoint by what it scores on the sets that are reported is the most common way in which
published numbers flatter (see ``detect.evaluation.evaluate`` for what is done instead).
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from detect.config import AggregateConfig, AggregationChoice, EvaluateConfig, TrainConfig
from detect.data.batches import need_whole_pairs
from detect.data.crops import leak_among
from detect.data.duplicates import find_duplicates
from detect.evaluation.evaluate import EvaluationResult, evaluate_clips, write_evaluation
from detect.metrics.classification import best_threshold
from detect.models import Detector, build_detector
from detect.models.backbone import backbone_of
from detect.models.checkpoint import FOLDER_NAME, DetectorFacts, OperatingPoint, save_detector
from detect.models.training_record import LEARNED_NAME, training_document
from detect.models.tuning import tune
from detect.scoring.aggregate_choice import choose_aggregation, reaggregated
from detect.scoring.samples import ScoredClip, clip_samples
from detect.training.card import CardFacts, render_card, validated_domain
from detect.training.data import TrainingData, prepare
from detect.training.loop import TrainingLoop, ValScore
from detect.training.trainer import Trainer
from shared.console import console
from shared.dataset import DatasetFolder
from shared.device import pick_device, seed_everything
from shared.errors import RunError
from shared.storage import read_json
from shared.training.processes import Processes
from shared.training.run import Run

__all__ = ["KIND", "TrainResult", "ValScore", "train_detector"]

KIND = "detector"
WHILE_RUNNING = ("minutes", "workers", "patience")
"""Settings that may differ when a run goes on: they do not change what a step does."""

_VAL = Path("evaluations") / "val"


@dataclass(frozen=True)
class TrainResult:
    """What a training came to.

    Attributes:
        run, detector: folders of the run and of the exported detector in it.
        steps: taken in all; ``best_step`` is the one that was kept.
        seconds: of training, in all.
        images_per_second: of this call, in all processes.
        validation: the kept detector on the val split.
    """

    run: Path
    detector: Path
    steps: int
    best_step: int
    seconds: float
    images_per_second: float
    validation: EvaluationResult


def train_detector(dataset: Path, run: Path, config: TrainConfig, *, processes: Processes | None = None) -> TrainResult:
    """Trains a detector in the folder ``run``, or goes on with the training there, and exports ``run/detector``.

    Ctrl-C (or a termination signal) saves a checkpoint first. After a kill the run goes on from the last one; where it
    is limited by steps on a CPU it ends in the very weights that an uninterrupted one ends in.

    Under ``accelerate launch`` every process calls this, and they share each batch; ``processes`` are those that were
    joined before, for whoever trains more than once.

    Raises:
        ManifestError: a split or a class is missing, or a file is not the one the manifest means.
        LeakError: splits share people, clips or pictures, and ``allow_leak`` is off.
        ConfigError: a batch cannot be shared by so many processes.
        UnknownNameError: no such model or finder.
        WeightsError: pretrained weights cannot be had.
        RunError: the folder is in use, or holds a run with other settings or data.
        TrainingDivergedError: the loss is not a number any more; the last good checkpoint is kept.
        StorageError: the disk refused.
    """
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
        processes.wait()  # until the first has looked at the clips and kept their faces
    alike = find_duplicates(folder, workers=config.workers)
    leaks.append(leak_among((), allowed=config.allow_leak, alike=alike))
    data = prepare(folder, model.spec, config, device, "; ".join(leak for leak in leaks if leak) or None)
    if processes.first:
        processes.wait()
    with ExitStack() as stack:
        opened = None
        if processes.first:
            opened = stack.enter_context(_open_run(run, config, data, model, device.describe()))
        session = TrainingLoop(opened, run, Trainer(model, device, config, processes=processes), data)
        session.train()
        result = processes.from_first(_finish(session) if processes.first else None)
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


def _finish(session: TrainingLoop) -> TrainResult:
    """What a training came to; exports its best step, unless an earlier call has done so."""
    assert session.best is not None
    found = _measured_before(session) or _export(session)
    return TrainResult(
        session.path,
        session.path / FOLDER_NAME,
        session.trainer.step,
        session.best.step,
        session.seconds,
        session.rate,
        found,
    )


def _measured_before(session: TrainingLoop) -> EvaluationResult | None:
    """The evaluation beside a detector that was exported when the run ended; None where there is work left to do."""
    if session.trainer.step != session.first_step or not (session.path / FOLDER_NAME).is_dir():
        return None
    try:
        return read_json(session.path / _VAL / "evaluation.json", EvaluationResult, error=RunError)
    except RunError:
        return None


def _export(session: TrainingLoop) -> EvaluationResult:
    """Puts the best weights back, measures them once more with intervals, and exports them."""
    config, data, best = session.config, session.data, session.best
    assert best is not None
    session.put_best_back()
    scored = session.score_val()
    aggregate, choice = choose_aggregation(scored, config.aggregate)
    scored = [reaggregated(clip, aggregate) for clip in scored]
    facts = _facts(session, scored, aggregate, choice)
    result = evaluate_clips(
        scored,
        EvaluateConfig(split="val", seed=config.seed),
        dataset={"name": data.name, "manifest_sha256": data.digest},
        detector={"name": facts.spec.name, "step": str(best.step)},
        operating_point=(facts.operating_point.logit, facts.operating_point.chosen_on),
    )
    write_evaluation(session.path / _VAL, result, scored)
    chosen_by = "clip log loss" if best.auc is None else f"clip AUC {best.auc:.3f}"
    card = CardFacts(data.name, {**data.clips}, config, best.step, chosen_by, leak=data.leak)
    save_detector(
        session.trainer.average,
        session.path / FOLDER_NAME,
        facts,
        card=render_card(facts, card, result),
        extra={
            "validated.json": validated_domain(data.clips["val"], data.name, data.digest),
            LEARNED_NAME: training_document(clip.record for clips in data.clips.values() for clip in clips),
        },
    )
    return result


def _facts(
    session: TrainingLoop, scored: Sequence[ScoredClip], aggregate: AggregateConfig, choice: AggregationChoice
) -> DetectorFacts:
    samples = clip_samples(scored)
    threshold = best_threshold(samples.labels, samples.logits)
    point = OperatingPoint()
    if threshold is not None:
        point = OperatingPoint(threshold, f"the val split of {session.data.name} (largest TPR - FPR over clips)")
    return DetectorFacts(
        spec=session.trainer.model.spec,
        faces=session.config.faces,
        finder=session.data.finder,
        aggregate=aggregate,
        aggregation=choice,
        operating_point=point,
        initial_weights=session.trainer.model.initial_weights,
    )
