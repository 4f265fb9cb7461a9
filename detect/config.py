"""Settings of training, scoring and evaluating detectors. All defaults are defined here. Imports no torch."""

from __future__ import annotations

import math
import os
from dataclasses import dataclass, field
from typing import Literal, get_args

from shared.bootstrap import ClusterBy
from shared.config import need
from shared.errors import ConfigError
from shared.faces.pastes.presets import preset_named
from shared.types import SPLITS, Framing, Split

Precision = Literal["auto", "float32", "bfloat16"]
Tuning = Literal["full", "norm", "low-rank", "probe"]
Optimizer = Literal["adamw", "sgd", "sam"]
Protocol = Literal["in-set", "cross-set", "leave-manipulation-out", "leave-identity-out", "cross-rendition"]
SelfSwaps = Literal["fake", "leave-out"]
Aggregation = Literal["mean", "median", "max-face", "top-k", "trimmed", "max-track", "confident", "learned", "auto"]


def _default_workers() -> int:
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
    """Score every n-th frame. Others are decoded and counted, but not searched for faces."""
    batch: int = 16
    """Number of crops scored at once."""
    faces: FaceConfig | None = None
    """Choice of faces; default as in the detector's training."""
    aggregate: AggregateConfig | None = None
    """How the clip's score is made; as in the detector's training when left out."""

    def __post_init__(self) -> None:
        need(self.every >= 1, f"every must be at least 1, got {self.every}", "1 scores every frame")
        need(1 <= self.batch <= 1024, f"batch must lie between 1 and 1024, got {self.batch}")


_STRENGTHS = ("brightness", "contrast", "saturation", "blur_sigma_px", "noise_levels")


@dataclass(frozen=True)
class AugmentConfig:
    """Augmentation of training crops, real and fake. ``p_`` is a probability, the others are maximum strengths."""

    p_flip: float = 0.5
    p_affine: float = 0.8
    rotate_degrees: float = 5.0
    scale: float = 0.06
    shift: float = 0.03
    p_color: float = 0.5
    brightness: float = 0.15
    contrast: float = 0.15
    saturation: float = 0.2
    hue_degrees: float = 6.0
    p_blur: float = 0.1
    blur_sigma_px: float = 1.5
    p_downscale: float = 0.2
    downscale: float = 3.0
    p_noise: float = 0.15
    noise_levels: float = 6.0
    p_jpeg: float = 0.25
    jpeg_quality: tuple[int, int] = (40, 98)
    p_video: float = 0.35
    """Probability of H.264 compression; a crop gets at most one of JPEG, H.264 and a re-upload."""
    video_crf: tuple[int, int] = (18, 40)
    p_reupload: float = 0.1
    """Probability of a re-upload: encoding, resizing and encoding again."""

    def __post_init__(self) -> None:
        for name in (name for name in self.__dataclass_fields__ if name.startswith("p_")):
            need(0 <= getattr(self, name) <= 1, f"{name} is a probability, got {getattr(self, name)}")
        need(
            self.p_jpeg + self.p_video + self.p_reupload <= 1,
            "p_jpeg, p_video and p_reupload are of things that exclude each other: their sum is at most 1",
        )
        low, high = self.jpeg_quality
        need(1 <= low <= high <= 100, f"jpeg_quality must ascend within 1 to 100, got {self.jpeg_quality}")
        low, high = self.video_crf
        need(0 <= low <= high <= 51, f"video_crf must ascend within 0 to 51, got {self.video_crf}")
        need(self.downscale >= 1, f"downscale is a factor of at least 1, got {self.downscale}")
        for name in (*_STRENGTHS, "rotate_degrees", "hue_degrees"):
            value = getattr(self, name)
            need(0 <= value <= 360, f"{name} is a strength of 0 to 360, got {value}")
        need(0 <= self.scale < 0.5 and 0 <= self.shift < 0.5, "scale and shift must lie in [0, 0.5)")


@dataclass(frozen=True)
class MixConfig:
    """Sources of the pairs of a fake and a real face in a batch; see ``detect.data.pairs``."""

    forged: float = 1.0
    """Share of pairs from the dataset's own fakes."""
    blended: float = 0.0
    """Share of pairs made by blending a real face with a changed copy of itself."""
    paired: float = 0.5
    """Share of the forged faces that are paired with a real face of the same person, if possible of the same frame."""
    twins: float = 0.5
    """Share of the blended pairs that use a twin (a copy by a swapper's decoder), if the face has one."""
    real_faces: tuple[str, ...] = ()
    """Facesets of real people to blend, in addition to the train split's real clips."""
    twin_faces: tuple[str, ...] = ()
    """Facesets of twins (assay forge redraw) of these real faces."""
    video_share: float | None = None
    """Share of blended faces that come from the real clips and not from ``real_faces``; default by their numbers."""

    def __post_init__(self) -> None:
        for name in ("forged", "blended"):
            need(0 <= getattr(self, name) <= 1000, f"{name} is a share, got {getattr(self, name)}")
        need(self.forged + self.blended > 0, "neither forged nor blended pairs are asked for", "give one a share")
        for name in ("paired", "twins"):
            need(0 <= getattr(self, name) <= 1, f"{name} must lie in [0, 1], got {getattr(self, name)}")
        need(
            self.video_share is None or 0 <= self.video_share <= 1,
            f"video_share must lie in [0, 1], got {self.video_share}",
        )


@dataclass(frozen=True)
class SelfBlendConfig:
    """Strengths of self-blending, each as a share of the crop's side or of the value range."""

    rgb_shift: float = 20 / 255
    """Maximum shift of each channel, with probability 0.3."""
    hue_shift: float = 0.03
    """Maximum rotation of hue."""
    saturation: float = 0.3
    """Maximum relative change of saturation."""
    brightness: float = 0.1
    """Maximum shift of brightness."""
    contrast: float = 0.1
    """Maximum relative change of contrast."""
    shift_x: float = 0.03
    """Maximum horizontal shift of the blended copy."""
    shift_y: float = 0.015
    """Maximum vertical shift."""
    zoom: float = 0.05
    """Maximum relative change of its size."""
    elastic: float = 0.028
    """Strength of the mask's elastic deformation, a standard deviation (50 x a field smoothed by 7 px at 256 px)."""
    ratios: tuple[float, ...] = (0.25, 0.5, 0.75, 1.0, 1.0, 1.0)
    """Blend strengths to sample from."""
    pastes: tuple[str, ...] = ()
    """Presets of pasting ("box", "ellipse:reactor", see ``assay forge pastes``). Each blend takes square, warps, mask
    and rounding of a random one, drawn from its ranges, in place of the method's own mask. Empty for none."""

    def __post_init__(self) -> None:
        for name in self.pastes:
            preset_named(name)
        if not self.ratios or not all(0 < ratio <= 1 for ratio in self.ratios):
            raise ConfigError(f"blend ratios lie in (0, 1], got {self.ratios}")


@dataclass(frozen=True)
class TrainConfig:
    """Settings of training. The step that is kept is chosen on the val split only."""

    model: str = "tf_efficientnet_lite0"
    """Model in the family; for "frame" any timm backbone."""
    family: str = "frame"
    pretrained: bool = True
    """Start from ImageNet weights."""
    download: bool = False
    """Allow downloading these weights."""
    input_px: int | None = None
    """Side of the crops; default the model's."""
    framing: Framing = "whole"
    tuning: Tuning = "full"
    """The trained weights of the backbone: all, its norms, a low-rank residual of its attention, or the head only."""
    tuning_rank: int = 1
    """"low-rank": number of directions of each attention weight."""
    drop_rate: float = 0.2
    drop_path_rate: float = 0.0
    frames_per_clip: int = 32
    """Number of frames of each clip, evenly spaced."""
    steps: int = 1500
    batch: int = 32
    """Number of crops in a step, over all processes; half of them are fake."""
    optimizer: Optimizer = "adamw"
    """"sgd" has momentum 0.9 and Nesterov's step; "sam" is sharpness-aware minimisation with it (two passes a step)."""
    sam_rho: float = 0.05
    """"sam": radius of the neighbourhood in which the loss is maximised."""
    lr: float = 3e-4
    """Peak learning rate: about 3e-4 for "adamw", 1e-3 to 1e-2 for "sgd" and "sam"."""
    weight_decay: float = 0.02
    warmup_steps: int = 100
    clip_norm: float = 1.0
    label_smoothing: float = 0.0
    mixup: float = 0.0
    """Alpha of mixup's Beta distribution; 0 is off. Mixup blurs traces of forgery."""
    mask_weight: float = 1.0
    """Weight of the loss of the forged region, for detectors with a mask output."""
    ema_decay: float = 0.995
    """Decay of the moving average of the weights, which is evaluated and kept."""
    evaluate_every: int = 100
    patience: int = 8
    """Number of evaluations without improvement after which training ends."""
    save_every: int = 200
    minutes: float | None = None
    """Time after which training ends."""
    seed: int = 0
    device: str = "auto"
    precision: Precision = "auto"
    compile: bool = False
    """Use torch.compile: faster on CUDA after a minute, slower on CPUs."""
    workers: int = field(default_factory=_default_workers)
    """Number of threads that read and augment crops; it does not change the result."""
    leave_out: tuple[str, ...] = ()
    """"KEY=NAME" of clips left out of training and choice: by manipulation, rendition, identity or group."""
    self_swaps: SelfSwaps = "fake"
    """Self-swaps: "fake" trains on them as fakes, which show a decoder's traces without a change of person; "leave-out"
    leaves them out of training and choice."""
    allow_leak: bool = False
    """Train although splits share people or clips, which makes the metrics invalid. The model card says so."""
    faces: FaceConfig = field(default_factory=FaceConfig)
    mix: MixConfig = field(default_factory=MixConfig)
    self_blend: SelfBlendConfig = field(default_factory=SelfBlendConfig)
    augment: AugmentConfig = field(default_factory=AugmentConfig)
    aggregate: AggregateConfig = field(default_factory=AggregateConfig)

    def __post_init__(self) -> None:
        for name in ("frames_per_clip", "steps", "evaluate_every", "patience", "save_every", "workers"):
            need(getattr(self, name) >= 1, f"{name} must be at least 1, got {getattr(self, name)}")
        need(2 <= self.batch <= 65536 and self.batch % 2 == 0, f"batch must be even and 2 or more, got {self.batch}")
        need(self.tuning_rank >= 1, f"tuning_rank must be at least 1, got {self.tuning_rank}")
        need(self.lr > 0, f"lr must be positive, got {self.lr}")
        need(0 <= self.mixup <= 10, f"mixup must lie in [0, 10], got {self.mixup}", "0 is off")
        need(0 < self.sam_rho <= 1, f"sam_rho must lie in (0, 1], got {self.sam_rho}", "0.05 is usual")
        need(0 <= self.mask_weight <= 100, f"mask_weight must lie in [0, 100], got {self.mask_weight}")
        need(0 <= self.label_smoothing < 0.5, f"label_smoothing must lie in [0, 0.5), got {self.label_smoothing}")
        need(0 <= self.ema_decay < 1, f"ema_decay must lie in [0, 1), got {self.ema_decay}")
        need(self.minutes is None or self.minutes > 0, f"minutes must be positive, got {self.minutes}")


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
    workers: int = field(default_factory=_default_workers)
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
