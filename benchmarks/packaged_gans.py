"""GANs of packages beside Assay's own, all trained on the same faces, on the CPU.

The packages are optional: one that is not installed is named in the error, with how to install it. Networks, losses and
settings are the packages' own; each class says what is not.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from importlib import metadata
from typing import Any
from unittest.mock import patch

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
_LATENT = 256
_PENALTY, _PENALTY_EVERY = 10.0, 4


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


class PackagedGan(StepTrainer):
    """A package's generator and discriminator.

    Attributes:
        net, discriminator: the networks.
        latent: the length of a latent, of standard normal numbers.
    """

    def __init__(
        self, net: nn.Module, discriminator: nn.Module, latent: int, faces: Tensor, batch: int, seed: int
    ) -> None:
        super().__init__(seed)
        self.net, self.discriminator, self.latent = net, discriminator, latent
        self._faces, self._batch = faces, batch

    @abstractmethod
    def in_range(self, output: Tensor) -> Tensor:
        """What the generator gives, in [0, 1]."""

    def made(self, count: int) -> Tensor:
        """(count, 3, S, S) in [0, 1]: faces of the same latents at every step."""
        latents = torch.randn(count, self.latent, generator=torch.Generator().manual_seed(0))
        training = self.net.training
        self.net.eval()
        found = torch.cat([self.in_range(self.net(part)) for part in latents.split(_AT_ONCE)])
        self.net.train(training)
        return found

    @override
    def modules(self) -> Mapping[str, nn.Module]:
        return {"generator": self.net, "discriminator": self.discriminator}

    @override
    @torch.inference_mode()
    def sheet(self) -> np.ndarray:
        return tiled(to_pixels(self.made(_AT_ONCE)))

    def _some(self, *, mirror: bool) -> Tensor:
        """(B, 3, S, S) float32 in [0, 1]: random faces, every other one mirrored on average if ``mirror``."""
        numbers = torch.randint(len(self._faces), (self._batch,), generator=self.generator)
        faces = self._faces[numbers].float() / 255
        flips = torch.rand(self._batch, generator=self.generator) < 0.5
        return torch.where(flips[:, None, None, None], faces.flip(3), faces) if mirror else faces


class TorchganDcgan(PackagedGan):
    """The DCGAN of torchgan: Radford et al., ICLR 2016.

    The networks have the package's defaults, and a step is the ``train_ops`` of its two minimax losses, the generator's
    first. Chosen here are the optimizers, those of the paper, and that faces are mirrored at random. Nothing is
    augmented otherwise, and no weights are averaged: the package has neither.
    """

    def __init__(self, faces: Tensor, batch: int, seed: int) -> None:
        models, losses = (need_package(f"torchgan.{part}", "torchgan") for part in ("models", "losses"))
        px = faces.shape[-1]
        net, discriminator = models.DCGANGenerator(out_size=px), models.DCGANDiscriminator(in_size=px)
        super().__init__(net, discriminator, int(net.encoding_dims), faces, batch, seed)
        self._losses: tuple[Any, Any] = losses.MinimaxGeneratorLoss(), losses.MinimaxDiscriminatorLoss()
        for name, module in self.modules().items():
            self.optimizers[name] = torch.optim.Adam(module.parameters(), lr=2e-4, betas=(0.5, 0.999))

    @override
    def in_range(self, output: Tensor) -> Tensor:
        return (output + 1) / 2

    @override
    def train_step(self, fraction: float) -> dict[str, float]:
        of_generator, of_discriminator = self._losses
        networks = (self.net, self.discriminator)
        loss = of_generator.train_ops(*networks, self.optimizers["generator"], _CPU, self._batch)
        real = 2 * self._some(mirror=True) - 1
        other = of_discriminator.train_ops(*networks, self.optimizers["discriminator"], real, _CPU)
        self.step += 1
        return {"loss": float(loss), "discriminator": float(other)}


@gans.register("torchgan-dcgan")
def torchgan_dcgan(faces: Tensor, batch: int, seed: int) -> Contestant:
    """See :class:`TorchganDcgan`.

    Raises:
        FinderError: torchgan is not installed.
    """
    trainer = TorchganDcgan(faces, batch, seed)
    return Contestant(trainer, trainer.made, source_of("torchgan"))


class LightweightGan(PackagedGan):
    """The GAN of lightweight-gan, of the family of ``generate-gan``: Liu et al., ICLR 2021.

    Its trainer computes on CUDA alone, so the order of a step is written here, after it: hinge losses of the logits and
    of those of the faces at 32 px, the reconstruction of real faces, a gradient penalty at every fourth step. The
    networks, their optimizers, the losses and the differentiable augmentation are the package's, with the defaults of
    its command line but for the batch, which is not added up over several. The generator is measured as it is: the
    package averages its weights only after 20,000 steps. A resumed training is not the same to the bit, because the
    package augments by Python's own random numbers.
    """

    def __init__(self, faces: Tensor, batch: int, seed: int) -> None:
        self._package = package = _lightweight_gan()
        whole = _on_cpu(package)(
            latent_dim=_LATENT, image_size=faces.shape[-1], attn_res_layers=[32], disc_output_size=1
        )
        super().__init__(whole.G, whole.D, _LATENT, faces, batch, seed)
        self.optimizers |= {"generator": whole.G_opt, "discriminator": whole.D_opt}
        # The package's choice where there are fewer than 100,000 pictures.
        share = min(0.5, (1e5 - len(faces)) * 3e-6)
        self._augmented: Any = partial(whole.D_aug, prob=share, types=["cutout", "translation"])

    @override
    def in_range(self, output: Tensor) -> Tensor:
        return output

    @override
    def train_step(self, fraction: float) -> dict[str, float]:
        discriminator = self._train_discriminator(penalised=self.step % _PENALTY_EVERY == 0)
        self.optimizers["generator"].zero_grad()
        whole, small, _ = self._augmented(self.net(self._latents()))
        loss = self._package.gen_hinge_loss(whole, None) + self._package.gen_hinge_loss(small, None)
        loss.backward()
        self.optimizers["generator"].step()
        self.step += 1
        return {"loss": float(loss.detach()), "discriminator": discriminator}

    def _train_discriminator(self, *, penalised: bool) -> float:
        self.optimizers["discriminator"].zero_grad()
        with torch.no_grad():
            made = self.net(self._latents())
        seen, (of_made, small_of_made, _) = self._augmented(
            made, detach=True, input_requires_grad=penalised, return_discr_input=True
        )
        real = self._some(mirror=False).requires_grad_(penalised)
        of_real, small_of_real, rebuilding = self._augmented(real, calc_aux_loss=True)
        hinge = self._package.hinge_loss(of_real, of_made) + self._package.hinge_loss(small_of_real, small_of_made)
        loss = hinge + rebuilding
        if penalised:
            slopes = (_slope((of_real, small_of_real), real), _slope((of_made, small_of_made), seen))
            loss = loss + _PENALTY * torch.cat(slopes).flatten(1).norm(dim=1).square().mean()
        loss.backward()
        self.optimizers["discriminator"].step()
        return float(hinge.detach())

    def _latents(self) -> Tensor:
        return torch.randn(self._batch, self.latent)


@gans.register("lightweight-gan")
def lightweight_gan(faces: Tensor, batch: int, seed: int) -> Contestant:
    """See :class:`LightweightGan`.

    Raises:
        FinderError: lightweight-gan is not installed.
    """
    trainer = LightweightGan(faces, batch, seed)
    return Contestant(trainer, trainer.made, source_of("lightweight-gan"))


def _lightweight_gan() -> Any:
    """The package's module, which refuses to be imported without CUDA: torch says meanwhile that there is one."""
    need_package("kornia", "lightweight-gan")  # before: what the package imports is to see the machine as it is
    with patch.object(torch.cuda, "is_available", return_value=True):
        module = need_package("lightweight_gan.lightweight_gan", "lightweight-gan")
    module.Blur = nn.Identity  # as its trainer does, unless it is told to blur
    return module


def _on_cpu(module: Any) -> Any:
    """The package's class of networks and optimizers, which moves itself to CUDA when it is made, without that."""
    return type("OnCpu", (module.LightweightGAN,), {"cuda": lambda self, device=None: self})


def _slope(logits: Sequence[Tensor], faces: Tensor) -> Tensor:
    """The gradient of the sum of ``logits`` by ``faces``, to be differentiated again."""
    return torch.autograd.grad([each.sum() for each in logits], faces, create_graph=True)[0]


def source_of(distribution: str) -> str:
    """Name and version of an installed package."""
    try:
        return f"{distribution} {metadata.version(distribution)}"
    except metadata.PackageNotFoundError:
        return distribution


def _parts(count: int) -> Iterator[range]:
    for start in range(0, count, _AT_ONCE):
        yield range(start, min(count, start + _AT_ONCE))
