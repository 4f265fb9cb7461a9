"""Settings of a paste's geometry: ``[mask]``, the region and its edge, and ``[square]``, where it is drawn."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from shared.config import need
from shared.types import HullKind

MaskChoice = Literal[
    "auto", "full", "ellipse", "hull", "learned-source", "learned-target", "learned-product", "learned-sum"
]  # fmt: skip
MaskSpace = Literal["crop", "frame"]
Interpolation = Literal["linear", "cubic", "lanczos"]
Beyond = Literal["replicate", "zero"]

HINT = "see assay forge swap --help and assay docs paste"

USUAL_REACH = 4.0
"""Half width of a Gaussian kernel over its sigma, where no other is set."""


@dataclass(frozen=True)
class MaskConfig:
    """Which part of the crop is pasted.

    Convention:
        kind: ``learned-source`` is the mask of the source's decoder, ``learned-target`` that of the target's decoder
            for the same face, ``learned-product`` and ``learned-sum`` (at most 1) combine the two; ``auto`` is
            ``learned-source`` inside the hull for a swapper with a mask, ``hull`` for one without; ``full`` is the
            whole crop, which any erosion makes a smaller box; ``ellipse`` lies upright about the crop's centre
        inside_hull: cuts a learned mask by the landmarks' hull
        erode: shrinks all round, erode_top to erode_right one side; blur: sigma of a Gaussian that softens both ways;
            feather: softens inward; border: width of the fade to the crop's edge. All are fractions of the crop's
            side, so that they mean the same at 64 and at 512 pixels; negative erosion grows
        ellipse: half width and half height, fractions of the crop's side
        ramp: width of a linear ramp inward, a fraction of the longer side of the region's box
        erode_px, blur_px: least erosion and least sigma in pixels of the *frame*, whatever the size of the face
        reach: half width of the blur's kernel over its sigma; 4 where it is left out. A short one cuts the tails
        space: where erosion and blur take place. ``frame``: after the warp, along the frame's axes, so that they turn
            into the crop with the roll of the head; fractions are then of the geometric mean of width and height of
            the region's box in the frame. ``crop``, also where it is left out: before the warp
        keep_edge: keep whatever alpha the blur leaves on the crop's outermost pixels, which ends in a step, and the
            whole tails of the Gaussian; ``border`` then has no effect. Left out or false: fade to zero
    """

    kind: MaskChoice = "auto"
    hull: HullKind = "extended"
    inside_hull: bool = False
    erode: float = 0.0
    erode_top: float = 0.0
    erode_bottom: float = 0.0
    erode_left: float = 0.0
    erode_right: float = 0.0
    blur: float = 0.0
    feather: float = 0.025
    border: float = 0.08
    ellipse: tuple[float, float] | None = None
    ramp: float | None = None
    erode_px: float | None = None
    blur_px: float | None = None
    reach: float | None = None
    space: MaskSpace | None = None
    keep_edge: bool | None = None

    def __post_init__(self) -> None:
        for name in ("erode", "erode_top", "erode_bottom", "erode_left", "erode_right"):
            between(f"mask.{name}", getattr(self, name), -0.25, 0.25)
        between("mask.blur", self.blur, 0, 0.25)
        between("mask.feather", self.feather, 0, 0.25)
        need(0 < self.border <= 0.25, "mask.border must be above 0 and at most 0.25", HINT)
        is_ellipse = self.kind == "ellipse"
        need(not is_ellipse or self.ellipse is not None, "an ellipse needs mask.ellipse", "such as [0.44, 0.44]")
        need(all(0 < one <= 0.75 for one in self.ellipse or ()), "mask.ellipse must lie between 0 and 0.75", HINT)
        between("mask.ramp", self.ramp or 0, 0, 1)
        between("mask.erode_px", self.erode_px or 0, 0, 200)
        between("mask.blur_px", self.blur_px or 0, 0, 200)
        between("mask.reach", USUAL_REACH if self.reach is None else self.reach, 0.5, 8)

    @property
    def sides(self) -> tuple[float, float, float, float]:
        """Erosion of the top, bottom, left and right."""
        return self.erode_top, self.erode_bottom, self.erode_left, self.erode_right


@dataclass(frozen=True)
class SquareConfig:
    """The square of a paste: a crop of its own over the generated one, by which the face reaches the frame.

    Convention:
        side: in widths of the face, each 2.2 times the distance between the centres of the eyes; as much of it as the
            swapper's own crop holds
        rise: how far its centre lies above that of the inner face (brows to lips), in widths of the face
        upright: its sides run along the frame's axes, however the head is turned; otherwise it turns with the face
        px: pixels on a side, to which the generated face is reduced or enlarged
        into, out: interpolation of the warps frame to crop and crop to frame
        antialias: average areas where a warp makes the picture smaller; otherwise it is sampled, and aliases
        beyond: what the warps read outside of a picture: its outermost pixels, or zero
        hop: pixels on a side of a second square through which face and mask pass on their way to the frame; 0 for none
        rewrite: write the whole square into the frame, with the target's own pixels in it where alpha is zero; these
            are resampled twice
    """

    side: float = 1.65
    rise: float = 0.06
    upright: bool = False
    px: int = 128
    into: Interpolation = "linear"
    out: Interpolation = "linear"
    antialias: bool = False
    beyond: Beyond = "replicate"
    hop: int = 0
    rewrite: bool = False

    def __post_init__(self) -> None:
        between("square.side", self.side, 0.3, 4)
        between("square.rise", self.rise, -1, 1)
        between("square.px", self.px, 16, 2048)
        need(self.hop == 0 or 16 <= self.hop <= 2048, "square.hop is 0 or 16 to 2048", HINT)


def between(name: str, value: float, low: float, high: float) -> None:
    """Refuses a setting outside of its range.

    Raises:
        ConfigError: ``value`` is not within ``low`` and ``high``.
    """
    need(low <= value <= high, f"{name} must lie between {low} and {high}, got {value}", HINT)
