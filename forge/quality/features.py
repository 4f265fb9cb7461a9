"""Features of faces from an image classification network, for perceptual distances.

The network is EfficientNet-Lite0 with ImageNet weights: not trained on faces, in no default loss, and available without
a download. Its distances are named after it. They are not LPIPS, whose channel weights were fitted to human ratings.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import cv2
import numpy as np
import timm
import torch
from torch import Tensor, nn

from forge.training.losses.perceptual import LPIPS, FeatureStages, PerceptualNet, perceptual_net
from shared.errors import WeightsError
from shared.weights.imagenet import load_pretrained

FEATURES = "tf_efficientnet_lite0"
FEATURE_PX = 224

_BATCH = 16


class FeatureNet:
    """Pooled features, and a distance of feature maps.

    Attributes:
        name: of the network; source: of its weights, with their SHA-256.
    """

    name = FEATURES

    def __init__(self, net: nn.Module, source: str, device: torch.device | str = "cpu") -> None:
        self.source = source
        self._device = torch.device(device)
        self._net: Any = net.to(self._device).eval().requires_grad_(False)
        self._dim = int(self._net.num_features)
        self._stages = PerceptualNet(FeatureStages(self._net)).to(self._device)

    @classmethod
    def load(cls, device: torch.device | str = "cpu") -> FeatureNet:
        """Loads the network with ImageNet weights.

        Raises:
            WeightsError: they are not installed.
        """
        net = timm.create_model(FEATURES, pretrained=False, num_classes=0)
        return cls(net, load_pretrained(net, FEATURES), device)

    def pooled(self, crops: Sequence[np.ndarray]) -> np.ndarray:
        """(N, 1280) float32: the features before the classifier, of crops (S, S, 3) uint8 resized to 224 px."""
        parts = [np.zeros((0, self._dim), np.float32)]
        with torch.inference_mode():
            for start in range(0, len(crops), _BATCH):
                parts.append(self._net(self._pixels(crops[start : start + _BATCH])).cpu().numpy())
        return np.concatenate(parts)

    def distance(self, a: np.ndarray, b: np.ndarray) -> float:
        """Distance of two crops; 0 for equal ones.

        :func:`forge.training.losses.perceptual.feature_distance` of the maps after each of five stages, all channels
        with equal weight.
        """
        return _apart(self._stages, a, b, self._device)

    def _pixels(self, crops: Sequence[np.ndarray]) -> Tensor:
        stages = self._stages.stages
        return (_pictures(crops, self._device) - stages.mean) / stages.std


class Lpips:
    """LPIPS; see :mod:`forge.training.losses.perceptual`."""

    def __init__(self, net: PerceptualNet, device: torch.device | str = "cpu") -> None:
        self._device = torch.device(device)
        self._net = net

    def distance(self, a: np.ndarray, b: np.ndarray) -> float:
        """Distance of two crops (S, S, 3) uint8, resized to 224 px; 0 for equal ones."""
        return _apart(self._net, a, b, self._device)


def load_lpips(device: torch.device | str = "cpu") -> Lpips | None:
    """LPIPS on VGG-16; None if its weights are not installed."""
    try:
        return Lpips(perceptual_net(LPIPS, torch.device(device)), device)
    except WeightsError:
        return None


def load_features(device: torch.device | str = "cpu") -> FeatureNet | None:
    """The network; None if its weights are not installed."""
    try:
        return FeatureNet.load(device)
    except WeightsError:
        return None


@dataclass
class ClipFeatures:
    """Pooled features (D,) of one clip's faces, of the fake and of its target, frame by frame."""

    fake: list[np.ndarray] = field(default_factory=list)
    target: list[np.ndarray] = field(default_factory=list)


class FeatureBank:
    """Features of the faces of many clips, kept for the Fréchet distance."""

    def __init__(self) -> None:
        self._clips: dict[str, ClipFeatures] = {}

    def of(self, clip: str) -> ClipFeatures:
        """A new, empty store for ``clip``; an earlier one of that name is dropped."""
        self._clips[clip] = ClipFeatures()
        return self._clips[clip]

    def clip(self, clip: str) -> ClipFeatures:
        """The store for ``clip``.

        Raises:
            KeyError: there is none.
        """
        return self._clips[clip]

    def pairs(self, clusters: Mapping[str, int]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """(N, D) features of the fakes, (N, D) of their targets, (N,) clusters, of the clips in ``clusters``."""
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


def _pictures(crops: Sequence[np.ndarray], device: torch.device) -> Tensor:
    """(N, 3, 224, 224) in [0, 1]."""
    stacked = torch.from_numpy(np.stack([_at_size(crop) for crop in crops])).to(device)
    return stacked.permute(0, 3, 1, 2).float() / 255


def _apart(net: PerceptualNet, a: np.ndarray, b: np.ndarray, device: torch.device) -> float:
    one, other = (_pictures([crop], device) for crop in (a, b))
    with torch.inference_mode():
        return float(net(one, other, torch.ones_like(one[:, :1])))
