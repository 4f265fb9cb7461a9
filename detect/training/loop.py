"""The training loop of detectors: validation, checkpoints, early stopping and the choice of the best step.

Of several processes only the first writes, scores the val split, and checks clock and signals; the others follow it.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from detect.data.batches import Batch, Mixture, batches
from detect.data.crops import CropStore
from detect.metrics.classification import auc, log_loss
from detect.scoring.aggregate import while_training
from detect.scoring.samples import ScoredClip, clip_samples, frame_samples, score_clips
from detect.training.data import TrainingData
from detect.training.previews import batch_sheet
from detect.training.trainer import Trainer, load_prefixed
from shared.console import Tick, console
from shared.errors import ManifestError
from shared.storage import write_bytes
from shared.training.run import Checkpoint, Run, read_checkpoint
from shared.training.signals import ECHO_SECONDS, signals_noted
from shared.video.images import encode_jpeg

_LOG_EVERY = 10


@dataclass(frozen=True)
class ValScore:
    """Score of the averaged weights on the val split at one step.

    Compared by clip-level AUC, then by log loss where AUCs are equal or, with one class, undefined.
    """

    step: int
    auc: float | None
    log_loss: float

    def better_than(self, other: ValScore | None) -> bool:
        """Whether this score is better than ``other``."""
        if other is None:
            return True
        if self.auc is not None and other.auc is not None and self.auc != other.auc:
            return self.auc > other.auc
        return self.log_loss < other.log_loss


class TrainingLoop:
    """Trains to the end of the settings, from the newest checkpoint of a run.

    Args:
        run: the output folder; None in processes that are not the first.
        path: its folder.
        trainer: takes the steps.
        data: training and validation data.

    Attributes:
        best: the step to keep; ``best_weights`` are its averaged weights. In the first process only.
        ended: whether the training is over.
    """

    def __init__(self, run: Run | None, path: Path, trainer: Trainer, data: TrainingData) -> None:
        self.run = run
        self.path = path
        self.trainer = trainer
        self.processes = trainer.processes
        self.data = data
        self.config = trainer.config
        self.best: ValScore | None = None
        self.best_weights: dict[str, Tensor] = {}
        self.latest: ValScore | None = None
        self.stale = 0
        self.ended = False
        self.looked_at = -1
        self.earlier_seconds = 0.0
        self.shared_seconds = 0.0
        self.first_step = 0
        self.began = time.monotonic()
        self.train_store = CropStore(data.clips["train"])
        self.val_store = CropStore(data.clips["val"])
        self.losses: list[float] = []

    def train(self) -> None:
        """Continues from the newest checkpoint until steps or time are over, or validation stops improving.

        Raises:
            KeyboardInterrupt: a stop signal arrived; everything is saved.
            TrainingDivergedError: the loss became non-finite.
            ManifestError: no clip of the val split has a usable face.
            StorageError: writing failed.
        """
        self._resume()
        mixture = self.data.mixture(self.train_store, self.config)
        self.began = time.monotonic()
        stopped = False
        with ExitStack() as stack:
            echo = ECHO_SECONDS if self.processes.count > 1 else 0.0
            noted = stack.enter_context(signals_noted(echo_seconds=echo))
            tick = stack.enter_context(self._progress())
            for batch in stack.enter_context(self._batches(mixture)):
                stopped = self._should_stop(noted)
                if stopped or self.ended or self._fraction(self.trainer.step) >= 1:
                    break
                self._step(batch, tick)
        if stopped:
            self._save()
            console.print(f"stopped at step {self.trainer.step}, saved; the same command goes on from there")
            raise KeyboardInterrupt
        if self.looked_at != self.trainer.step:
            self._validate()
        if not self.ended or self.trainer.step != self.first_step:
            self.ended = True
            self._save()

    @property
    def seconds(self) -> float:
        """Total seconds of training."""
        return self.earlier_seconds + time.monotonic() - self.began

    @property
    def rate(self) -> float:
        """Images per second in this call, over all processes."""
        steps = self.trainer.step - self.first_step
        return steps * self.config.batch / max(time.monotonic() - self.began, 1e-9)

    def score_val(self) -> list[ScoredClip]:
        """The clips of the val split, scored by the averaged weights."""
        config, clips = self.config, self.data.clips["val"]
        settings = while_training(config.aggregate)
        return score_clips(clips, self.trainer.predictor(), settings, batch=config.batch, store=self.val_store)

    def put_best_back(self) -> None:
        """Loads the best weights so far as the averaged ones."""
        load_prefixed(self.trainer.average, {f"best.{name}": t for name, t in self.best_weights.items()}, "best.")

    def _should_stop(self, noted: list[int]) -> bool:
        """Whether a stop signal arrived; the first process decides for all."""
        self.shared_seconds, stopped = self.processes.from_first((self.seconds, bool(noted)))
        return stopped

    def _fraction(self, step: int) -> float:
        """The fraction of the training done: by steps or by time, whichever is further on."""
        by_time = self.shared_seconds / (60 * self.config.minutes) if self.config.minutes else 0.0
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
            part=(self.processes.rank, self.processes.count),
        )
        with closing(made):  # type: ignore[type-var]
            yield made

    @contextmanager
    def _progress(self) -> Iterator[Tick]:
        """A progress bar over images, or over seconds if time is the limit."""
        config = self.config
        if config.minutes is None:
            total, done, unit = config.steps * config.batch, self.trainer.step * config.batch, "images"
        else:
            total, done, unit = round(60 * config.minutes), round(self.earlier_seconds), "s"
        with console.progress("training", total, unit=unit, done=done) as tick:
            yield tick

    def _step(self, batch: Batch, tick: Tick) -> None:
        config, before = self.config, self.seconds
        if self.trainer.step == 0 and self.run is not None:
            write_bytes(self.run.previews / "first-batch.jpg", encode_jpeg(batch_sheet(batch)))
        metrics = self.trainer.learn(batch, self._fraction(batch.step))
        self.losses.append(metrics["loss"])
        if batch.step % _LOG_EVERY == 0:
            loss = float(np.mean(self.losses[-_LOG_EVERY:]))
            self._log(batch.step, {**metrics, "loss": loss, "images_per_second": self.rate, "seconds": self.seconds})
        if batch.step % config.evaluate_every == 0:
            self._validate()
        if batch.step % config.save_every == 0:
            self._save()
        amount = config.batch if config.minutes is None else round(self.seconds) - round(before)
        tick(amount, note=self._note())

    def _log(self, step: int, scalars: dict[str, float]) -> None:
        if self.run is not None:
            self.run.log(step, **scalars)

    def _note(self) -> str:
        text = f"step {self.trainer.step}  {self.rate:.1f} images/s  loss {np.mean(self.losses[-_LOG_EVERY:]):.3f}"
        if self.best is not None:
            shown = f"log loss {self.best.log_loss:.3f}" if self.best.auc is None else f"AUC {self.best.auc:.3f}"
            text += f"  best val {shown} at {self.best.step}"
        return text

    def _validate(self) -> None:
        """Scores the val split in the first process, and sets in all of them whether the training is over."""
        if self.processes.first:
            self._score_and_keep()
        self.looked_at = self.trainer.step
        self.ended = self.processes.from_first(self.ended)

    def _score_and_keep(self) -> None:
        """Scores the val split with the averaged weights, and keeps them if they are the best so far."""
        scored = self.score_val()
        samples, step = clip_samples(scored), self.trainer.step
        loss = log_loss(samples.labels, samples.logits)
        if loss is None:
            raise ManifestError(
                f"no clip of the val split of {self.data.name} has a usable face, so no step can be chosen",
                hint="try another --finder, or a smaller --min-face-px",
            )
        self.latest = ValScore(step, auc(samples.labels, samples.logits), loss)
        frames = frame_samples(scored)
        metrics = {"auc": self.latest.auc, "log_loss": loss, "frame_auc": auc(frames.labels, frames.logits)}
        self._log(step, {f"val_{name}": value for name, value in metrics.items() if value is not None})
        if self.latest.better_than(self.best):
            self.best, self.stale = self.latest, 0
            state = self.trainer.average.state_dict()
            self.best_weights = {name: tensor.detach().cpu().clone() for name, tensor in state.items()}
        else:
            self.stale += 1
            self.ended = self.stale >= self.config.patience

    def _save(self) -> None:
        if self.run is not None:
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
        self.processes.wait()

    def _resume(self) -> None:
        checkpoint = self._newest()
        if checkpoint is None:
            return
        meta = checkpoint.meta
        self.trainer.restore(checkpoint.step, checkpoint.tensors, meta)
        self.best, self.latest = _val_score(meta.get("best")), _val_score(meta.get("latest"))
        names = [name for name in checkpoint.tensors if name.startswith("best.")]
        self.best_weights = {name.removeprefix("best."): checkpoint.tensors[name] for name in names}
        self.looked_at = -1 if self.latest is None else self.latest.step
        self.stale = int(meta.get("stale", 0))
        self.earlier_seconds = float(meta.get("seconds", 0.0))
        self.first_step = checkpoint.step
        limit = self._limit_reached() if meta.get("ended", False) else None
        self.ended = limit is not None
        if self.run is not None:
            self.run.rewind(checkpoint.step)
        if self.ended:
            console.print(f"{self.path} has ended at step {checkpoint.step}, by its {limit}: nothing is left to train")
        else:
            console.print(f"going on from step {checkpoint.step} of {self.path}")

    def _limit_reached(self) -> str | None:
        """The setting that ended the training; the run can be resumed with a higher value."""
        config = self.config
        if self.trainer.step >= config.steps:
            return f"{config.steps} steps"
        if config.minutes and self.earlier_seconds >= 60 * config.minutes:
            return f"{config.minutes:g} minutes"
        if self.stale >= config.patience:
            return f"patience of {config.patience} evaluations"
        return None

    def _newest(self) -> Checkpoint | None:
        """The newest readable checkpoint, as found by the first process."""
        found = None if self.run is None else self.run.latest()
        step = self.processes.from_first(None if found is None else found.step)
        if step is None or found is not None:
            return found
        tensors, document = read_checkpoint(self.path / "checkpoints" / f"step-{step:08d}.safetensors")
        return Checkpoint(step, tensors, document["meta"])


def _plain(score: ValScore | None) -> dict[str, Any] | None:
    return None if score is None else {"step": score.step, "auc": score.auc, "log_loss": score.log_loss}


def _val_score(plain: dict[str, Any] | None) -> ValScore | None:
    return None if plain is None else ValScore(int(plain["step"]), plain["auc"], float(plain["log_loss"]))
