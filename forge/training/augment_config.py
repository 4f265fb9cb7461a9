"""Settings of face augmentation in swapper training. Imports no torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from shared.config import need

WarpKind = Literal["grid", "grids", "landmarks"]


@dataclass(frozen=True)
class AugmentConfig:
    """Augmentation of each face; lengths are fractions of the crop's side unless stated otherwise.

    Attributes:
        rotate_degrees: rotated by up to this, in both directions.
        zoom: enlarged or shrunk by up to this fraction.
        shift: moved by up to this, in x and y.
        flip: probability of mirroring.
        warp_kind: how the encoder's input is warped relative to the decoder's target. ``grid``: the nodes of a 5x5 grid
            move (deepfakes/faceswap). ``grids``: of a 3x3, 5x5 or 9x9 grid, chosen for each face, its border fixed
            (DeepFaceLab). ``landmarks``: towards the shape of a similar face of another identity (dfaker).
        warp: standard deviation of the 5x5 grid's nodes; finer and coarser grids move in proportion to their cells
            (DeepFaceLab's strength is 0.06), landmarks by an additional jitter of 0.4 times this.
        morph: standard deviation of a 5x5 grid that warps the face for encoder and decoder alike, so that the decoders
            learn shapes and expressions that do not occur in the clips.
        warp_until: fraction of the schedule after which the warp fades, to 0 at the end, so that the last steps see
            faces as they are when swapping.
        lightness: L of Lab is scaled by up to this fraction; tint: a and b are shifted by up to this fraction of 100.
        contrast: probability of raising or lowering local contrast.
        color_transfer: probability of giving a face the colours of a random face of another identity, mean and
            deviation of each channel of Lab (Reinhard et al. 2001), so that the encoder does not tell identities
            apart by lighting.
        uniform_yaw: all head directions are sampled equally often.
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
