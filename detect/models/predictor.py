"""Scores aligned crops: evaluation mode, device, normalisation and batches.

Detectors of sequences give each face of a track the logit of the sequence around it.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from detect.models import Detector, DetectorSpec, TrackDetector
from detect.models.checkpoint import DetectorFacts, load_detector, weights_digest
from detect.models.external.reference import load_external
from detect.models.external.settings import parse_reference
from detect.models.windows import unbroken, windows_of
from shared.device import Device, Precision, pick_device

_CROPS_AT_ONCE_ON_CPU = 8


class CropPredictor:
    """Scores aligned crops; :class:`detect.scoring.video.Predictor` scores videos with it.

    Attributes:
        model: the detector, on its device, in evaluation mode.
        spec: its input.
        facts: the facts in its folder.
        device: device and precision.
        digest: SHA-256 of its weights file; empty for a model that was not saved.
    """

    def __init__(
        self, model: Detector, device: Device, *, facts: DetectorFacts | None = None, digest: str = ""
    ) -> None:
        self.model = model.to(device.torch_device).to(memory_format=torch.channels_last).eval()
        self.device = device
        self.facts = facts or DetectorFacts(model.spec)
        self.digest = digest
        shape = (1, 3, 1, 1)
        self._mean = torch.tensor(model.spec.mean, device=device.torch_device).view(shape) * 255
        self._scale = 1 / (torch.tensor(model.spec.std, device=device.torch_device).view(shape) * 255)

    @classmethod
    def load(cls, path: str | Path, device: str | Device = "auto", *, precision: Precision = "auto") -> CropPredictor:
        """Loads the detector of a run or folder, or the network of a reference (``detect.models.external.reference``).

        Raises:
            CheckpointError: no detector there, or a damaged one.
            ConfigError: an external network's settings are missing or wrong.
            UsageError: no such device; the reference does not exist.
        """
        place = pick_device(device, precision) if isinstance(device, str) else device
        reference = parse_reference(path)
        if reference is not None:
            outside, known, digest = load_external(reference, place)
            return cls(outside, place, facts=known, digest=digest)
        folder = Path(path)
        model, facts = load_detector(folder)
        return cls(model, place, facts=facts, digest=weights_digest(folder))

    @property
    def spec(self) -> DetectorSpec:
        """The detector's input."""
        return self.model.spec

    @property
    def operating_point(self) -> tuple[float, str]:
        """The logit threshold from which a clip is called fake, and what it was chosen on."""
        point = self.facts.operating_point
        return point.logit, point.chosen_on

    def at_once(self, batch: int, frames: int = 1) -> int:
        """Number of items of a ``batch``, of ``frames`` crops each, to run at once.

        Few on a CPU, so that activations stay in its caches: tf_efficientnet_lite0 at 224 px takes 13 ms a face in
            batches
        of 8 and 18 ms in batches of 32, on one core.
        """
        return batch if self.device.kind != "cpu" else min(batch, max(1, _CROPS_AT_ONCE_ON_CPU // frames))

    def prepare(self, crops: np.ndarray) -> Tensor:
        """(N, S, S, 3) uint8 RGB -> (N, 3, S, S) float32 on the device, normalised for the detector.

        Sequences (N, T, S, S, 3) give (N, T, 3, S, S). For a detector that reads landmarks (N, 68, 2) or (N, T, 68, 2)
        float32, which stay as they are.

        Raises:
            ValueError: another size or dtype.
        """
        if self.spec.reads == "landmarks":
            return self._landmarks(crops)
        side = self.spec.input_px
        deep = 5 if self.spec.level == "clip" and crops.ndim == 5 else 4
        if crops.dtype != np.uint8 or crops.ndim != deep or crops.shape[-3:] != (side, side, 3):
            raise ValueError(f"crops must be (n, {side}, {side}, 3) uint8, got {crops.shape} {crops.dtype}")
        # A permuted batch of interleaved pixels is already channels_last, so nothing is copied before the upload.
        batch = torch.from_numpy(np.ascontiguousarray(crops)).movedim(-1, -3)
        return (batch.to(self.device.torch_device, non_blocking=True).float() - self._mean) * self._scale

    def _landmarks(self, faces: np.ndarray) -> Tensor:
        shape = self.spec.face_shape
        if faces.dtype != np.float32 or faces.ndim not in (3, 4) or faces.shape[-2:] != shape:
            raise ValueError(f"landmarks must be (n, {shape[0]}, {shape[1]}) float32, got {faces.shape} {faces.dtype}")
        return torch.tensor(faces).to(self.device.torch_device)

    @torch.inference_mode()
    def logits(
        self, crops: np.ndarray, *, batch: int = 32, region: Callable[[Tensor], None] | None = None
    ) -> np.ndarray:
        """(N, S, S, 3) uint8 RGB crops of the detector's size and framing -> (N,) float32 logits, positive for fake.

        The crops are scored in batches of at most ``batch``; equal crops in equal batches give equal logits. ``region``
        is given the logits (B, 1, h, w) of the forged region, batch by batch, if the detector draws one.

        Raises:
            ValueError: another size or dtype.
        """
        parts = []
        sequences = crops.ndim == 2 + len(self.spec.face_shape)
        batch = self.at_once(batch, crops.shape[1] if sequences else 1)
        for first in range(0, len(crops), batch):
            x = self.prepare(crops[first : first + batch])
            with self.device.autocast():
                found = self.model(x)
            parts.append(found.logit.float())
            if region is not None and found.mask is not None:
                region(found.mask)
        return torch.cat(parts).cpu().numpy() if parts else np.empty(0, np.float32)

    def embed_frames(
        self, crops: np.ndarray, *, batch: int = 32, region: Callable[[Tensor], None] | None = None
    ) -> np.ndarray:
        """(N, S, S, 3) uint8 RGB crops -> (N, ...) embeddings of single faces, for :meth:`track_logits`.

        ``region`` as for :meth:`logits`; detectors of sequences draw none.

        Raises:
            ValueError: another size or dtype.
        """
        if self.spec.level == "frame":
            return self.logits(crops, batch=batch, region=region)[:, None]
        if not isinstance(self.model, TrackDetector):
            return crops
        parts = []
        with torch.inference_mode(), self.device.autocast():
            for first in range(0, len(crops), batch):
                parts.append(self.model.embed_frames(self.prepare(crops[first : first + batch])).float().cpu().numpy())
        return np.concatenate(parts) if parts else np.empty((0, 1), np.float32)

    def track_logits(
        self, embeddings: np.ndarray, tracks: np.ndarray, frames: np.ndarray, *, batch: int = 32
    ) -> np.ndarray:
        """(N, ...) embeddings of a clip's faces in order of time, tracks and frames (N,) -> (N,) float32 logits.

        A detector of level "frame" scores single faces, one of level "clip" the ``frames_per_clip`` faces of the track
        around each, one that reads landmarks only those between two gaps. A face without a track (below 0) is scored as
        a sequence of equal frames.
        """
        if self.spec.level == "frame":
            return embeddings[:, 0]
        if self.spec.reads == "landmarks":  # a face that was missed for a while would seem to jump
            tracks = unbroken(tracks, frames)
        rows = windows_of(tracks, self.spec.frames_per_clip)
        if not len(rows):
            return np.empty(0, np.float32)
        different, which = np.unique(rows, axis=0, return_inverse=True)
        cuts = [different[first : first + batch] for first in range(0, len(different), batch)]
        return np.concatenate([self._sequence_logits(embeddings[cut], batch) for cut in cuts])[which.ravel()]

    def face_logits(self, crops: np.ndarray, tracks: np.ndarray, frames: np.ndarray, *, batch: int = 32) -> np.ndarray:
        """(N, S, S, 3) uint8 RGB crops of a clip in order of time, tracks and frames (N,) -> (N,) float32 logits.

        Raises:
            ValueError: another size or dtype.
        """
        return self.track_logits(self.embed_frames(crops, batch=batch), tracks, frames, batch=batch)

    @torch.inference_mode()
    def _sequence_logits(self, sequences: np.ndarray, batch: int) -> np.ndarray:
        if not isinstance(self.model, TrackDetector):
            return self.logits(sequences, batch=batch)
        embedded = torch.from_numpy(sequences).to(self.device.torch_device)
        return self.model.score_sequences(embedded).float().cpu().numpy()
