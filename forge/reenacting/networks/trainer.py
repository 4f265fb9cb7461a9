"""The trainer of one network of re-enactment: a family gives the losses of a batch and the pictures of its sheet."""

from __future__ import annotations

from abc import abstractmethod
from typing import Generic, TypeVar

import numpy as np
import torch
from torch import Tensor, nn
from typing_extensions import override

from forge.reenacting.networks.config import ReenactorConfig
from forge.reenacting.networks.contract import Pairs, Reenactor
from forge.reenacting.networks.material import Material
from forge.training.step_loop import StepTrainer
from shared.device import Device

_SHEET_ROWS = 6

N = TypeVar("N", bound=Reenactor)


class ReenactorTrainer(StepTrainer, Generic[N]):
    """Trains a network on pairs of moments; what is written is a mean of its weights over steps.

    A family implements :meth:`losses` and :meth:`shown`. One with more than one network, such as a discriminator, also
    overrides :meth:`train_step` and :meth:`modules`.

    Args:
        net, average: two networks of one kind.
    """

    def __init__(self, net: N, average: N, material: Material, config: ReenactorConfig, device: Device) -> None:
        super().__init__(config.seed)
        self.material, self.config, self.device = material, config, device
        place = device.torch_device
        self.net = net.to(place).to(memory_format=torch.channels_last)
        self.average = average.to(place).to(memory_format=torch.channels_last).eval()
        self.average.load_state_dict(self.net.state_dict())
        self.optimizers["net"] = torch.optim.Adam(self.net.parameters(), lr=config.learning_rate, betas=(0.5, 0.999))

    @property
    def made(self) -> N:
        """The network that is exported, in evaluation mode."""
        return self.average

    @override
    def modules(self) -> dict[str, nn.Module]:
        return {"net": self.net, "average": self.average}

    @abstractmethod
    def losses(self, pairs: Pairs) -> dict[str, Tensor]:
        """The losses of a batch by name, scalars; ``loss`` is the one that is minimised.

        It runs under autocast; random numbers are from ``self.generator``.
        """

    @abstractmethod
    def shown(self, pairs: Pairs) -> list[Tensor]:
        """The columns of the sheet, pictures (B, 3, S, S) in [0, 1]; random numbers are not from ``self.generator``."""

    @override
    def train_step(self, fraction: float) -> dict[str, float]:
        self.set_rate(self.config.learning_rate, fraction)
        with self.device.autocast():
            losses = self.losses(self.batch())
        self.optimizers["net"].zero_grad(set_to_none=True)
        losses["loss"].backward()
        self.optimizers["net"].step()
        self.step += 1
        self.move_average(self.average, self.net, self.config.ema)
        return {name: float(value.detach()) for name, value in losses.items()}

    def batch(self) -> Pairs:
        """Random pairs on the device."""
        pairs = self.material.pairs(self.config.batch, self.net.spec.sources, self.generator)
        return pairs.to(self.device.torch_device)

    @override
    @torch.inference_mode()
    def sheet(self) -> np.ndarray:
        """A row for each of the same pairs at every step."""
        always = torch.Generator().manual_seed(self.config.seed)
        pairs = self.material.pairs(_SHEET_ROWS, self.net.spec.sources, always).to(self.device.torch_device)
        with self.device.autocast():
            columns = self.shown(pairs)
        return np.hstack([np.vstack(list(to_pixels(column))) for column in columns])


def to_pixels(pictures: Tensor) -> np.ndarray:
    """(N, 3, S, S) in [0, 1] to (N, S, S, 3) uint8."""
    return pictures.float().clamp(0, 1).mul(255).round().byte().permute(0, 2, 3, 1).cpu().numpy()
