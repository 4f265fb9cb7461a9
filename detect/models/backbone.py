"""timm backbones as detectors use them: built for one logit, started undecided, described by their own settings."""

from __future__ import annotations

from typing import Any

import timm
from timm.data.config import resolve_model_data_config
from torch import nn

from detect.models.contract import Detector, DetectorSpec
from shared.errors import ConfigError, UnknownNameError
from shared.registry import near_matches
from shared.types import Framing
from shared.weights.imagenet import load_pretrained

_PX_RANGE = (32, 1024)
_HEAD_STD = 0.01


def model_names(text: str = "") -> list[str]:
    """Names of timm backbones that contain ``text``, sorted."""
    return sorted(timm.list_models(f"*{text}*" if text else ""))


def create_backbone(name: str, input_px: int | None, drop_rate: float, drop_path_rate: float) -> nn.Module:
    """The timm model ``name`` with one logit, untrained.

    Raises:
        UnknownNameError: timm has no such model.
        ConfigError: it cannot be built for that input size or drop path.
    """
    _check_known(name)
    low, high = _PX_RANGE
    if input_px is not None and not low <= input_px <= high:
        raise ConfigError(f"input_px must lie between {low} and {high}, got {input_px}", hint="224 is usual")
    settings: dict[str, Any] = {"num_classes": 1, "drop_rate": drop_rate}
    if drop_path_rate:
        settings["drop_path_rate"] = drop_path_rate
    fixed = timm.get_pretrained_cfg_value(name, "fixed_input_size")
    if input_px is not None and fixed:
        settings["img_size"] = input_px
    try:
        return timm.create_model(name, pretrained=False, **settings)
    except (RuntimeError, TypeError, ValueError, AssertionError) as error:
        raise ConfigError(
            f"timm cannot build {name} with {settings}: {error}",
            hint="leave the model's own input size and drop path, or choose another model (assay detect models)",
        ) from error


def start_undecided(net: nn.Module) -> None:
    """Small weights and no bias in the classifier, so that the first logits lie near 0.

    With one output, timm's own start (scaled by the number of outputs) gives logits of ten and more, and the first
    steps of a training are spent on taking them back.
    """
    found = net.get_classifier()  # type: ignore[operator]
    heads = nn.ModuleList([found] if isinstance(found, nn.Module) else found)  # distilled models have two
    for module in heads.modules():
        if isinstance(module, nn.Linear | nn.Conv2d):
            nn.init.normal_(module.weight, std=_HEAD_STD)
            if module.bias is not None:
                nn.init.zeros_(module.bias)


def _check_known(name: str) -> None:
    tagged = "." in name
    if name not in (timm.list_pretrained() if tagged else timm.list_models()):
        hint = near_matches(name, timm.list_models() + (timm.list_pretrained() if tagged else []))
        raise UnknownNameError(f"timm has no model {name!r}", hint=hint)


def describe_backbone(
    net: nn.Module, name: str, *, family: str, input_px: int | None, framing: Framing, has_mask: bool = False
) -> DetectorSpec:
    """The spec of a detector on ``net``: size, mean and deviation come from timm's data settings of the backbone."""
    data = resolve_model_data_config(net)
    return DetectorSpec(
        name=name,
        input_px=input_px or int(data["input_size"][-1]),
        mean=_three(data["mean"]),
        std=_three(data["std"]),
        framing=framing,
        family=family,
        has_mask=has_mask,
    )


class BackboneDetector(Detector):
    """What families on a timm backbone begin with: ``net``, built for one logit, undecided or with ImageNet weights.

    Raises:
        UnknownNameError: timm has no such model.
        WeightsError: pretrained weights are asked for and cannot be had.
        ConfigError: the model does not take that input size.
    """

    family = ""
    has_mask = False

    def __init__(
        self,
        name: str,
        *,
        input_px: int | None = None,
        framing: Framing = "whole",
        pretrained: bool = False,
        download: bool = False,
        drop_rate: float = 0.0,
        drop_path_rate: float = 0.0,
    ) -> None:
        super().__init__()
        self.net = create_backbone(name, input_px, drop_rate, drop_path_rate)
        self.spec = describe_backbone(
            self.net, name, family=self.family, input_px=input_px, framing=framing, has_mask=self.has_mask
        )
        start_undecided(self.net)
        self.initial_weights = initial_weights(self.net, name, pretrained=pretrained, download=download)


def backbone_of(detector: nn.Module) -> nn.Module:
    """The timm model in a detector; the detector itself for one that has none."""
    return getattr(detector, "net", detector)


def initial_weights(net: nn.Module, name: str, *, pretrained: bool, download: bool) -> str:
    """Loads ImageNet weights when asked, and says where the weights are from.

    Raises:
        WeightsError: they cannot be had.
    """
    return load_pretrained(net, name, download=download) if pretrained else "random"


def _three(values: object) -> tuple[float, float, float]:
    red, green, blue = values  # type: ignore[misc]
    return float(red), float(green), float(blue)
