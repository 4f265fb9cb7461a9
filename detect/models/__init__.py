"""The detector families. Importing this package fills ``detect.models.registry.detectors``."""

from __future__ import annotations

from detect.models import frame, frequency, mesonet, multitask, temporal
from detect.models.contract import Detection, Detector, DetectorSpec, TrackDetector
from detect.models.registry import detectors
from shared.types import Framing

__all__ = [
    "Detection",
    "Detector",
    "DetectorSpec",
    "TrackDetector",
    "build_detector",
    "detectors",
    "frame",
    "frequency",
    "mesonet",
    "multitask",
    "temporal",
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
    """A new detector.

    Args:
        name: the model within the family, such as a timm backbone.
        family: registered family.
        input_px: side of its input; None for the model's own.
        framing: how much of the head its crops show.
        pretrained: start from ImageNet weights instead of random ones.
        download: allow fetching those weights over the network.
        drop_rate: dropout before the logit.
        drop_path_rate: stochastic depth, where the backbone has it.

    Raises:
        UnknownNameError: no such family or model.
        WeightsError: pretrained weights are asked for and cannot be had.
        ConfigError: the model does not take that input size.
    """
    factory = detectors.get(family)
    return factory(
        name=name,
        input_px=input_px,
        framing=framing,
        pretrained=pretrained,
        download=download,
        drop_rate=drop_rate,
        drop_path_rate=drop_path_rate,
    )
