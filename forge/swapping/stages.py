"""Values passed between the stages of a swap: aligned faces, decoded faces, finished frames."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from forge.swapping.color import ColorMap
from forge.swapping.masks import FrameMasks
from shared.types import AlignedFace, Frame, SwappedFace


@dataclass(frozen=True, eq=False)
class TargetFace:
    """An aligned face to swap.

    Convention:
        motion: (2,) frame pixels that the face moves from this frame to the next
    """

    track: int
    aligned: AlignedFace
    motion: np.ndarray


@dataclass(frozen=True, eq=False)
class AlignedFrame:
    """A frame with the faces to swap."""

    frame: Frame
    faces: tuple[TargetFace, ...]


@dataclass(frozen=True, eq=False)
class DecodedFace:
    """A swapped face before it is pasted.

    Convention:
        alpha, region: (S, S) float32 in [0, 1], in the crop
        landmarks: (68, 2) of the target's face, frame pixels
        color: the map still to be applied, None for none
    """

    track: int
    swapped: SwappedFace
    alpha: np.ndarray
    region: np.ndarray
    landmarks: np.ndarray
    color: ColorMap | None


@dataclass(frozen=True, eq=False)
class SwappedFrame:
    """A frame with its swapped faces."""

    frame: Frame
    faces: tuple[DecodedFace, ...]


@dataclass(frozen=True, eq=False)
class FaceOutline:
    """A face that was changed in its frame.

    Convention:
        landmarks: (68, 2) of the target's face, frame pixels
    """

    track: int
    landmarks: np.ndarray


@dataclass(frozen=True, eq=False)
class CompositedFrame:
    """A finished frame.

    Attributes:
        frame: the target's, untouched.
        image: (H, W, 3) uint8, the same object's bytes where nothing was pasted.
        masks: what was done to it.
        faces: what was pasted, in that order, with the colours it was pasted in.
        alpha_instead: faces that were to be blended by Poisson and were too small for it.
        outlines: faces that were changed otherwise than by pasting a decoded one.
    """

    frame: Frame
    image: np.ndarray
    masks: FrameMasks
    faces: tuple[DecodedFace, ...] = ()
    alpha_instead: int = 0
    outlines: tuple[FaceOutline, ...] = ()
