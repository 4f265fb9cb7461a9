"""What every detector is: a module that gives logits. Loss, metrics, aggregation and calibration are elsewhere."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

from torch import Tensor, nn

from detect.models.tuning import plain_state
from shared.types import Framing


@dataclass(frozen=True)
class DetectorSpec:
    """What a detector takes. Preprocessing is data of the model, never of its caller.

    Convention:
        input: level "frame": (B, 3, input_px, input_px); level "clip": (B, T, 3, input_px, input_px);
            float in [0, 1] RGB, then (x - mean) / std
        framing: how much of the head the crop shows
        family, name: the registered family, and which of its models; ``build_detector`` with these, ``input_px``
            and ``framing`` builds it again
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


@dataclass(frozen=True)
class DetectorOptions:
    """What a new detector is built from; each family takes what it has a use for.

    Attributes:
        name: the model within the family, such as a timm backbone.
        input_px: side of its input; None for the model's own.
        framing: how much of the head its crops show.
        pretrained: start from ImageNet weights instead of random ones.
        download: allow fetching those weights over the network.
        drop_rate: dropout before the logit.
        drop_path_rate: stochastic depth, where the backbone has it.
    """

    name: str
    input_px: int | None = None
    framing: Framing = "whole"
    pretrained: bool = False
    download: bool = False
    drop_rate: float = 0.0
    drop_path_rate: float = 0.0


class Detection(NamedTuple):
    """``logit`` (B,), positive means fake; ``mask`` (B, 1, h, w) logits of the forged region, or None."""

    logit: Tensor
    mask: Tensor | None


class Detector(nn.Module):
    """Base of all detectors. A family is built from :class:`DetectorOptions`, sets ``spec`` and implements ``forward``.

    Attributes:
        spec: what it takes.
        initial_weights: where the weights it started from came from, for run records and model cards.
    """

    spec: DetectorSpec
    initial_weights: str = "random"

    def forward(self, x: Tensor) -> Detection:
        """A normalised batch (see :class:`DetectorSpec`) -> :class:`Detection`."""
        raise NotImplementedError(f"{type(self).__name__} must implement forward")

    def exported_state(self) -> dict[str, Tensor]:
        """The tensors of ``model.safetensors``, under the names a reader of the exported folder expects."""
        return plain_state(self)

    def load_exported_state(self, state: Mapping[str, Tensor]) -> None:
        """The inverse of :meth:`exported_state`; strict."""
        self.load_state_dict(state)

    def exported_config(self) -> dict[str, Any]:
        """What ``config.json`` holds beside Assay's own entry; empty unless another tool can load the folder."""
        return {}


class TrackDetector(Detector):
    """Base of detectors that judge a face over several frames, level "clip".

    The work is in two steps, so that a frame that lies in many sequences is looked at once: :meth:`embed_frames` sees
    single faces, :meth:`score_sequences` sequences of their embeddings.
    """

    def embed_frames(self, x: Tensor) -> Tensor:
        """(N, 3, S, S) normalised faces -> (N, K) what is to be known of each."""
        raise NotImplementedError(f"{type(self).__name__} must implement embed_frames")

    def score_sequences(self, seen: Tensor) -> Tensor:
        """(B, T, K) observations of a face in order of time -> (B,) logits."""
        raise NotImplementedError(f"{type(self).__name__} must implement score_sequences")

    def forward(self, x: Tensor) -> Detection:
        """(B, T, 3, S, S) normalised sequences -> logits (B,), no mask.

        Single faces (B, 3, S, S) are judged as sequences in which nothing changes.
        """
        if x.ndim == 4:
            seen = self.embed_frames(x).unsqueeze(1).expand(-1, self.spec.frames_per_clip, -1)
        else:
            seen = self.embed_frames(x.flatten(0, 1)).reshape(x.shape[0], x.shape[1], -1)
        return Detection(self.score_sequences(seen), None)
