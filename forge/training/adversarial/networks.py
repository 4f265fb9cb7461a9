"""Discriminator networks. Both map (B, C, S, S) to lists of logits; higher means more likely real.

Architectures are re-built from the facts of faceswap-GAN v2.2 (PatchGAN with self-attention) and DeepFaceLab (U-Net
patch discriminator), for images of 32 px or more.
"""

from __future__ import annotations

import itertools

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from typing_extensions import override

_SLOPE = 0.2
_MAX_LAYERS = 9


class PatchDiscriminator(nn.Module):
    """PatchGAN, one logit per patch: (B, in_channels, S, S) -> [(B, 1, about 7, about 7)].

    4x4 convolutions that halve until 8 px are left, c, 2c, 4c, 4c, ... channels, instance norm on all but the first,
    self-attention, a 4x4 convolution to logits: 0.75 M parameters for 64 px pairs at c = 64. After Isola et al.,
    "Image-to-image translation with conditional adversarial networks", CVPR 2017, and faceswap-GAN v2.2.
    """

    def __init__(self, side: int, in_channels: int, channels: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        before, width = in_channels, channels
        while side >= 16:
            layers.append(nn.Conv2d(before, width, 4, stride=2, padding=1))
            if len(layers) > 1:
                layers.append(nn.InstanceNorm2d(width, affine=True))
            layers.append(nn.LeakyReLU(_SLOPE))
            before, width, side = width, min(2 * width, 4 * channels), side // 2
        self.body = nn.Sequential(*layers)
        self.attention = SelfAttention(before)
        self.verdict = nn.Conv2d(before, 1, 4, padding=1)

    @override
    def forward(self, images: Tensor) -> list[Tensor]:
        return [self.verdict(self.attention(self.body(images)))]


class SelfAttention(nn.Module):
    """Self-attention with a learned gain that starts at 0, (B, C, H, W) to the same shape: Zhang et al., SAGAN 2019."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        inner = max(1, channels // 8)
        self.query = nn.Conv2d(channels, inner, 1)
        self.key = nn.Conv2d(channels, inner, 1)
        self.value = nn.Conv2d(channels, channels, 1)
        self.share = nn.Parameter(torch.zeros(()))

    @override
    def forward(self, x: Tensor) -> Tensor:
        query, key, value = (part(x).flatten(2).mT for part in (self.query, self.key, self.value))
        seen = F.scaled_dot_product_attention(query, key, value, scale=1.0)
        return x + self.share * seen.mT.reshape(x.shape)


class UNetDiscriminator(nn.Module):
    """U-Net, logits per patch and per pixel: (B, in_channels, S, S) -> [(B, 1, s, s), (B, 1, S, S)].

    The encoder has 3x3 convolutions whose receptive field is closest to ``patch`` pixels; it gives the patch logits,
    the decoder with skip connections the pixel logits. After Schönfeld et al., "A U-Net based discriminator for
    generative adversarial networks", CVPR 2020, and DeepFaceLab's patch discriminator (an eighth wide, 16 channels).
    """

    def __init__(self, patch: int, in_channels: int, channels: int) -> None:
        super().__init__()
        strides = patch_strides(patch)
        widths = [min(channels * 2**number, 512) for number in range(len(strides) + 1)]
        self.enter = nn.Conv2d(in_channels, widths[0], 1)
        pairs = list(itertools.pairwise(widths))
        self.down = nn.ModuleList(
            nn.Conv2d(before, after, 3, stride=stride, padding=1)
            for (before, after), stride in zip(pairs, strides, strict=True)
        )
        self.patch_verdict = nn.Conv2d(widths[-1], 1, 1)
        self.up = nn.ModuleList(
            nn.Conv2d(after * (1 if after_is_last else 2), before, 3, padding=1)
            for after_is_last, (before, after) in zip([True] + [False] * (len(pairs) - 1), pairs[::-1], strict=True)
        )
        self.pixel_verdict = nn.Conv2d(2 * widths[0], 1, 1)

    @override
    def forward(self, images: Tensor) -> list[Tensor]:
        x = F.leaky_relu(self.enter(images), _SLOPE)
        skips: list[Tensor] = []
        for layer in self.down:
            skips.append(x)
            x = F.leaky_relu(layer(x), _SLOPE)
        verdict = self.patch_verdict(x)
        for layer, skip in zip(self.up, reversed(skips), strict=True):
            x = x if x.shape[-2:] == skip.shape[-2:] else F.interpolate(x, size=skip.shape[-2:], mode="nearest")
            x = torch.cat([F.leaky_relu(layer(x), _SLOPE), skip], 1)
        return [verdict, self.pixel_verdict(x)]


def patch_strides(patch: int) -> tuple[int, ...]:
    """Strides of the 3x3 convolutions whose receptive field comes closest to ``patch`` pixels; halving ones first."""
    candidates = [
        (2,) * halving + (1,) * plain for halving in range(1, _MAX_LAYERS) for plain in range(_MAX_LAYERS - halving)
    ]
    return min(candidates, key=lambda strides: (abs(receptive_field(strides) - patch), len(strides), -sum(strides)))


def receptive_field(strides: tuple[int, ...]) -> int:
    """Receptive field of successive 3x3 convolutions, in pixels."""
    seen, jump = 1, 1
    for stride in strides:
        seen += 2 * jump
        jump *= stride
    return seen
