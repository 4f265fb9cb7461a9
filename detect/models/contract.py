"""Base classes of detectors: modules that return logits."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

from torch import Tensor, nn

from detect.models.tuning import plain_state
from shared.types import NUM_LANDMARKS, Framing

Reads = Literal["pixels", "landmarks"]
"""What a detector reads of a face: its crop, or where its landmarks are."""


@dataclass(frozen=True)
class DetectorSpec:
    """Input of a detector. Preprocessing is defined by the model, not by its caller.

    Convention:
        input: level "frame": (B, 3, input_px, input_px); level "clip": (B, T, 3, input_px, input_px);
            float in [0, 1] RGB, then (x - mean) / std; for a detector that reads landmarks (B, 68, 2) and (B, T, 68, 2)
            float in pixels of the frame or of a crop, of faces in consecutive frames
        framing: how much of the head the crop shows
        family, name: the registered family, and the model in it; ``build_detector`` builds it again from these,
            ``input_px`` and ``framing``
    """

    name: str
    input_px: int
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    framing: Framing
    level: Literal["frame", "clip"] = "frame"
    frames_per_clip: int = 1
    has_mask: bool = False
    family: str = "frame"
    reads: Reads = "pixels"

    @property
    def face_shape(self) -> tuple[int, ...]:
        """Shape of a face in a batch: (3, S, S), or (68, 2) of landmarks."""
        return (NUM_LANDMARKS, 2) if self.reads == "landmarks" else (3, self.input_px, self.input_px)


@dataclass(frozen=True)
class DetectorOptions:
    """Options of a new detector; a family ignores those it has no use for.

    Attributes:
        name: the model in the family, such as a timm backbone.
        input_px: side of its input; None for the model's default.
        framing: how much of the head its crops show.
        pretrained: start from ImageNet weights instead of random ones.
        download: allow downloading these weights.
        drop_rate: dropout before the logit.
        drop_path_rate: stochastic depth, if the backbone supports it.
    """

    name: str
    input_px: int | None = None
    framing: Framing = "whole"
    pretrained: bool = False
    download: bool = False
    drop_rate: float = 0.0
    drop_path_rate: float = 0.0


class Detection(NamedTuple):
    """Output: ``logit`` (B,), positive for fake; ``mask`` (B, 1, h, w), logits of the forged region, or None."""

    logit: Tensor
    mask: Tensor | None


class Detector(nn.Module):
    """Base of all detectors. A family is built from :class:`DetectorOptions`, sets ``spec`` and implements ``forward``.

    Attributes:
        spec: its input.
        initial_weights: source of its initial weights, for run records and model cards.
    """

    spec: DetectorSpec
    initial_weights: str = "random"

    def forward(self, x: Tensor) -> Detection:
        """A normalised batch (see :class:`DetectorSpec`) -> :class:`Detection`."""
        raise NotImplementedError(f"{type(self).__name__} must implement forward")

    def exported_state(self) -> dict[str, Tensor]:
        """The tensors of ``model.safetensors`` by the names in the exported folder."""
        return plain_state(self)

    def load_exported_state(self, state: Mapping[str, Tensor]) -> None:
        """The inverse of :meth:`exported_state`; strict."""
        self.load_state_dict(state)

    def exported_config(self) -> dict[str, Any]:
        """The entries of ``config.json`` besides ``assay``; empty unless another tool can load the folder."""
        return {}


class TrackDetector(Detector):
    """Base of detectors that score a face over several frames, level "clip".

    In two steps, so that each face is embedded once however many sequences it is in: :meth:`embed_frames` takes single
    faces, :meth:`score_sequences` sequences of their embeddings.
    """

    def embed_frames(self, x: Tensor) -> Tensor:
        """(N, 3, S, S) normalised faces -> (N, K) embeddings."""
        raise NotImplementedError(f"{type(self).__name__} must implement embed_frames")

    def score_sequences(self, embeddings: Tensor) -> Tensor:
        """(B, T, K) embeddings in order of time -> (B,) logits."""
        raise NotImplementedError(f"{type(self).__name__} must implement score_sequences")

    def forward(self, x: Tensor) -> Detection:
        """(B, T, 3, S, S) normalised sequences -> logits (B,), no mask.

        Single faces (B, 3, S, S) are scored as sequences of T equal frames.
        """
        if x.ndim == 4:
            embeddings = self.embed_frames(x).unsqueeze(1).expand(-1, self.spec.frames_per_clip, -1)
        else:
            embeddings = self.embed_frames(x.flatten(0, 1)).reshape(x.shape[0], x.shape[1], -1)
        return Detection(self.score_sequences(embeddings), None)
