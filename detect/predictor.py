"""Crops in, logits out: the one place that puts a detector into evaluation, moves it, normalises and batches."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from detect.export import DetectorFacts, load_detector, weights_digest
from detect.external import load_external, parse_reference
from detect.models import Detector, DetectorSpec
from shared.device import Device, Precision, pick_device


class Predictor:
    """Judges aligned crops with a frame detector.

    Attributes:
        model: the detector, on its device, in evaluation mode.
        spec: what it takes.
        facts: what its folder says of it.
        device: where it runs, and in which precision.
        digest: SHA-256 of its weight file; empty for a model that was never written.
    """

    def __init__(
        self, model: Detector, device: Device, *, facts: DetectorFacts | None = None, digest: str = ""
    ) -> None:
        if model.spec.level != "frame":
            raise ValueError(f"{model.spec.name} judges clips, this predictor frames")
        self.model = model.to(device.torch_device).to(memory_format=torch.channels_last).eval()
        self.device = device
        self.facts = facts or DetectorFacts(model.spec)
        self.digest = digest
        shape = (1, 3, 1, 1)
        self._mean = torch.tensor(model.spec.mean, device=device.torch_device).view(shape) * 255
        self._scale = 1 / (torch.tensor(model.spec.std, device=device.torch_device).view(shape) * 255)

    @classmethod
    def load(cls, path: Path, device: str | Device = "auto", *, precision: Precision = "auto") -> Predictor:
        """The detector of a run or detector folder, or the network that a reference names (``detect.external``).

        Raises:
            CheckpointError: no detector there, or a damaged one.
            ConfigError: an external network's settings are missing or wrong.
            UsageError: no such device; the reference leads nowhere.
        """
        place = pick_device(device, precision) if isinstance(device, str) else device
        reference = parse_reference(path)
        if reference is not None:
            outside, known, digest = load_external(reference, place)
            return cls(outside, place, facts=known, digest=digest)
        model, facts = load_detector(path)
        return cls(model, place, facts=facts, digest=weights_digest(path))

    @property
    def spec(self) -> DetectorSpec:
        """What the detector takes."""
        return self.model.spec

    @property
    def operating_point(self) -> tuple[float, str]:
        """The logit from which a clip is called fake, and what that was chosen on."""
        point = self.facts.operating_point
        return point.logit, point.chosen_on

    def prepare(self, crops: np.ndarray) -> Tensor:
        """(N, S, S, 3) uint8 RGB -> (N, 3, S, S) float32 on the device, normalised as the detector wants it.

        Raises:
            ValueError: another size or dtype.
        """
        side = self.spec.input_px
        if crops.dtype != np.uint8 or crops.shape[1:] != (side, side, 3):
            raise ValueError(f"crops must be (n, {side}, {side}, 3) uint8, got {crops.shape} {crops.dtype}")
        # permuting a batch of interleaved pixels is channels_last already: nothing is copied before the upload.
        batch = torch.from_numpy(np.ascontiguousarray(crops)).permute(0, 3, 1, 2)
        return (batch.to(self.device.torch_device, non_blocking=True).float() - self._mean) * self._scale

    @torch.inference_mode()
    def logits(self, crops: np.ndarray, *, batch: int = 32) -> np.ndarray:
        """(N, S, S, 3) uint8 RGB crops of the detector's size and framing -> (N,) float32 logits, positive for fake.

        The crops are cut into batches of ``batch``; equal crops in equal batches give equal logits.

        Raises:
            ValueError: another size or dtype.
        """
        parts = []
        for first in range(0, len(crops), batch):
            x = self.prepare(crops[first : first + batch])
            with self.device.autocast():
                parts.append(self.model(x).logit.float())
        return torch.cat(parts).cpu().numpy() if parts else np.empty(0, np.float32)
