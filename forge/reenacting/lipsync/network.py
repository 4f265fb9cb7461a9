"""The network: a few dilated convolutions over time, from features of speech to the parameters of the mouth."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from forge.reenacting.lipsync.features import BANDS
from forge.reenacting.lipsync.mouth import BASIS_SHAPE, PARAMETERS


@dataclass(frozen=True)
class LipsyncSpec:
    """Size of the network.

    Attributes:
        width: channels.
        layers: convolutions of five steps, 1, 2, 4 ... steps apart; three of them see 0.28 s to either side.
    """

    width: int = 96
    layers: int = 3

    def __post_init__(self) -> None:
        if not (8 <= self.width <= 512 and 1 <= self.layers <= 8):
            raise ValueError("the size is out of range")


class MouthNetwork(nn.Module):
    """(B, T, 40) features to (B, T, 3): the parameters of the mouth in units of their usual spread.

    ``spread`` (3,) turns them into face units, ``basis`` (3, 41) into lips (:mod:`forge.reenacting.lipsync.mouth`), and
    ``mouth_width`` is that of the people they were fitted to.
    """

    spread: Tensor
    basis: Tensor
    mouth_width: Tensor

    def __init__(self, spec: LipsyncSpec) -> None:
        super().__init__()
        self.spec = spec
        self.enter = nn.Conv1d(BANDS, spec.width, 1)
        self.layers = nn.ModuleList(
            nn.Conv1d(spec.width, spec.width, 5, padding=2 * 2**n, dilation=2**n) for n in range(spec.layers)
        )
        self.norms = nn.ModuleList(nn.LayerNorm(spec.width) for _ in range(spec.layers))
        self.drop = nn.Dropout1d(0.1)
        self.leave = nn.Conv1d(spec.width, len(PARAMETERS), 1)
        self.register_buffer("spread", torch.ones(len(PARAMETERS)))
        self.register_buffer("basis", torch.zeros(BASIS_SHAPE))
        self.register_buffer("mouth_width", torch.ones(()))

    def forward(self, features: Tensor) -> Tensor:
        """See the class."""
        hidden = self.enter(features.transpose(1, 2))
        for layer, norm in zip(self.layers, self.norms, strict=True):
            even = norm(hidden.transpose(1, 2)).transpose(1, 2)
            hidden = hidden + self.drop(nn.functional.gelu(layer(even)))
        return self.leave(hidden).transpose(1, 2)

    @property
    def parameters_count(self) -> int:
        """Numbers that are learned."""
        return sum(each.numel() for each in self.parameters())
