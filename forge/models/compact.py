"""``compact``: 128 -> 128 px in nine million parameters at half width, for training on a CPU and for shipped weights.

==========  ==========================================================================================================
encoder     3x3 convolutions of stride 2 to 64, 128, 256, 384 and 512 channels, a residual block after each but the
            first: a map of 4 x 4
latent      ``code`` numbers (256) through a narrow dense layer, widened again to 4 x 4 x 512, doubled to 8 x 8
decoder     sub-pixel convolutions to 256, 192 and 128 channels at 64 px, a residual block after each, one more
            sub-pixel convolution to colour and mask at 128 px, and two narrow convolutions there that begin as the
            identity; one for each identity
parameters  at width 0.5, the default of a training, 8.9 M for one encoder and one decoder; each further identity adds
            2.1 M
==========  ==========================================================================================================

No wide layer of the decoder works at the full side, and colour and mask share all layers, which keeps a step cheap on a
CPU. Without the two narrow ones, a loss of fine detail is met by a pattern of the sub-pixel convolution. The design is
our own.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from typing_extensions import override

from forge.models.autoencoder import TwoPartSwapper
from forge.models.blocks import RESIDUAL_SLOPE, Encoder, Residual, Up, scaled
from forge.models.checks import checked_spec, need_between, need_multiple
from forge.models.contract import Option, Swap
from forge.models.registry import swappers
from shared.types import Framing

_SLOPE = 0.1
_DOWN = (64, 128, 256, 384, 512)
_UPS = (256, 192, 128)
_LATENT = 384
_REFINE = 16


def _halving(before: int, after: int) -> nn.Sequential:
    """A 3x3 convolution of stride 2, and a residual block unless it reads the image."""
    conv = nn.Conv2d(before, after, 3, stride=2, padding=1)
    return nn.Sequential(conv, nn.LeakyReLU(_SLOPE), *([] if before == 3 else [Residual(after)]))


class CompactDecoder(nn.Module):
    """(B, latent, s, s) -> :class:`Swap` of side 16 s; colour and mask share all layers."""

    def __init__(self, latent: int, ups: Sequence[int]) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for before, after in zip((latent, *ups), ups, strict=False):
            layers += [Up(before, after, slope=RESIDUAL_SLOPE), Residual(after)]
        self.stages = nn.Sequential(*layers)
        self.out = nn.Conv2d(ups[-1], 4 * 4, 3, padding=1)
        self.refine = nn.Sequential(
            nn.Conv2d(4, _REFINE, 3, padding=1), nn.LeakyReLU(_SLOPE), nn.Conv2d(_REFINE, 4, 3, padding=1)
        )

    def begin(self) -> None:
        """Makes the narrow convolutions the identity."""
        for value in self.refine[-1].parameters():
            nn.init.zeros_(value)

    @override
    def forward(self, latent: Tensor) -> Swap:
        coarse = nn.functional.pixel_shuffle(self.out(self.stages(latent)), 2)
        planes = torch.sigmoid((coarse + self.refine(coarse)).float())
        return Swap(planes[:, :3], planes[:, 3:])


@swappers.register("compact", source="Assay", tiny={"resolution": 64, "code": 32, "width": 0.06})
def compact(
    identities: Sequence[str],
    *,
    resolution: int = 128,
    code: int = 256,
    width: float = 1.0,
    framing: Framing = "full",
) -> TwoPartSwapper:
    """A ``compact`` swapper, see the module.

    ``resolution`` is the side of input and output, 64 to 256, a multiple of 32; ``code`` the numbers of the narrow
    layer, 16 to 2048. ``width`` multiplies every channel count but the image's.

    Raises:
        ConfigError: an option is out of range; the message names the nearest valid value.
        UsageError: fewer than two identities, or one twice.
    """
    need_multiple("resolution", resolution, 32, 64, 256)
    need_between("code", code, 16, 2048)
    options: dict[str, Option] = {"resolution": resolution, "code": code}
    spec = checked_spec("compact", identities, px=resolution, width=width, framing=framing, options=options)
    ups = [scaled(channels, width) for channels in _UPS]
    latent = scaled(_LATENT, width)
    down = [scaled(channels, width) for channels in _DOWN]
    base = down[-1], resolution >> len(down)
    encoder = Encoder(resolution, down, code, base, latent, _halving)
    decoders = [CompactDecoder(latent, ups) for _ in identities]
    swapper = TwoPartSwapper(spec, encoder, decoders)
    for decoder in decoders:
        decoder.begin()
    return swapper
