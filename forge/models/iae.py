"""``iae``: 64 -> 64 px. One encoder, one decoder, and between them an inter for each identity and a shared one.

==========  ==========================================================================================================
input       64 px, any framing (full by default)
output      64 px
masks       a thinner decoder (``mask_width``) beside the colour decoder; off with ``mask = false``
latent      1024 numbers in each inter
parameters  117.8 M for two identities without a mask, as published
source      deepfakes/faceswap, ``iae``
==========  ==========================================================================================================

The decoder reads the identity's inter and the shared one, concatenated, so what identities have in common is encoded
separately. The code is our own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn
from typing_extensions import override

from forge.models.blocks import Decoder, Down, initialise, scaled
from forge.models.checks import checked_spec, need_share
from forge.models.contract import Swap, Swapper
from forge.models.registry import swappers
from shared.types import Framing

_PX = 64
_DOWN = (128, 256, 512, 1024)
_DENSE = 1024
_BASE_CHANNELS = 512
_BASE_PX = 4
_UPS = (512, 256, 128, 64)


class Inter(nn.Module):
    """A narrow dense layer and one that widens: (B, F) -> (B, C, 4, 4)."""

    def __init__(self, flat: int, dense: int, channels: int) -> None:
        super().__init__()
        self.narrow = nn.Linear(flat, dense)
        self.widen = nn.Linear(dense, channels * _BASE_PX**2)
        self.channels = channels

    @override
    def forward(self, code: Tensor) -> Tensor:
        base = self.widen(self.narrow(code)).unflatten(1, (_BASE_PX, _BASE_PX, self.channels))
        return base.permute(0, 3, 1, 2)


@swappers.register("iae", source="deepfakes/faceswap")
class IaeSwapper(Swapper):
    """The ``iae`` swapper, see the module.

    Args:
        identities: two or more people, in the order of their inters.
        width: multiplier of every channel count.
        mask: whether a thinner decoder gives the face mask.
        mask_width: channels of the mask decoder, as a fraction of the colour decoder's.
        framing: how much of the head the crops show.

    Raises:
        ConfigError: ``width`` or ``mask_width`` is out of range, or ``framing`` is unknown.
        UsageError: fewer than two identities, or one twice.
    """

    def __init__(
        self,
        identities: Sequence[str],
        *,
        width: float = 1.0,
        mask: bool = True,
        mask_width: float = 0.25,
        framing: Framing = "full",
    ) -> None:
        super().__init__()
        need_share("mask_width", mask_width, 1.0)
        self.spec = checked_spec(
            "iae",
            identities,
            px=_PX,
            width=width,
            framing=framing,
            mask=mask,
            options={"mask_width": float(mask_width)},
        )
        down = [scaled(channels, width) for channels in _DOWN]
        base = scaled(_BASE_CHANNELS, width)
        flat = down[-1] * (_PX >> len(down)) ** 2
        self.encoder = nn.Sequential(*(Down(a, b) for a, b in zip((3, *down), down, strict=False)))
        self.inters = nn.ModuleList(Inter(flat, scaled(_DENSE, width), base) for _ in identities)
        self.shared = Inter(flat, scaled(_DENSE, width), base)
        self.face = Decoder(2 * base, [scaled(channels, width) for channels in _UPS], 3)
        thin = [scaled(channels, width * mask_width) for channels in _UPS]
        self.mask = Decoder(2 * base, thin, 1) if mask else None
        initialise(self)

    def encode(self, faces: Tensor) -> Tensor:
        """(B, 3, 64, 64) in [0, 1] -> (B, F) latent."""
        return self.encoder(faces).permute(0, 2, 3, 1).flatten(1)

    @override
    def decode(self, latent: Tensor, identity: str) -> Swap:
        number = self.spec.identities.index(self.check_identity(identity))
        both = torch.cat([self.inters[number](latent), self.shared(latent)], 1)
        return Swap(self.face(both), None if self.mask is None else self.mask(both))

    def parts(self) -> Mapping[str, nn.Module]:
        """``encoder``, ``inter`` (the shared one), ``inter.<identity>``, ``decoder`` and ``mask``."""
        found: dict[str, nn.Module] = {"encoder": self.encoder, "inter": self.shared, "decoder": self.face}
        found |= {f"inter.{who}": inter for who, inter in zip(self.spec.identities, self.inters, strict=True)}
        return found if self.mask is None else {**found, "mask": self.mask}
