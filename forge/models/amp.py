"""``amp``: 64 to 640 px. DeepFaceLab's model that morphs continuously between two identities.

============  ===============================================================================================
part          numbers (e, d, m: encoder, decoder and mask channels; ae: the narrow layer; i: ``inter_dims``)
============  ===============================================================================================
encoder       5x5 stride 2 to e, 2e, 4e, 8e, 8e, residual blocks after the first and last; the code has unit root
              mean square; dense to ae, which is the latent
inters        one for each identity: dense from ae to R/32 x R/32 x i
decoder       one: doubling stages to 8d, 8d, 4d, 2d, a residual block after each, four interleaved convolutions
mask          doubling stages to 8m, 8m, 4m, 2m, m, 1x1 convolution; always learned
============  ===============================================================================================

Input and output have one resolution, a multiple of 32; framing is ``whole`` by default. Parameters at 224 px and the
defaults, two identities: 101.3 million.

How it morphs: each channel of the decoder's input comes from the inter of the source or from that of the target;
:meth:`AmpSwapper.decode_between` takes ``share`` of the channels from the source. In training each face is decoded from
a map in which most channels, chosen at random, come from its own identity's inter and the rest from another's, so that
the decoder learns to decode mixtures.

It differs from the original in two ways. The original kept its inters out of the optimizer, so that they stayed random
projections; here they are trained. And it mixed a fixed share (its morph factor, 0.5) into the faces of one identity
only, which leaves a range of that width for the morph; here all identities are treated alike: the own share of each
face is uniform in [(1 + f) / 2, 1], which leaves a range of the same width f around one half. Every pair of identities
can be morphed in both directions.

Facts from iperov/DeepFaceLab (``Model_AMP``, 2022); the code is our own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn
from typing_extensions import override

from forge.models.blocks import initialise
from forge.models.checks import checked_spec, need_between, need_multiple
from forge.models.contract import Option, Swap, Swapper
from forge.models.dfl import FlatEncoder, HdDecoder, narrowed
from forge.models.registry import swappers
from shared.types import Framing

_REDUCTION = 32
_DIMS = {"ae_dims": (32, 1024), "inter_dims": (32, 2048)}


class AmpEncoder(nn.Module):
    """The encoder: (B, 3, R, R) -> (B, ae)."""

    def __init__(self, resolution: int, channels: int, ae: int) -> None:
        super().__init__()
        self.convolve = FlatEncoder(channels, deep=True, unit_code=True)
        self.narrow = nn.Linear(self.convolve.size(resolution), ae)

    @override
    def forward(self, faces: Tensor) -> Tensor:
        return self.narrow(self.convolve(faces))


class AmpInter(nn.Module):
    """One dense layer: (B, ae) -> (B, out, s, s)."""

    def __init__(self, ae: int, out: int, side: int) -> None:
        super().__init__()
        self.widen = nn.Linear(ae, side * side * out)
        self.side, self.out = side, out

    @override
    def forward(self, code: Tensor) -> Tensor:
        return self.widen(code).unflatten(1, (self.side, self.side, self.out)).permute(0, 3, 1, 2)


@swappers.register("amp", source="iperov/DeepFaceLab", tiny={"resolution": 64})
class AmpSwapper(Swapper):
    """The ``amp`` swapper, see the module.

    In training mode :meth:`decode` samples from torch's global CPU generator (whose state a training checkpoint
    holds): the other identity of the batch, each face's own share, and which channels these are. In evaluation mode it
    is deterministic.

    Args:
        identities: two or more people.
        resolution: side of input and output, 64 to 640, a multiple of 32.
        ae_dims: of the narrow layer, 32 to 1024; ``inter_dims`` of the inters' maps, 32 to 2048.
        encoder_dims, decoder_dims, mask_dims: channel counts before ``width``, 16 to 256.
        morph_factor: width of the range between two identities that training covers, 0 to 0.9.
        width: multiplier of every channel count.
        framing: how much of the head the crops show.

    Raises:
        ConfigError: an option is out of range; the message names the nearest valid value.
        UsageError: fewer than two identities, or one twice.
    """

    def __init__(
        self,
        identities: Sequence[str],
        *,
        resolution: int = 224,
        ae_dims: int = 256,
        inter_dims: int = 1024,
        encoder_dims: int = 64,
        decoder_dims: int = 64,
        mask_dims: int = 22,
        morph_factor: float = 0.5,
        width: float = 1.0,
        framing: Framing = "whole",
    ) -> None:
        super().__init__()
        dims = {"ae_dims": ae_dims, "inter_dims": inter_dims}
        dims |= {"encoder_dims": encoder_dims, "decoder_dims": decoder_dims, "mask_dims": mask_dims}
        for name, count in dims.items():
            need_between(name, count, *_DIMS.get(name, (16, 256)))
        need_multiple("resolution", resolution, _REDUCTION, 64, 640)
        need_between("morph_factor", morph_factor, 0.0, 0.9)
        options: dict[str, Option] = {"resolution": resolution, **dims, "morph_factor": float(morph_factor)}
        self.spec = checked_spec(
            "amp", identities, px=resolution, width=width, framing=framing, options=options, can_morph=True
        )
        ae, inter = narrowed(ae_dims, width), narrowed(inter_dims, width)
        side = resolution // _REDUCTION
        self.least_own = (1 + morph_factor) / 2
        self.encoder = AmpEncoder(resolution, narrowed(encoder_dims, width), ae)
        self.inters = nn.ModuleList(AmpInter(ae, inter, side) for _ in self.spec.identities)
        self.decoder = HdDecoder(
            inter, narrowed(decoder_dims, width), narrowed(mask_dims, width), deep=True, doubled=True
        )
        initialise(self)

    def encode(self, faces: Tensor) -> Tensor:
        """(B, 3, R, R) in [0, 1] -> (B, ae) latent."""
        return self.encoder(faces)

    def decode(self, latent: Tensor, identity: str) -> Swap:
        """Latent -> the face and mask of ``identity``; in training mode from a mixture, see the class."""
        number = self.spec.identities.index(self.check_identity(identity))
        own = self.inters[number](latent)
        return self.decoder(self._mixed(own, latent, number) if self.training else own)

    def parts(self) -> Mapping[str, nn.Module]:
        """``encoder``, ``inter.<identity>`` and ``decoder``."""
        inters = {f"inter.{who}": part for who, part in zip(self.spec.identities, self.inters, strict=True)}
        return {"encoder": self.encoder, **inters, "decoder": self.decoder}

    def _between(self, latent: Tensor, source: str, target: str, share: float) -> Swap:
        """The first ``share`` of the channels are the source's; the one that the share ends in is blended."""
        one, other = (self.inters[self.spec.identities.index(who)](latent) for who in (source, target))
        channels = torch.arange(one.shape[1], device=one.device)
        own = (share * one.shape[1] - channels).clamp(0, 1).to(one.dtype).view(1, -1, 1, 1)
        return self.decoder(own * one + (1 - own) * other)

    def _mixed(self, own: Tensor, latent: Tensor, number: int) -> Tensor:
        """``own`` with some channels of another identity's map for the same ``latent``."""
        batch, channels = own.shape[:2]
        step = int(torch.randint(1, len(self.inters), ()))
        other = self.inters[(number + step) % len(self.inters)](latent)
        share = self.least_own + (1 - self.least_own) * torch.rand(batch, 1)
        order = torch.rand(batch, channels).argsort(1)
        kept = (order < (share * channels).round()).to(own.device, own.dtype).view(batch, channels, 1, 1)
        return kept * own + (1 - kept) * other
