"""The training loop of swappers: previews, checkpoints and recovery from divergence."""

from __future__ import annotations

import math
from collections.abc import Mapping
from statistics import median
from typing import Any

import torch
from torch import Tensor

from forge.training.collapse import CollapseWatch, Sign, reconstruction
from forge.training.config import TrainConfig
from forge.training.losses.objective import Losses
from forge.training.recipe import settings_at
from forge.training.recorder import RunRecorder
from forge.training.schedule import next_preview
from forge.training.trainer import SwapTrainer
from shared.console import console
from shared.errors import TrainingDivergedError
from shared.training.loop import Advance, BaseLoop

_MOST_RETURNS = 3
_SLOWER = 0.5


class TrainingLoop(BaseLoop):
    """Runs ``trainer`` to the end of ``config``'s schedule; ``recorder`` writes all output.

    Attributes:
        loss: mean of the last logged steps.
    """

    def __init__(self, trainer: SwapTrainer, recorder: RunRecorder, config: TrainConfig) -> None:
        on_cpu = trainer.device.kind == "cpu"
        super().__init__(trainer.processes, steps=config.steps, minutes=config.minutes, unit="face", on_cpu=on_cpu)
        self.trainer = trainer
        self.recorder = recorder
        self.config = config
        self.loss = math.nan
        self._shown_loss = math.nan
        self.returns = 0
        self.saved_step = -1
        self._first_step = 0
        self._first_faces = 0
        self._previewed_step = -1
        self._preview_settings = config
        self._next_preview = 0.0
        self._watch = CollapseWatch(config.log_every)
        self._pending: list[dict[str, Losses]] = []
        self._start: tuple[dict[str, Tensor], Mapping[str, Any]] | None = None

    def train(self) -> None:
        """Continues from the newest checkpoint until the schedule is over.

        Raises:
            KeyboardInterrupt: a stop signal arrived; everything is saved.
            TrainingDivergedError: the loss became non-finite repeatedly.
            StorageError: writing failed.
        """
        try:
            self._train()
        finally:
            self.recorder.close()

    @property
    def rate(self) -> float:
        """Faces per second in this call, over all processes."""
        return self.per_second(self.trainer.faces_seen - self._first_faces)

    def _train(self) -> None:
        self._resume()
        self._next_preview = next_preview(self.earlier_seconds)
        if self.config.minutes is not None and self.seconds < 60 * self.config.minutes:
            console.print(
                f"for {self.config.minutes:g} minutes by the clock, which drives learning rate, warp and phases too: a "
                "slower or busier machine makes fewer steps of the same schedule"
            )
        with self.running(self.trainer.step, self.trainer.faces_per_step) as (noted, advance):
            stopped = self._loop(noted, advance)
            while not stopped and not self._flush_losses():
                self._go_back()
                stopped = self._loop(noted, advance)
        if stopped:
            self._save()
            self._begin_preview()
            self._fetch_preview(wait=True)
            self.stop(self.trainer.step)
        self._finish()

    def _loop(self, noted: list[int], advance: Advance) -> bool:
        """Steps until the schedule is over or a signal arrived; returns whether one did."""
        stopped = False
        while self.fraction(self.trainer.step) < 1 and not stopped:
            self._step(advance)
            # With several processes only at regular intervals, because they wait for each other.
            if self.processes.count == 1 or self.trainer.step % self.config.log_every == 0:
                stopped = self.agree(stopped=bool(noted))
        return stopped

    def _finish(self) -> None:
        if self._previewed_step != self.trainer.step:
            self._begin_preview()
        self._fetch_preview(wait=True)
        if self.saved_step != self.trainer.step or not self.recorder.exported:
            self._save()
        self.recorder.finish()

    def _step(self, advance: Advance) -> None:
        config, trainer = self.config, self.trainer
        self._pending.append(trainer.train_step(self.fraction(trainer.step)))
        step = trainer.step
        if not self._is_fine(step):
            self._go_back()
            return
        self._fetch_preview()
        if step % config.preview_every == 0 if config.preview_every else self.seconds >= self._next_preview:
            self._begin_preview()
        if step % config.save_every == 0:
            self._save(snapshot=bool(config.snapshot_every) and step % config.snapshot_every == 0)
        shown = self.loss if math.isfinite(self.loss) else self._shown_loss
        loss = f", loss {shown:.4f}" if math.isfinite(shown) else ""
        rate = "" if config.minutes is None else f", {self.rate:.0f} faces/s"
        advance(f"step {step}{loss}{rate}")

    def _is_fine(self, step: int) -> bool:
        """Checks losses, and weights before they are saved; on GPUs not every step, because it synchronises them."""
        config = self.config
        if math.isnan(self.loss) and self.processes.count == 1 and self._losses_finite():
            # One to show until the first is logged; it is not exported, because it depends on where a run was stopped.
            self._shown_loss = self._mean_loss()
        if step % config.log_every == 0:
            if not self._flush_losses():
                return False
        elif self.trainer.device.kind == "cpu" and self.processes.count == 1 and not self._losses_finite():
            return False
        return step % config.save_every != 0 or self.trainer.all_finite()

    def _losses_finite(self) -> bool:
        totals = [loss.total for losses in self._pending for loss in losses.values()]
        bad = bool(totals) and not bool(torch.isfinite(torch.stack(totals)).all())
        return not self.processes.any_of(bad)

    def _flush_losses(self) -> bool:
        """Logs the mean of the losses since the last call if all are finite; returns whether they are."""
        if not self._losses_finite():
            return False
        if not self._pending:
            return True
        self.loss = self._log_losses()
        self._pending.clear()
        return True

    def _mean_loss(self) -> float:
        return _mean([loss.total for losses in self._pending for loss in losses.values()])

    def _log_losses(self) -> float:
        every = [loss for losses in self._pending for loss in losses.values()]
        scalars = {"loss": self._mean_loss()}
        for term in sorted({term for loss in every for term in loss.terms}):
            scalars[term] = _mean([loss.terms[term] for loss in every if term in loss.terms])
        for identity in sorted({name for losses in self._pending for name in losses}):
            own = [losses[identity].total for losses in self._pending if identity in losses]
            scalars[f"loss/{identity}"] = _mean(own)
        shared = {
            "faces_per_second": self.rate,
            "seconds": self.seconds,
            "data_share": self.trainer.data_timer.share(),
        }
        self.recorder.log(self.trainer.step, {**shared, **scalars})
        settings = self._settings()
        self._tell(self._watch.loss(settings, self.trainer.step, reconstruction(scalars, settings)))
        return scalars["loss"]

    def _resume(self) -> None:
        checkpoint = self.newest(self.recorder.run)
        if checkpoint is None:
            tensors, meta = self.trainer.state()
            self._start = {name: value.detach().to("cpu", copy=True) for name, value in tensors.items()}, meta
            return
        self.trainer.restore(checkpoint.tensors, checkpoint.meta)
        self.earlier_seconds = float(checkpoint.meta.get("seconds", 0.0))
        self.returns = int(checkpoint.meta.get("returns", 0))
        self._first_step = self.saved_step = self.trainer.step
        self._first_faces = self.trainer.faces_seen
        self.loss = self.recorder.rewind(self.trainer.step)
        console.print(f"going on from step {self.trainer.step} of the run")

    def _go_back(self) -> None:
        """Returns to the last good state, at half the learning rate.

        Raises:
            TrainingDivergedError: after three returns already.
        """
        reached, slower = self.trainer.step, self.trainer.rate_scale * _SLOWER
        if self.returns == _MOST_RETURNS:
            self._give_up(reached)
        self.returns += 1
        good = self.newest(self.recorder.run) if self.saved_step >= 0 else None
        tensors, meta = (good.tensors, good.meta) if good else self._start or ({}, {})
        self._fetch_preview(wait=True)
        self._watch = CollapseWatch(self.config.log_every)
        self.trainer.restore(tensors, meta)
        self.trainer.slow_down(slower, self.returns)
        self._pending.clear()
        self.recorder.rewind(self.trainer.step)
        self.recorder.note_return(reached, self.trainer.step, slower)
        console.warn(
            f"the loss stopped being a number by step {reached}: back to step {self.trainer.step}, "
            f"on at {slower:g} of the learning rate"
        )

    def _give_up(self, reached: int) -> None:
        kept = f"the state of step {self.saved_step} is kept" if self.saved_step >= 0 else "no state was saved yet"
        rate = self.config.learning_rate * self.trainer.rate_scale
        raise TrainingDivergedError(
            f"the loss stopped being a number by step {reached}, after {self.returns} returns; {kept}",
            hint=f"begin a new run with a lower learning rate than {rate:g}",
        )

    def _settings(self) -> TrainConfig:
        """The settings of the last step."""
        return settings_at(self.config, self.trainer.step - 1, self.fraction(self.trainer.step - 1))

    def _tell(self, sign: Sign | None) -> None:
        """Warns of the first sign of a collapse, with what to do."""
        if sign is None or not self.recorder.note_collapse(self.trainer.step, sign):
            return
        rate = self._settings().learning_rate * self.trainer.rate_scale * _SLOWER
        kept = self.recorder.checkpoint_before(sign.good_step)
        start = f"from the state before that, --from {kept}" if kept else "anew, as no earlier state is kept"
        console.warn(
            f"{sign.text}: the training may be collapsing. If the previews show it too, stop with Ctrl-C and begin a "
            f"new run {start}, with half the learning rate, --lr {rate:g}"
        )

    def _begin_preview(self) -> None:
        self._fetch_preview(wait=True)
        self._previewed_step, self._preview_settings = self.trainer.step, self._settings()
        self._next_preview = next_preview(self.seconds)
        self.recorder.begin_preview(self.trainer)

    def _fetch_preview(self, *, wait: bool = False) -> None:
        """Logs the preview that was begun and looks for a sign in it, once it is finished, or after waiting for it.

        It is compared with others of the phase in which it was begun.
        """
        if not self.recorder.previewing:
            return
        found = self.recorder.finished_preview(wait=wait, log=self.trainer.step != self._first_step)
        self.busy_with_own_work()
        if found is not None and found.measured:
            ssim, sharpness = (median(column) for column in list(zip(*found.measured.values(), strict=True))[:2])
            self._tell(self._watch.preview(self._preview_settings, found.step, ssim, sharpness))

    def _save(self, *, snapshot: bool = False) -> None:
        meta = {"returns": self.returns}
        self.recorder.save(self.trainer, meta, self.loss, self.seconds, snapshot=snapshot, spare=self._watch.good_step)
        self.saved_step = self.trainer.step
        self._start = None
        self.processes.wait()


def _mean(values: list[Tensor]) -> float:
    return float(torch.stack(values).mean())
