"""The training loop of detectors: validation, checkpoints, early stopping and the choice of the best step.

Of several processes only the first writes, scores the val split, and checks clock and signals; the others follow it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import numpy as np
from torch import Tensor

from detect.data.batches import Batch, Mixture, batches
from detect.data.crops import CropStore
from detect.data.grades import GradeSet
from detect.metrics.classification import auc, log_loss
from detect.scoring.aggregate import while_training
from detect.scoring.samples import ScoredClip, clip_samples, frame_samples, score_clips
from detect.training.choice import StepChoice, ValScore, as_plain, from_plain
from detect.training.data import TrainingData
from detect.training.grades import grade_metrics, own_score, score_grades
from detect.training.previews import batch_sheet
from detect.training.trainer import Trainer, load_prefixed
from shared.console import console
from shared.errors import ManifestError
from shared.storage import write_bytes
from shared.training.loop import Advance, BaseLoop
from shared.training.run import Run
from shared.video.images import encode_jpeg

_LOG_EVERY = 10


class TrainingLoop(BaseLoop):
    """Trains to the end of the settings, from the newest checkpoint of a run.

    Args:
        run: the output folder; None in processes that are not the first.
        path: its folder.
        trainer: takes the steps.
        data: training and validation data.

    Attributes:
        choice: the step to keep; ``best_weights`` are its averaged weights. In the first process only.
        ended: whether the training is over.
    """

    def __init__(self, run: Run | None, path: Path, trainer: Trainer, data: TrainingData) -> None:
        config = trainer.config
        super().__init__(trainer.processes, steps=config.steps, minutes=config.minutes, unit="image")
        self.run = run
        self.path = path
        self.trainer = trainer
        self.data = data
        self.config = config
        self.choice = StepChoice()
        self.best_weights: dict[str, Tensor] = {}
        self.ended = False
        self.looked_at = -1
        self.first_step = 0
        self.train_store = CropStore(data.clips["train"], reads=data.reads)
        self.val_store = CropStore(data.clips["val"], reads=data.reads)
        self.losses: list[float] = []
        self._grades: tuple[GradeSet, ...] | None = None

    @property
    def best(self) -> ValScore | None:
        """The look whose weights are kept."""
        return self.choice.kept

    @property
    def grades(self) -> tuple[GradeSet, ...]:
        """The grades of validation, made at the first look and kept in memory."""
        if self._grades is None:
            self._grades = self.data.grades(self.trainer.average.spec, self.config)
        return self._grades

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
        stopped = False
        with self.running(self.trainer.step, self.config.batch) as (noted, advance), self._batches(mixture) as made:
            for batch in made:
                stopped = self.agree(stopped=bool(noted))
                if stopped or self.ended or self.fraction(self.trainer.step) >= 1:
                    break
                self._step(batch, advance)
        if stopped:
            self._save()
            self.stop(self.trainer.step)
        if self.looked_at != self.trainer.step:
            self._validate()
        if not self.ended or self.trainer.step != self.first_step:
            self.ended = True
            self._save()

    @property
    def rate(self) -> float:
        """Images per second in this call, over all processes."""
        return self.per_second((self.trainer.step - self.first_step) * self.config.batch)

    def score_val(self) -> list[ScoredClip]:
        """The clips of the val split, scored by the averaged weights."""
        config, clips = self.config, self.data.clips["val"]
        settings = while_training(config.aggregate)
        return score_clips(clips, self.trainer.predictor(), settings, batch=config.batch, store=self.val_store)

    def put_best_back(self) -> None:
        """Loads the best weights so far as the averaged ones."""
        load_prefixed(self.trainer.average, {f"best.{name}": t for name, t in self.best_weights.items()}, "best.")

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
            framing=config.framing,
        )
        with closing(made):  # type: ignore[type-var]
            yield made

    def _step(self, batch: Batch, advance: Advance) -> None:
        config = self.config
        if self.trainer.step == 0 and self.run is not None:
            write_bytes(self.run.previews / "first-batch.jpg", encode_jpeg(batch_sheet(batch)))
        metrics = self.trainer.learn(batch, self.fraction(batch.step))
        self.losses.append(metrics["loss"])
        if batch.step % _LOG_EVERY == 0:
            loss = float(np.mean(self.losses[-_LOG_EVERY:]))
            self._log(batch.step, {**metrics, "loss": loss, "images_per_second": self.rate, "seconds": self.seconds})
        if batch.step % config.evaluate_every == 0:
            self._validate()
        if batch.step % config.save_every == 0:
            self._save()
        advance(self._note())

    def _log(self, step: int, scalars: dict[str, float]) -> None:
        if self.run is not None:
            self.run.log(step, **scalars)

    def _note(self) -> str:
        text = f"step {self.trainer.step}, loss {np.mean(self.losses[-_LOG_EVERY:]):.3f}"
        if self.config.minutes is not None:
            text += f", {self.rate:.1f} images/s"
        if self.best is not None:
            shown = f"log loss {self.best.log_loss:.3f}" if self.best.auc is None else f"AUC {self.best.auc:.3f}"
            text += f", best {shown}"
        return text

    def _validate(self) -> None:
        """Scores the val split in the first process, and sets in all of them whether the training is over."""
        if self.processes.first:
            self._score_and_keep()
        self.looked_at = self.trainer.step
        self.ended = self.processes.from_first(self.ended)

    def _score_and_keep(self) -> None:
        """Scores the averaged weights on validation data, and keeps them if they are the best so far."""
        scored = self.score_val()
        samples, step = clip_samples(scored), self.trainer.step
        loss = log_loss(samples.labels, samples.logits)
        if loss is None:
            raise ManifestError(
                f"no clip of the val split of {self.data.name} has a usable face, so no step can be chosen",
                hint="try another --finder, or a smaller --min-face-px",
            )
        own = own_score(self.data.clips["val"], scored)
        grades = score_grades(self.grades, self.trainer.predictor(), batch=self.config.batch)
        latest = ValScore(step, None if own is None else own.auc, loss, own, grades)
        frames = frame_samples(scored)
        metrics = {"auc": latest.auc, "log_loss": loss, "frame_auc": auc(frames.labels, frames.logits)}
        metrics |= grade_metrics(latest)
        self._log(step, {f"val_{name}": value for name, value in metrics.items() if value is not None})
        if self.choice.look(latest):
            state = self.trainer.average.state_dict()
            self.best_weights = {name: tensor.detach().cpu().clone() for name, tensor in state.items()}
        else:
            self.ended = self.choice.stale >= self.config.patience

    def _save(self) -> None:
        if self.run is not None:
            tensors, meta = self.trainer.checkpoint()
            tensors |= {f"best.{name}": tensor for name, tensor in self.best_weights.items()}
            meta |= {**as_plain(self.choice), "ended": self.ended, "seconds": self.seconds}
            self.run.save(self.trainer.step, tensors, meta)
        self.processes.wait()

    def _resume(self) -> None:
        checkpoint = self.newest(self.run)
        if checkpoint is None:
            return
        meta = checkpoint.meta
        self.trainer.restore(checkpoint.step, checkpoint.tensors, meta)
        self.choice = from_plain(meta)
        names = [name for name in checkpoint.tensors if name.startswith("best.")]
        self.best_weights = {name.removeprefix("best."): checkpoint.tensors[name] for name in names}
        self.looked_at = -1 if self.choice.latest is None else self.choice.latest.step
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
        if self.choice.stale >= config.patience:
            return f"patience of {config.patience} evaluations"
        return None
