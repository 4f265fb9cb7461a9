"""The loop of trainings whose network is neither one person's nor a swapper's: the restorer and the generators.

A trainer gives a step, its state and a sheet; the loop gives clock, stop signals, checkpoints, metrics and previews.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from shared.errors import TrainingDivergedError
from shared.storage import write_bytes
from shared.training.loop import BaseLoop
from shared.training.processes import Processes
from shared.training.run import Run
from shared.training.state import pack_optimizer, pack_rng, state_under, unpack_optimizer, unpack_rng
from shared.video.images import encode_png

_WARM_STEPS = 10


class StepTrainer(ABC):
    """Networks, their optimizers and random generators; :meth:`state` resumes exactly.

    Attributes:
        step: how many were made.
        generator: of all that is random in a step.
        optimizers: by name.
    """

    def __init__(self, seed: int) -> None:
        self.step = 0
        self.generator = torch.Generator().manual_seed(seed)
        self.optimizers: dict[str, torch.optim.Optimizer] = {}

    @abstractmethod
    def train_step(self, fraction: float) -> dict[str, float]:
        """One step at ``fraction`` of the schedule; the losses by name, ``loss`` among them."""

    @abstractmethod
    def modules(self) -> Mapping[str, nn.Module]:
        """Every module that has a state, by name."""

    @abstractmethod
    def sheet(self) -> np.ndarray:
        """What the network makes now, (H, W, 3) uint8 RGB."""

    def set_rate(self, most: float, fraction: float) -> None:
        """The learning rate of all optimizers at ``fraction`` of the schedule: from ``most`` by a cosine to a tenth."""
        rate = most * (0.1 + 0.45 * (1 + math.cos(math.pi * fraction)))
        for optimizer in self.optimizers.values():
            optimizer.param_groups[0]["lr"] = rate

    @torch.no_grad()
    def move_average(self, average: nn.Module, live: nn.Module, decay: float) -> None:
        """Moves the parameters of ``average`` towards those of ``live``, faster in the first steps; copies buffers."""
        keep = min(decay, self.step / (self.step + _WARM_STEPS))
        for mean, value in zip(average.parameters(), live.parameters(), strict=True):
            mean.lerp_(value, 1 - keep)
        for mean, value in zip(average.buffers(), live.buffers(), strict=True):
            mean.copy_(value)

    def state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """All state for exact resumption."""
        tensors = {
            f"{name}.{key}": value
            for name, module in self.modules().items()
            for key, value in module.state_dict().items()
        }
        meta: dict[str, Any] = {"step": self.step}
        for name, optimizer in self.optimizers.items():
            packed, meta[name] = pack_optimizer(optimizer)
            tensors |= {f"{name}_optimizer.{key}": value for key, value in packed.items()}
        random, meta["rng"] = pack_rng({"data": self.generator, "torch": torch.default_generator})
        return {**tensors, **random}, meta

    def restore(self, tensors: Mapping[str, Tensor], meta: Mapping[str, Any]) -> None:
        """Restores what :meth:`state` returned.

        Raises:
            CheckpointError: the state is of another network, or incomplete.
        """
        for name, module in self.modules().items():
            module.load_state_dict(state_under(name, tensors))
        for name, optimizer in self.optimizers.items():
            unpack_optimizer(optimizer, state_under(f"{name}_optimizer", tensors), meta[name])
        unpack_rng({"data": self.generator, "torch": torch.default_generator}, tensors, meta["rng"])
        self.step = int(meta["step"])


class StepLoop(BaseLoop):
    """Trains a :class:`StepTrainer` in a run, from its newest checkpoint on.

    Args:
        run: an open run.
        trainer: as new.
        export: writes the trained weights, given the seconds of training; returns their file.
        steps, minutes: limits of the training.
        save_every, log_every: in steps.
    """

    def __init__(
        self,
        run: Run,
        trainer: StepTrainer,
        export: Callable[[float], Path],
        *,
        steps: int,
        minutes: float | None,
        save_every: int,
        log_every: int,
    ) -> None:
        super().__init__(Processes(), steps=steps, minutes=minutes, unit="step")
        self.run, self.trainer = run, trainer
        self._export, self._every = export, (save_every, log_every)

    def train(self) -> Path:
        """To the end of the schedule; returns the weights' file.

        Raises:
            TrainingDivergedError: a loss became infinite or not a number.
        """
        trainer, (save_every, log_every) = self.trainer, self._every
        if (found := self.newest(self.run)) is not None:
            trainer.restore(found.tensors, found.meta)
            self.earlier_seconds = float(found.meta["seconds"])
            self.run.rewind(trainer.step)
        with self.running(trainer.step, 1) as (noted, advance):
            while self.fraction(trainer.step) < 1 and not self.agree(stopped=bool(noted)):
                losses = trainer.train_step(self.fraction(trainer.step))
                need_finite(losses, trainer.step)
                if trainer.step % log_every == 0:
                    self.run.log(trainer.step, seconds=self.seconds, **losses)
                if trainer.step % save_every == 0:
                    self._save()
                advance(f"step {trainer.step}, loss {losses['loss']:.4f}")
        path = self._save()
        if noted:
            self.stop(trainer.step)
        return path

    def _save(self) -> Path:
        tensors, meta = self.trainer.state()
        self.run.save(self.trainer.step, tensors, {**meta, "seconds": self.seconds})
        write_bytes(self.run.previews / "latest.png", encode_png(self.trainer.sheet()))
        return self._export(self.seconds)


def need_finite(losses: Mapping[str, float], step: int) -> None:
    """Refuses losses that are infinite or no numbers.

    Raises:
        TrainingDivergedError: one is.
    """
    for name, value in losses.items():
        if not math.isfinite(value):
            raise TrainingDivergedError(f"{name} became {value} at step {step}", hint="lower the learning rate")
