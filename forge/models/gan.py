"""``gan``: 64, 128 or 256 px. The generator of faceswap-GAN v2.2: self-attention, an alpha output, multi-scale output.

============  ===============================================================================================
part          numbers; all convolutions 3x3 unless said, all without bias where a norm or ReLU follows
============  ===============================================================================================
encoder       5x5 to 64; stride 2, ReLU, norm to 128 (no norm), 256, attention, 512, attention, 1024, and 1024 again
              until the map is 4x4; dense 1024 to 4 x 4 x 1024; one doubling stage to 512 x 8 x 8, the latent
decoder       doubling stages to 256, 128, attention, 64, a residual block, attention; for each octave above 64 px a
              doubling stage and a convolution of 64; 5x5 to alpha (sigmoid) and to colour (tanh)
============  ===============================================================================================

Input and output have one resolution; framing is ``full`` by default (the original cut by a detector's box). A decoder
for each identity. ``Swap.rgb`` is the raw colour and ``Swap.mask`` the alpha: the original shows and pastes ``mask *
rgb + (1 - mask) * input``, and its losses see both. ``Swap.smaller`` are the colours at 64 px and above that each
octave begins with. Parameters, two identities: 71.7 million at 64 px, 81.6 at 128, 91.4 at 256; at 64 px and ``lite``
10.9 million.

``capacity="lite"``: half the channels (a quarter of the last ones), nearest-neighbour enlargement and a convolution
with reflected borders instead of sub-pixel convolution; the dense layer is 2048 above 64 px.

``norm``: the original's ``instancenorm`` takes mean and variance of a whole face's map, all channels together (Keras's
layer without an axis), with one gain and one offset; here that is ``instance``, with a gain and an offset for each
channel. ``group`` has 16 groups, ``none`` none. There is no batch norm, which shifts skin tones (original's author).

Attention is SAGAN's (Zhang et al. 2018): keys and queries of an eighth of the channels, and a gain that starts at 0.
The discriminators that it was trained against are in :mod:`forge.training.adversarial`. Facts from
shaoanlu/faceswap-GAN (``networks/faceswap_gan_model.py``, ``nn_blocks.py``, v2.2 of 2019); the code is our own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from typing_extensions import override

from forge.models.autoencoder import TwoPartSwapper
from forge.models.blocks import RESIDUAL_SLOPE, Residual, Up, scaled
from forge.models.checks import checked_spec, need_choice, need_size
from forge.models.contract import Swap
from forge.models.registry import swappers
from shared.types import Framing

_SIZES = (64, 128, 256)
_CAPACITIES = ("standard", "lite")
_NORMS = ("instance", "group", "none")
_SQUEEZE = 8
_GROUPS = 16
_BASE_PX = 4
_FIRST_PX = 64


@dataclass(frozen=True)
class GanLayout:
    """Channel counts and options of encoder and decoders."""

    resolution: int
    lite: bool
    attention: bool
    norm: str
    width: float

    def channels(self, count: int) -> int:
        """The channel count for ``count`` of the standard capacity."""
        return scaled(count // 2 if self.lite else count, self.width)

    @property
    def deepest(self) -> int:
        """Channels of the encoder's last stages."""
        return scaled(256 if self.lite else 1024, self.width)

    def normalise(self, channels: int) -> nn.Module:
        """The norm of a map of ``channels``."""
        if self.norm == "none":
            return nn.Identity()
        # Widths are multiples of 8, so the largest number of groups that divides one is at least 8.
        groups = 1 if self.norm == "instance" else next(g for g in (_GROUPS, 8) if channels % g == 0)
        return nn.GroupNorm(groups, channels)

    def attend(self, channels: int) -> nn.Module:
        """Attention over a map of ``channels``, or identity without attention."""
        return SelfAttention(channels) if self.attention else nn.Identity()

    def enlarge(self, channels: int, out: int) -> nn.Module:
        """A doubling stage."""
        if self.lite:
            return NearestUp(channels, out, self.normalise(out))
        return NormedUp(channels, out, self.normalise(4 * out))


class SelfAttention(nn.Module):
    """Self-attention over positions (Zhang et al. 2018); the shape is kept, and an untrained layer is the identity."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        squeezed = max(channels // _SQUEEZE, 1)
        # A bias of the keys would add the same value to all scores of a query; softmax would cancel it.
        self.key = nn.Conv2d(channels, squeezed, 1, bias=False)
        self.query = nn.Conv2d(channels, squeezed, 1)
        self.value = nn.Conv2d(channels, channels, 1)
        self.gain = nn.Parameter(torch.zeros(1))

    @override
    def forward(self, x: Tensor) -> Tensor:
        key, query, value = (
            layer(x).flatten(2).transpose(1, 2).unsqueeze(1) for layer in (self.key, self.query, self.value)
        )
        # Zeros up to the values' width change no product, and allow memory-efficient kernels.
        key, query = (nn.functional.pad(part, (0, value.shape[3] - part.shape[3])) for part in (key, query))
        seen = nn.functional.scaled_dot_product_attention(query, key, value, scale=1.0).squeeze(1)
        return x + self.gain.to(seen.dtype) * seen.transpose(1, 2).unflatten(2, x.shape[2:])


class Stage(nn.Module):
    """3x3 convolution without bias, ReLU, norm."""

    def __init__(self, channels: int, out: int, norm: nn.Module, *, stride: int = 1) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, out, 3, stride=stride, padding=1, bias=False)
        self.norm = norm

    @override
    def forward(self, x: Tensor) -> Tensor:
        return self.norm(torch.relu(self.conv(x)))


class NormedUp(Up):
    """Sub-pixel doubling with a norm before the shuffle."""

    def __init__(self, channels: int, out: int, norm: nn.Module) -> None:
        super().__init__(channels, out, slope=RESIDUAL_SLOPE)
        self.norm = norm

    @override
    def forward(self, x: Tensor) -> Tensor:
        return nn.functional.pixel_shuffle(self.norm(nn.functional.leaky_relu(self.conv(x), self.slope)), 2)


class NearestUp(nn.Module):
    """Nearest-neighbour enlargement by two, 3x3 convolution on reflected borders, norm; no activation."""

    def __init__(self, channels: int, out: int, norm: nn.Module) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, out, 3, padding=1, padding_mode="reflect")
        self.norm = norm

    @override
    def forward(self, x: Tensor) -> Tensor:
        return self.norm(self.conv(nn.functional.interpolate(x, scale_factor=2, mode="nearest")))


class GanEncoder(nn.Module):
    """(B, 3, R, R) in [0, 1] -> (B, 512, 8, 8)."""

    def __init__(self, plan: GanLayout) -> None:
        super().__init__()
        first, second, third, fourth = (plan.channels(count) for count in (64, 128, 256, 512))
        last = plan.deepest
        layers: list[nn.Module] = [
            nn.Conv2d(3, first, 5, padding=2, bias=False),
            Stage(first, second, nn.Identity(), stride=2),
            Stage(second, third, plan.normalise(third), stride=2),
            plan.attend(third),
            Stage(third, fourth, plan.normalise(fourth), stride=2),
            plan.attend(fourth),
            Stage(fourth, last, plan.normalise(last), stride=2),
        ]
        side = plan.resolution // 16
        while side > _BASE_PX:
            layers.append(Stage(last, last, plan.normalise(last), stride=2))
            side //= 2
        dense = scaled(2048 if plan.lite and plan.resolution > _FIRST_PX else 1024, plan.width)
        self.stages = nn.Sequential(*layers)
        self.narrow = nn.Linear(last * _BASE_PX**2, dense)
        self.widen = nn.Linear(dense, last * _BASE_PX**2)
        self.up = plan.enlarge(last, fourth)

    @override
    def forward(self, faces: Tensor) -> Tensor:
        flat = self.stages(2 * faces - 1).permute(0, 2, 3, 1).flatten(1)
        base = self.widen(self.narrow(flat)).unflatten(1, (_BASE_PX, _BASE_PX, -1))
        return self.up(base.permute(0, 3, 1, 2))


class GanDecoder(nn.Module):
    """(B, 512, 8, 8) -> :class:`Swap` with the coarser images of all octaves above 64 px."""

    def __init__(self, plan: GanLayout) -> None:
        super().__init__()
        fourth, third, second, first = (plan.channels(count) for count in (512, 256, 128, 64))
        self.body = nn.Sequential(
            plan.enlarge(fourth, third),
            plan.enlarge(third, second),
            plan.attend(second),
            plan.enlarge(second, first),
            Residual(first, bias=False),
            SelfAttention(first) if plan.attention else Stage(first, first, nn.Identity()),
        )
        octaves = (plan.resolution // _FIRST_PX).bit_length() - 1
        self.coarse = nn.ModuleList(nn.Conv2d(first, 3, 5, padding=2) for _ in range(octaves))
        self.octaves = nn.ModuleList(
            nn.Sequential(plan.enlarge(first, first), Stage(first, first, nn.Identity())) for _ in range(octaves)
        )
        self.alpha = nn.Conv2d(first, 1, 5, padding=2)
        self.colour = nn.Conv2d(first, 3, 5, padding=2)

    def start_faint(self) -> None:
        """Scales the output weights down, in place: with larger ones tanh starts saturated and learns slowly."""
        for part in (self.alpha, self.colour, *self.coarse):
            for weight in part.parameters():
                with torch.no_grad():
                    weight.mul_(0.1)

    @override
    def forward(self, latent: Tensor) -> Swap:
        body, smaller = self.body(latent), []
        for to_colour, octave in zip(self.coarse, self.octaves, strict=True):
            smaller.insert(0, Swap(_shown(to_colour(body)), None))
            body = octave(body)
        return Swap(_shown(self.colour(body)), torch.sigmoid(self.alpha(body).float()), tuple(smaller))


def _shown(colour: Tensor) -> Tensor:
    """A convolution's output as an image in [0, 1]."""
    return 0.5 + 0.5 * torch.tanh(colour.float())


@swappers.register("gan", source="shaoanlu/faceswap-GAN", tiny={"resolution": 64, "width": 0.06})
def gan(
    identities: Sequence[str],
    *,
    resolution: int = 64,
    capacity: str = "standard",
    attention: bool = True,
    norm: str = "instance",
    width: float = 1.0,
    framing: Framing = "full",
) -> TwoPartSwapper:
    """faceswap-GAN's generator, by default at 64 px: 71.7 M parameters. See the module.

    Args:
        identities: two or more people, in the order of their decoders.
        resolution: side of input and output: 64, 128 or 256.
        capacity: ``standard`` or ``lite``.
        attention: whether there is self-attention.
        norm: ``instance``, ``group`` or ``none``.
        width: multiplier of every channel count.
        framing: how much of the head the crops show.

    Raises:
        ConfigError: an option is out of range; the message names the nearest valid value.
        UsageError: fewer than two identities, or one twice.
    """
    need_size("resolution", resolution, _SIZES)
    need_choice("capacity", capacity, _CAPACITIES)
    need_choice("norm", norm, _NORMS)
    options = {"resolution": resolution, "capacity": capacity, "attention": attention, "norm": norm}
    spec = checked_spec("gan", identities, px=resolution, width=width, framing=framing, options=options)
    plan = GanLayout(resolution, capacity == "lite", attention, norm, width)
    decoders = [GanDecoder(plan) for _ in spec.identities]
    swapper = TwoPartSwapper(spec, GanEncoder(plan), decoders)
    for decoder in decoders:
        decoder.start_faint()
    return swapper
