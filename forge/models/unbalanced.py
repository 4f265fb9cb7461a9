"""``unbalanced``: 64 to 512 px in and out; a wide encoder, one plain decoder with dropout, one strong one.

==========  =========================================================================================================
input       64 to 512 px in steps of 16, 128 by default; any framing (full by default)
output      as the input
masks       a decoder of the same widths beside each colour decoder; off with ``mask = false``
latent      ``dense`` numbers, 1024 by default
parameters  two identities, no masks, at the defaults: 207.0 M
source      deepfakes/faceswap, ``unbalanced``; the count follows from its published layers
==========  =========================================================================================================

Five strided convolutions of 1, 2, 4, 6 and 8 times ``encoder_channels``, the first two normalised over each face, a
narrow dense layer, and a map of a sixteenth of the side. Decoder A drops whole channels after its first two stages;
decoder B has residual blocks instead. The original builds its decoder B for 512 channels regardless of its option and
fails with others; here ``decoder_b_channels`` is used. Its normalisation has one scale for all channels; ours has one a
channel.

The first identity has decoder A, all others B; ``lopsided = false`` gives all of them B's. The code is our own.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from typing_extensions import override

from forge.models.autoencoder import TwoPartSwapper, strengthened
from forge.models.blocks import Decoder, Residual, scaled
from forge.models.checks import checked_spec, need_between, need_multiple
from forge.models.contract import Option, Swap
from forge.models.registry import swappers
from shared.types import Framing

_STEPS = (1, 2, 4, 6, 8)
_NORMALISED = 2
_REDUCTION = 16
_BASE_CHANNELS = 512
_SLOPE = 0.1
_DROPOUT = 0.25
_DROPPED = 2


class NormalisedDown(nn.Module):
    """(B, C, H, W) -> (B, out, H/2, W/2): 5x5 convolution of stride 2, normalised over each face if asked, leaky."""

    def __init__(self, channels: int, out: int, *, normalise: bool) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, out, 5, stride=2, padding=2)
        self.norm = nn.GroupNorm(1, out) if normalise else nn.Identity()

    @override
    def forward(self, x: Tensor) -> Tensor:
        return nn.functional.leaky_relu(self.norm(self.conv(x)), _SLOPE)


class UnbalancedEncoder(nn.Module):
    """(B, 3, px, px) -> (B, base, px/16, px/16)."""

    def __init__(self, px: int, channels: Sequence[int], dense: int, base: int) -> None:
        super().__init__()
        pairs = enumerate(zip((3, *channels), channels, strict=False))
        self.stages = nn.Sequential(*(NormalisedDown(a, b, normalise=i < _NORMALISED) for i, (a, b) in pairs))
        self.side, self.base = px // _REDUCTION, base
        # The last of the five stages rounds an odd side up.
        self.narrow = nn.Linear(channels[-1] * (-(-self.side // 2)) ** 2, dense)
        self.widen = nn.Linear(dense, base * self.side**2)

    @override
    def forward(self, faces: Tensor) -> Tensor:
        code = self.narrow(self.stages(faces).permute(0, 2, 3, 1).flatten(1))
        return self.widen(code).unflatten(1, (self.side, self.side, self.base)).permute(0, 3, 1, 2)


class UnbalancedDecoder(nn.Module):
    """(B, base, s, s) -> :class:`Swap` of side 16 s.

    Args:
        base: channels of the latent.
        channels: of the first two stages; the others have half and a quarter.
        strong: residual blocks after the first three stages, instead of dropout after the first two.
        mask: whether there is a mask decoder.
    """

    def __init__(self, base: int, channels: int, *, strong: bool, mask: bool) -> None:
        super().__init__()
        outs = [channels, channels, scaled(channels, 0.5), scaled(channels, 0.25)]
        stages = strengthened(
            base,
            outs,
            strong=strong,
            kernel=5,
            resides=lambda after: [Residual(after)],
            otherwise=lambda number: [nn.Dropout2d(_DROPOUT)] if number < _DROPPED else [],
        )
        self.stages = nn.Sequential(*stages)
        self.face = nn.Conv2d(outs[-1], 3, 5, padding=2)
        self.mask = Decoder(base, outs, 1) if mask else None

    @override
    def forward(self, latent: Tensor) -> Swap:
        rgb = torch.sigmoid(self.face(self.stages(latent)).float())
        return Swap(rgb, None if self.mask is None else self.mask(latent))


@swappers.register("unbalanced", source="deepfakes/faceswap", tiny={"input_px": 64})
def unbalanced(
    identities: Sequence[str],
    *,
    width: float = 1.0,
    input_px: int = 128,
    dense: int = 1024,
    encoder_channels: int = 128,
    decoder_a_channels: int = 384,
    decoder_b_channels: int = 512,
    lopsided: bool = True,
    mask: bool = True,
    framing: Framing = "full",
) -> TwoPartSwapper:
    """An ``unbalanced`` swapper.

    Args:
        identities: two or more people; the first has decoder A, see the module.
        width: multiplier of every channel count.
        input_px: side of input and output, a multiple of 16 from 64 to 512.
        dense: of the narrow layer, 64 to 4096.
        encoder_channels: of the encoder's first stage, 16 to 1024.
        decoder_a_channels: of decoder A's first stages, 16 to 1024.
        decoder_b_channels: of decoder B's first stages, 16 to 1024.
        lopsided: whether the first identity has decoder A.
        mask: whether the face's mask is learned.
        framing: how much of the head the crops show.

    Raises:
        ConfigError: an option is out of range; the message names the nearest valid value.
        UsageError: fewer than two identities, or one twice.
    """
    need_multiple("input_px", input_px, _REDUCTION, 64, 512)
    need_between("dense", dense, 64, 4096)
    counts: dict[str, Option] = {
        "encoder_channels": encoder_channels,
        "decoder_a_channels": decoder_a_channels,
        "decoder_b_channels": decoder_b_channels,
    }
    for name, value in counts.items():
        need_between(name, float(value), 16, 1024)
    spec = checked_spec(
        "unbalanced",
        identities,
        px=input_px,
        width=width,
        framing=framing,
        mask=mask,
        options={"input_px": input_px, "dense": dense, **counts, "lopsided": lopsided},
    )
    base = scaled(_BASE_CHANNELS, width)
    down = [scaled(step * encoder_channels, width) for step in _STEPS]
    encoder = UnbalancedEncoder(input_px, down, scaled(dense, width), base)

    def decoder(strong: bool) -> UnbalancedDecoder:
        channels = decoder_b_channels if strong else decoder_a_channels
        return UnbalancedDecoder(base, scaled(channels, width), strong=strong, mask=mask)

    return TwoPartSwapper.lopsided(spec, encoder, decoder, lopsided=lopsided)
