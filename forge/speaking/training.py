"""The loop of all trainings of speech, of voice model, text encoder and vocoder: steps, schedule, checkpoints.

A training that was stopped goes on to the same weights, on the CPU bit for bit.
"""

from __future__ import annotations

import math
from abc import abstractmethod

import torch
from torch import Tensor, nn

from forge.speaking.conversion.config import VoiceConfig
from forge.speaking.reading.config import TextConfig
from forge.speaking.vocoding.config import VocoderConfig
from shared.console import console
from shared.device import pick_device, seed_everything
from shared.errors import CheckpointError, TrainingDivergedError
from shared.training.checkpoint import Checkpoint
from shared.training.loop import BaseLoop
from shared.training.processes import Processes
from shared.training.run import Run
from shared.training.state import pack_optimizer, state_under, unpack_optimizer

_LARGEST_NORM = 1.0
_LEAST_RATE = 0.05


class SpeechTraining(BaseLoop):
    """Trains one network by Adam in a run, from its newest checkpoint on.

    A subclass makes the network after this constructor, which seeds everything, and gives it to :meth:`trains`.

    Attributes:
        step: how many were made.
        device: where the network is.
    """

    def __init__(self, config: VoiceConfig | TextConfig | VocoderConfig, run: Run) -> None:
        device = pick_device(config.device)
        super().__init__(
            Processes(), steps=config.steps, minutes=config.minutes, unit="step", on_cpu=device.kind == "cpu"
        )
        self.device, self.step = device.torch_device, 0
        self._settings, self._folder = config, run
        self._losses: list[float] = []
        seed_everything(config.seed)

    def trains(self, network: nn.Module) -> None:
        """Names the network whose parameters are learned."""
        self._network = network
        self._optimizer = torch.optim.Adam(network.parameters(), lr=self._settings.learning_rate, betas=(0.9, 0.99))

    @abstractmethod
    def loss_at(self, fraction: float) -> Tensor:
        """The loss of the next step at ``fraction`` of the schedule; follows from :attr:`step` alone."""

    def stage(self, fraction: float) -> float:
        """Where in the present stage of the schedule ``fraction`` lies; one stage, if not overridden."""
        return fraction

    def measured(self) -> dict[str, float]:
        """What is logged with every checkpoint."""
        return {}

    def run(self) -> None:
        """Trains to the end, from the newest checkpoint on if there is one.

        Raises:
            KeyboardInterrupt: a stop signal came; a checkpoint was saved first.
            TrainingDivergedError: the loss became infinite or not a number.
        """
        latest = self.newest(self._folder)
        if latest is not None:
            self._restore(latest)
        saved = None if latest is None else self.step
        with self.running(self.step, 1) as (noted, advance):
            while self.fraction(self.step) < 1:
                loss = self._take_step(self.fraction(self.step))
                self.step += 1
                self._log(loss)
                advance(f"step {self.step}, loss {loss:.4f}")
                if self.step % self._settings.save_every == 0 or noted:
                    self._save()
                    saved = self.step
                if self.agree(stopped=bool(noted)):
                    self.stop(self.step)
        if saved != self.step:
            self._save()

    def _take_step(self, fraction: float) -> float:
        rate = self._settings.learning_rate * self._rate(self.stage(fraction))
        for group in self._optimizer.param_groups:
            group["lr"] = rate
        self._network.train()
        loss = self.loss_at(fraction)
        value = float(loss.detach())
        if not math.isfinite(value):
            raise TrainingDivergedError(f"the loss became {value} at step {self.step}", hint="lower learning_rate")
        self._optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(self._network.parameters(), _LARGEST_NORM)
        self._optimizer.step()
        return value

    def _rate(self, part: float) -> float:
        """Share of the learning rate: a rise over the first steps, and a half cosine from half of a stage on."""
        warmup = self._settings.warmup_steps
        warm = min(1.0, (self.step + 1) / warmup) if warmup else 1.0
        late = max(0.0, 2 * part - 1)
        return warm * (_LEAST_RATE + (1 - _LEAST_RATE) * 0.5 * (1 + math.cos(math.pi * min(1.0, late))))

    def _log(self, loss: float) -> None:
        self._losses.append(loss)
        if self.step % self._settings.log_every == 0:
            mean = sum(self._losses) / len(self._losses)
            self._folder.log(self.step, loss=mean, seconds=self.seconds)
            self._losses.clear()

    def _save(self) -> None:
        if found := self.measured():
            self._folder.log(self.step, **found)
        tensors, meta = pack_optimizer(self._optimizer)
        model = {f"model.{name}": tensor for name, tensor in self._network.state_dict().items()}
        self._folder.save(
            self.step, {**model, **tensors}, {"optimizer": meta, "seconds": self.seconds, "losses": self._losses}
        )

    def _restore(self, found: Checkpoint) -> None:
        try:
            self._network.load_state_dict(state_under("model", found.tensors))
        except RuntimeError as error:
            raise CheckpointError("the checkpoint does not fit the model", hint="start a new run") from error
        unpack_optimizer(self._optimizer, found.tensors, found.meta.get("optimizer", {}))
        self.step = found.step
        self.earlier_seconds = float(found.meta.get("seconds", 0.0))
        self._losses = [float(each) for each in found.meta.get("losses", [])]
        self._folder.rewind(self.step)
        console.print(f"going on from step {self.step} of the run")
