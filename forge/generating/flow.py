"""``generate-flow``: a rectified flow at 64 px.

Liu et al., "Flow straight and fast: learning to generate and transfer data with rectified flow", ICLR 2023: a network
learns the velocity from noise to a face along straight lines, equation 1, and a face is the end of 25 Euler steps. The
network is a small U-Net on pixels folded by two (pixel unshuffle), with the time added to each block.
"""

from __future__ import annotations

import math
from typing import get_args

import torch
from torch import Tensor, nn
from typing_extensions import override

from forge.generating.contract import Generator, GeneratorSpec, generators
from forge.models.checks import need_between, need_choice, need_size
from shared.types import Framing

_FOLD = 2
_FACTORS = (1, 2, 3)
_TIME = 64


class _Block(nn.Module):
    """A residual block with the time (He et al. 2016; group normalization, SiLU)."""

    def __init__(self, before: int, after: int) -> None:
        super().__init__()
        self.first = nn.Sequential(nn.GroupNorm(8, before), nn.SiLU(), nn.Conv2d(before, after, 3, padding=1))
        self.time = nn.Linear(_TIME, after)
        self.second = nn.Sequential(nn.GroupNorm(8, after), nn.SiLU(), nn.Conv2d(after, after, 3, padding=1))
        self.short = nn.Conv2d(before, after, 1) if before != after else nn.Identity()
        last = self.second[-1]
        assert isinstance(last, nn.Conv2d)
        nn.init.zeros_(last.weight)

    @override
    def forward(self, x: Tensor, time: Tensor) -> Tensor:
        inner = self.first(x) + self.time(time)[:, :, None, None]
        return self.short(x) + self.second(inner)


class FlowNet(nn.Module):
    """(B, 3, px, px) in [-1, 1] and times (B,) in [0, 1] to velocities (B, 3, px, px)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        wide = [factor * channels for factor in _FACTORS]
        planes = 3 * _FOLD**2
        self.time = nn.Sequential(nn.Linear(_TIME, _TIME), nn.SiLU(), nn.Linear(_TIME, _TIME), nn.SiLU())
        self.enter = nn.Conv2d(planes, wide[0], 3, padding=1)
        self.downs = nn.ModuleList(_Block(a, b) for a, b in zip((wide[0], *wide), wide, strict=False))
        self.middle = _Block(wide[-1], wide[-1])
        backwards = wide[::-1]
        self.ups = nn.ModuleList(
            _Block(below + side, side) for below, side in zip((wide[-1], *backwards), backwards, strict=False)
        )
        self.out = nn.Sequential(nn.GroupNorm(8, wide[0]), nn.SiLU(), nn.Conv2d(wide[0], planes, 3, padding=1))

    @override
    def forward(self, x: Tensor, times: Tensor) -> Tensor:
        time = self.time(_waves(times))
        x = self.enter(nn.functional.pixel_unshuffle(x, _FOLD))
        kept = []
        for number, block in enumerate(self.downs):
            x = block(x, time)
            kept.append(x)
            if number < len(self.downs) - 1:
                x = nn.functional.avg_pool2d(x, 2)
        x = self.middle(x, time)
        for number, block in enumerate(self.ups):
            if number:
                x = nn.functional.interpolate(x, scale_factor=2, mode="nearest")
            x = block(torch.cat([x, kept.pop()], 1), time)
        return nn.functional.pixel_shuffle(self.out(x).float(), _FOLD)


def _waves(times: Tensor) -> Tensor:
    """(B,) to (B, 64): sines and cosines of 32 frequencies (Vaswani et al. 2017), for times of 0 to 1."""
    half = _TIME // 2
    rates = torch.exp(-math.log(1000.0) * torch.arange(half, device=times.device) / half)
    angles = 1000 * times[:, None] * rates
    return torch.cat([angles.sin(), angles.cos()], 1)


class FlowGenerator(Generator):
    """(B, 3 px px) noise -> (B, 3, px, px) in [0, 1]."""

    def __init__(self, spec: GeneratorSpec, channels: int, steps: int) -> None:
        super().__init__()
        self.spec, self.steps = spec, steps
        self.net = FlowNet(channels)

    @override
    def forward(self, latents: Tensor) -> Tensor:
        x = latents.view(-1, 3, self.spec.px, self.spec.px).contiguous(memory_format=torch.channels_last)
        for step in range(self.steps):
            times = torch.full((len(x),), step / self.steps, device=x.device)
            x = x + self.net(x, times) / self.steps
        return (x / 2 + 0.5).clamp(0, 1)


@generators.register("generate-flow")
def generate_flow(*, px: int = 64, channels: int = 48, steps: int = 25, framing: Framing = "whole") -> FlowGenerator:
    """A generator of the family, see the module.

    ``px`` is 32 or 64; ``channels``, a multiple of 8 from 8 to 128, is the width of the net at half the side; ``steps``
    of Euler's method are 4 to 200.

    Raises:
        ConfigError: an option is out of range.
    """
    need_size("px", px, (32, 64))
    need_size("channels", channels, tuple(range(8, 129, 8)))
    need_between("steps", steps, 4, 200)
    need_choice("framing", framing, get_args(Framing))
    options = {"px": px, "channels": channels, "steps": steps, "framing": framing}
    spec = GeneratorSpec("generate-flow", px, framing, 3 * px * px, tuple(options.items()))
    return FlowGenerator(spec, channels, steps)
