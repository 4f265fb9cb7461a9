"""Grad-CAM heat maps of a detector's logit, for any backbone with a spatial feature map.

Source: Selvaraju et al., "Grad-CAM: Visual Explanations from Deep Networks via Gradient-based Localization", 2017;
layer-wise sums after Draelos and Carin, "HiResCAM", 2020, as implemented by the ``grad-cam`` package.
"""

from __future__ import annotations

import cv2
import numpy as np
import torch
from pytorch_grad_cam import HiResCAM
from torch import Tensor, nn

from detect.models.backbone import backbone_of
from detect.models.contract import Detection, Detector

_LEAST_SIDE = 4


class _LogitColumn(nn.Module):
    """The detector's logit as (B, 1), the form that the heat-map library reads."""

    def __init__(self, detector: Detector) -> None:
        super().__init__()
        self.detector = detector

    def forward(self, x: Tensor) -> Tensor:
        """(B, 3, S, S) normalised crops -> (B, 1) logits."""
        detection: Detection = self.detector(x)
        return detection.logit.float().unsqueeze(1)


class _RawLogit(nn.Module):
    """The target of the explanation: the logit, for every picture of the batch."""

    def forward(self, output: Tensor) -> Tensor:
        """(1,) output of one picture -> itself."""
        return output


def last_map_layer(detector: Detector, px: int) -> nn.Module | None:
    """The deepest module whose output is a map of at least 4 x 4, or None for a backbone without one."""
    parameter = next(detector.parameters(), None)
    # Run by another runtime, without gradients; or it reads no picture.
    if parameter is None or detector.spec.reads == "landmarks":
        return None
    found: list[nn.Module] = []

    def note(module: nn.Module, _inputs: object, output: object) -> None:
        if isinstance(output, Tensor) and output.ndim == 4 and min(output.shape[-2:]) >= _LEAST_SIDE:
            found.append(module)

    parts = backbone_of(detector).named_modules()
    leaves = [leaf for name, leaf in parts if not list(leaf.children()) and "attn" not in name]  # those are no pictures
    handles = [leaf.register_forward_hook(note) for leaf in leaves]
    try:
        with torch.inference_mode():
            detector(torch.zeros(1, 3, px, px, device=parameter.device))
    finally:
        for handle in handles:
            handle.remove()
    return found[-1] if found else None


def heat_maps(detector: Detector, batch: Tensor) -> np.ndarray | None:
    """(B, 3, S, S) normalised crops -> (B, S, S) float32 in [0, 1], or None when the backbone has no map.

    Each map is scaled to its own maximum: maps of two faces cannot be compared in strength.
    """
    layer = last_map_layer(detector, batch.shape[-1])
    if layer is None:
        return None
    targets: list[nn.Module] = [_RawLogit() for _ in batch]
    was_training = detector.training
    detector.eval()
    try:
        with HiResCAM(model=_LogitColumn(detector), target_layers=[layer]) as cam:
            maps = cam(input_tensor=batch.float(), targets=targets)
    finally:
        detector.train(was_training)
    return np.asarray(maps, dtype=np.float32)


def overlay(crop: np.ndarray, heat: np.ndarray) -> np.ndarray:
    """``crop`` (S, S, 3) uint8 RGB under ``heat`` (S', S') in [0, 1], as uint8 RGB: warmer means more influence."""
    side = crop.shape[0]
    sized = cv2.resize(np.clip(heat, 0, 1), (side, side), interpolation=cv2.INTER_CUBIC)
    weight = np.clip(sized, 0, 1)[..., None]
    colour = cv2.cvtColor(
        cv2.applyColorMap((weight[..., 0] * 255).astype(np.uint8), cv2.COLORMAP_INFERNO), cv2.COLOR_BGR2RGB
    )
    grey = cv2.cvtColor(cv2.cvtColor(crop, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
    mixed = grey * (1 - 0.65 * weight) + colour * 0.65 * weight
    return np.clip(mixed, 0, 255).astype(np.uint8)
