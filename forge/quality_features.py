"""Features of faces by a network that was trained on photographs of things, for distances that pixels do not tell.

The network is EfficientNet-Lite0 with its ImageNet weights: never trained on faces, in no default loss, and at hand
without a download. Its distances are called by its name. They are not LPIPS, whose channel weights were fitted to
people's judgements.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import cv2
import numpy as np
import timm
import torch
from timm.data.config import resolve_model_data_config
from torch import Tensor, nn

from shared.errors import WeightsError
from shared.pretrained import load_pretrained

FEATURES = "tf_efficientnet_lite0"
FEATURE_PX = 224

_BATCH = 16
_EPSILON = 1e-10


class FeatureNet:
    """Pooled features, and a distance of feature maps.

    Attributes:
        name: of the network; source: where its weights came from, with their SHA-256.
    """

    name = FEATURES

    def __init__(self, net: nn.Module, source: str, device: torch.device | str = "cpu") -> None:
        self.source = source
        self._device = torch.device(device)
        self._net: Any = net.to(self._device).eval().requires_grad_(False)
        self._dim = int(self._net.num_features)
        config: dict[str, Any] = resolve_model_data_config(net)
        self._mean, self._std = (_column(config[key], self._device) for key in ("mean", "std"))

    @classmethod
    def load(cls, device: torch.device | str = "cpu") -> FeatureNet:
        """With ImageNet weights.

        Raises:
            WeightsError: they are not on this machine.
        """
        net = timm.create_model(FEATURES, pretrained=False, num_classes=0)
        return cls(net, load_pretrained(net, FEATURES), device)

    def pooled(self, crops: Sequence[np.ndarray]) -> np.ndarray:
        """(N, 1280) float32: the vector before the classifier, of crops (S, S, 3) uint8 brought to 224 px."""
        parts = [np.zeros((0, self._dim), np.float32)]
        with torch.inference_mode():
            for start in range(0, len(crops), _BATCH):
                parts.append(self._net(self._pixels(crops[start : start + _BATCH])).cpu().numpy())
        return np.concatenate(parts)

    def distance(self, a: np.ndarray, b: np.ndarray) -> float:
        """How far apart two crops are, 0 for equal ones.

        Feature maps after each of five stages, every position's vector brought to unit length, squared difference
        summed over channels, mean over positions, summed over stages: Zhang et al., "The unreasonable effectiveness
        of deep features as a perceptual metric", CVPR 2018, eq. 1, with all channel weights 1.
        """
        with torch.inference_mode():
            maps = self._net.forward_intermediates(self._pixels([a, b]), intermediates_only=True)
            units = [stage / (stage.norm(dim=1, keepdim=True) + _EPSILON) for stage in maps]
            return float(sum((unit[0] - unit[1]).square().sum(0).mean() for unit in units))

    def _pixels(self, crops: Sequence[np.ndarray]) -> Tensor:
        stacked = torch.from_numpy(np.stack([_at_size(crop) for crop in crops])).to(self._device)
        return (stacked.permute(0, 3, 1, 2).float() / 255 - self._mean) / self._std


def load_features(device: torch.device | str = "cpu") -> FeatureNet | None:
    """The network, or None where its weights are not on this machine."""
    try:
        return FeatureNet.load(device)
    except WeightsError:
        return None


@dataclass
class ClipFeatures:
    """Pooled features of one clip's faces: of the fake and of its target, frame by frame, (D,) each."""

    fake: list[np.ndarray] = field(default_factory=list)
    target: list[np.ndarray] = field(default_factory=list)


class FeatureBank:
    """Features of many clips' faces, kept until the distance of the whole is asked for."""

    def __init__(self) -> None:
        self._clips: dict[str, ClipFeatures] = {}

    def of(self, clip: str) -> ClipFeatures:
        """Where those of ``clip`` are kept; what was kept under that name before is dropped."""
        self._clips[clip] = ClipFeatures()
        return self._clips[clip]

    def pairs(self, clusters: Mapping[str, int]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """(N, D) of the fakes, (N, D) of their targets, (N,) clusters: of the clips that ``clusters`` names."""
        named = [(self._clips[clip], number) for clip, number in clusters.items() if clip in self._clips]
        fakes = [vector for clip, _number in named for vector in clip.fake]
        targets = [vector for clip, _number in named for vector in clip.target]
        numbers = [number for clip, number in named for _vector in clip.fake]
        if not fakes:
            return np.zeros((0, 1)), np.zeros((0, 1)), np.zeros(0, int)
        return np.stack(fakes), np.stack(targets), np.array(numbers)


def _at_size(crop: np.ndarray) -> np.ndarray:
    if crop.shape[:2] == (FEATURE_PX, FEATURE_PX):
        return crop
    shrinks = min(crop.shape[:2]) > FEATURE_PX
    return cv2.resize(crop, (FEATURE_PX, FEATURE_PX), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC)


def _column(values: Sequence[float], device: torch.device) -> Tensor:
    return torch.tensor(values, device=device).view(1, -1, 1, 1)
