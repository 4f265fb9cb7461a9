"""``generate-gan``: a light skip-layer generator and its discriminator.

Liu et al., "Towards faster and stabilized GAN training for high-fidelity few-shot image synthesis", ICLR 2021, with a
quarter of the channels: each doubling is a nearest-neighbour enlargement, a 3x3 convolution, batch normalization and a
gated linear unit; a map of 4, 8 or 16 px weights the channels of one eight times as large (skip-layer excitation); the
discriminator reconstructs real faces from its own maps, which keeps it from overfitting.
"""

from __future__ import annotations

from typing import get_args

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm
from typing_extensions import override

from forge.generating.contract import Generator, GeneratorSpec, generators
from forge.models.checks import need_between, need_choice, need_size
from shared.types import Framing

_SLOPE = 0.2
_CHANNELS = {4: 16, 8: 8, 16: 4, 32: 2, 64: 1, 128: 0.5}
"""Channels of the map of each side, over ``channels``."""

_SMALL_PX = 4
_REBUILT_PX = 32
"""Side of the two reconstructions of a discriminator."""


def _doubled(before: int, after: int) -> nn.Sequential:
    """(B, before, s, s) -> (B, after, 2 s, 2 s)."""
    return nn.Sequential(
        nn.Upsample(scale_factor=2, mode="nearest"),
        nn.Conv2d(before, 2 * after, 3, padding=1, bias=False),
        nn.BatchNorm2d(2 * after),
        nn.GLU(dim=1),
    )


class _Excitation(nn.Module):
    """Weights the channels of a large map by a small one (Liu et al., equation 1)."""

    def __init__(self, small: int, large: int) -> None:
        super().__init__()
        self.weigh = nn.Sequential(
            nn.AdaptiveAvgPool2d(4),
            nn.Conv2d(small, large, 4, bias=False),
            nn.SiLU(),
            nn.Conv2d(large, large, 1, bias=False),
            nn.Sigmoid(),
        )

    @override
    def forward(self, small: Tensor, large: Tensor) -> Tensor:
        return large * self.weigh(small)


class SkipGenerator(Generator):
    """(B, latent) -> (B, 3, px, px) in [0, 1]."""

    def __init__(self, spec: GeneratorSpec, channels: int) -> None:
        super().__init__()
        self.spec, self.channels = spec, channels
        wide = {side: int(factor * channels) for side, factor in _CHANNELS.items()}
        self.enter = nn.Sequential(
            nn.ConvTranspose2d(spec.latent, 2 * wide[_SMALL_PX], _SMALL_PX, bias=False),
            nn.BatchNorm2d(2 * wide[_SMALL_PX]),
            nn.GLU(dim=1),
        )
        sides = [side for side in wide if _SMALL_PX < side <= spec.px]
        self.ups = nn.ModuleDict({str(side): _doubled(wide[side // 2], wide[side]) for side in sides})
        large = [side for side in sides if side >= 8 * _SMALL_PX]
        self.excitations = nn.ModuleDict({str(side): _Excitation(wide[side // 8], wide[side]) for side in large})
        self.out = nn.Conv2d(wide[spec.px], 3, 3, padding=1)

    @override
    def forward(self, latents: Tensor) -> Tensor:
        maps = {_SMALL_PX: self.enter(latents[:, :, None, None])}
        for side, up in self.ups.items():
            grown = up(maps[int(side) // 2])
            if side in self.excitations:
                grown = self.excitations[side](maps[int(side) // 8], grown)
            maps[int(side)] = grown
        return torch.tanh(self.out(maps[self.spec.px]).float()) / 2 + 0.5


class _Halving(nn.Module):
    """(B, before, s, s) -> (B, after, s / 2, s / 2): a strided branch and a pooled one, averaged."""

    def __init__(self, before: int, after: int) -> None:
        super().__init__()
        self.strided = nn.Sequential(
            _convolution(before, after, 4, 2),
            nn.LeakyReLU(_SLOPE),
            _convolution(after, after, 3, 1),
            nn.LeakyReLU(_SLOPE),
        )
        self.pooled = nn.Sequential(nn.AvgPool2d(2), _convolution(before, after, 1, 1), nn.LeakyReLU(_SLOPE))

    @override
    def forward(self, x: Tensor) -> Tensor:
        return (self.strided(x) + self.pooled(x)) / 2


class SkipDiscriminator(nn.Module):
    """Faces (B, 3, px, px) in [0, 1] to logits (B, 25), higher for real ones, and two reconstructions."""

    def __init__(self, px: int, channels: int) -> None:
        super().__init__()
        self.px = px
        wide = {side: int(factor * channels) for side, factor in _CHANNELS.items()}
        self.enter = nn.Sequential(_convolution(3, wide[px // 2], 4, 2), nn.LeakyReLU(_SLOPE))
        sides = [side for side in sorted(wide, reverse=True) if 8 <= side < px // 2]
        self.downs = nn.ModuleDict({str(side): _Halving(wide[2 * side], wide[side]) for side in sides})
        self.logits = nn.Sequential(_convolution(wide[8], wide[8], 1, 1), nn.LeakyReLU(_SLOPE), _last(wide[8]))
        self.rebuild_whole = _rebuilder(wide[8], channels)
        self.rebuild_part = _rebuilder(wide[16], channels)

    @override
    def forward(self, faces: Tensor) -> Tensor:
        return self.logits(self._maps(faces)[8]).flatten(1).float()

    def rebuilt(self, faces: Tensor, corner: tuple[int, int]) -> tuple[Tensor, Tensor, Tensor]:
        """The logits of ``faces``, and reconstructions (B, 3, 32, 32) of the whole and of the quarter at ``corner``.

        ``corner`` is 0 or 1 for the upper or lower half, and for the left or right one.
        """
        maps = self._maps(faces)
        y, x = (8 * place for place in corner)
        part = maps[16][:, :, y : y + 8, x : x + 8]
        logits = self.logits(maps[8]).flatten(1).float()
        return logits, self.rebuild_whole(maps[8]).float(), self.rebuild_part(part).float()

    def _maps(self, faces: Tensor) -> dict[int, Tensor]:
        maps = {self.px // 2: self.enter(2 * faces - 1)}
        for side, down in self.downs.items():
            maps[int(side)] = down(maps[2 * int(side)])
        return maps


def rebuilding_targets(faces: Tensor, corner: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """(B, 3, 32, 32) each: ``faces`` (B, 3, px, px) and their quarter at ``corner``, at the side of reconstructions."""
    half = faces.shape[-1] // 2
    y, x = (half * place for place in corner)
    small = [
        nn.functional.interpolate(each, (_REBUILT_PX, _REBUILT_PX), mode="area")
        for each in (faces, faces[:, :, y : y + half, x : x + half])
    ]
    return small[0], small[1]


def _convolution(before: int, after: int, kernel: int, stride: int) -> nn.Module:
    padding = 0 if kernel == 1 else 1
    return spectral_norm(nn.Conv2d(before, after, kernel, stride, padding, bias=False))


def _last(channels: int) -> nn.Module:
    return spectral_norm(nn.Conv2d(channels, 1, 4, bias=False))


def _rebuilder(before: int, channels: int) -> nn.Sequential:
    """(B, before, 8, 8) -> (B, 3, 32, 32) in [0, 1]."""
    return nn.Sequential(
        _doubled(before, 2 * channels),
        _doubled(2 * channels, channels),
        nn.Conv2d(channels, 3, 3, padding=1),
        nn.Sigmoid(),
    )


@generators.register("generate-gan")
def generate_gan(*, px: int = 64, channels: int = 16, latent: int = 128, framing: Framing = "whole") -> SkipGenerator:
    """A generator of the family, see the module.

    ``px`` is 64 or 128; ``channels`` 4 to 64 multiplies all channel counts; ``latent`` is 16 to 512.

    Raises:
        ConfigError: an option is out of range.
    """
    need_size("px", px, (64, 128))
    need_choice("framing", framing, get_args(Framing))
    need_between("channels", channels, 4, 64)
    need_between("latent", latent, 16, 512)
    options = {"px": px, "channels": channels, "latent": latent, "framing": framing}
    return SkipGenerator(GeneratorSpec("generate-gan", px, framing, latent, tuple(options.items())), channels)
