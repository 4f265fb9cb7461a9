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

_FINER = 4
"""How much larger the canvas is on which shapes are drawn: OpenCV's own smooth edges are not exact."""

_FRACTION_BITS = 4


def drive_maps(landmarks: Tensor, px: int) -> Tensor:
    """(B, 8, px, px): lines for jaw, brows and nose, filled shapes for eyes and lips, each in a map of its own.

    Shapes are filled, so that a mouth that opens by a fraction of a pixel changes its map by as much.
    """
    lines = [(JAW,), (BROWS[0],), (BROWS[1],), (NOSE_LINE, NOSTRILS)]
    width = max(1, round(_LINE * px * _FINER))
    found = np.empty((len(landmarks), MAPS, px, px), np.uint8)
    for maps, points in zip(found, landmarks.numpy(), strict=True):
        fine = _fine(points)
        for place, parts in enumerate(lines):
            canvas = _canvas(px)
            for part in parts:
                cv2.polylines(canvas, [fine[list(part)]], False, 255, width, cv2.LINE_8, _FRACTION_BITS)
            maps[place] = _reduced(canvas, px)
        for place, part in enumerate((*EYES, OUTER_LIPS, INNER_LIPS), len(lines)):
            canvas = _canvas(px)
            cv2.fillPoly(canvas, [fine[list(part)]], 255, cv2.LINE_8, _FRACTION_BITS)
            maps[place] = _reduced(canvas, px)
    return torch.from_numpy(found).float() / 255


def region_masks(
    landmarks: Sequence[Tensor], px: int, parts: Sequence[Sequence[int]], margins: Sequence[float]
) -> Tensor:
    """(B, 1, px, px): hulls of ``parts`` around the points of all of ``landmarks``, each (B, 68, 2).

    ``margins`` (B,) are factors by which each hull is larger than its points. With where the points are and where they
    are to be, a hull holds what has to be redrawn.
    """
    found = np.empty((len(landmarks[0]), 1, px, px), np.uint8)
    for number, margin in enumerate(margins):
        canvas = _canvas(px)
        for part in parts:
            chosen = np.concatenate([each[number, list(part)].numpy() for each in landmarks])
            centre = chosen.mean(0)
            hull = cv2.convexHull((centre + margin * (chosen - centre)).astype(np.float32))[:, 0]
            cv2.fillConvexPoly(canvas, _fine(hull), 255, cv2.LINE_8, _FRACTION_BITS)
        found[number, 0] = _reduced(canvas, px)
    return torch.from_numpy(found).float() / 255


def _canvas(px: int) -> np.ndarray:
    return np.zeros((_FINER * px, _FINER * px), np.uint8)


def _reduced(canvas: np.ndarray, px: int) -> np.ndarray:
    return cv2.resize(canvas, (px, px), interpolation=cv2.INTER_AREA)


def _fine(points: np.ndarray) -> np.ndarray:
    """(N, 2) int32: crop pixels as places on a canvas, in fractions as OpenCV draws."""
    return np.rint(((points + 0.5) * _FINER - 0.5) * 2**_FRACTION_BITS).astype(np.int32)
