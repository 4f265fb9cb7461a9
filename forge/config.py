"""The settings of training a swapper. Every default is written here and nowhere else.

No torch here: the command line reads its defaults from this module before it knows what it is to do.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from shared.errors import ConfigError


def _need(condition: bool, what: str, hint: str) -> None:
    if not condition:
        raise ConfigError(what, hint=hint)


@dataclass(frozen=True)
class LossConfig:
    """How much each part of the loss counts.

    Attributes:
        dssim: weight of (1 - SSIM) / 2; draws structure and keeps it sharp.
        mae: weight of the mean absolute difference; holds colour and brightness.
        detail: weight of the difference in how strong fine detail is; keeps faces from going soft.
        mask: weight of the learned mask's squared difference.
        eyes, mouth: how much more a pixel there counts than one of the cheek.
        background: how much a pixel outside the face counts; a little, so that the rim of the mask is drawn well.
    """

    dssim: float = 1.0
    mae: float = 1.0
    detail: float = 1.0
    mask: float = 0.5
    eyes: float = 3.0
    mouth: float = 2.0
    background: float = 0.1

    def __post_init__(self) -> None:
        values = (self.dssim, self.mae, self.detail, self.mask, self.eyes, self.mouth, self.background)
        _need(
            all(0 <= value <= 100 for value in values),
            "a loss weight is outside 0 to 100",
            "usual values are 0.1 to 10",
        )
        _need(self.dssim + self.mae > 0, "neither dssim nor mae counts", "give one of them a weight")


@dataclass(frozen=True)
class AugmentConfig:
    """How much each face is varied before it is shown; all fractions of the crop's side unless named otherwise.

    Attributes:
        rotate_degrees: turned by up to this, either way.
        zoom: enlarged or shrunk by up to this fraction.
        shift: moved by up to this, in x and y.
        flip: probability of mirroring.
        warp: standard deviation of the 5x5 grid's nodes; the encoder sees the warped face, the decoder draws the
            unwarped one.
        morph: standard deviation of such a grid that bends the face for both, so that the decoders draw shapes that
            nobody made while filmed, and follow mouths and brows they have not seen.
        warp_until: fraction of the schedule after which the warp fades, to nothing at the end, so that the last
            steps see faces as they will be when swapping.
        lightness: L of Lab is scaled by up to this fraction; tint: a and b are shifted by up to this fraction of 100.
        contrast: probability of stretching or flattening local contrast.
    """

    rotate_degrees: float = 10.0
    zoom: float = 0.05
    shift: float = 0.05
    flip: float = 0.5
    warp: float = 5 / 256
    morph: float = 0.0
    warp_until: float = 0.8
    lightness: float = 0.3
    tint: float = 0.08
    contrast: float = 0.0

    def __post_init__(self) -> None:
        _need(0 <= self.rotate_degrees <= 45, f"rotate_degrees {self.rotate_degrees} is outside 0 to 45", "10 is usual")
        for name in ("zoom", "shift", "warp", "morph", "lightness", "tint"):
            value = getattr(self, name)
            _need(0 <= value <= 0.5, f"{name} {value} is outside 0 to 0.5", "see the defaults")
        for name in ("flip", "warp_until", "contrast"):
            value = getattr(self, name)
            _need(0 <= value <= 1, f"{name} {value} is outside 0 to 1", "it is a fraction")


@dataclass(frozen=True)
class TrainConfig:
    """How a swapper is trained.

    Attributes:
        model: a family's name; width: multiplier of its channels; model_options: the family's other options.
        steps: how long to train. minutes: stop after this much training time, whichever comes first; the schedule
            then runs by whichever is further on.
        batch: faces of each identity in one step; identities_per_step: at most this many of them, in turn.
        learning_rate: Adam's, reached after warmup_steps, falling by a cosine from the fraction decay_from of the
            schedule to decay_to times itself at its end.
        ema: decay of the averaged weights that are exported; 0 exports the weights as they are.
        max_faces: at most this many of a faceset, evenly spaced, live on the device.
        holdout: the last fraction of every clip's frames is not trained on but measured at every preview.
        device, precision: where and in what; compile: torch.compile, which pays on CUDA and costs on CPUs.
        log_every, preview_every, save_every, snapshot_every: in steps; keep: checkpoints kept beside snapshots.
    """

    model: str = "lightweight"
    width: float = 0.5
    model_options: dict[str, str | int | float | bool] = field(default_factory=dict)
    steps: int = 20_000
    minutes: float | None = None
    batch: int = 16
    identities_per_step: int = 4
    learning_rate: float = 2e-4
    warmup_steps: int = 100
    decay_from: float = 0.6
    decay_to: float = 0.05
    ema: float = 0.0
    loss: LossConfig = LossConfig()
    augment: AugmentConfig = AugmentConfig()
    max_faces: int = 5_000
    holdout: float = 0.0
    seed: int = 0
    device: str = "auto"
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    compile: bool = False
    log_every: int = 20
    preview_every: int = 500
    save_every: int = 500
    snapshot_every: int = 25_000
    keep: int = 2

    def __post_init__(self) -> None:
        for name in ("steps", "batch", "identities_per_step", "log_every", "preview_every", "save_every", "keep"):
            value = getattr(self, name)
            _need(value >= 1, f"{name} must be at least 1, got {value}", "see the defaults")
        _need(self.batch <= 1024, f"batch {self.batch} is larger than 1024", "16 to 64 is usual")
        _need(self.snapshot_every >= 0, "snapshot_every is negative", "0 keeps no snapshots")
        _need(self.minutes is None or self.minutes > 0, f"minutes must be positive, got {self.minutes}", "leave it out")
        _need(0 < self.learning_rate <= 0.1, f"learning_rate {self.learning_rate} is outside 0 to 0.1", "5e-5 to 3e-4")
        _need(0 <= self.decay_from <= 1 and 0 <= self.decay_to <= 1, "decay_from and decay_to are fractions", "0 to 1")
        _need(self.warmup_steps >= 0, "warmup_steps is negative", "0 turns the warm-up off")
        _need(0 <= self.ema < 1, f"ema {self.ema} is outside 0 to 1", "0.999 is usual; 0 turns it off")
        _need(self.max_faces >= 8, f"max_faces {self.max_faces} is too few", "5000 is usual")
        _need(0 <= self.holdout <= 0.5, f"holdout {self.holdout} is outside 0 to 0.5", "0.2 keeps the last fifth")


WHILE_RUNNING = ("steps", "minutes", "log_every", "preview_every", "save_every", "snapshot_every", "keep")
"""The settings that may differ when a run is resumed: how long, and how often it is looked at and saved."""
