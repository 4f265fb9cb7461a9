"""Training state and step of detectors: optimisation, schedule, moving average of the weights, checkpoints."""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from timm.layers.norm_act import convert_sync_batchnorm
from torch import Tensor, nn

from detect.config.training import TrainConfig
from detect.data.batches import Batch
from detect.models import Detector
from detect.models.predictor import CropPredictor
from detect.training.losses import detection_loss, mixed_up, pair_loss, spread_loss
from detect.training.optimizers import climbed, make_optimizer
from shared.device import Device, seed_everything
from shared.errors import CheckpointError, TrainingDivergedError
from shared.training.processes import Processes
from shared.training.state import pack_optimizer, unpack_optimizer

_LAST_LR_SHARE = 0.01
_STREAM = 7_919
"""Seed offset of dropout between processes."""
_LONGEST_WARMUP = 0.1


def learning_rate(config: TrainConfig, step: int, progress: float) -> float:
    """Linear warm-up over ``warmup_steps`` or a tenth of the training, whichever is shorter, times half a cosine.

    The cosine falls from the peak at the beginning to one hundredth of it at the end.

    Args:
        config: peak rate and warm-up.
        step: counted from 1.
        progress: share of the training that is done, 0 to 1.
    """
    warm = min(1.0, max(step / max(1, config.warmup_steps), progress / _LONGEST_WARMUP))
    cosine = 0.5 * (1 + math.cos(math.pi * min(1.0, max(0.0, progress))))
    return config.lr * warm * (_LAST_LR_SHARE + (1 - _LAST_LR_SHARE) * cosine)


class _Loss(nn.Module):
    """Forward pass and loss as one module, for gradient averaging between processes."""

    def __init__(self, model: Detector, device: Device, config: TrainConfig, processes: Processes) -> None:
        super().__init__()
        self.model = model
        self._device = device
        self._config = config
        self._processes = processes

    def forward(self, x: Tensor, wanted: Tensor, masks: Tensor | None, one_face: Tensor | None) -> Tensor:
        """The loss of a batch of pairs, see :mod:`detect.training.losses`."""
        config = self._config
        with self._device.autocast():
            found = self.model(x)
        loss = detection_loss(found, wanted, masks, smoothing=config.label_smoothing, mask_weight=config.mask_weight)
        logits = found.logit.float()
        if config.pair_weight and one_face is not None:
            loss = loss + config.pair_weight * pair_loss(logits, one_face, margin=config.pair_margin)
        if config.spread_weight:
            real = logits[wanted < 0.5]
            centre = self._processes.mean_of(float(real.detach().mean()))
            loss = loss + config.spread_weight * spread_loss(real, centre)
        return loss


class Trainer:
    """Trains a detector, step by step.

    A step is a function of the state, the batch and the step's number: dropout is seeded by the step. So a run
    resumed from a checkpoint equals an uninterrupted one, bit for bit on a CPU of the same type with as
    many threads.

    Several processes share a batch, each with its own pairs; gradients are averaged, so they take the step that one
    process takes on the whole batch. On GPUs batch norms are synchronised too; on CPUs, where that is not supported,
    each process normalises its own part. The loss of the forged region is a mean over the faces of a part.

    Attributes:
        model: the optimised model.
        average: moving average of its weights, which is evaluated and exported.
        step: number of steps taken.
        processes: those that train together.
    """

    def __init__(
        self, model: Detector, device: Device, config: TrainConfig, *, processes: Processes | None = None
    ) -> None:
        self.config = config
        self.device = device
        self.processes = Processes() if processes is None else processes
        self.model = model.to(device.torch_device).to(memory_format=torch.channels_last)
        self.average = copy.deepcopy(self.model).eval().requires_grad_(False)
        self.step = 0
        if self.processes.count > 1 and device.kind == "cuda":
            convert_sync_batchnorm(self.model)
        self._optimizer = make_optimizer(self.model, config)
        self._input = CropPredictor(self.average, device)
        if config.compile:
            self.model.compile()
        self._loss = self.processes.wrapped(_Loss(self.model, device, config, self.processes))

    def predictor(self) -> CropPredictor:
        """A predictor with the averaged weights at the time of the call."""
        return self._input

    def learn(self, batch: Batch, progress: float) -> dict[str, float]:
        """Takes one step on ``batch``; returns loss, gradient norm and learning rate.

        Raises:
            TrainingDivergedError: the loss or the gradient is not finite; the weights are as before.
        """
        step = self.step + 1
        self._seed(step)
        rate = learning_rate(self.config, step, progress)
        for group in self._optimizer.param_groups:
            group["lr"] = rate
        loss, norm = self._gradients(batch)
        if not (math.isfinite(loss) and math.isfinite(norm)):
            raise TrainingDivergedError(
                f"training diverged at step {step}: loss {loss}, gradient norm {norm}",
                hint="lower --lr, or use --precision float32; the last checkpoint is intact",
            )
        self._optimizer.step()
        self.step = step
        self._update_average()
        return {"loss": loss, "grad_norm": norm, "lr": rate}

    def checkpoint(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """Weights, averaged weights and optimizer state as named tensors, with a JSON document."""
        tensors, meta = pack_optimizer(self._optimizer)
        tensors |= {f"model.{name}": tensor for name, tensor in self.model.state_dict().items()}
        tensors |= {f"average.{name}": tensor for name, tensor in self.average.state_dict().items()}
        return tensors, {"optimizer": meta}

    def restore(self, step: int, tensors: Mapping[str, Tensor], meta: Mapping[str, Any]) -> None:
        """Restores what :meth:`checkpoint` returned after ``step`` steps.

        Raises:
            CheckpointError: it does not fit this model.
        """
        load_prefixed(self.model, tensors, "model.")
        load_prefixed(self.average, tensors, "average.")
        unpack_optimizer(self._optimizer, tensors, meta.get("optimizer", {}))
        self.step = step

    def _gradients(self, batch: Batch) -> tuple[float, float]:
        """Computes the gradients; returns the loss and the gradient norm."""
        loss = self._backward(batch)
        if self.config.optimizer == "sam":
            with climbed(self.model, self.config.sam_rho):
                self._seed(self.step + 1)  # the same dropout as below
                loss = self._backward(batch)
        norm = nn.utils.clip_grad_norm_(self.model.parameters(), self.config.clip_norm)
        return self.processes.mean_of(loss), float(norm)

    def _seed(self, step: int) -> None:
        seed_everything(self.config.seed * 1_000_003 + step + self.processes.rank * _STREAM)

    def _backward(self, batch: Batch) -> float:
        x = self._input.prepare(batch.crops)
        wanted = torch.from_numpy(batch.labels).to(x.device)
        masks = None if batch.masks is None else torch.from_numpy(batch.masks).to(x.device).unsqueeze(1)
        one_face = None if batch.one_face is None else torch.from_numpy(batch.one_face).to(x.device)
        if self.config.mixup:
            x, wanted, masks = mixed_up(x, wanted, masks, self._mixing(batch))
        self.model.train()
        loss = self._loss(x, wanted, masks, one_face)
        self._optimizer.zero_grad(set_to_none=True)
        loss.backward()
        return float(loss.detach())

    def _mixing(self, batch: Batch) -> tuple[float, int]:
        """The share and the shift of this step's mixup."""
        rng = np.random.default_rng((self.config.seed, batch.step, 1))
        return float(rng.beta(self.config.mixup, self.config.mixup)), int(rng.integers(1, len(batch.crops)))

    @torch.no_grad()
    def _update_average(self) -> None:
        """Updates the moving average; early on with a smaller decay, to forget the random start."""
        decay = min(self.config.ema_decay, (1 + self.step) / (10 + self.step))
        for mean, value in zip(self.average.state_dict().values(), self.model.state_dict().values(), strict=True):
            if mean.is_floating_point():
                mean.lerp_(value, 1 - decay)
            else:
                mean.copy_(value)


def load_prefixed(module: nn.Module, tensors: Mapping[str, Tensor], prefix: str) -> None:
    """Loads the tensors whose names begin with ``prefix``, strictly.

    Raises:
        CheckpointError: they do not fit.
    """
    state = {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}
    try:
        module.load_state_dict(state)
    except RuntimeError as error:
        raise CheckpointError("the checkpoint is of another model", hint="start a new run") from error
