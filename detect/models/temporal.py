"""A detector of sequences: a timm backbone on each face, and a small network over its features in time.

Swappers process each frame independently, so their artefacts flicker: sharpness, colour, position of the seam. The
    logit
is the mean of the frames' logits plus a logit of the sequence. Sources: Guera and Delp, "Deepfake video detection using
recurrent neural networks", AVSS 2018, for recurrence over frame features; Zheng et al., "Exploring temporal coherence
for more general video face forgery detection", ICCV 2021, for a transformer.

Names are ``BACKBONE`` or ``BACKBONE+transformer`` (equal), ``BACKBONE+gru``, and with the number of faces in a sequence
``BACKBONE+gru16`` (default 8).
"""

from __future__ import annotations

import math
import re
from dataclasses import replace
from typing import NamedTuple

import torch
from timm.models.vision_transformer import Block
from torch import Tensor, nn

from detect.models.backbone import BackboneDetector, start_undecided
from detect.models.contract import DetectorOptions, TrackDetector
from detect.models.registry import detectors
from shared.errors import ConfigError, UnknownNameError

_WIDTH = 128
_HEADS = 4
_DEPTH = 2
_FRAMES = 8
_FRAMES_RANGE = (2, 64)
_KINDS = ("transformer", "gru")


class TemporalName(NamedTuple):
    """Parts of a name of the family: backbone, network over its features, number of faces in a sequence."""

    backbone: str
    kind: str
    frames: int


def parse_name(name: str) -> TemporalName:
    """The parts of a name such as ``tf_efficientnet_lite0+gru16``.

    Raises:
        UnknownNameError: what follows the plus sign is neither "transformer" nor "gru".
        ConfigError: a number of faces outside 2 to 64.
    """
    backbone, _, rest = name.partition("+")
    found = re.fullmatch(r"([a-z]*)(\d*)", rest)
    kind = (found[1] if found else rest) or _KINDS[0]
    if kind not in _KINDS:
        raise UnknownNameError(f"there is no sequence network {rest!r}", hint=f"{backbone}+gru or +transformer16")
    frames = int(found[2]) if found and found[2] else _FRAMES
    low, high = _FRAMES_RANGE
    if not low <= frames <= high:
        raise ConfigError(f"{name} takes {frames} faces in a sequence, not {low} to {high}", hint="8 is usual")
    return TemporalName(backbone, kind, frames)


@detectors.register("temporal")
class TemporalDetector(BackboneDetector, TrackDetector):
    """A backbone, and a transformer or a recurrent network over its features.

    Raises:
        UnknownNameError: no such backbone or sequence network.
        WeightsError: pretrained weights are not available.
        ConfigError: the backbone does not take that input size.
    """

    family = "temporal"

    def __init__(self, options: DetectorOptions) -> None:
        parts = parse_name(options.name)
        super().__init__(replace(options, name=parts.backbone))
        self.spec = replace(self.spec, name=options.name, level="clip", frames_per_clip=parts.frames)
        features = int(getattr(self.net, "head_hidden_size", None) or self.net.num_features)  # type: ignore[arg-type]
        self.enter = nn.Sequential(nn.LayerNorm(features), nn.Linear(features, _WIDTH))
        self.over = _Recurrent() if parts.kind == "gru" else _Attending(options.drop_rate)
        self.head = nn.Linear(_WIDTH, 1)
        start_undecided(self.head)

    def embed_frames(self, x: Tensor) -> Tensor:
        """(N, 3, S, S) normalised faces -> (N, F + 1): the backbone's features, then its logit."""
        maps = self.net.forward_features(x)  # type: ignore[operator]
        features = self.net.forward_head(maps, pre_logits=True)  # type: ignore[operator]
        return torch.cat([features, self.net.forward_head(maps)], 1)  # type: ignore[operator]

    def score_sequences(self, embeddings: Tensor) -> Tensor:
        """(B, T, F + 1) embeddings in order of time -> (B,) logits."""
        alone = embeddings[..., -1].mean(1)
        return alone + self.head(self.over(self.enter(embeddings[..., :-1]))).squeeze(1)


class _Attending(nn.Module):
    """A transformer encoder with a class token."""

    def __init__(self, drop_rate: float) -> None:
        super().__init__()
        self.token = nn.Parameter(torch.zeros(1, 1, _WIDTH))
        self.blocks = nn.Sequential(
            *(Block(_WIDTH, _HEADS, mlp_ratio=2, qkv_bias=True, proj_drop=drop_rate) for _ in range(_DEPTH))
        )
        self.norm = nn.LayerNorm(_WIDTH)

    def forward(self, x: Tensor) -> Tensor:
        """(B, T, C) -> (B, C)."""
        x = x + positions(x.shape[1]).to(x)
        x = torch.cat([self.token.expand(x.shape[0], -1, -1).to(x), x], 1)
        return self.norm(self.blocks(x))[:, 0]


class _Recurrent(nn.Module):
    """Bidirectional gated recurrent units, averaged over time."""

    def __init__(self) -> None:
        super().__init__()
        self.gru = nn.GRU(_WIDTH, _WIDTH // 2, batch_first=True, bidirectional=True)

    def forward(self, x: Tensor) -> Tensor:
        """(B, T, C) -> (B, C)."""
        return self.gru(x)[0].mean(1)


def positions(frames: int, width: int = _WIDTH) -> Tensor:
    """(``frames``, ``width``): sinusoidal position encoding (Vaswani et al., 2017, section 3.5)."""
    place = torch.arange(frames, dtype=torch.float32).unsqueeze(1)
    rate = torch.exp(torch.arange(0, width, 2, dtype=torch.float32) * (-math.log(10000.0) / width))
    return torch.stack([torch.sin(place * rate), torch.cos(place * rate)], 2).flatten(1)
