"""Geometry of display: square pixels, quarter turns, pictures of another size fitted into a frame."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from av.video.frame import VideoFrame

_MOST_STRETCH = 8
_SAME_SHAPE = Fraction(1, 50)


@dataclass(frozen=True)
class Orientation:
    """The quarter turn and mirroring that a display matrix asks for: transpose first, then the flips."""

    transpose: bool = False
    flip_x: bool = False
    flip_y: bool = False

    @classmethod
    def from_matrix(cls, data: bytes) -> Orientation:
        """From a display matrix (nine 32-bit integers, row vectors: ``x' = a x + c y``, ``y' = b x + d y``, y down).

        Other rotations are rounded to the nearest quarter turn.
        """
        if len(data) < 36:
            return cls()
        a, b, _, c, d, *_ = struct.unpack("=9i", data[:36])
        if abs(a) + abs(d) >= abs(b) + abs(c):
            return cls(transpose=False, flip_x=a < 0, flip_y=d < 0)
        return cls(transpose=True, flip_x=c < 0, flip_y=b < 0)

    @property
    def degrees_clockwise(self) -> int:
        """The rotation alone, 0, 90, 180 or 270; of a mirrored picture, the one before mirroring left to right."""
        if self.transpose:
            return 270 if self.flip_y else 90
        return 180 if self.flip_y else 0

    def size(self, width: int, height: int) -> tuple[int, int]:
        """Width and height as displayed."""
        return (height, width) if self.transpose else (width, height)

    def apply(self, image: np.ndarray) -> np.ndarray:
        """``image`` (H, W, ...) as displayed, contiguous."""
        if self.transpose:
            image = image.swapaxes(0, 1)
        rows, columns = slice(None, None, -1 if self.flip_y else 1), slice(None, None, -1 if self.flip_x else 1)
        return np.ascontiguousarray(image[rows, columns])


def orientation_of(frame: VideoFrame) -> Orientation:
    """The orientation in which a decoded frame is displayed; upright when it states none."""
    matrix = frame.side_data.get("DISPLAYMATRIX")
    return Orientation() if matrix is None else Orientation.from_matrix(bytes(matrix))


def square_size(width: int, height: int, pixel_aspect: Fraction) -> tuple[int, int]:
    """Width and height with square pixels: the shorter side is enlarged, so that no detail is lost.

    The new side is even. An aspect beyond 1:8 is ignored as damage, as players do.
    """
    if pixel_aspect == 1 or not Fraction(1, _MOST_STRETCH) <= pixel_aspect <= _MOST_STRETCH:
        return width, height
    if pixel_aspect > 1:
        return 2 * max(1, round(width * pixel_aspect / 2)), height
    return width, 2 * max(1, round(height / pixel_aspect / 2))


def fitted_size(width: int, height: int, into: tuple[int, int]) -> tuple[int, int]:
    """The largest size of that aspect inside ``into``; ``into`` itself if the aspects differ by rounding alone."""
    if abs(Fraction(width * into[1], height * into[0]) - 1) < _SAME_SHAPE:
        return into
    scale = min(Fraction(into[0], width), Fraction(into[1], height))
    return max(1, min(into[0], round(width * scale))), max(1, min(into[1], round(height * scale)))


def centred(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """``image`` (H, W, ...) centred on black at (width, height) ``size``; unchanged if it has that size."""
    height, width = image.shape[:2]
    if (width, height) == size:
        return image
    canvas = np.zeros((size[1], size[0], *image.shape[2:]), image.dtype)
    x, y = (size[0] - width) // 2, (size[1] - height) // 2
    canvas[y : y + height, x : x + width] = image
    return canvas
