"""Training of a lip-sync model in a run; a training that was stopped goes on to the same weights."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from typing_extensions import override

from forge.reenacting.lipsync.checkpoint import INNER_NAME, LipsyncFacts, LipsyncModel, Material, save_lipsync_model
from forge.reenacting.lipsync.config import KIND, WHILE_RUNNING, LipsyncConfig
from forge.reenacting.lipsync.lessons import Lessons
from forge.reenacting.lipsync.network import LipsyncSpec, MouthNetwork
from forge.training.step_loop import StepLoop, StepTrainer
from shared.device import pick_device, seed_everything
from shared.errors import CheckpointError
from shared.training.run import Run

MODEL = INNER_NAME
"""Folder of the trained model in a run."""

_MOST_SHOWN = 300
_LARGEST_NORM = 1.0
_CHANGE_STEPS = 2


def train_lipsync(
    lessons: Lessons,
    run: Path,
    config: LipsyncConfig,
    materials: Sequence[Material],
    *,
    start: LipsyncModel | None = None,
) -> Path:
    """Trains in the folder ``run``, or goes on there; returns the folder of the model.

    Args:
        lessons: what is learned from.
        run: the folder.
        config: settings.
        materials: where the lessons are from, for the model's card; part of what a run is resumed by.
        start: a model of the same size whose network is trained on.

    Raises:
        CheckpointError: ``start`` is of another size.
        RunError: the folder is in use, or holds another training.
        TrainingDivergedError: the loss became infinite or not a number.
        StorageError: writing failed.
    """
    seed_everything(config.seed)
    device = pick_device(config.device)
    inputs = {one.name: one.sha256 for one in materials}
    inputs |= {} if start is None else {"start": start.weights_sha256}
    with Run.open_or_create(
        run, config, seed=config.seed, inputs=inputs, kind=KIND, may_change=WHILE_RUNNING
    ) as opened:
        trainer = LipsyncTrainer(lessons, config, device.torch_device, start)

        def export(seconds: float) -> Path:
            del seconds
            facts = LipsyncFacts(trainer.network.spec, trainer.step, config.seed, tuple(materials))
            return save_lipsync_model(run / MODEL, trainer.network, facts)

        return StepLoop(
            opened, trainer, export, steps=config.steps, minutes=None, save_every=config.save_every,
            log_every=config.log_every,
        ).train()  # fmt: skip


class LipsyncTrainer(StepTrainer):
    """The network and its optimizer."""

    def __init__(
        self, lessons: Lessons, config: LipsyncConfig, device: torch.device, start: LipsyncModel | None = None
    ) -> None:
        super().__init__(config.seed)
        self._lessons, self._config, self._device = lessons, config, device
        self.network = MouthNetwork(LipsyncSpec(config.width, config.layers)).to(device)
        if start is not None:
            if start.facts.spec != self.network.spec:
                raise CheckpointError("the model to start from is of another size", hint="give the same width, layers")
            self.network.load_state_dict(start.network.state_dict())
        self.network.spread.copy_(torch.from_numpy(lessons.spread))
        self.network.basis.copy_(torch.from_numpy(lessons.basis))
        self.network.mouth_width.fill_(lessons.mouth_width)
        self.optimizers = {"network": torch.optim.Adam(self.network.parameters(), lr=config.learning_rate)}

    @override
    def train_step(self, fraction: float) -> dict[str, float]:
        config = self._config
        self.set_rate(config.learning_rate, fraction)
        seed = int(torch.randint(2**31, (), generator=self.generator))
        batch = self._lessons.batch(config, np.random.default_rng(seed))
        features, wanted, known = (part.to(self._device) for part in batch)
        self.network.train()
        place, change = losses_of(self.network(features), wanted, known)
        loss = place + config.velocity * change
        optimizer = self.optimizers["network"]
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(self.network.parameters(), _LARGEST_NORM)
        optimizer.step()
        self.step += 1
        return {"loss": float(loss.detach()), "place": float(place.detach()), "change": float(change.detach())}

    @override
    def modules(self) -> Mapping[str, nn.Module]:
        return {"network": self.network}

    @override
    @torch.inference_mode()
    def sheet(self) -> np.ndarray:
        """A stretch of a lesson: its spectrum, its opening of the mouth in white, and the one that is found in red."""
        features, wanted, _ = self._lessons.batch(self._config, np.random.default_rng(self._config.seed))
        self.network.eval()
        found = self.network(features[:1].to(self._device))[0, :, 0].cpu().numpy()
        shown = min(_MOST_SHOWN, len(found))
        picture = np.zeros((120, shown, 3), np.uint8)
        picture[:40] = np.clip(128 + 40 * features[0, :shown].numpy().T[::-1], 0, 255).astype(np.uint8)[..., None]
        for values, color in ((wanted[0, :shown, 0].numpy(), (255, 255, 255)), (found[:shown], (230, 60, 50))):
            rows = np.clip(110 - 15 * values, 41, 119).astype(int)
            picture[rows, np.arange(shown)] = color
        return np.repeat(np.repeat(picture, 3, axis=0), 3, axis=1)


def losses_of(found: Tensor, wanted: Tensor, known: Tensor) -> tuple[Tensor, Tensor]:
    """Mean squared error of parameters (B, S, 3), and of their change over 40 ms, where they are ``known`` (B, S)."""
    weight = known[..., None]
    place = (weight * (found - wanted) ** 2).sum() / (3 * weight.sum()).clamp(min=1)
    both = weight[:, _CHANGE_STEPS:] * weight[:, :-_CHANGE_STEPS]
    error = (found - wanted)[:, _CHANGE_STEPS:] - (found - wanted)[:, :-_CHANGE_STEPS]
    return place, (both * error**2).sum() / (3 * both.sum()).clamp(min=1)
