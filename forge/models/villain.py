"""``villain``: 128 -> 128 px. Sixteen residual blocks at half resolution before further reduction.

==========  =========================================================================================================
input       128 px, any framing (full by default)
output      128 px
masks       a decoder of the same widths beside each colour decoder; off with ``mask = false``
latent      1024 numbers
parameters  two identities, no masks: 155.1 M
source      deepfakes/faceswap, ``villain`` (after VillainGuy's model); the count follows from its published layers
==========  =========================================================================================================

After the residual blocks and a shortcut around them, strided convolutions and sub-pixel shuffles alternate, so that
detail moves into channels instead of being averaged out; separable convolutions follow. ``residuals = 8`` is the
original's setting for little memory. The code is our own.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn
from typing_extensions import override

from forge.models.autoencoder import MaskedDecoder, TwoPartSwapper
from forge.models.blocks import RESIDUAL_SLOPE, Down, Residual, Up, scaled
from forge.models.checks import checked_spec, need_between
from forge.models.registry import swappers
from shared.types import Framing

_PX = 128
_STEM = 128
_SEPARABLE = (256, 1024)
_CONV = 512
_DENSE = 1024
_BASE_CHANNELS = 1024
_BASE_PX = 8
_LATENT = 512
_UPS = (512, 256, 128)
_SLOPE = 0.1
_FLAT_PX = 4


class SeparableDown(nn.Module):
    """(B, C, H, W) -> (B, out, H/2, W/2): 5x5 of stride 2 in each channel alone, 1x1 across them, ReLU."""

    def __init__(self, channels: int, out: int) -> None:
        super().__init__()
        self.each = nn.Conv2d(channels, channels, 5, stride=2, padding=2, groups=channels, bias=False)
        self.across = nn.Conv2d(channels, out, 1)

    @override
    def forward(self, x: Tensor) -> Tensor:
        return nn.functional.relu(self.across(self.each(x)))


class VillainEncoder(nn.Module):
    """(B, 3, 128, 128) -> (B, 512, 16, 16) at width 1."""

    def __init__(self, width: float, residuals: int) -> None:
        super().__init__()
        stem, conv = scaled(_STEM, width), scaled(_CONV, width)
        first, last = (scaled(channels, width) for channels in _SEPARABLE)
        # A multiple of 32, whose quarter after the shuffle is a multiple of 8.
        mixed = 4 * scaled(_STEM // 4, width)
        self.stem = nn.Conv2d(3, stem, 5, stride=2, padding=2)
        self.residuals = nn.Sequential(*(Residual(stem) for _ in range(residuals)))
        self.mix = nn.Sequential(
            Down(stem, mixed), nn.PixelShuffle(2), Down(mixed // 4, mixed), nn.PixelShuffle(2), Down(mixed // 4, mixed)
        )
        self.narrowing = nn.Sequential(SeparableDown(mixed, first), Down(first, conv), SeparableDown(conv, last))
        self.base = scaled(_BASE_CHANNELS, width)
        self.narrow = nn.Linear(last * _FLAT_PX**2, scaled(_DENSE, width))
        self.widen = nn.Linear(scaled(_DENSE, width), self.base * _BASE_PX**2)
        self.up = Up(self.base, scaled(_LATENT, width))

    @override
    def forward(self, faces: Tensor) -> Tensor:
        stem = self.stem(faces)
        deep = self.residuals(nn.functional.leaky_relu(stem, RESIDUAL_SLOPE))
        mixed = self.mix(deep + nn.functional.leaky_relu(stem, _SLOPE))
        code = self.narrow(self.narrowing(mixed).permute(0, 2, 3, 1).flatten(1))
        base = self.widen(code).unflatten(1, (_BASE_PX, _BASE_PX, self.base))
        return self.up(base.permute(0, 3, 1, 2))


@swappers.register("villain", source="deepfakes/faceswap", tiny={"residuals": 2})
def villain(
    identities: Sequence[str],
    *,
    width: float = 1.0,
    residuals: int = 16,
    mask: bool = True,
    framing: Framing = "full",
) -> TwoPartSwapper:
    """A ``villain`` swapper.

    Args:
        identities: two or more people, in the order of their decoders.
        width: multiplier of every channel count.
        residuals: blocks at half resolution, 1 to 64.
        mask: whether the face's mask is learned.
        framing: how much of the head the crops show.

    Raises:
        ConfigError: an option is out of range; the message names the nearest valid value.
        UsageError: fewer than two identities, or one twice.
    """
    need_between("residuals", residuals, 1, 64)
    spec = checked_spec(
        "villain", identities, px=_PX, width=width, framing=framing, mask=mask, options={"residuals": residuals}
    )
    latent, ups = scaled(_LATENT, width), [scaled(channels, width) for channels in _UPS]
    decoders = [MaskedDecoder(latent, ups, ups if mask else (), residuals=len(ups)) for _ in spec.identities]
    return TwoPartSwapper(spec, VillainEncoder(width, residuals), decoders)
