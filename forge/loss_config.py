"""How much each part of the loss counts. No torch here."""

from __future__ import annotations

from dataclasses import dataclass

from shared.config import need


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
        need(
            all(0 <= value <= 100 for value in values),
            "a loss weight is outside 0 to 100",
            "usual values are 0.1 to 10",
        )
        need(self.dssim + self.mae > 0, "neither dssim nor mae counts", "give one of them a weight")
