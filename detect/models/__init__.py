"""The detector families. Importing this package fills ``detect.models.registry.detectors``."""

from __future__ import annotations

from detect.models import (  # noqa: F401 - each registers its family
    frame,
    frequency,
    fused,
    fused_clips,
    mesonet,
    motion,
    multitask,
    pooled,
    regions,
    temporal,
    upsampling,
)
from detect.models.contract import Detection, Detector, DetectorOptions, DetectorSpec, TrackDetector
from detect.models.registry import detectors
from shared.types import Framing

__all__ = [
    "Detection",
    "Detector",
    "DetectorOptions",
    "DetectorSpec",
    "TrackDetector",
    "build_detector",
    "detectors",
]


def build_detector(
    name: str,
    *,
    family: str = "frame",
    input_px: int | None = None,
    framing: Framing = "whole",
    pretrained: bool = False,
    download: bool = False,
    drop_rate: float = 0.0,
    drop_path_rate: float = 0.0,
) -> Detector:
    """A new detector of the registered ``family``; the other arguments are those of :class:`DetectorOptions`.

    Raises:
        UnknownNameError: no such family or model.
        WeightsError: pretrained weights are not available.
        ConfigError: the model does not take that input size.
    """
    options = DetectorOptions(name, input_px, framing, pretrained, download, drop_rate, drop_path_rate)
    return detectors.get(family)(options)
