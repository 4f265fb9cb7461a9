"""Trains a detector on a dataset's train split, chooses the best of its steps on the val split, and exports that.

The test split is never opened here. Picking the checkpoint by what it scores on the sets that are reported is the most
common way in which published numbers flatter (see ``detect.evaluate`` for what is done instead).
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from detect.aggregate import AggregationChoice, while_training
from detect.aggregate_choice import choose_aggregation, reaggregated
from detect.batches import Batch, Mixture, batches
from detect.card import CardFacts, render_card, validated_domain
from detect.config import AggregateConfig, EvaluateConfig, TrainConfig
from detect.data import CropStore, leak_among
from detect.evaluate import EvaluationResult, evaluate_clips, write_evaluation
from detect.export import FOLDER_NAME, DetectorFacts, OperatingPoint, save_detector
from detect.learned import LEARNED_NAME, learned_document
from detect.metrics import auc, best_threshold, log_loss
from detect.models import build_detector
from detect.models.backbone import backbone_of
from detect.models.tuning import tune
from detect.previews import batch_sheet, jpeg_bytes
from detect.scored import ScoredClip, clip_samples, frame_samples, score_clips
from detect.trainer import Trainer, load_prefixed
from detect.training_data import TrainingData, prepare
from shared.console import Tick, console
from shared.dataset import DatasetFolder
from shared.device import pick_device, seed_everything
from shared.errors import ManifestError
from shared.runs import Run
from shared.signals import signals_noted
from shared.storage import write_bytes

KIND = "detector"
WHILE_RUNNING = ("minutes", "workers", "patience")
"""Settings that may differ when a run goes on: they do not change what a step does."""

_LOG_EVERY = 10
_MAX_FINDERS = 4


@dataclass(frozen=True)
class ValScore:
    """How good the averaged weights were on the val split at one step.

    Clip-level AUC decides, log loss where AUCs are equal or, with one class only, undefined.
    """

    step: int
    auc: float | None
    log_loss: float

    def better_than(self, other: ValScore | None) -> bool:
        """Whether this is the one to keep."""
        if other is None:
            return True
        if self.auc is not None and other.auc is not None and self.auc != other.auc:
            return self.auc > other.auc
        return self.log_loss < other.log_loss


@dataclass(frozen=True)
class TrainResult:
    """What a training came to.

    Attributes:
        run, detector: folders of the run and of the exported detector in it.
        steps: taken in all; ``best_step`` is the one that was kept.
        seconds: of training, in all.
        images_per_second: of this call.
        validation: the kept detector on the val split.
    """

    run: Path
    detector: Path
    steps: int
    best_step: int
    seconds: float
    images_per_second: float
    validation: EvaluationResult


def train_detector(dataset: Path, run: Path, config: TrainConfig) -> TrainResult:
    """Trains a detector in the folder ``run``, or goes on with the training there, and exports ``run/detector``.

    Ctrl-C (or a termination signal) saves a checkpoint first. After a kill the run goes on from the last one; where it
    is limited by steps on a CPU it ends in the very weights that an uninterrupted one ends in.

    Raises:
        ManifestError: a split or a class is missing, or a file is not the one the manifest means.
        LeakError: splits share people or clips, and ``allow_leak`` is off.
        UnknownNameError: no such model or finder.
        WeightsError: pretrained weights cannot be had.
        RunError: the folder is in use, or holds a run with other settings or data.
        TrainingDivergedError: the loss is not a number any more; the last good checkpoint is kept.
        StorageError: the disk refused.
    """
    device = pick_device(config.device, config.precision)
    folder = DatasetFolder.open(dataset)
    leak = leak_among(folder.records(), allowed=config.allow_leak)
    seed_everything(config.seed)
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
    data = prepare(folder, model.spec, config, device, leak)
    with Run.open_or_create(
        run,
        config,
        seed=config.seed,
        inputs={
            data.name: data.digest,
            **data.facesets,
            "finder": data.finder.get("name", ""),
            "weights": model.initial_weights,
        },
        kind=KIND,
        device=device.describe(),
        may_change=WHILE_RUNNING,
    ) as opened:
        return _Session(opened, Trainer(model, device, config), data).train()


class _Session:
    """One call of :func:`train_detector`: the loop, and all that happens beside it."""

    def __init__(self, run: Run, trainer: Trainer, data: TrainingData) -> None:
        self.run = run
        self.trainer = trainer
        self.data = data
        self.config = trainer.config
        self.best: ValScore | None = None
        self.best_weights: dict[str, Tensor] = {}
        self.latest: ValScore | None = None
        self.stale = 0
        self.ended = False
        self.earlier_seconds = 0.0
        self.first_step = 0
        self.began = time.monotonic()
        self.train_store = CropStore(data.clips["train"])
        self.val_store = CropStore(data.clips["val"])
        self.losses: list[float] = []

    def train(self) -> TrainResult:
        self._resume()
        mixture = self.data.mixture(self.train_store, self.config)
        self.began = time.monotonic()
        with ExitStack() as stack:
            stopped = stack.enter_context(signals_noted())
            tick = stack.enter_context(self._progress())
            for batch in stack.enter_context(self._batches(mixture)):
                if stopped or self.ended or self._fraction(self.trainer.step) >= 1:
                    break
                self._step(batch, tick)
        if stopped:
            self._save()
            console.print(f"stopped at step {self.trainer.step}, saved; the same command goes on from there")
            raise KeyboardInterrupt
        if self.latest is None or self.latest.step != self.trainer.step:
            self._validate()
        self.ended = True
        self._save()
        return self._finish()

    @property
    def seconds(self) -> float:
        return self.earlier_seconds + time.monotonic() - self.began

    def _fraction(self, step: int) -> float:
        """How much of the training is done: by steps or by time, whichever is further on."""
        by_time = self.seconds / (60 * self.config.minutes) if self.config.minutes else 0.0
        return min(1.0, max(step / self.config.steps, by_time))

    @contextmanager
    def _batches(self, mixture: Mixture) -> Iterator[Iterator[Batch]]:
        config = self.config
        steps = range(self.trainer.step + 1, config.steps + 1) if not self.ended else range(0)
        made = batches(
            mixture,
            steps=steps,
            batch=config.batch,
            seed=config.seed,
            augment_config=config.augment,
            workers=config.workers,
        )
        with closing(made):  # type: ignore[type-var]
            yield made

    @contextmanager
    def _progress(self) -> Iterator[Tick]:
        """A bar over images, or over seconds where time is the limit and the number of steps is not known."""
        config = self.config
        if config.minutes is None:
            total, done, unit = config.steps * config.batch, self.trainer.step * config.batch, "images"
        else:
            total, done, unit = round(60 * config.minutes), round(self.earlier_seconds), "s"
        with console.progress("training", total, unit=unit, done=done) as tick:
            yield tick

    def _step(self, batch: Batch, tick: Tick) -> None:
        config, before = self.config, self.seconds
        if self.trainer.step == 0:
            write_bytes(self.run.previews / "first-batch.jpg", jpeg_bytes(batch_sheet(batch)))
        told = self.trainer.learn(batch, self._fraction(batch.step))
        self.losses.append(told["loss"])
        if batch.step % _LOG_EVERY == 0:
            loss = float(np.mean(self.losses[-_LOG_EVERY:]))
            self.run.log(batch.step, **{**told, "loss": loss}, images_per_second=self._rate(), seconds=self.seconds)
        if batch.step % config.evaluate_every == 0:
            self._validate()
        if batch.step % config.save_every == 0:
            self._save()
        amount = config.batch if config.minutes is None else round(self.seconds) - round(before)
        tick(amount, note=self._note())

    def _note(self) -> str:
        text = f"step {self.trainer.step}  {self._rate():.1f} images/s  loss {np.mean(self.losses[-_LOG_EVERY:]):.3f}"
        if self.best is not None:
            shown = f"log loss {self.best.log_loss:.3f}" if self.best.auc is None else f"AUC {self.best.auc:.3f}"
            text += f"  best val {shown} at {self.best.step}"
        return text

    def _rate(self) -> float:
        steps = self.trainer.step - self.first_step
        return steps * self.config.batch / max(time.monotonic() - self.began, 1e-9)

    def _validate(self) -> None:
        """Scores the val split with the averaged weights, and keeps them when they are the best so far."""
        scored = self._score_val()
        samples, step = clip_samples(scored), self.trainer.step
        loss = log_loss(samples.labels, samples.logits)
        if loss is None:
            raise ManifestError(
                f"no clip of the val split of {self.data.name} has a usable face, so no step can be chosen",
                hint="try another --finder, or a smaller --min-face-px",
            )
        self.latest = ValScore(step, auc(samples.labels, samples.logits), loss)
        frames = frame_samples(scored)
        told = {"auc": self.latest.auc, "log_loss": loss, "frame_auc": auc(frames.labels, frames.logits)}
        self.run.log(step, **{f"val_{name}": value for name, value in told.items() if value is not None})
        if self.latest.better_than(self.best):
            self.best, self.stale = self.latest, 0
            state = self.trainer.average.state_dict()
            self.best_weights = {name: tensor.detach().cpu().clone() for name, tensor in state.items()}
        else:
            self.stale += 1
            self.ended = self.stale >= self.config.patience

    def _score_val(self) -> list[ScoredClip]:
        config, clips = self.config, self.data.clips["val"]
        settings = while_training(config.aggregate)
        return score_clips(clips, self.trainer.predictor(), settings, batch=config.batch, store=self.val_store)

    def _save(self) -> None:
        tensors, meta = self.trainer.checkpoint()
        tensors |= {f"best.{name}": tensor for name, tensor in self.best_weights.items()}
        meta |= {
            "best": _plain(self.best),
            "latest": _plain(self.latest),
            "stale": self.stale,
            "ended": self.ended,
            "seconds": self.seconds,
        }
        self.run.save(self.trainer.step, tensors, meta)

    def _resume(self) -> None:
        checkpoint = self.run.latest()
        if checkpoint is None:
            return
        meta = checkpoint.meta
        self.trainer.restore(checkpoint.step, checkpoint.tensors, meta)
        self.best, self.latest = _val_score(meta.get("best")), _val_score(meta.get("latest"))
        names = [name for name in checkpoint.tensors if name.startswith("best.")]
        self.best_weights = {name.removeprefix("best."): checkpoint.tensors[name] for name in names}
        self.stale = int(meta.get("stale", 0))
        self.ended = bool(meta.get("ended", False))
        self.earlier_seconds = float(meta.get("seconds", 0.0))
        self.first_step = checkpoint.step
        self.run.rewind(checkpoint.step)
        console.print(f"going on from step {checkpoint.step} of {self.run.path}")

    def _finish(self) -> TrainResult:
        """Puts the best weights back, measures them once more with intervals, and exports them."""
        assert self.best is not None
        load_prefixed(self.trainer.average, {f"best.{n}": t for n, t in self.best_weights.items()}, "best.")
        scored = self._score_val()
        aggregate, choice = choose_aggregation(scored, self.config.aggregate)
        scored = [reaggregated(clip, aggregate) for clip in scored]
        facts = self._facts(scored, aggregate, choice)
        result = evaluate_clips(
            scored,
            EvaluateConfig(split="val", seed=self.config.seed),
            dataset={"name": self.data.name, "manifest_sha256": self.data.digest},
            detector={"name": facts.spec.name, "step": str(self.best.step)},
            operating_point=(facts.operating_point.logit, facts.operating_point.chosen_on),
        )
        write_evaluation(self.run.path / "evaluations" / "val", result, scored)
        chosen_by = "clip log loss" if self.best.auc is None else f"clip AUC {self.best.auc:.3f}"
        card = CardFacts(
            self.data.name, {**self.data.clips}, self.config, self.best.step, chosen_by, leak=self.data.leak
        )
        folder = save_detector(
            self.trainer.average,
            self.run.path / FOLDER_NAME,
            facts,
            card=render_card(facts, card, result),
            extra={
                "validated.json": validated_domain(self.data.clips["val"], self.data.name, self.data.digest),
                LEARNED_NAME: learned_document(clip.record for clips in self.data.clips.values() for clip in clips),
            },
        )
        steps = self.trainer.step
        return TrainResult(self.run.path, folder, steps, self.best.step, self.seconds, self._rate(), result)

    def _facts(
        self, scored: Sequence[ScoredClip], aggregate: AggregateConfig, choice: AggregationChoice
    ) -> DetectorFacts:
        samples = clip_samples(scored)
        threshold = best_threshold(samples.labels, samples.logits)
        point = OperatingPoint()
        if threshold is not None:
            point = OperatingPoint(threshold, f"the val split of {self.data.name} (largest TPR - FPR over clips)")
        return DetectorFacts(
            spec=self.trainer.model.spec,
            faces=self.config.faces,
            finder=self.data.finder,
            aggregate=aggregate,
            aggregation=choice,
            operating_point=point,
            initial_weights=self.trainer.model.initial_weights,
        )


def _plain(score: ValScore | None) -> dict[str, Any] | None:
    return None if score is None else {"step": score.step, "auc": score.auc, "log_loss": score.log_loss}


def _val_score(plain: dict[str, Any] | None) -> ValScore | None:
    return None if plain is None else ValScore(int(plain["step"]), plain["auc"], float(plain["log_loss"]))
