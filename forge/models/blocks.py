"""Layers of the swap autoencoders. Inputs and outputs are (B, C, H, W)."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from typing_extensions import override

_SLOPE = 0.1
RESIDUAL_SLOPE = 0.2
"""Negative slope of the leaky ReLU in and before residual blocks."""

_ROUND_TO = 8

Activation = Callable[[Tensor, float], Tensor]
"""A function of a map and a negative slope, which some ignore."""


def leaky(x: Tensor, slope: float) -> Tensor:
    """Leaky ReLU."""
    return nn.functional.leaky_relu(x, slope)


def scaled(channels: int, width: float) -> int:
    """``channels`` times ``width``, rounded to a multiple of 8 (fast on matrix units), at least 8."""
    return max(_ROUND_TO, round(channels * width / _ROUND_TO) * _ROUND_TO)


class Down(nn.Module):
    """Halves the sides: 5x5 convolution of stride 2 and the activation. (B, C, H, W) -> (B, out, H/2, W/2)."""

    def __init__(self, channels: int, out: int, activation: Activation = leaky) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, out, 5, stride=2, padding=2)
        self.activation = activation

    @override
    def forward(self, x: Tensor) -> Tensor:
        return self.activation(self.conv(x), _SLOPE)


class Up(nn.Module):
    """Enlarges by sub-pixel convolution (Shi et al. 2016): to ``factor**2`` times the channels, activation, shuffle.

    (B, C, H, W) -> (B, out, factor * H, factor * W). The filters of one output channel start equal (Aitken et al.
    2017), so that an untrained layer gives no checkerboard pattern.

    Args:
        channels, out: before and after.
        kernel: side of the convolution.
        factor: how much larger.
        slope: negative slope of the activation.
        activation: leaky ReLU unless another is given.
    """

    def __init__(
        self,
        channels: int,
        out: int,
        *,
        kernel: int = 3,
        factor: int = 2,
        slope: float = _SLOPE,
        activation: Activation = leaky,
    ) -> None:
        super().__init__()
        self.factor, self.slope, self.activation = factor, slope, activation
        self.conv = nn.Conv2d(channels, factor * factor * out, kernel, padding=kernel // 2)

    @override
    def forward(self, x: Tensor) -> Tensor:
        return nn.functional.pixel_shuffle(self.activation(self.conv(x), self.slope), self.factor)


class Residual(nn.Module):
    """Two 3x3 convolutions around a shortcut (He et al. 2016), the activation after each; the shape is kept."""

    def __init__(self, channels: int, *, bias: bool = True, activation: Activation = leaky) -> None:
        super().__init__()
        self.first = nn.Conv2d(channels, channels, 3, padding=1, bias=bias)
        self.second = nn.Conv2d(channels, channels, 3, padding=1, bias=bias)
        self.activation = activation

    @override
    def forward(self, x: Tensor) -> Tensor:
        inner = self.second(self.activation(self.first(x), RESIDUAL_SLOPE))
        return self.activation(x + inner, RESIDUAL_SLOPE)


class Encoder(nn.Module):
    """The shared encoder: strided convolutions, a narrow dense layer, one back to a map, one :class:`Up`.

    (B, 3, px, px) -> (B, up, 2 * base_px, 2 * base_px). The narrow layer makes the swap work: it can hold pose,
    expression and light, but not identity. ``stage`` makes each halving stage from its channels before and after.
    """

    def __init__(
        self,
        px: int,
        channels: Sequence[int],
        dense: int,
        base: tuple[int, int],
        up: int,
        stage: Callable[[int, int], nn.Module] = Down,
    ) -> None:
        super().__init__()
        stages = [stage(before, after) for before, after in zip((3, *channels), channels, strict=False)]
        self.stages = nn.Sequential(*stages)
        self.base_channels, self.base_px = base
        flat = channels[-1] * (px >> len(channels)) ** 2
        self.narrow = nn.Linear(flat, dense)
        self.widen = nn.Linear(dense, self.base_channels * self.base_px**2)
        self.up = Up(self.base_channels, up)

    @override
    def forward(self, faces: Tensor) -> Tensor:
        # Channels are last before flattening and after widening: no copy in the memory format fastest for convolutions.
        code = self.narrow(self.stages(faces).permute(0, 2, 3, 1).flatten(1))
        base = self.widen(code).unflatten(1, (self.base_px, self.base_px, self.base_channels))
        return self.up(base.permute(0, 3, 1, 2))


class Decoder(nn.Module):
    """Decodes an image from a latent: :class:`Up` stages, a :class:`Residual` after some, a 5x5 convolution, sigmoid.

    (B, C, s, s) -> (B, out, s * 2**n, s * 2**n) in [0, 1], float32 also under autocast: the eight bits of bfloat16's
    mantissa would show as banding.
    """

    def __init__(self, channels: int, ups: Sequence[int], out: int, *, residuals: int = 0) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for number, after in enumerate(ups):
            layers.append(Up(channels, after, slope=RESIDUAL_SLOPE if number < residuals else _SLOPE))
            if number < residuals:
                layers.append(Residual(after))
            channels = after
        self.stages = nn.Sequential(*layers)
        self.out = nn.Conv2d(channels, out, 5, padding=2)

    @override
    def forward(self, latent: Tensor) -> Tensor:
        return torch.sigmoid(self.out(self.stages(latent)).float())


def initialise(module: nn.Module) -> None:
    """Initialises the weights in place: He's normal for leaky ReLU (He et al. 2015), biases zero.

    The sub-pixel filters of one channel start equal. Dense layers have no activation behind them and take Glorot's.
    Samples from torch's global generator, as ``nn.Module`` constructors do.
    """
    for part in module.modules():
        if isinstance(part, nn.Conv2d):
            nn.init.kaiming_normal_(part.weight, a=_SLOPE)
        elif isinstance(part, nn.Linear):
            nn.init.xavier_normal_(part.weight)
        if isinstance(part, nn.Conv2d | nn.Linear) and part.bias is not None:
            nn.init.zeros_(part.bias)
    for part in module.modules():
        if isinstance(part, Up):
            with torch.no_grad():
                equal = part.factor**2
                part.conv.weight.copy_(part.conv.weight[::equal].repeat_interleave(equal, dim=0))
