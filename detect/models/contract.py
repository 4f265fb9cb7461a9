"""What every detector is: a module that gives logits. Loss, metrics, aggregation and calibration are elsewhere."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple

from torch import Tensor, nn

from shared.types import Framing


@dataclass(frozen=True)
class DetectorSpec:
    """What a detector takes. Preprocessing is data of the model, never of its caller.

    Convention:
        input: level "frame": (B, 3, input_px, input_px); level "clip": (B, T, 3, input_px, input_px);
            float in [0, 1] RGB, then (x - mean) / std
        framing: how much of the head the crop shows
    """

    name: str
    input_px: int
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    framing: Framing
    level: Literal["frame", "clip"] = "frame"
    frames_per_clip: int = 1
    has_mask: bool = False


class Detection(NamedTuple):
    """``logit`` (B,), positive means fake; ``mask`` (B, 1, h, w) logits of the forged region, or None."""

    logit: Tensor
    mask: Tensor | None


class Detector(nn.Module):
    """Base of all detectors. A family sets ``spec`` and implements ``forward(x) -> Detection``."""

    spec: DetectorSpec

    def forward(self, x: Tensor) -> Detection:
        """A normalised batch (see :class:`DetectorSpec`) -> :class:`Detection`."""
        raise NotImplementedError(f"{type(self).__name__} must implement forward")
