"""One logit from one aligned face, by any timm backbone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import timm
from timm.data.config import resolve_model_data_config
from torch import Tensor, nn

from detect.models.contract import Detection, Detector, DetectorSpec
from detect.models.pretrained import load_pretrained
from detect.registry import detectors
from shared.errors import ConfigError, UnknownNameError
from shared.registry import near_matches
from shared.types import Framing

_PX_RANGE = (32, 1024)
_HEAD_STD = 0.01


@detectors.register("frame")
class FrameDetector(Detector):
    """A timm backbone with its classifier replaced by one logit.

    Size, mean and standard deviation come from timm's data configuration of the backbone.
    """

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
        self.net = _create(name, input_px, drop_rate, drop_path_rate)
        data = resolve_model_data_config(self.net)
        self.spec = DetectorSpec(
            name=name,
            input_px=input_px or int(data["input_size"][-1]),
            mean=_three(data["mean"]),
            std=_three(data["std"]),
            framing=framing,
        )
        _start_undecided(self.net)
        if pretrained:
            self.initial_weights = load_pretrained(self.net, name, download=download)

    def forward(self, x: Tensor) -> Detection:
        """(B, 3, S, S) normalised -> logits (B,), no mask."""
        return Detection(self.net(x).squeeze(1), None)

    def exported_state(self) -> dict[str, Tensor]:
        """The backbone's own tensor names, so that plain timm can load them."""
        return self.net.state_dict()

    def load_exported_state(self, state: Mapping[str, Tensor]) -> None:
        """The inverse of :meth:`exported_state`."""
        self.net.load_state_dict(state)

    def exported_config(self) -> dict[str, Any]:
        """A ``local-dir:`` description: ``timm.create_model("local-dir:FOLDER", pretrained=True)`` loads it."""
        known = _config_of(self.net)
        side = self.spec.input_px
        return {
            "architecture": known["architecture"],
            "num_classes": 1,
            "num_features": getattr(self.net, "num_features", None),
            "label_names": ["fake"],
            "model_args": {"img_size": side} if known.get("fixed_input_size") else {},
            "pretrained_cfg": {
                "tag": "assay",
                "custom_load": False,
                "input_size": [3, side, side],
                "fixed_input_size": bool(known.get("fixed_input_size")),
                "interpolation": "bilinear",
                "crop_pct": 1.0,
                "crop_mode": "center",
                "mean": list(self.spec.mean),
                "std": list(self.spec.std),
                "num_classes": 1,
                "pool_size": None,
                "first_conv": known.get("first_conv"),
                "classifier": known.get("classifier"),
            },
        }


def model_names(text: str = "") -> list[str]:
    """Names of timm backbones that contain ``text``, sorted."""
    return sorted(timm.list_models(f"*{text}*" if text else ""))


def _create(name: str, input_px: int | None, drop_rate: float, drop_path_rate: float) -> nn.Module:
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


def _start_undecided(net: nn.Module) -> None:
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


def _config_of(net: nn.Module) -> dict[str, Any]:
    config = net.pretrained_cfg
    if not isinstance(config, dict):
        raise TypeError("a timm model carries its configuration as a mapping")
    return config


def _three(values: object) -> tuple[float, float, float]:
    red, green, blue = values  # type: ignore[misc]
    return float(red), float(green), float(blue)
