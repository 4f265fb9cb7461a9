"""Detectors whose decision also sees the texture of early and middle layers, pooled over the face.

Traces of a generator or a paste are fine texture, which the last layer of a network trained on objects has mostly
dropped. The mean and standard deviation of each channel over the map are the statistics by which texture is described
without regard to where it is (as style is in Huang and Belongie, "Arbitrary style transfer in real-time with adaptive
instance normalization", ICCV 2017).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from detect.models.backbone import BackboneDetector, start_undecided
from detect.models.contract import Detection, DetectorOptions
from detect.models.multitask import MultitaskDetector
from detect.models.registry import detectors
from shared.errors import ConfigError

_FLOOR = 1e-5
_MIDDLE = 16
"""Stride of the coarsest map that is pooled: the last features come with the backbone's own logit."""


class TextureLogit(nn.Module):
    """A linear logit of the mean and standard deviation of every channel of some maps.

    Args:
        channels: of each map.
        drop_rate: dropout before the logit.
    """

    def __init__(self, channels: list[int], drop_rate: float) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(2 * sum(channels))
        self.drop = nn.Dropout(drop_rate)
        self.head = nn.Linear(2 * sum(channels), 1)
        start_undecided(self.head)

    def forward(self, maps: list[Tensor]) -> Tensor:
        """Maps (B, C, h, w) -> (B,)."""
        return self.head(self.drop(self.norm(texture(maps)))).squeeze(1)


def texture(maps: list[Tensor]) -> Tensor:
    """(B, 2 C): mean and standard deviation of every channel of maps (B, C, h, w), in float32."""
    parts = []
    for each in maps:
        flat = each.float().flatten(2)
        parts += [flat.mean(2), (flat.var(2, correction=0) + _FLOOR).sqrt()]
    return torch.cat(parts, 1)


@detectors.register("pooled")
class PooledDetector(BackboneDetector):
    """The backbone's logit plus one of the texture of its early and middle layers.

    Together one linear logit of pooled features of all depths: the sum of a linear logit of each.
    """

    family = "pooled"

    def __init__(self, options: DetectorOptions) -> None:
        super().__init__(options)
        self.layers = early_and_middle(self.net, options.name)
        self.texture = TextureLogit(_channels(self.net, self.layers), options.drop_rate)

    def forward(self, x: Tensor) -> Detection:
        """(B, 3, S, S) normalised -> logits (B,), no mask."""
        final, maps = self.net.forward_intermediates(x, indices=self.layers)  # type: ignore[operator]
        return Detection(self.net.forward_head(final).squeeze(1) + self.texture(maps), None)  # type: ignore[operator]


@detectors.register("pooled-multitask")
class PooledMultitaskDetector(MultitaskDetector):
    """The multitask detector's logit, with its region, plus one of the texture of early and middle layers."""

    family = "pooled-multitask"

    def __init__(self, options: DetectorOptions) -> None:
        super().__init__(options)
        self.layers = early_and_middle(self.net, options.name)
        self.texture = TextureLogit(_channels(self.net, self.layers), options.drop_rate)

    def forward(self, x: Tensor) -> Detection:
        """(B, 3, S, S) normalised -> logits (B,) and region logits (B, 1, S / 8, S / 8)."""
        wanted = sorted({*self.layers, *self.levels})
        final, maps = self.net.forward_intermediates(x, indices=wanted)  # type: ignore[operator]
        by_layer = dict(zip(wanted, maps, strict=True))
        found = self.concluded(final, [by_layer[level] for level in self.levels])
        return Detection(found.logit + self.texture([by_layer[layer] for layer in self.layers]), found.mask)


def early_and_middle(net: nn.Module, name: str) -> list[int]:
    """Indices of the maps to pool: the last at each stride up to 16; of a plain ViT those at each quarter of its depth.

    Raises:
        ConfigError: the backbone does not give them.
    """
    info = getattr(net, "feature_info", None)
    if not info or not hasattr(net, "forward_intermediates"):
        raise ConfigError(f"{name} does not give the feature maps to pool", hint="choose another model")
    count = len(info)
    last = {int(info[place]["reduction"]): place for place in range(count)}
    if len(last) == 1:
        return sorted({max(0, round(count * quarter / 4) - 1) for quarter in (1, 2, 3)})
    chosen = [place for stride, place in sorted(last.items()) if stride <= _MIDDLE and place < count - 1]
    if not chosen:
        raise ConfigError(f"{name} has no map up to stride {_MIDDLE}", hint="choose another model")
    return chosen


def _channels(net: nn.Module, layers: list[int]) -> list[int]:
    return [int(net.feature_info[layer]["num_chs"]) for layer in layers]  # type: ignore[index]
