"""The square of a paste: where it lies over a face, and the warps into it and out of it.

Convention:
    frame_to_square: (2, 3) float64, frame pixels to the square's pixels
    bounds: half-open (x0, y0, x1, y1) in frame pixels
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import NamedTuple

import cv2
import numpy as np

from shared.faces.align import (
    FRAMING_RATIO,
    FRAMING_UP,
    INNER,
    MEAN_FACE,
    compose,
    cut,
    invert,
    map_points,
    mean_in_square,
    paste_bounds,
    resized,
    scale_of,
    similarity,
)
from shared.faces.pastes.config import Beyond, Interpolation, MaskConfig, SquareConfig
from shared.faces.pastes.mask import frame_margin, soften_in_frame
from shared.types import Framing

_EYE_DISTANCE = float(np.hypot(*(MEAN_FACE[42:48].mean(0) - MEAN_FACE[36:42].mean(0))))
FACE_WIDTH = 2.2 * _EYE_DISTANCE
"""Width of a face (bizygomatic) over the side of the mean face's unit box: 2.2 times the distance of the eyes."""

_FLAGS: dict[Interpolation, int] = {
    "linear": cv2.INTER_LINEAR,
    "cubic": cv2.INTER_CUBIC,
    "lanczos": cv2.INTER_LANCZOS4,
}
_BORDERS: dict[Beyond, int] = {"replicate": cv2.BORDER_REPLICATE, "zero": cv2.BORDER_CONSTANT}
_REACH_PX = 2
"""A cubic kernel reads two pixels beyond the square's edge."""


class Placed(NamedTuple):
    """A face in the frame: its bounds, rgb (h, w, 3) float32 in [0, 255], alpha (h, w) float32 in [0, 1]."""

    bounds: tuple[int, int, int, int]
    rgb: np.ndarray
    alpha: np.ndarray


def fitted(config: SquareConfig, framing: Framing) -> SquareConfig:
    """``config`` with the square moved, and if need be made smaller, so that it lies within a crop of ``framing``."""
    half, up = FRAMING_RATIO[framing] / FACE_WIDTH / 2, FRAMING_UP[framing] / FACE_WIDTH
    # Four decimals, as a record shows them: far less than half a pixel.
    side = min(config.side, math.floor(2e4 * half) / 1e4)
    room = half - side / 2
    return replace(config, side=side, rise=round(min(max(config.rise, up - room), up + room), 4))


def square_matrix(landmarks: np.ndarray, config: SquareConfig) -> np.ndarray:
    """(2, 3) float64 from frame pixels to the square's; ``landmarks`` are (68, 2) in frame pixels.

    Raises:
        ValueError: the landmarks collapse to one point.
    """
    mean = mean_in_square(config.px, config.side * FACE_WIDTH, config.rise * FACE_WIDTH)
    matrix = similarity(landmarks[INNER], mean[INNER])
    if not config.upright:
        return matrix
    middle = np.full((1, 2), (config.px - 1) / 2)
    centre, scale = map_points(invert(matrix), middle)[0], scale_of(matrix)
    return np.column_stack([np.eye(2) * scale, middle[0] - scale * centre])


def sampled(image: np.ndarray, matrix: np.ndarray, px: int, config: SquareConfig) -> np.ndarray:
    """The crop (``px``, ``px``, ...) of ``image`` (H, W, ...) under ``matrix``, warped as ``config`` says."""
    if config.antialias and scale_of(matrix) < 1:
        return cut(image, matrix, px)
    return cv2.warpAffine(
        image, matrix, (px, px), flags=_FLAGS[config.into], borderMode=_BORDERS[config.beyond], borderValue=0
    )


def redrawn(crop: np.ndarray, frame_to_crop: np.ndarray, frame_to_square: np.ndarray, px: int) -> np.ndarray:
    """``crop`` (S, S, ...) float32 in [0, 1] in the square (``px``, ``px``, ...), smoothly resampled."""
    picture = cut(crop.astype(np.float32), compose(frame_to_square, invert(frame_to_crop)), px)
    return np.clip(picture, 0.0, 1.0)


def coverage(crop_px: int, frame_to_crop: np.ndarray, frame_to_square: np.ndarray, px: int) -> np.ndarray:
    """(``px``, ``px``) float32: 1 where the centre of a square's pixel lies in a crop of ``crop_px``, else 0."""
    matrix = compose(frame_to_crop, invert(frame_to_square))
    steps = np.arange(px, dtype=np.float64)
    x, y = np.meshgrid(steps, steps)
    points = map_points(matrix, np.column_stack([x.ravel(), y.ravel()]))
    inside = ((points > -0.5 - 1e-6) & (points < crop_px - 0.5 + 1e-6)).all(1)
    return inside.reshape(px, px).astype(np.float32)


def lay(
    crop: np.ndarray,
    alpha: np.ndarray,
    frame_to_square: np.ndarray,
    config: SquareConfig,
    mask: MaskConfig,
    *,
    width: int,
    height: int,
) -> Placed | None:
    """A square's ``crop`` (S, S, 3) in [0, 1] and ``alpha`` (S, S) in a frame of ``width`` x ``height``; None outside.

    Warped by ``config``; ``alpha`` ends in a step at the square's edge, and with ``mask.space = "frame"`` it is eroded
    and blurred after the warp. The bounds hold every pixel whose alpha is above zero.
    """
    layers = np.dstack([crop.astype(np.float32) * 255, alpha.astype(np.float32)])
    matrix = frame_to_square
    if config.hop:
        layers = cv2.resize(layers, (config.hop, config.hop), interpolation=min(_FLAGS[config.out], cv2.INTER_CUBIC))
        matrix = resized(matrix, crop.shape[0], config.hop)
    if config.antialias:
        layers, matrix = at_most_frame_scale(layers, matrix)
    in_frame = mask.space == "frame"
    size = _box_in_frame(alpha, frame_to_square) if in_frame else (0.0, 0.0)
    bounds = paste_bounds(matrix + [[0, 0, _REACH_PX]] * 2, layers.shape[0] + 2 * _REACH_PX, width, height)
    if bounds[2] <= bounds[0] or bounds[3] <= bounds[1]:
        return None
    if in_frame:
        bounds = _wider(bounds, frame_margin(mask, float(np.sqrt(size[0] * size[1]))), width, height)
    flags = _FLAGS[config.out]
    rgb = to_frame(layers[..., :3], matrix, bounds, flags, beyond=config.beyond)
    soft = to_frame(layers[..., 3], matrix, bounds, min(flags, cv2.INTER_CUBIC), beyond="zero")
    soft = soften_in_frame(soft, mask, size) if in_frame else np.clip(soft, 0.0, 1.0)
    return Placed(bounds, np.clip(rgb, 0.0, 255.0), soft)


def at_most_frame_scale(crop: np.ndarray, frame_to_crop: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """``crop`` (S, S, ...) with no more pixels than the frame can show, area-averaged, and its matrix."""
    px, scale = crop.shape[0], scale_of(frame_to_crop)
    if scale <= 1.25:
        return crop, frame_to_crop
    smaller = max(2, round(px / scale))
    return cv2.resize(crop, (smaller, smaller), interpolation=cv2.INTER_AREA), resized(frame_to_crop, px, smaller)


def to_frame(
    crop: np.ndarray,
    frame_to_crop: np.ndarray,
    bounds: tuple[int, int, int, int],
    interpolation: int,
    *,
    beyond: Beyond = "replicate",
) -> np.ndarray:
    """``crop`` (S, S, ...) warped into the part ``bounds`` of the frame; beyond its edge its last pixels, or zero."""
    x0, y0, x1, y1 = bounds
    part_to_crop = compose(frame_to_crop, np.array([[1.0, 0, x0], [0, 1.0, y0]]))
    return cv2.warpAffine(
        crop,
        part_to_crop,
        (x1 - x0, y1 - y0),
        flags=interpolation | cv2.WARP_INVERSE_MAP,
        borderMode=_BORDERS[beyond],
        borderValue=0.0,
    )


def _box_in_frame(region: np.ndarray, frame_to_square: np.ndarray) -> tuple[float, float]:
    """Width and height in frame pixels of the upright box of a square's region, frame edges apart."""
    points = cv2.findNonZero((region > 0).astype(np.uint8))
    if points is None:
        return 0.0, 0.0
    outline = cv2.convexHull(points).reshape(-1, 2).astype(np.float64)
    corners = (outline[:, None] + [[-0.5, -0.5], [-0.5, 0.5], [0.5, -0.5], [0.5, 0.5]]).reshape(-1, 2)
    placed = map_points(invert(frame_to_square), corners)
    spread = placed.max(0) - placed.min(0)
    return float(spread[0]), float(spread[1])


def _wider(bounds: tuple[int, int, int, int], margin: int, width: int, height: int) -> tuple[int, int, int, int]:
    x0, y0, x1, y1 = bounds
    return max(0, x0 - margin), max(0, y0 - margin), min(width, x1 + margin), min(height, y1 + margin)
