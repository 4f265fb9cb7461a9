"""Settings of scoring and evaluating detectors. All defaults are defined here. Imports no torch."""

from __future__ import annotations

import math
import os
from dataclasses import dataclass, field
from typing import Literal, get_args

from shared.bootstrap import ClusterBy
from shared.config import need
from shared.types import SPLITS, Split

Precision = Literal["auto", "float32", "bfloat16"]
Protocol = Literal["in-set", "cross-set", "leave-manipulation-out", "leave-identity-out", "cross-rendition"]
Aggregation = Literal["mean", "median", "max-face", "top-k", "trimmed", "max-track", "confident", "learned", "auto"]


def default_workers() -> int:
    """Number of threads that read faces: as many as cores, 2 to 8."""
    return max(2, min(8, os.cpu_count() or 2))


@dataclass(frozen=True)
class LearnedAggregate:
    """A fitted "learned" aggregation: the clip's logit is ``bias + sum(weights x statistics)``, weights at least 0.

    The statistics are those of ``detect.scoring.aggregate.STATISTICS``, in that order.
    """

    weights: tuple[float, ...]
    bias: float

    def __post_init__(self) -> None:
        need(all(0 <= weight < math.inf for weight in self.weights), "weights of a learned aggregation are >= 0")
        need(math.isfinite(self.bias), f"the bias of a learned aggregation must be finite, got {self.bias}")


@dataclass(frozen=True)
class AggregateConfig:
    """Aggregation of the logits of a clip's faces; see ``detect.scoring.aggregate`` for the methods.

    When training ends, "learned" is fitted on the validation clips and "auto" is replaced by the method that is best on
    them; the detector stores the result.
    """

    method: Aggregation = "max-face"
    top_share: float = 0.25
    """"top-k": share of the face scores, the highest ones, that is averaged."""
    trim_share: float = 0.1
    """"trimmed": share of the face scores dropped at each end."""
    min_track_share: float = 0.1
    """"max-track": tracks with less than this share of the longest track's frames are ignored."""
    learned: LearnedAggregate | None = None
    """"learned": the fit, set by training."""

    def __post_init__(self) -> None:
        need(0 < self.top_share <= 1, f"top_share must lie in (0, 1], got {self.top_share}")
        need(0 <= self.trim_share < 0.5, f"trim_share must lie in [0, 0.5), got {self.trim_share}")
        need(0 <= self.min_track_share <= 1, f"min_track_share must lie in [0, 1], got {self.min_track_share}")


@dataclass(frozen=True)
class FaceConfig:
    """Choice of the faces of a clip."""

    finder: str = "auto"
    """Name of the face finder."""
    min_face_px: float = 32.0
    """Faces with a narrower box are too small to score; they are skipped and counted."""
    max_faces: int = 8
    """Maximum number of faces in a frame, the largest ones."""

    def __post_init__(self) -> None:
        need(self.min_face_px >= 1, f"min_face_px must be at least 1, got {self.min_face_px}")
        need(1 <= self.max_faces <= 64, f"max_faces must lie between 1 and 64, got {self.max_faces}")


@dataclass(frozen=True)
class ScoreConfig:
    """Settings of scoring one video."""

    every: int = 5
    """Score every n-th frame. Others are decoded and counted, but not searched for faces. A detector that reads
    landmarks takes every frame, at high frame rates those nearest to 25 a second."""
    batch: int = 16
    """Number of crops scored at once."""
    faces: FaceConfig | None = None
    """Choice of faces; default as in the detector's training."""
    aggregate: AggregateConfig | None = None
    """How the clip's score is made; as in the detector's training when left out."""

    def __post_init__(self) -> None:
        need(self.every >= 1, f"every must be at least 1, got {self.every}", "1 scores every frame")
        need(1 <= self.batch <= 1024, f"batch must lie between 1 and 1024, got {self.batch}")


@dataclass(frozen=True)
class EvaluateConfig:
    """Settings of evaluating a detector on a dataset."""

    split: Split | Literal["all"] = "test"
    """"all" uses every clip, for a set that the detector was not trained on."""
    protocol: Protocol = "in-set"
    """What must be new to the detector; see ``detect.data.protocols``."""
    only: tuple[str, ...] = ()
    """"KEY=NAME": the subset of clips to use, by manipulation, rendition, identity, group, codec or factor."""
    mask_threshold: float | None = None
    """Probability from which a pixel of the region counts as forged; default chosen on the detector's val clips."""
    frames_per_clip: int = 32
    """Number of frames of each clip, evenly spaced."""
    threshold: float | None = None
    """Score from which a clip is called fake, for accuracy; default the detector's threshold."""
    bins: int = 15
    """Number of equal-mass bins of the calibration error."""
    replicates: int = 1000
    """Number of bootstrap replicates."""
    cluster_by: ClusterBy = "group"
    """"group": clips connected by any identity are one cluster; "target": clips of one filmed person are."""
    seed: int = 0
    device: str = "auto"
    precision: Precision = "auto"
    batch: int = 32
    finder: str | None = None
    """Name of the face finder; default the one that the detector was trained with."""
    aggregate: AggregateConfig | None = None
    """Aggregation of a clip's face scores; default the detector's own."""
    workers: int = field(default_factory=default_workers)
    """Number of threads; half as many clips are searched for faces at once."""

    def __post_init__(self) -> None:
        need(self.split in (*SPLITS, "all"), f"no split is named {self.split!r}", "train, val, test or all")
        need(
            self.threshold is None or 0 < self.threshold < 1,
            f"threshold is a score between 0 and 1, got {self.threshold}",
        )
        need(
            self.protocol in get_args(Protocol),
            f"no protocol is named {self.protocol!r}",
            ", ".join(get_args(Protocol)),
        )
        need(
            self.mask_threshold is None or 0 < self.mask_threshold < 1,
            f"mask_threshold is a probability between 0 and 1, got {self.mask_threshold}",
        )
        for name in ("frames_per_clip", "bins", "replicates", "batch"):
            need(getattr(self, name) >= 1, f"{name} must be at least 1, got {getattr(self, name)}")


@dataclass(frozen=True)
class AggregationCandidate:
    """Result of one aggregation on the validation clips."""

    method: Aggregation
    auc: float | None
    log_loss: float


@dataclass(frozen=True)
class AggregationChoice:
    """How a detector's aggregation was chosen.

    Attributes:
        chosen_by: description for the model card.
        candidates: the best first; empty if there was no choice.
    """

    chosen_by: str = "the settings"
    candidates: tuple[AggregationCandidate, ...] = ()

    def table(self) -> str:
        """The candidates as a Markdown table, one row each; empty without any."""
        if not self.candidates:
            return ""
        rows = [
            f"| {c.method} | {'none' if c.auc is None else f'{c.auc:.4f}'} | {c.log_loss:.4f} |"
            for c in self.candidates
        ]
        return "\n".join(["| aggregation | clip AUC | log loss |", "|---|---|---|", *rows]) + "\n"
