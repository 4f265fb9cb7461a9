"""The settings of training a swapper. Every default is written here and nowhere else.

No torch here: the command line reads its defaults from this module before it knows what it is to do.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from forge.augment_config import AugmentConfig
from forge.loss_config import LossConfig
from shared.config import need


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
    loss: LossConfig = LossConfig()  # noqa: RUF009 - frozen
    augment: AugmentConfig = AugmentConfig()  # noqa: RUF009 - frozen
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
            need(value >= 1, f"{name} must be at least 1, got {value}", "see the defaults")
        need(self.batch <= 1024, f"batch {self.batch} is larger than 1024", "16 to 64 is usual")
        need(self.snapshot_every >= 0, "snapshot_every is negative", "0 keeps no snapshots")
        need(self.minutes is None or self.minutes > 0, f"minutes must be positive, got {self.minutes}", "leave it out")
        need(0 < self.learning_rate <= 0.1, f"learning_rate {self.learning_rate} is outside 0 to 0.1", "5e-5 to 3e-4")
        need(0 <= self.decay_from <= 1 and 0 <= self.decay_to <= 1, "decay_from and decay_to are fractions", "0 to 1")
        need(self.warmup_steps >= 0, "warmup_steps is negative", "0 turns the warm-up off")
        need(0 <= self.ema < 1, f"ema {self.ema} is outside 0 to 1", "0.999 is usual; 0 turns it off")
        need(self.max_faces >= 8, f"max_faces {self.max_faces} is too few", "5000 is usual")
        need(0 <= self.holdout <= 0.5, f"holdout {self.holdout} is outside 0 to 0.5", "0.2 keeps the last fifth")


WHILE_RUNNING = ("steps", "minutes", "log_every", "preview_every", "save_every", "snapshot_every", "keep")
"""The settings that may differ when a run is resumed: how long, and how often it is looked at and saved."""
