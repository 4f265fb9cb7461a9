"""Settings of training detectors. All defaults are defined here. Imports no torch."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from detect.config.data import AugmentConfig, MixConfig, SelfBlendConfig
from detect.config.scoring import AggregateConfig, FaceConfig, Precision, default_workers
from detect.config.validation import ValidationConfig
from shared.config import need
from shared.types import Framing

Tuning = Literal["full", "norm", "low-rank", "probe"]
Optimizer = Literal["adamw", "sgd", "sam"]
SelfSwaps = Literal["fake", "leave-out"]


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
    pair_weight: float = 0.0
    """Weight of the loss on the difference of logits between a fake and the real face that it was made from."""
    pair_margin: float = 0.0
    """Difference of logits around which the loss of a pair bends."""
    spread_weight: float = 0.0
    """Weight of the variance of the logits of a batch's real faces."""
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
    workers: int = field(default_factory=default_workers)
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
    validation: ValidationConfig = field(default_factory=ValidationConfig)

    def __post_init__(self) -> None:
        for name in ("frames_per_clip", "steps", "evaluate_every", "patience", "save_every", "workers"):
            need(getattr(self, name) >= 1, f"{name} must be at least 1, got {getattr(self, name)}")
        need(2 <= self.batch <= 65536 and self.batch % 2 == 0, f"batch must be even and 2 or more, got {self.batch}")
        need(self.tuning_rank >= 1, f"tuning_rank must be at least 1, got {self.tuning_rank}")
        need(self.lr > 0, f"lr must be positive, got {self.lr}")
        need(0 <= self.mixup <= 10, f"mixup must lie in [0, 10], got {self.mixup}", "0 is off")
        need(0 < self.sam_rho <= 1, f"sam_rho must lie in (0, 1], got {self.sam_rho}", "0.05 is usual")
        need(0 <= self.mask_weight <= 100, f"mask_weight must lie in [0, 100], got {self.mask_weight}")
        for name in ("pair_weight", "pair_margin", "spread_weight"):
            need(0 <= getattr(self, name) <= 100, f"{name} must lie in [0, 100], got {getattr(self, name)}")
        need(
            not (self.mixup and (self.pair_weight or self.spread_weight)),
            "mixup blends the faces of a batch, so pair_weight and spread_weight have no pair and no real face",
            "leave mixup at 0",
        )
        need(0 <= self.label_smoothing < 0.5, f"label_smoothing must lie in [0, 0.5), got {self.label_smoothing}")
        need(0 <= self.ema_decay < 1, f"ema_decay must lie in [0, 1), got {self.ema_decay}")
        need(self.minutes is None or self.minutes > 0, f"minutes must be positive, got {self.minutes}")
