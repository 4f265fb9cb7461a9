"""timm backbones of detectors, built for one logit near 0 at the start."""

from __future__ import annotations

from typing import Any

import timm
from timm.data.config import resolve_model_data_config
from torch import nn

from detect.models.contract import Detector, DetectorOptions, DetectorSpec
from detect.models.tuning import classifier_of
from shared.errors import ConfigError, UnknownNameError
from shared.registry import near_matches
from shared.weights.imagenet import load_pretrained

_PX_RANGE = (32, 1024)
_HEAD_STD = 0.01


def model_names(text: str = "") -> list[str]:
    """Names of timm backbones that contain ``text``, sorted."""
    return sorted(timm.list_models(f"*{text}*" if text else ""))


class BackboneDetector(Detector):
    """Base of families on a timm backbone: ``net``, built for one logit, random or with ImageNet weights.

    Size, mean and standard deviation in ``spec`` come from timm's data configuration of the backbone.

    Raises:
        UnknownNameError: timm has no such model.
        WeightsError: pretrained weights are not available.
        ConfigError: the model does not take that input size.
    """

    family = ""
    has_mask = False

    def __init__(self, options: DetectorOptions) -> None:
        super().__init__()
        self.net = _create(options)
        data = resolve_model_data_config(self.net)
        self.spec = DetectorSpec(
            name=options.name,
            input_px=options.input_px or int(data["input_size"][-1]),
            mean=_three(data["mean"]),
            std=_three(data["std"]),
            framing=options.framing,
            family=self.family,
            has_mask=self.has_mask,
        )
        start_undecided(classifier_of(self.net))
        if options.pretrained:
            self.initial_weights = load_pretrained(self.net, options.name, download=options.download)


def backbone_of(detector: nn.Module) -> nn.Module:
    """The timm model in a detector; the detector itself if it has none."""
    return getattr(detector, "net", detector)


def _create(options: DetectorOptions) -> nn.Module:
    """The timm model with one logit, untrained."""
    name, input_px = options.name, options.input_px
    _check_known(name)
    low, high = _PX_RANGE
    if input_px is not None and not low <= input_px <= high:
        raise ConfigError(f"input_px must lie between {low} and {high}, got {input_px}", hint="224 is usual")
    settings: dict[str, Any] = {"num_classes": 1, "drop_rate": options.drop_rate}
    if options.drop_path_rate:
        settings["drop_path_rate"] = options.drop_path_rate
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


def start_undecided(head: nn.Module) -> None:
    """Initialises the layers of ``head`` with small weights and no bias, so that the first logits are near 0.

    timm's initialisation, scaled by the number of outputs, gives logits of ten and more with one output.
    """
    for module in head.modules():
        if isinstance(module, nn.Linear | nn.Conv2d):
            nn.init.normal_(module.weight, std=_HEAD_STD)
            if module.bias is not None:
                nn.init.zeros_(module.bias)


def _check_known(name: str) -> None:
    tagged = "." in name
    if name not in (timm.list_pretrained() if tagged else timm.list_models()):
        raise unknown_model(name, timm.list_models() + (timm.list_pretrained() if tagged else []))


def unknown_model(name: str, known: list[str]) -> UnknownNameError:
    """The error for a name that timm does not know, with the nearest of those it does."""
    hint = near_matches(name, known, listed_by="assay detect models")
    return UnknownNameError(f"timm has no model {name!r}", hint=hint)


def _three(values: object) -> tuple[float, float, float]:
    red, green, blue = values  # type: ignore[misc]
    return float(red), float(green), float(blue)
