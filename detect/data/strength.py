"""Forged faces of partial strength: mixed with the real face of the same frame.

A detector that has seen only full fakes can wait for gross traces; weak ones of the same kind teach it the fine ones
(as blend ratios below 1 do in Shiohara and Yamasaki, CVPR 2022).

Convention:
    crop: (S, S, 3) uint8 RGB
    offset: (2, 3) float64, from the pixels of a fake crop to those of the real crop of the same frame
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import cv2
import numpy as np

from shared.faces.align import compose, invert, map_points, resized

if TYPE_CHECKING:
    from detect.data.crops import ClipFaces
    from detect.data.pairs import FaceKey

_FARTHEST = 0.15
"""Landmarks of a fake lie near those of its real face; a farther crop, over its side, is of another face."""


class FrameOffsets:
    """The offsets between crops of some clips.

    Args:
        clips: the clips, indexed by face keys.
    """

    def __init__(self, clips: Sequence[ClipFaces]) -> None:
        self._clips = clips
        self._matrices = [None if clip.faceset is None else clip.faceset.matrices() for clip in clips]

    def offset(self, fake: FaceKey, real: FaceKey) -> np.ndarray | None:
        """See the convention; None if the clips differ in size, or the crops in more than 15 % of their side."""
        one, other = self._clips[fake[0]], self._clips[real[0]]
        before, after = self._matrices[fake[0]], self._matrices[real[0]]
        if one.faceset is None or before is None or after is None:
            return None
        if (one.record.width, one.record.height) != (other.record.width, other.record.height):
            return None
        found = compose(after[real[1]], invert(before[fake[1]]))
        side = one.faceset.info.px
        corners = np.array([[0, 0], [side, 0], [0, side], [side, side]], np.float64)
        return found if np.abs(map_points(found, corners) - corners).max() <= _FARTHEST * side else None


def mixed_at(
    fake: np.ndarray, real: np.ndarray, mask: np.ndarray | None, offset: np.ndarray, ratio: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    """A forged crop at a strength of ``ratio``, the real crop of its frame in the same place, and the fake's mask.

    Each crop is cut around its own landmarks, so both are moved half of the way to each other: either is resampled as
    much as the other. Outside the mask the fake stays as it is; without one the whole crop is mixed.

    Args:
        fake: a forged crop.
        real: the real crop of the same frame.
        mask: (M, M) float32, the fake's forged region; None where unknown.
        offset: see the module.
        ratio: weight of the fake, in (0, 1).
    """
    side = fake.shape[0]
    to_middle = halfway(offset)
    fake, real = _warped(fake, to_middle), _warped(real, halfway(invert(offset)))
    weight = np.full((side, side), 1 - ratio, np.float32)
    if mask is not None:
        smaller = resized(np.eye(2, 3), side, mask.shape[0])
        mask = _warped(mask, compose(smaller, compose(to_middle, invert(smaller))))
        region = cv2.dilate((mask > 0).astype(np.float32), np.ones((3, 3), np.uint8))
        weight *= cv2.resize(region, (side, side), interpolation=cv2.INTER_LINEAR)
        mask = mask * np.float32(ratio)
    mixed = fake + weight[..., None] * (real.astype(np.float32) - fake)
    return np.rint(mixed).astype(np.uint8), real, mask


def halfway(offset: np.ndarray) -> np.ndarray:
    """(2, 3): each point moved to the middle between it and its image under ``offset``.

    The inverse's middle is the same point: with A the offset, (1 + A) / 2 equals (1 + A^-1) / 2 after A.
    """
    return (np.eye(2, 3) + offset) / 2


def _warped(image: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    size = image.shape[1], image.shape[0]
    return cv2.warpAffine(image, matrix, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101)
