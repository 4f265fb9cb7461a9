"""``dlight``: 128 -> 128, 256 or 384 px. A light encoder that keeps an average-pooled copy at every stage.

==========  =========================================================================================================
input       128 px, any framing (full by default)
output      128, 256 (default) or 384 px, by the enlargement in each decoder's first stage
masks       a thin decoder that shares the first stage of the colour decoder; off with ``mask = false``
latent      1664 numbers (``features = best``), 1152 (fair) or 640 (lowmem)
parameters  two identities, no masks: 143.6 M at the defaults; 147.2 M with fair features and fast details
source      deepfakes/faceswap, ``dlight`` (by AnDenix, after dfaker/df); counts follow from its published layers
==========  =========================================================================================================

A stage of the encoder concatenates a strided convolution with the 2x2 average of its input, so that colour and light
reach the narrow layer unchanged. Half the channels of a doubling stage are sub-pixel convolution, for detail, and half
a bilinearly enlarged convolution, for light; with fast details both are as wide as the stage and summed.

The original is lopsided: side A, whose faces are only encoded, has a thin decoder (256 channels, no residual blocks),
side B a strong one. Here the first identity is side A and all others are side B; ``lopsided = false`` gives all of them
B's. The code is our own.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from typing_extensions import override

from forge.models.autoencoder import TwoPartSwapper
from forge.models.blocks import Down, Residual, Up, scaled
from forge.models.checks import checked_spec, need_choice, need_size
from forge.models.contract import Swap
from forge.models.registry import swappers
from shared.types import Framing

_PX = 128
_BASE_PX = 4
_BASE_CHANNELS = 1024
_STAGES = (0.5, 1, 2, 4, 8)
_STEM = {"lowmem": 48, "fair": 64, "best": 64}
_DENSE = {"lowmem": 640, "fair": 1152, "best": 1664}
_RATIO = {128: 2, 256: 4, 384: 6}
_DETAILS = ("fast", "good")
_THIN = 256
_STRONG = 512
_MASK = 128
_DROPOUT = 0.05
_SLOPE = 0.1


class PooledDown(nn.Module):
    """(B, C, H, W) -> (B, out + C, H/2, W/2): a strided convolution, concatenated with the 2x2 average of the input."""

    def __init__(self, channels: int, out: int) -> None:
        super().__init__()
        self.conv = Down(channels, out)

    @override
    def forward(self, x: Tensor) -> Tensor:
        pooled = nn.functional.leaky_relu(nn.functional.avg_pool2d(x, 2), _SLOPE)
        return torch.cat([self.conv(x), pooled], 1)


class HybridUp(nn.Module):
    """(B, C, H, W) -> (B, out, f * H, f * W): sub-pixel convolution joined with a bilinearly enlarged one.

    Concatenated, half the channels each, or summed if ``fast``.
    """

    def __init__(self, channels: int, out: int, *, factor: int = 2, fast: bool = False) -> None:
        super().__init__()
        each = out if fast else out // 2
        self.detail = Up(channels, each, factor=factor)
        self.light = nn.Conv2d(channels, each, 3, padding=1)
        self.factor, self.fast = factor, fast

    @override
    def forward(self, x: Tensor) -> Tensor:
        light = _enlarged(self.light(x), self.factor)
        detail = self.detail(x)
        return detail + light if self.fast else torch.cat([detail, light], 1)


class DlightEncoder(nn.Module):
    """(B, 3, 128, 128) -> (B, C, 4, 4), with dropout around the narrow layer in training mode."""

    def __init__(self, stem: int, dense: int, width: float) -> None:
        super().__init__()
        stages: list[nn.Module] = []
        channels = 3
        for step in _STAGES:
            out = scaled(round(step * stem), width)
            stages.append(PooledDown(channels, out))
            channels += out
        self.stages = nn.Sequential(*stages)
        self.out = scaled(_BASE_CHANNELS, width)
        self.narrow = nn.Linear(channels * _BASE_PX**2, scaled(dense, width))
        self.widen = nn.Linear(scaled(dense, width), self.out * _BASE_PX**2)
        self.dropout = nn.Dropout(_DROPOUT)

    @override
    def forward(self, faces: Tensor) -> Tensor:
        code = self.dropout(self.narrow(self.stages(faces).permute(0, 2, 3, 1).flatten(1)))
        base = self.dropout(self.widen(code)).unflatten(1, (_BASE_PX, _BASE_PX, self.out))
        return base.permute(0, 3, 1, 2)


class Enlarge(nn.Module):
    """Enlarges bilinearly by a whole ``factor``."""

    def __init__(self, factor: int) -> None:
        super().__init__()
        self.factor = factor

    @override
    def forward(self, x: Tensor) -> Tensor:
        return _enlarged(x, self.factor)


class DlightDecoder(nn.Module):
    """(B, C, 4, 4) -> :class:`Swap`: a shared first stage, stages for colour, stages for the mask."""

    def __init__(self, first: nn.Module, channels: int, stages: Sequence[nn.Module], last: int, mask: int) -> None:
        super().__init__()
        self.first = first
        self.stages = nn.Sequential(*stages)
        self.face = nn.Conv2d(last, 3, 5, padding=2)
        thin = [max(8, mask >> number) for number in range(4)] if mask else []
        self.mask_stages = nn.Sequential(*_hybrids(channels, thin))
        self.mask = nn.Conv2d(thin[-1], 1, 5, padding=2) if thin else None

    @override
    def forward(self, latent: Tensor) -> Swap:
        both = self.first(latent)
        rgb = torch.sigmoid(self.face(self.stages(both)).float())
        if self.mask is None:
            return Swap(rgb, None)
        return Swap(rgb, torch.sigmoid(self.mask(self.mask_stages(both)).float()))


def _enlarged(x: Tensor, factor: int) -> Tensor:
    return nn.functional.interpolate(x, scale_factor=factor, mode="bilinear", align_corners=False)


def _hybrids(channels: int, outs: Sequence[int], *, fast: bool = False) -> list[nn.Module]:
    return [HybridUp(before, after, fast=fast) for before, after in zip((channels, *outs), outs, strict=False)]


def _thin(channels: int, ratio: int, width: float, mask: int) -> DlightDecoder:
    outs = [scaled(_THIN >> number, width) for number in range(4)]
    return DlightDecoder(Enlarge(ratio), channels, _hybrids(channels, outs), outs[-1], mask)


def _fast(channels: int, ratio: int, width: float, mask: int) -> DlightDecoder:
    wide = scaled(_STRONG, width)
    outs = [scaled(_STRONG >> number, width) for number in range(4)]
    return DlightDecoder(Up(channels, wide, factor=ratio), wide, _hybrids(wide, outs, fast=True), outs[-1], mask)


def _good(channels: int, ratio: int, width: float, mask: int) -> DlightDecoder:
    wide = scaled(_STRONG, width)
    outs = [scaled(_STRONG >> number, width) for number in range(4)]
    ups = _hybrids(wide, outs)
    stages = [
        *(Residual(wide, bias=bias) for bias in (True, False, False)),
        ups[0],
        Residual(outs[0]),
        Residual(outs[0], bias=False),
        nn.BatchNorm2d(outs[0]),
        ups[1],
        Residual(outs[1]),
        ups[2],
        Residual(outs[2], bias=False),
        nn.BatchNorm2d(outs[2]),
        ups[3],
    ]
    return DlightDecoder(HybridUp(channels, wide, factor=ratio), wide, stages, outs[-1], mask)


@swappers.register("dlight", source="deepfakes/faceswap", tiny={"output_px": 128, "features": "lowmem"})
def dlight(
    identities: Sequence[str],
    *,
    width: float = 1.0,
    output_px: int = 256,
    features: str = "best",
    details: str = "good",
    lopsided: bool = True,
    mask: bool = True,
    framing: Framing = "full",
) -> TwoPartSwapper:
    """A ``dlight`` swapper.

    Args:
        identities: two or more people; the first is side A, see the module.
        width: multiplier of every channel count.
        output_px: 128, 256 or 384.
        features: size of the encoder's latent: lowmem, fair or best.
        details: side B's decoder: fast, or good with residual blocks and batch normalisation.
        lopsided: whether the first identity has the thin decoder.
        mask: whether the face's mask is learned.
        framing: how much of the head the crops show.

    Raises:
        ConfigError: an option is out of range; the message names the nearest valid value.
        UsageError: fewer than two identities, or one twice.
    """
    need_size("output_px", output_px, tuple(_RATIO))
    need_choice("features", features, tuple(_DENSE))
    need_choice("details", details, _DETAILS)
    spec = checked_spec(
        "dlight",
        identities,
        px=(_PX, output_px),
        width=width,
        framing=framing,
        mask=mask,
        options={"output_px": output_px, "features": features, "details": details, "lopsided": lopsided},
    )
    encoder = DlightEncoder(_STEM[features], _DENSE[features], width)
    strong = _good if details == "good" else _fast
    thin_mask = scaled(_MASK, width) if mask else 0
    makers = [_thin if lopsided and number == 0 else strong for number in range(len(spec.identities))]
    decoders = [make(encoder.out, _RATIO[output_px], width, thin_mask) for make in makers]
    return TwoPartSwapper(spec, encoder, decoders)
