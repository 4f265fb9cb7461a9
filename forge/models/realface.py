"""``realface``: 64-128 -> 64-256 px. A convolutional encoder; the narrow dense layer is in each decoder.

==========  =========================================================================================================
input       64 to 128 px in steps of 16, 64 by default; any framing (full by default)
output      64 to 256 px in steps of 32, 128 by default
masks       a branch of each decoder (384 channels, halving); off with ``mask = false``
latent      ``dense`` numbers, 1536 by default, in each decoder; two thirds of that in decoder A
parameters  two identities, no masks, at the defaults: 238.1 M
source      deepfakes/faceswap, ``realface``; the count follows from its published layers
==========  =========================================================================================================

A decoder starts from a map whose side is the output's divided by 16 or 32 (below 10, and the nearest to a sixteenth of
the input's) and doubles it four or five times. Its channels follow from the side: ``1024 - 64 (side - 4)`` down to a
multiple of 16, so that the size of the dense layer stays about the same.

Decoder A has two thirds of the channels and no residual blocks in its later stages. The first identity has A, all
others B; ``lopsided = false`` gives all of them B's. The code is our own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from typing_extensions import override

from forge.models.autoencoder import TwoPartSwapper, strengthened
from forge.models.blocks import RESIDUAL_SLOPE, Decoder, Down, Residual, Up, scaled
from forge.models.checks import checked_spec, need_between, need_multiple
from forge.models.contract import Swap
from forge.models.registry import swappers
from shared.types import Framing

_REDUCTION = 16
_MAX_SIDE = 10
_A_SHARE = 1.5
_MASK = 384
_SLOPE = 0.1


@dataclass(frozen=True)
class Base:
    """The first map of a decoder: its side, how often it is doubled, and its channels at width 1."""

    side: int
    doublings: int
    channels: int

    @classmethod
    def between(cls, input_px: int, output_px: int) -> Base:
        """The base for these sizes: 64 -> 128 px starts at 4 px with 1024 channels, doubled five times."""
        candidates = [(output_px >> doublings, doublings) for doublings in (4, 5)]
        fitting = [(side, doublings) for side, doublings in candidates if side < _MAX_SIDE]
        side, doublings = min(fitting, key=lambda each: abs(each[0] * _REDUCTION - input_px))
        return cls(side, doublings, (1024 - (side - 4) * 64) // 16 * 16)


class RealfaceEncoder(nn.Sequential):
    """(B, 3, px, px) -> (B, 8 c, px/16, px/16): strided convolutions, two residual blocks after each but the last."""

    def __init__(self, channels: int, width: float) -> None:
        outs = [scaled(channels << number, width) for number in range(3)]
        layers: list[nn.Module] = []
        for before, after in zip((3, *outs), outs, strict=False):
            layers += [_SteepDown(before, after), Residual(after), Residual(after)]
        super().__init__(*layers, Down(outs[-1], scaled(channels << 3, width)))
        self.out = scaled(channels << 3, width)


class _SteepDown(Down):
    """A :class:`Down` with the slope used before residual blocks."""

    def forward(self, x: Tensor) -> Tensor:
        return nn.functional.leaky_relu(self.conv(x), RESIDUAL_SLOPE)


class RealfaceDecoder(nn.Module):
    """(B, C, s, s) -> :class:`Swap`.

    Args:
        flat: numbers in the latent.
        dense: of the narrow layer.
        base: its first map, with the final channel count.
        outs: channels of the doubling stages after the first.
        strong: residual blocks after all but the last of them.
        mask: channels of the mask's stages, or none.
    """

    def __init__(
        self, flat: int, dense: int, base: Base, outs: Sequence[int], *, strong: bool, mask: Sequence[int]
    ) -> None:
        super().__init__()
        self.base = base
        self.narrow = nn.Linear(flat, dense)
        self.widen = nn.Linear(dense, base.channels * base.side**2)
        # Its activation is in the two branches, which have different slopes.
        self.first = Up(base.channels, base.channels, slope=1.0)
        first = Residual(base.channels, bias=False)
        self.stages = nn.Sequential(first, *strengthened(base.channels, outs, strong=strong, resides=_two_blocks))
        self.face = nn.Conv2d(outs[-1], 3, 5, padding=2)
        self.mask = Decoder(base.channels, mask, 1) if mask else None

    @override
    def forward(self, latent: Tensor) -> Swap:
        code = self.narrow(latent.permute(0, 2, 3, 1).flatten(1))
        map_ = self.widen(code).unflatten(1, (self.base.side, self.base.side, self.base.channels)).permute(0, 3, 1, 2)
        both = self.first(map_)
        rgb = torch.sigmoid(self.face(self.stages(nn.functional.leaky_relu(both, RESIDUAL_SLOPE))).float())
        return Swap(rgb, None if self.mask is None else self.mask(nn.functional.leaky_relu(both, _SLOPE)))


def _two_blocks(channels: int) -> list[nn.Module]:
    return [Residual(channels, bias=False), Residual(channels)]


@swappers.register("realface", source="deepfakes/faceswap", tiny={"output_px": 64})
def realface(
    identities: Sequence[str],
    *,
    width: float = 1.0,
    input_px: int = 64,
    output_px: int = 128,
    dense: int = 1536,
    encoder_channels: int = 128,
    decoder_channels: int = 512,
    lopsided: bool = True,
    mask: bool = True,
    framing: Framing = "full",
) -> TwoPartSwapper:
    """A ``realface`` swapper.

    Args:
        identities: two or more people; the first has decoder A, see the module.
        width: multiplier of every channel count.
        input_px: a multiple of 16 from 64 to 128.
        output_px: a multiple of 32 from 64 to 256.
        dense: of the narrow layer in decoder B, 64 to 4096.
        encoder_channels: of the first stage, 16 to 256.
        decoder_channels: of decoder B's second stage, 64 to 1024.
        lopsided: whether the first identity has decoder A.
        mask: whether the face's mask is learned.
        framing: how much of the head the crops show.

    Raises:
        ConfigError: an option is out of range; the message names the nearest valid value.
        UsageError: fewer than two identities, or one twice.
    """
    need_multiple("input_px", input_px, 16, 64, 128)
    need_multiple("output_px", output_px, 32, 64, 256)
    need_between("dense", dense, 64, 4096)
    need_between("encoder_channels", encoder_channels, 16, 256)
    need_between("decoder_channels", decoder_channels, 64, 1024)
    spec = checked_spec(
        "realface",
        identities,
        px=(input_px, output_px),
        width=width,
        framing=framing,
        mask=mask,
        options={
            "input_px": input_px,
            "output_px": output_px,
            "dense": dense,
            "encoder_channels": encoder_channels,
            "decoder_channels": decoder_channels,
            "lopsided": lopsided,
        },
    )
    encoder = RealfaceEncoder(encoder_channels, width)
    flat = encoder.out * (input_px // _REDUCTION) ** 2
    begin = Base.between(input_px, output_px)
    masks = [scaled(_MASK >> number, width) for number in range(begin.doublings - 1)] if mask else []

    def decoder(strong: bool) -> RealfaceDecoder:
        share = 1.0 if strong else _A_SHARE
        outs = [scaled(int(decoder_channels / share) >> number, width) for number in range(begin.doublings - 1)]
        base = Base(begin.side, begin.doublings, scaled(int(begin.channels / share), width))
        return RealfaceDecoder(flat, scaled(int(dense / share), width), base, outs, strong=strong, mask=masks)

    return TwoPartSwapper.lopsided(spec, encoder, decoder, lopsided=lopsided)
