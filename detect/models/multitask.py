"""A detector that also localises: a timm backbone with a mask output for the forged pixels.

The region is supervised by the masks of the compositor and of self-blends (as in Face X-ray, Li et al., CVPR 2020, and
later multi-task detectors). A second term of the logit is computed from features weighted by the predicted region.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from detect.models.backbone import BackboneDetector, start_undecided
from detect.models.contract import Detection, DetectorOptions
from detect.models.registry import detectors
from shared.errors import ConfigError

_FINEST = 8
_COARSEST = 32
_CHANNELS = 64


@detectors.register("multitask")
class MultitaskDetector(BackboneDetector):
    """The backbone's logit plus one of features under the region, and a map of the region at 1/8 of the input size.

    The map is computed from the backbone's levels at strides 8 to 32, merged top down (feature pyramid, Lin et al.,
    CVPR 2017, with sums), or from the only level, as of a ViT.
    """

    family = "multitask"
    has_mask = True

    def __init__(self, options: DetectorOptions) -> None:
        super().__init__(options)
        self.levels = _levels(self.net, options.name)
        channels = [int(self.net.feature_info[level]["num_chs"]) for level in self.levels]  # type: ignore[index]
        self.lateral = nn.ModuleList(nn.Conv2d(count, _CHANNELS, 1) for count in channels)
        self.smooth = nn.Sequential(
            nn.Conv2d(_CHANNELS, _CHANNELS, 3, padding=1, bias=False), nn.BatchNorm2d(_CHANNELS), nn.ReLU(inplace=True)
        )
        self.draw = nn.Conv2d(_CHANNELS, 1, 1)
        self.judge = nn.Linear(_CHANNELS + 2, 1)
        start_undecided(self.judge)
        assert self.draw.bias is not None
        nn.init.constant_(self.draw.bias, -2.0)  # most pixels are real

    def forward(self, x: Tensor) -> Detection:
        """(B, 3, S, S) normalised -> logits (B,) and region logits (B, 1, S / 8, S / 8)."""
        final, maps = self.net.forward_intermediates(x, indices=self.levels)  # type: ignore[operator]
        return self.concluded(final, maps)

    def concluded(self, final: Tensor, maps: list[Tensor]) -> Detection:
        """The detection from the backbone's last features and its maps at ``levels``."""
        features = self.smooth(self._together(maps))
        region = self.draw(features)
        logit = self.net.forward_head(final).squeeze(1) + self.judge(_under(features, region)).squeeze(1)  # type: ignore[operator]
        return Detection(logit, region)

    def _together(self, maps: list[Tensor]) -> Tensor:
        """The levels merged into one map of the finest size."""
        coarse = [lateral(level) for lateral, level in zip(self.lateral, maps, strict=True)]
        total = coarse[-1]
        for finer in reversed(coarse[:-1]):
            total = finer + F.interpolate(total, size=finer.shape[-2:], mode="bilinear", align_corners=False)
        return total


def _under(features: Tensor, region: Tensor) -> Tensor:
    """(B, C + 2): features averaged with the region as weights, and the region's mean and maximum."""
    weight = region.sigmoid()
    pooled = (features * weight).sum((2, 3)) / weight.sum((2, 3)).clamp_min(1e-3)
    return torch.cat([pooled, weight.mean((2, 3)), weight.amax((2, 3))], 1)


def _levels(net: nn.Module, name: str) -> list[int]:
    """Indices of the intermediate maps: the last at each stride from 8 to 32; the last of all for a plain ViT."""
    info = getattr(net, "feature_info", None)
    if not info or not hasattr(net, "forward_intermediates"):
        raise ConfigError(f"{name} does not give the feature maps for a region", hint="choose another model")
    last = {int(info[place]["reduction"]): place for place in range(len(info))}
    chosen = [place for stride, place in sorted(last.items()) if _FINEST <= stride <= _COARSEST]
    if not chosen:
        raise ConfigError(f"{name} has no map at strides {_FINEST} to {_COARSEST}", hint="choose another model")
    return chosen
