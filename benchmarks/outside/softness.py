"""Softness alone: statistics without any training that a detector has to beat.

A swapped face is drawn by a network of limited size and is often softer than the picture around it. The statistic is
the detail around the face less the detail inside, each the logarithm of the mean absolute Laplacian of luma, in a crop
of one size. Beside it stands the lack of detail inside the face, without the ring. Neither knows anything of forgeries;
what they reach is owed to sharpness.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from benchmarks.outside.faces import FoundFace
from shared.faces.align import cut, frame_to_crop, map_points

_PX = 384
_INSIDE = 0.9
_RING = (1.15, 1.6)
_LEAST = 0.05


def softness(faces: Sequence[FoundFace]) -> float | None:
    """Mean over the faces of the log detail in a ring around the face less that inside; None without faces."""
    return float(np.mean([_softness(face) for face in faces])) if faces else None


def inner_detail(faces: Sequence[FoundFace]) -> float | None:
    """Mean over the faces of the log detail inside the face; None without faces."""
    return float(np.mean([_details(face)[0] for face in faces])) if faces else None


def _softness(face: FoundFace) -> float:
    inside, ring = _details(face)
    return ring - inside


def _details(face: FoundFace) -> tuple[float, float]:
    """Log detail inside the face and in the ring around it."""
    matrix = frame_to_crop(face.landmarks, px=_PX, framing="head")
    crop = cut(face.image, matrix, _PX)
    luma = cv2.cvtColor(crop, cv2.COLOR_RGB2GRAY).astype(np.float32)
    detail = np.abs(cv2.Laplacian(luma, cv2.CV_32F, ksize=1, borderType=cv2.BORDER_REFLECT_101))
    hull = cv2.convexHull(map_points(matrix, face.landmarks).astype(np.float32))[:, 0]
    inside = _filled(hull, _INSIDE)
    ring = _filled(hull, _RING[1]) & ~_filled(hull, _RING[0])
    return _log_mean(detail, inside), _log_mean(detail, ring)


def _filled(hull: np.ndarray, scale: float) -> np.ndarray:
    """(S, S) bool: the convex ``hull`` (N, 2), grown by ``scale`` about its centre."""
    middle = hull.mean(axis=0)
    mask = np.zeros((_PX, _PX), np.uint8)
    cv2.fillConvexPoly(mask, np.round(middle + scale * (hull - middle)).astype(np.int32), 1)
    return mask.astype(bool)


def _log_mean(detail: np.ndarray, mask: np.ndarray) -> float:
    return float(np.log(detail[mask].mean() + _LEAST)) if mask.any() else float(np.log(_LEAST))
