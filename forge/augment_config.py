"""How much faces are varied while a swapper learns. No torch here."""

from __future__ import annotations

from dataclasses import dataclass

from shared.config import need


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
        need(0 <= self.rotate_degrees <= 45, f"rotate_degrees {self.rotate_degrees} is outside 0 to 45", "10 is usual")
        for name in ("zoom", "shift", "warp", "morph", "lightness", "tint"):
            value = getattr(self, name)
            need(0 <= value <= 0.5, f"{name} {value} is outside 0 to 0.5", "see the defaults")
        for name in ("flip", "warp_until", "contrast"):
            value = getattr(self, name)
            need(0 <= value <= 1, f"{name} {value} is outside 0 to 1", "it is a fraction")
