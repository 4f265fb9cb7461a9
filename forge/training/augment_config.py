"""How much faces are varied while a swapper learns. No torch here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from shared.config import need

WarpKind = Literal["grid", "grids", "landmarks"]


@dataclass(frozen=True)
class AugmentConfig:
    """How much each face is varied before it is shown; all fractions of the crop's side unless named otherwise.

    Attributes:
        rotate_degrees: turned by up to this, either way.
        zoom: enlarged or shrunk by up to this fraction.
        shift: moved by up to this, in x and y.
        flip: probability of mirroring.
        warp_kind: how the encoder's face is bent away from the one that the decoder is to draw. ``grid``: the nodes of
            a 5x5 grid move (deepfakes/faceswap). ``grids``: of a 3x3, 5x5 or 9x9 grid, drawn for each face, its rim
            held (DeepFaceLab). ``landmarks``: towards the shape of a similar face of another identity (dfaker).
        warp: standard deviation of the 5x5 grid's nodes; finer and coarser grids move in proportion to their cells
            (DeepFaceLab's strength is 0.06), landmarks by a jitter of 0.4 times this on top of their way.
        morph: standard deviation of a 5x5 grid that bends the face for encoder and decoder alike, so that the decoders
            draw shapes that nobody made while filmed, and follow mouths and brows they have not seen.
        warp_until: fraction of the schedule after which the warp fades, to nothing at the end, so that the last
            steps see faces as they will be when swapping.
        lightness: L of Lab is scaled by up to this fraction; tint: a and b are shifted by up to this fraction of 100.
        contrast: probability of stretching or flattening local contrast.
        color_transfer: probability of showing a face in the colours of a random face of another identity, mean and
            spread of each channel of Lab (Reinhard et al. 2001), so that the encoder stops telling people apart by
            their light.
        uniform_yaw: every direction of the head is drawn as often as any other, however rare it is.
    """

    rotate_degrees: float = 10.0
    zoom: float = 0.05
    shift: float = 0.05
    flip: float = 0.5
    warp_kind: WarpKind = "grid"
    warp: float = 5 / 256
    morph: float = 0.0
    warp_until: float = 0.8
    lightness: float = 0.3
    tint: float = 0.08
    contrast: float = 0.0
    color_transfer: float = 0.0
    uniform_yaw: bool = False

    def __post_init__(self) -> None:
        need(0 <= self.rotate_degrees <= 45, f"rotate_degrees {self.rotate_degrees} is outside 0 to 45", "10 is usual")
        for name in ("zoom", "shift", "warp", "morph", "lightness", "tint"):
            value = getattr(self, name)
            need(0 <= value <= 0.5, f"{name} {value} is outside 0 to 0.5", "see the defaults")
        for name in ("flip", "warp_until", "contrast", "color_transfer"):
            value = getattr(self, name)
            need(0 <= value <= 1, f"{name} {value} is outside 0 to 1", "it is a fraction")
