"""Settings of the training of a network of re-enactment. Imports no torch."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from shared.config import need

NetworkName = Literal["reenact-landmark", "reenact-warp"]
"""Families of networks; each is also a family of re-enactment."""

WHILE_RUNNING = ("steps", "minutes", "device", "save_every", "log_every")
"""Settings that may differ when a training goes on."""


@dataclass(frozen=True)
class ReenactorConfig:
    """Settings of the training of a network of re-enactment.

    Attributes:
        family: see :data:`NetworkName`; options: of the family.
        steps: how long; None for the family's own.
        minutes: stop after this much training time; None for no limit.
        batch: pairs in a step.
        learning_rate: falls by a cosine to a tenth.
        ema: decay of the averaged weights that are written.
        holdout: the last fraction of every clip is left out, so that it can be driven as something unseen.
        most_pictures: of each faceset, taken evenly over its frames.
        save_every, log_every: steps between checkpoints, and between lines of metrics.
    """

    family: NetworkName = "reenact-landmark"
    options: dict[str, str | int | float | bool] = field(default_factory=dict)
    steps: int | None = None
    minutes: float | None = None
    batch: int = 8
    learning_rate: float = 3e-4
    ema: float = 0.999
    holdout: float = 0.0
    most_pictures: int = 2000
    save_every: int = 500
    log_every: int = 20
    seed: int = 0
    device: str = "auto"
    precision: Literal["auto", "float32", "bfloat16"] = "auto"

    def __post_init__(self) -> None:
        need(self.steps is None or self.steps >= 1, f"steps must be at least 1, got {self.steps}", "leave it out")
        need(self.minutes is None or self.minutes > 0, f"minutes must be positive, got {self.minutes}", "leave it out")
        need(1 <= self.batch <= 1024, f"batch must be 1 to 1024, got {self.batch}", "8 is usual")
        need(0 < self.learning_rate <= 0.1, f"learning_rate {self.learning_rate} is outside 0 to 0.1", "3e-4 is usual")
        need(0 <= self.ema < 1, f"ema {self.ema} is outside 0 to 1", "0.999 is usual")
        need(0 <= self.holdout <= 0.5, f"holdout {self.holdout} is outside 0 to 0.5", "0.2 keeps the last fifth")
        need(self.most_pictures >= 2, f"most_pictures must be at least 2, got {self.most_pictures}", "2000 is usual")
        need(
            self.save_every >= 1 and self.log_every >= 1, "save_every and log_every are at least 1", "see the defaults"
        )
