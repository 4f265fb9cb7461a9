"""Landmarks as pictures: eight maps of a drive, and the regions of a face that a drive changes.

Convention:
    landmarks: (B, 68, 2) crop pixels; maps and regions: (B, C, S, S) float32 in [0, 1], on the CPU
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
import torch
from torch import Tensor

from forge.reenacting.shape import EYES, INNER_LIPS

JAW, NOSE_LINE, NOSTRILS = tuple(range(17)), tuple(range(27, 31)), tuple(range(31, 36))
BROWS: tuple[tuple[int, ...], ...] = (tuple(range(17, 22)), tuple(range(22, 27)))
OUTER_LIPS = tuple(range(48, 60))
MAPS = 8
"""Jaw, each brow, nose, each eye, outer lips, inner lips."""

MOUTH_PART = (*OUTER_LIPS, *range(5, 12), 31, 33, 35)
EYE_PARTS: tuple[tuple[int, ...], ...] = tuple((*brow, *eye) for brow, eye in zip(BROWS, EYES, strict=True))
_LINE = 1 / 80
"""Width of a line over the side of the crop."""

_FRACTION_BITS = 4


def drive_maps(landmarks: Tensor, px: int) -> Tensor:
    """(B, 8, px, px): lines for jaw, brows and nose, filled shapes for eyes and lips, each in a map of its own.

    Shapes are filled, so that a mouth that opens by a fraction of a pixel changes its map by as much.
    """
    found = np.zeros((len(landmarks), MAPS, px, px), np.uint8)
    for maps, points in zip(found, _fine(landmarks), strict=True):
        lines = [(JAW,), (BROWS[0],), (BROWS[1],), (NOSE_LINE, NOSTRILS)]
        for canvas, parts in zip(maps, lines, strict=False):
            for part in parts:
                cv2.polylines(canvas, [points[list(part)]], False, 255, max(1, round(_LINE * px)), cv2.LINE_AA,
                              _FRACTION_BITS)  # fmt: skip
        for canvas, part in zip(maps[len(lines) :], (*EYES, OUTER_LIPS, INNER_LIPS), strict=True):
            cv2.fillPoly(canvas, [points[list(part)]], 255, cv2.LINE_AA, _FRACTION_BITS)
    return torch.from_numpy(found).float() / 255


def region_masks(
    landmarks: Sequence[Tensor], px: int, parts: Sequence[Sequence[int]], margins: Sequence[float]
) -> Tensor:
    """(B, 1, px, px): hulls of ``parts`` around the points of all of ``landmarks``, each (B, 68, 2).

    ``margins`` (B,) are factors by which each hull is larger than its points. With where the points are and where they
    are to be, a hull holds what has to be redrawn.
    """
    found = np.zeros((len(landmarks[0]), 1, px, px), np.uint8)
    points = np.concatenate([each.numpy() for each in landmarks], axis=1)
    for canvas, one, margin in zip(found[:, 0], points, margins, strict=True):
        for part in parts:
            chosen = one.reshape(len(landmarks), 68, 2)[:, list(part)].reshape(-1, 2)
            centre = chosen.mean(0)
            hull = cv2.convexHull((centre + margin * (chosen - centre)).astype(np.float32))[:, 0]
            fine = np.rint(hull * 2**_FRACTION_BITS).astype(np.int32)
            cv2.fillConvexPoly(canvas, fine, 255, cv2.LINE_AA, _FRACTION_BITS)
    return torch.from_numpy(found).float() / 255


def _fine(landmarks: Tensor) -> np.ndarray:
    """(B, 68, 2) int32 in fractions of a pixel, as OpenCV draws."""
    return np.rint(landmarks.numpy() * 2**_FRACTION_BITS).astype(np.int32)
