"""One logit from one aligned face, by any timm backbone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

from detect.models.backbone import BackboneDetector
from detect.models.contract import Detection
from detect.models.registry import detectors
from detect.models.tuning import plain_state


@detectors.register("frame")
class FrameDetector(BackboneDetector):
    """A timm backbone with its classifier replaced by one logit.

    Size, mean and standard deviation come from timm's data configuration of the backbone.
    """

    family = "frame"

    def forward(self, x: Tensor) -> Detection:
        """(B, 3, S, S) normalised -> logits (B,), no mask."""
        return Detection(self.net(x).squeeze(1), None)

    def exported_state(self) -> dict[str, Tensor]:
        """The backbone's own tensor names, so that plain timm can load them."""
        return plain_state(self.net)

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


def _config_of(net: nn.Module) -> dict[str, Any]:
    config = net.pretrained_cfg
    if not isinstance(config, dict):
        raise TypeError("a timm model carries its configuration as a mapping")
    return config
