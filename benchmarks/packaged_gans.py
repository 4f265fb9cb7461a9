"""A packaged GAN beside Assay's own, both trained on the same faces, on the CPU.

The package is optional: where it is not installed the error names it, and how to install it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from importlib import metadata
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from typing_extensions import override

import shared
from forge.generating.config import GeneratorConfig
from forge.generating.families import trainer_of, untrained
from forge.generating.trainers import tiled, to_pixels
from forge.training.step_loop import StepTrainer
from shared.device import pick_device
from shared.faces.finders.contract import need_package
from shared.registry import Registry

_AT_ONCE = 32
_CPU = torch.device("cpu")


@dataclass(frozen=True, eq=False)
class Contestant:
    """A GAN to train.

    Convention:
        trainer: as new, with the modules ``generator`` and ``discriminator``
        made: (N, 3, S, S) in [0, 1]: the faces of N latents, always the same ones
        source: package and version
    """

    trainer: StepTrainer
    made: Callable[[int], Tensor]
    source: str

    def sampled(self, count: int) -> np.ndarray:
        """(count, S, S, 3) uint8: faces of the generator as it is now."""
        with torch.inference_mode():
            return to_pixels(self.made(count))

    def sizes(self) -> tuple[int, int]:
        """Parameters of the generator and of the discriminator."""
        modules = self.trainer.modules()
        generator, discriminator = (
            sum(one.numel() for one in modules[name].parameters()) for name in ("generator", "discriminator")
        )
        return generator, discriminator


gans: Registry[Contestant] = Registry("GAN")
"""Factories that take ``faces`` (N, 3, S, S) uint8, ``batch`` and ``seed``."""


@gans.register("generate-gan")
def own_gan(faces: Tensor, batch: int, seed: int) -> Contestant:
    """Assay's family with its usual options and settings."""
    config = GeneratorConfig("generate-gan", {"px": faces.shape[-1]}, batch=batch, seed=seed, device="cpu")
    trainer = trainer_of(untrained(config), faces, config, pick_device("cpu"))

    def made(count: int) -> Tensor:
        return torch.cat([trainer.made(trainer.made.latents(seeds)) for seeds in _parts(count)])

    return Contestant(trainer, made, f"assay {shared.__version__}")


class TorchganDcgan(StepTrainer):
    """The DCGAN of torchgan: Radford et al., ICLR 2016.

    The networks have the package's defaults, and a step is the ``train_ops`` of its two minimax losses, the generator's
    first. Chosen here are the optimizers, those of the paper, and that faces are mirrored at random. Nothing is
    augmented otherwise, and no weights are averaged: the package has neither.
    """

    def __init__(self, faces: Tensor, batch: int, seed: int) -> None:
        super().__init__(seed)
        models, losses = (need_package(f"torchgan.{part}", "torchgan") for part in ("models", "losses"))
        px = faces.shape[-1]
        self.net, self.discriminator = models.DCGANGenerator(out_size=px), models.DCGANDiscriminator(in_size=px)
        self._latent = int(self.net.encoding_dims)
        self._faces, self._batch = faces, batch
        self._losses: tuple[Any, Any] = losses.MinimaxGeneratorLoss(), losses.MinimaxDiscriminatorLoss()
        for name, module in self.modules().items():
            self.optimizers[name] = torch.optim.Adam(module.parameters(), lr=2e-4, betas=(0.5, 0.999))

    def made(self, count: int) -> Tensor:
        """(count, 3, S, S) in [0, 1]: faces of the same standard normal latents at every step."""
        latents = torch.randn(count, self._latent, generator=torch.Generator().manual_seed(0))
        training = self.net.training
        self.net.eval()
        found = torch.cat([self.net(part) for part in latents.split(_AT_ONCE)])
        self.net.train(training)
        return (found + 1) / 2

    @override
    def modules(self) -> Mapping[str, nn.Module]:
        return {"generator": self.net, "discriminator": self.discriminator}

    @override
    @torch.inference_mode()
    def sheet(self) -> np.ndarray:
        return tiled(to_pixels(self.made(_AT_ONCE)))

    @override
    def train_step(self, fraction: float) -> dict[str, float]:
        of_generator, of_discriminator = self._losses
        networks = (self.net, self.discriminator)
        loss = of_generator.train_ops(*networks, self.optimizers["generator"], _CPU, self._batch)
        other = of_discriminator.train_ops(*networks, self.optimizers["discriminator"], self._some(), _CPU)
        self.step += 1
        return {"loss": float(loss), "discriminator": float(other)}

    def _some(self) -> Tensor:
        """(B, 3, S, S) float32 in [-1, 1]: random faces, every other one mirrored on average."""
        numbers = torch.randint(len(self._faces), (self._batch,), generator=self.generator)
        faces = self._faces[numbers].float() / 127.5 - 1
        flips = torch.rand(self._batch, generator=self.generator) < 0.5
        return torch.where(flips[:, None, None, None], faces.flip(3), faces)


@gans.register("torchgan-dcgan")
def torchgan_dcgan(faces: Tensor, batch: int, seed: int) -> Contestant:
    """See :class:`TorchganDcgan`.

    Raises:
        FinderError: torchgan is not installed.
    """
    trainer = TorchganDcgan(faces, batch, seed)
    return Contestant(trainer, trainer.made, source_of("torchgan"))


def source_of(distribution: str) -> str:
    """Name and version of an installed package."""
    try:
        return f"{distribution} {metadata.version(distribution)}"
    except metadata.PackageNotFoundError:
        return distribution


def _parts(count: int) -> Iterator[range]:
    for start in range(0, count, _AT_ONCE):
        yield range(start, min(count, start + _AT_ONCE))
