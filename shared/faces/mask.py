"""Face masks from landmarks, and their feathering and erosion for blending.

Convention:
    landmarks: (68, 2) in crop pixels, pixel centres at integers
    mask: (px, px) float32 in [0, 1], coverage of each pixel
"""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np

from shared.errors import UsageError
from shared.registry import near_matches
from shared.types import NUM_LANDMARKS, HullKind

_SUBPIXELS = 4
_FRACTION_BITS = 4

_BROWS = list(range(17, 27))
_BROW_LIFT = np.array([0.55, 0.85, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 0.85, 0.55])[:, None]
"""The outer ends are raised less: the forehead is round, and the temples are hair or background."""

_PARTS: tuple[list[int], ...] = (
    [*range(0, 6), *range(17, 22), 27, 28, 33],
    [*range(11, 17), *range(22, 27), 27, 28, 33],
    [*range(19, 25), *range(27, 36)],
    [*range(4, 13), *range(31, 36), *range(48, 60)],
)
"""Left cheek with its brow, right cheek with its brow, nose with the space between the brows, mouth with chin."""


def hull_mask(landmarks: np.ndarray, px: int, kind: HullKind = "extended") -> np.ndarray:
    """The region of the face in a crop: (``px``, ``px``) float32, edges weighted by coverage.

    ``kind``: "facehull" is the convex hull of all points, chin to brows. "components" unites the hulls of four parts
    (both cheeks, nose, mouth), so it can be concave at hollow cheeks and turned heads. "dfl" is that union with the
    brows raised slightly. "extended" is the convex hull with the brows raised about half way up the forehead.

    Raises:
        UsageError: ``kind`` is unknown.
        ValueError: ``landmarks`` are not (68, 2).
    """
    if kind not in _SHAPES:
        raise UsageError(f"no mask is named {kind!r}", hint=near_matches(kind, list(_SHAPES)))
    if landmarks.shape != (NUM_LANDMARKS, 2):
        raise ValueError(f"landmarks must be ({NUM_LANDMARKS}, 2), got {landmarks.shape}")
    canvas = np.zeros((px * _SUBPIXELS, px * _SUBPIXELS), np.uint8)
    for points in _SHAPES[kind](np.asarray(landmarks, np.float64)):
        _fill_hull(canvas, points)
    small = cv2.resize(canvas, (px, px), interpolation=cv2.INTER_AREA)
    return small.astype(np.float32) / 255


def feather(mask: np.ndarray, px_sigma: float) -> np.ndarray:
    """``mask`` (H, W) with its edge softened by a Gaussian of ``px_sigma``: (H, W) float32.

    Outside the image counts as 0, so a mask that touches the border fades there too. 0 changes nothing.

    Raises:
        ValueError: ``px_sigma`` is negative.
    """
    if px_sigma < 0:
        raise ValueError(f"a width cannot be negative, got {px_sigma}")
    if px_sigma == 0:
        return mask.astype(np.float32)
    margin = int(np.ceil(3 * px_sigma))
    wide = np.pad(mask.astype(np.float32), margin)
    blurred = cv2.GaussianBlur(wide, (2 * margin + 1, 2 * margin + 1), px_sigma)
    return np.clip(blurred[margin:-margin, margin:-margin], 0, 1)


def erode(mask: np.ndarray, amount_px: float) -> np.ndarray:
    """``mask`` (H, W) eroded by ``amount_px`` (dilated when negative): (H, W) float32.

    Outside the image counts as 0. Whole pixels; a fraction is rounded.
    """
    radius = round(abs(amount_px))
    mask = mask.astype(np.float32)
    if radius == 0:
        return mask
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1, 2 * radius + 1))
    operation = cv2.erode if amount_px > 0 else cv2.dilate
    return operation(mask, disc, borderType=cv2.BORDER_CONSTANT, borderValue=0)  # type: ignore[call-overload]


def _fill_hull(canvas: np.ndarray, points: np.ndarray) -> None:
    fine = (points + 0.5) * _SUBPIXELS - 0.5
    # Clipped far outside the image, because the rasteriser's coordinates are limited.
    fine = np.clip(fine, -4 * canvas.shape[0], 5 * canvas.shape[0])
    hull = cv2.convexHull(np.rint(fine * 2**_FRACTION_BITS).astype(np.int32))
    cv2.fillConvexPoly(canvas, hull, 255, lineType=cv2.LINE_8, shift=_FRACTION_BITS)


def _raised_brows(landmarks: np.ndarray, share: float) -> np.ndarray:
    """(10, 2): the brows moved up the face by ``share`` of the distance from the nose's base to the eyes.

    That distance is bone, so the region does not grow when the brows rise.
    """
    up = landmarks[36:48].mean(0) - landmarks[33]
    return landmarks[_BROWS] + share * _BROW_LIFT * up


def _hull_of_all(landmarks: np.ndarray) -> list[np.ndarray]:
    return [landmarks]


def _hull_up_the_forehead(landmarks: np.ndarray) -> list[np.ndarray]:
    return [np.concatenate([landmarks, _raised_brows(landmarks, 0.7)])]


def _hulls_of_parts(landmarks: np.ndarray) -> list[np.ndarray]:
    return [landmarks[part] for part in _PARTS]


def _hulls_of_parts_raised(landmarks: np.ndarray) -> list[np.ndarray]:
    raised = _raised_brows(landmarks, 0.35)
    return [np.concatenate([landmarks[part], raised[[i - 17 for i in part if i in _BROWS]]]) for part in _PARTS]


_SHAPES: dict[HullKind, Callable[[np.ndarray], list[np.ndarray]]] = {
    "extended": _hull_up_the_forehead,
    "components": _hulls_of_parts,
    "facehull": _hull_of_all,
    "dfl": _hulls_of_parts_raised,
}
