"""One training step of each family: what is random in it comes from the trainer's generator, so that it resumes."""

from __future__ import annotations

import math
from abc import abstractmethod
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from typing_extensions import override

from forge.generating.augment import augmented
from forge.generating.config import GeneratorConfig
from forge.generating.contract import Generator
from forge.generating.flow import FlowGenerator
from forge.generating.gan import SkipDiscriminator, SkipGenerator, rebuilding_targets
from forge.generating.prior import PriorGenerator, codes_of, coding_parts, main_directions, shrunk_covariance
from forge.models import Swapper
from forge.training.adversarial.objectives import OBJECTIVES
from forge.training.losses.pixel import mae
from forge.training.step_loop import StepTrainer
from shared.device import Device

_SHEET_SEEDS = range(32)
_SHEET_COLUMNS = 8
M = TypeVar("M", bound=nn.Module)

_HINGE = OBJECTIVES["hinge"]


class GeneratorTrainer(StepTrainer):
    """Trains a generator on faces.

    Convention:
        faces: (N, 3, S, S) uint8 on the CPU
    """

    def __init__(self, faces: Tensor, config: GeneratorConfig, device: Device) -> None:
        super().__init__(config.seed)
        self.faces, self.config, self.device = faces, config, device

    @property
    @abstractmethod
    def made(self) -> Generator:
        """The generator that is exported, in evaluation mode."""

    @override
    @torch.inference_mode()
    def sheet(self) -> np.ndarray:
        """A sheet of 32 faces, of the same seeds at every step."""
        place = self.device.torch_device
        made = self.made
        with self.device.autocast():
            faces = torch.cat([made(made.latents([seed]).to(place)) for seed in _SHEET_SEEDS])
        return tiled(to_pixels(faces))

    def _real(self, numbers: Tensor, flips: Tensor) -> Tensor:
        """(B, 3, S, S) float32 in [0, 1]: the faces of these ``numbers``, mirrored where ``flips``."""
        faces = self.faces[numbers].to(self.device.torch_device).float() / 255
        mirrored = torch.where(flips.to(faces.device)[:, None, None, None], faces.flip(3), faces)
        return mirrored.contiguous(memory_format=torch.channels_last)

    def _some(self) -> Tensor:
        """A random batch of faces, each mirrored or not."""
        count = self.config.batch
        numbers = torch.randint(len(self.faces), (count,), generator=self.generator)
        return self._real(numbers, torch.rand(count, generator=self.generator) < 0.5)


class GanTrainer(GeneratorTrainer):
    """Hinge loss, differentiable augmentation of both sides, and reconstructions of real faces."""

    def __init__(self, net: SkipGenerator, average: SkipGenerator, faces: Tensor, config: GeneratorConfig,
                 device: Device) -> None:  # fmt: skip
        super().__init__(faces, config, device)
        self.net, self.average = _placed(net, device), _placed(average, device).eval()
        self.average.load_state_dict(self.net.state_dict())
        self.discriminator = _placed(SkipDiscriminator(net.spec.px, net.channels), device)
        for name, module in (("generator", self.net), ("discriminator", self.discriminator)):
            self.optimizers[name] = torch.optim.Adam(module.parameters(), lr=config.learning_rate, betas=(0.5, 0.999))

    @property
    @override
    def made(self) -> SkipGenerator:
        return self.average

    @override
    def modules(self) -> dict[str, nn.Module]:
        return {"generator": self.net, "average": self.average, "discriminator": self.discriminator}

    @override
    def train_step(self, fraction: float) -> dict[str, float]:
        self.set_rate(self.config.learning_rate, fraction)
        latents = torch.randn(self.config.batch, self.net.spec.latent, generator=self.generator)
        with self.device.autocast():
            made = self.net(latents.to(self.device.torch_device))
        losses = self._train_discriminator(augmented(self._some(), self.generator), made.detach())
        self.discriminator.requires_grad_(False)
        with self.device.autocast():
            logits = self.discriminator(augmented(made, self.generator))
        loss = _HINGE.swapper(logits, logits)
        self.optimizers["generator"].zero_grad(set_to_none=True)
        loss.backward()
        self.optimizers["generator"].step()
        self.discriminator.requires_grad_(True)
        self.step += 1
        self.move_average(self.average, self.net, self.config.ema)
        return {"loss": float(loss.detach()), **losses}

    def _train_discriminator(self, real: Tensor, made: Tensor) -> dict[str, float]:
        y, x = torch.randint(2, (2,), generator=self.generator).tolist()
        with self.device.autocast():
            of_real, whole, part = self.discriminator.rebuilt(real, (y, x))
            of_made = self.discriminator(augmented(made, self.generator))
        wanted = rebuilding_targets(real, (y, x))
        everywhere = torch.ones_like(whole[:, :1])
        hinge = _HINGE.discriminator(of_real, of_made)
        rebuilding = sum((mae(found, want, everywhere) for found, want in zip((whole, part), wanted, strict=True)),
                         torch.zeros(()))  # fmt: skip
        self.optimizers["discriminator"].zero_grad(set_to_none=True)
        (hinge + self.config.rebuild * rebuilding).backward()
        self.optimizers["discriminator"].step()
        return {
            "discriminator": float(hinge.detach()),
            "rebuild": float(rebuilding.detach()),
            "real": float(of_real.detach().mean()),
            "made": float(of_made.detach().mean()),
        }


class FlowTrainer(GeneratorTrainer):
    """The squared error of the velocity on the straight line from noise to a face (Liu et al. 2023, equation 1)."""

    def __init__(self, net: FlowGenerator, average: FlowGenerator, faces: Tensor, config: GeneratorConfig,
                 device: Device) -> None:  # fmt: skip
        super().__init__(faces, config, device)
        self.flow, self.average = _placed(net, device), _placed(average, device).eval()
        self.average.load_state_dict(self.flow.state_dict())
        self.optimizers["flow"] = torch.optim.Adam(self.flow.parameters(), lr=config.learning_rate)

    @property
    @override
    def made(self) -> FlowGenerator:
        return self.average

    @override
    def modules(self) -> dict[str, nn.Module]:
        return {"flow": self.flow, "average": self.average}

    @override
    def train_step(self, fraction: float) -> dict[str, float]:
        self.set_rate(self.config.learning_rate, fraction)
        faces = 2 * self._some() - 1
        noise = torch.randn(faces.shape, generator=self.generator).to(faces.device)
        times = torch.rand(len(faces), generator=self.generator).to(faces.device)
        share = times[:, None, None, None]
        with self.device.autocast():
            velocity = self.flow.net(torch.lerp(noise, faces, share), times)
        loss = F.mse_loss(velocity, faces - noise)
        self.optimizers["flow"].zero_grad(set_to_none=True)
        loss.backward()
        self.optimizers["flow"].step()
        self.step += 1
        self.move_average(self.average, self.flow, self.config.ema)
        return {"loss": float(loss.detach())}


class PriorTrainer(GeneratorTrainer):
    """Adds up the moments of the faces' codes, batch by batch; each pass is over all faces and their mirror images."""

    def __init__(self, net: PriorGenerator, swapper: Swapper, faces: Tensor, config: GeneratorConfig,
                 device: Device) -> None:  # fmt: skip
        super().__init__(faces, config, device)
        self.net = _placed(net, device).eval()
        encoder, decoder = coding_parts(swapper)
        self.encoder = _placed(encoder, device).eval()
        for mine, theirs in ((net.widen, encoder.widen), (net.up, encoder.up), (net.decoder, decoder)):
            mine.load_state_dict(theirs.state_dict())
        size = encoder.narrow.out_features
        self.moments = _Moments(size)

    @staticmethod
    def steps_of_a_pass(faces: int, batch: int) -> int:
        """Steps that show all faces and their mirror images once."""
        return math.ceil(2 * faces / batch)

    @property
    @override
    def made(self) -> PriorGenerator:
        return self.net

    @override
    def modules(self) -> dict[str, nn.Module]:
        return {"prior": self.net, "moments": self.moments}

    @override
    @torch.no_grad()
    def train_step(self, fraction: float) -> dict[str, float]:
        both = 2 * len(self.faces)
        places = (self.step * self.config.batch + torch.arange(self.config.batch)) % both
        codes = codes_of(self.encoder, self._real(places // 2, places % 2 == 1)).double().cpu()
        before = self.moments.total / self.moments.count.clamp_min(1)
        self.moments.add(codes)
        self.step += 1
        moved = float((self.moments.total / self.moments.count - before).norm())
        self._fit()
        return {"loss": moved, "spread": float(codes.std(0).mean())}

    def _fit(self) -> None:
        """Sets the prior of the generator by the moments so far."""
        count = float(self.moments.count)
        mean = self.moments.total / count
        covariance = (self.moments.squares - count * torch.outer(mean, mean)) / (count - 1)
        self.net.mean.copy_(mean)
        self.net.directions.copy_(main_directions(shrunk_covariance(covariance, int(count)), self.net.spec.latent))


class _Moments(nn.Module):
    """Number, sum and sum of outer products of vectors, in double precision."""

    count: Tensor
    total: Tensor
    squares: Tensor

    def __init__(self, size: int) -> None:
        super().__init__()
        self.register_buffer("count", torch.zeros((), dtype=torch.float64))
        self.register_buffer("total", torch.zeros(size, dtype=torch.float64))
        self.register_buffer("squares", torch.zeros(size, size, dtype=torch.float64))

    def add(self, vectors: Tensor) -> None:
        """Takes in ``vectors`` (B, size)."""
        self.count += len(vectors)
        self.total += vectors.sum(0)
        self.squares += vectors.T @ vectors


def to_pixels(faces: Tensor) -> np.ndarray:
    """(N, 3, S, S) in [0, 1] to (N, S, S, 3) uint8."""
    return faces.clamp(0, 1).mul(255).round().byte().permute(0, 2, 3, 1).cpu().numpy()


def tiled(pictures: np.ndarray, columns: int = _SHEET_COLUMNS) -> np.ndarray:
    """(N, S, S, 3) uint8 as one picture of rows of ``columns``; empty places are black."""
    count, side = len(pictures), pictures.shape[1]
    rows = math.ceil(count / columns)
    filled = np.zeros((rows * columns, side, side, 3), np.uint8)
    filled[:count] = pictures
    return filled.reshape(rows, columns, side, side, 3).swapaxes(1, 2).reshape(rows * side, columns * side, 3)


def _placed(module: M, device: Device) -> M:
    return module.to(device.torch_device).to(memory_format=torch.channels_last)
