"""``timm``: a timm backbone on the log spectrogram as a picture, with a logit every 20 ms.

The picture is that of :mod:`detect.speech.spectral`. The backbone's map at a sixteenth of its size has a column every
160 ms, whose logits are interpolated to steps; the rest of the backbone is left out. Only backbones that take pictures
of any length do. Those with squeeze and excitation see the whole of the part that is scored, up to a minute.
"""

from __future__ import annotations

import dataclasses
import warnings
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional
from typing_extensions import override

from detect.speech.contract import SPEECH_DETECTORS, NetworkOptions
from detect.speech.network import NetworkDetector, scores_of
from detect.speech.spectral import spectrogram
from shared.errors import ConfigError, WeightsError
from shared.weights.imagenet import load_pretrained

DEFAULT_BACKBONE = "lcnet_050"
"""A small one without squeeze and excitation up to the map that is read."""

_IN_A_PACKAGE = "tf_efficientnet_lite0"

MOST_PARAMETERS = 30_000_000
"""Of a backbone, up to the map that is read. A larger one is refused before memory is taken for it."""

_REDUCTION = 16
_BANDS, _WIDE = 4, 128
_FREQUENCIES = 257


class BackboneNet(nn.Module):
    """The network: (B, 1, 2 T, 257) normalised log spectrograms to logits and log weights, each (B, T).

    Args:
        backbone: name of a timm model.

    Raises:
        ValueError: timm has no such model, or it cannot be used here.
    """

    def __init__(self, backbone: str) -> None:
        super().__init__()
        place, channels = map_of(backbone)
        self.place = place
        self.net = _created(backbone)
        self.net.prune_intermediate_layers([place], prune_norm=True, prune_head=True)
        self.collapse = nn.Sequential(nn.Conv1d(channels * _BANDS, _WIDE, 1), nn.BatchNorm1d(_WIDE), nn.GELU())
        self.drop = nn.Dropout(0.2)
        self.head = nn.Conv1d(_WIDE, 2, 3, padding=1)

    def forward(self, spectrogram: Tensor) -> tuple[Tensor, Tensor]:
        """Logits (B, T) and log weights (B, T), the latter in [-4, 4]."""
        count = spectrogram.shape[2] // 2
        picture = functional.pad(spectrogram, (0, 0, 0, -spectrogram.shape[2] % _REDUCTION)).expand(-1, 3, -1, -1)
        maps = _map_at(self.net, self.place, picture)
        bands = functional.adaptive_avg_pool2d(maps, (maps.shape[2], _BANDS))
        seen = self.drop(self.collapse(bands.permute(0, 1, 3, 2).flatten(1, 2)))
        columns = self.head(seen)
        return scores_of(functional.interpolate(columns, scale_factor=_REDUCTION // 2, mode="linear")[..., :count])


@SPEECH_DETECTORS.register("timm")
class Backbone(NetworkDetector):
    """The trained network; the name of its backbone is stored with it."""

    kind: ClassVar[str] = "timm"
    rows: ClassVar[int] = 2

    def __init__(self, tensors: Mapping[str, Tensor], options: NetworkOptions = NetworkOptions()) -> None:  # noqa: B008
        super().__init__(tensors, dataclasses.replace(options, backbone=options.backbone or DEFAULT_BACKBONE))

    @staticmethod
    @override
    def build(options: NetworkOptions) -> nn.Module:
        return BackboneNet(options.backbone or DEFAULT_BACKBONE)

    @classmethod
    @override
    def start(cls, options: NetworkOptions) -> nn.Module:
        network = cls.build(options)
        if options.pretrained:
            name = options.backbone or DEFAULT_BACKBONE
            whole = _created(name)
            try:
                load_pretrained(whole, name)
            except WeightsError as error:
                raise WeightsError(
                    str(error), hint=f"set pretrained = false, or the backbone {_IN_A_PACKAGE} with its package"
                ) from error
            kept = network.get_submodule("net")
            state = whole.state_dict()
            kept.load_state_dict({key: state[key] for key in kept.state_dict()})
        return network

    @staticmethod
    @override
    def features(samples: np.ndarray) -> np.ndarray:
        return spectrogram(samples)


def need_backbone(name: str) -> None:
    """Refuses a backbone that ``timm`` cannot be trained with.

    Raises:
        UnknownNameError: timm has no such model; with near names.
        ConfigError: it cannot be used here.
    """
    if name not in _known():
        from detect.models.backbone import unknown_model

        raise unknown_model(name, sorted(_known()))
    try:
        map_of(name)
    except ValueError as error:
        raise ConfigError(str(error), hint=f"leave it out for {DEFAULT_BACKBONE}, or name another one") from error


@lru_cache(maxsize=64)
def map_of(name: str) -> tuple[int, int]:
    """The number of the map that is read of the backbone ``name``, and its channels. Takes no memory for weights.

    Raises:
        ValueError: timm has no such model, it is too large, it has no map at a sixteenth of its input, or it takes
            pictures of one size only.
    """
    if name not in _known():
        raise ValueError(f"timm has no model {name[:64]!r}")
    try:
        with torch.device("meta"):
            net = _created(name)
            reductions = [each["reduction"] for each in net.feature_info]
            place = len(reductions) - 1 - reductions[::-1].index(_REDUCTION)
            net.prune_intermediate_layers([place], prune_norm=True, prune_head=True)
            size = sum(each.numel() for each in net.parameters())
            shapes = [_map_at(net.eval(), place, torch.zeros(1, 3, rows, _FREQUENCIES)).shape for rows in (16, 208)]
    except (AttributeError, AssertionError, RuntimeError, TypeError, ValueError, KeyError, IndexError) as error:
        raise ValueError(f"{name} has no map at a sixteenth of pictures of any length") from error
    if size > MOST_PARAMETERS:
        raise ValueError(f"{name} has {size:,} parameters, more than {MOST_PARAMETERS:,}")
    if [shape[2] for shape in shapes] != [1, 13]:
        raise ValueError(f"{name} has no map at a sixteenth of pictures of any length")
    return place, int(shapes[0][1])


def _map_at(net: Any, place: int, picture: Tensor) -> Tensor:
    return net.forward_intermediates(picture, indices=[place], stop_early=True, intermediates_only=True)[0]


def _created(name: str) -> Any:
    import timm

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # names that timm has renamed
        return timm.create_model(name, pretrained=False, num_classes=0)


@lru_cache(maxsize=1)
def _known() -> frozenset[str]:
    import timm  # takes seconds

    return frozenset(timm.list_models())
