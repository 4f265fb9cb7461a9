"""MesoNet: two small networks, a common baseline.

Afchar, Nozick, Yamagishi and Echizen, "MesoNet: a compact facial video forgery detection network", WIFS 2018. Both take
256 px faces in [0, 1] and have under 30,000 parameters. :mod:`detect.exchange.keras` reads the published weights.

The published source has a LeakyReLU after the first dense layer of both; the network of the published Meso-4 weights
has none. So ``meso4`` is without it, ``meso4-leaky`` and ``mesoinception4`` have it.
"""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor, nn

from detect.models.backbone import start_undecided
from detect.models.contract import Detection, Detector, DetectorOptions, DetectorSpec
from detect.models.registry import detectors
from shared.errors import ConfigError, UnknownNameError

MESO_PX = 256

_EPS = 1e-3
_MOMENTUM = 0.01
_SLOPE = 0.1
HIDDEN = 16
WIDTH = 16
_STRIDE = 32
_PX_RANGE = (32, 1024)


class Inception(nn.Module):
    """Four parallel branches: 1 x 1, and 1 x 1 followed by 3 x 3 with dilations 1, 2 and 3; all with ReLU."""

    def __init__(self, channels: int, widths: tuple[int, int, int, int]) -> None:
        super().__init__()
        self.enter = nn.ModuleList(nn.Conv2d(channels, width, 1) for width in widths)
        self.look = nn.ModuleList(
            nn.Conv2d(width, width, 3, padding=dilation, dilation=dilation)
            for dilation, width in enumerate(widths[1:], start=1)
        )

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, sum of the widths, H, W)."""
        first, *others = [enter(x).relu() for enter in self.enter]
        return torch.cat([first, *(look(branch).relu() for look, branch in zip(self.look, others, strict=True))], 1)


class MesoNet(Detector):
    """Four blocks of convolution, ReLU, normalisation and pooling, then two dense layers and one logit.

    The default input is 256 px; the first dense layer depends on the input size. Dropout precedes both dense layers;
    the authors train with 0.5. Options for ImageNet weights and stochastic depth have no effect. Published weights are
    imported as a detector.

    Raises:
        UnknownNameError: the family has no such model.
        ConfigError: an unsupported input size.
    """

    slopes: ClassVar[dict[str, float]]
    family: ClassVar[str]

    def __init__(self, options: DetectorOptions) -> None:
        super().__init__()
        name, px = options.name, options.input_px or MESO_PX
        if name not in self.slopes:
            raise UnknownNameError(
                f"{self.family} has no model {name!r}", hint="--model " + " or ".join(sorted(self.slopes))
            )
        if not _PX_RANGE[0] <= px <= _PX_RANGE[1]:
            raise ConfigError(f"input_px must lie between {_PX_RANGE[0]} and {_PX_RANGE[1]}, got {px}", hint="256")
        self.spec = DetectorSpec(name, px, (0.0, 0.0, 0.0), (1.0, 1.0, 1.0), options.framing, family=self.family)
        self.blocks = self._make_blocks()
        cells = -(-px // _STRIDE)
        self.hidden = nn.Linear(WIDTH * cells * cells, HIDDEN)
        slope = self.slopes[name]
        self.bend = nn.Identity() if slope == 1 else nn.LeakyReLU(slope)
        self.drop = nn.Dropout(options.drop_rate)
        self.head = nn.Linear(HIDDEN, 1)
        start_undecided(self.head)

    def forward(self, x: Tensor) -> Detection:
        """(B, 3, S, S) in [0, 1] -> logits (B,), no mask."""
        features = self.drop(self.blocks(x).flatten(1))
        return Detection(self.head(self.drop(self.bend(self.hidden(features)))).squeeze(1), None)

    def get_classifier(self) -> nn.Module:
        """The last layer; the method's name is that of timm's models."""
        return self.head

    def keras_order(self) -> list[nn.Module]:
        """The layers with weights, in the order of the authors' files."""
        order: list[nn.Module] = []
        for block in self.blocks:
            assert isinstance(block, nn.Sequential)
            order += _weighted(block)
        return [*order, self.hidden, self.head]

    def _make_blocks(self) -> nn.Sequential:
        raise NotImplementedError(f"{type(self).__name__} must make its blocks")


@detectors.register("meso4")
class Meso4(MesoNet):
    """Four plain convolutions."""

    family = "meso4"
    slopes: ClassVar[dict[str, float]] = {"meso4": 1.0, "meso4-leaky": _SLOPE}

    def _make_blocks(self) -> nn.Sequential:
        return nn.Sequential(
            _block(_conv(3, 8, 3), 8, pool=2),
            _block(_conv(8, 8, 5), 8, pool=2),
            _block(_conv(8, WIDTH, 5), WIDTH, pool=2),
            _block(_conv(WIDTH, WIDTH, 5), WIDTH, pool=4),
        )


@detectors.register("mesoinception4")
class MesoInception4(MesoNet):
    """Two inception blocks, then two plain convolutions."""

    family = "mesoinception4"
    slopes: ClassVar[dict[str, float]] = {"mesoinception4": _SLOPE}

    def _make_blocks(self) -> nn.Sequential:
        return nn.Sequential(
            _block(Inception(3, (1, 4, 4, 2)), 11, pool=2),
            _block(Inception(11, (2, 4, 4, 2)), 12, pool=2),
            _block(_conv(12, WIDTH, 5), WIDTH, pool=2),
            _block(_conv(WIDTH, WIDTH, 5), WIDTH, pool=4),
        )


def _conv(channels: int, width: int, size: int) -> nn.Module:
    return nn.Sequential(nn.Conv2d(channels, width, size, padding=size // 2), nn.ReLU())


def _block(look: nn.Module, width: int, *, pool: int) -> nn.Sequential:
    norm = nn.BatchNorm2d(width, eps=_EPS, momentum=_MOMENTUM)
    return nn.Sequential(look, norm, nn.MaxPool2d(pool, ceil_mode=True))


def _weighted(block: nn.Sequential) -> list[nn.Module]:
    """A block's layers in Keras order: by depth, so the first layers of all branches come first."""
    look, norm, _ = block
    if isinstance(look, Inception):
        plain, *entering = look.enter
        return [*entering, plain, *look.look, norm]
    assert isinstance(look, nn.Sequential)
    return [look[0], norm]
