"""The mask of a paste: from a region, such as a hull or the whole crop, to the alpha of the compositor.

Convention:
    fractions: of the crop's side
    region, mask: (S, S) float32 in [0, 1] in a crop, (H, W) in the frame
"""

from __future__ import annotations

import math

import cv2
import numpy as np
from scipy.ndimage import distance_transform_edt

from shared.faces.mask import erode as shrink
from shared.faces.mask import feather, hull_mask
from shared.faces.pastes.config import USUAL_REACH, MaskConfig

_TAIL = 0.03
_OPAQUE_ABOVE = 20 / 255
"""In the frame, a region's warped edge counts as inside from here, as in InsightFace's own paste."""


def plain_region(config: MaskConfig, landmarks: np.ndarray, px: int) -> np.ndarray:
    """(``px``, ``px``) float32: the region of a mask that no model gives; the hull for a kind that a model would give.

    ``landmarks`` are (68, 2) in pixels of the crop.
    """
    if config.kind == "full":
        return np.ones((px, px), np.float32)
    if config.kind == "ellipse" and config.ellipse is not None:
        return ellipse_region(px, config.ellipse)
    return hull_mask(landmarks, px, config.hull)


def ellipse_region(px: int, halves: tuple[float, float]) -> np.ndarray:
    """(``px``, ``px``) float32: 1 within the ellipse of these half axes (fractions) about the crop's centre."""
    scaled = (np.arange(px) - (px - 1) / 2) / px
    x, y = scaled[None, :] / halves[0], scaled[:, None] / halves[1]
    return (x * x + y * y <= 1).astype(np.float32)


def soften(
    region: np.ndarray,
    config: MaskConfig = MaskConfig(),  # noqa: B008 - frozen
    *,
    crop_per_frame: float = 1.0,
) -> np.ndarray:
    """The mask (S, S) float32 of a crop: ``region`` eroded, feathered inward, ramped and blurred.

    The feather (a Gaussian of that sigma) runs inward: the region is first shrunk by twice its reach, so that nothing
    outside the region is pasted. A blur reaches both ways. ``border`` is the width of the fade to the crop's edge; the
    outermost pixel is then exactly zero, so that no box can be seen whatever the region is. With ``keep_edge`` there
    is no such fade, and the blur reads the crop mirrored beyond its edge.

    ``crop_per_frame`` is the size of a frame pixel in pixels of the crop. With ``space = "frame"`` the result is not
    yet eroded nor blurred: :func:`soften_in_frame` does that after the warp.
    """
    px, kept, in_frame = region.shape[0], bool(config.keep_edge), config.space == "frame"
    region = erode_sides(region, config.sides)
    erosion = 0.0 if in_frame else _at_least(config.erode, config.erode_px, crop_per_frame / px)
    soft = feather(shrink(region, (erosion + 2 * config.feather) * px), config.feather * px)
    soft = _without_tails(soft, config.feather)
    if config.ramp:
        soft = inward_ramp(soft, config.ramp)
    sigma = 0.0 if in_frame else px * _at_least(config.blur, config.blur_px, crop_per_frame / px)
    if sigma:
        soft = _blurred(soft, sigma, config.reach) if kept else _without_tails(feather(soft, sigma), sigma)
    return (soft if kept else soft * border_fade(px, config.border)).astype(np.float32)


def soften_in_frame(mask: np.ndarray, config: MaskConfig, size: tuple[float, float] | None = None) -> np.ndarray:
    """``mask`` (H, W) in the frame, eroded and blurred along the frame's axes as ``config`` says: (H, W) float32.

    What is above 20 of 255 counts as inside. Fractions are of the square root of ``size``, width times height of the
    region's whole box in frame pixels; left out, that of what is in ``mask``. What lies beyond the edge of ``mask`` is
    like its outermost pixels.
    """
    inside = (mask > _OPAQUE_ABOVE).astype(np.float32)
    width, height = size or cv2.boundingRect(inside.astype(np.uint8))[2:]
    unit = math.sqrt(width * height)
    side = round(2 * _at_least(config.erode * unit, config.erode_px, 1.0))
    if side:
        operation = cv2.erode if side > 0 else cv2.dilate
        inside = operation(inside, np.ones((abs(side), abs(side)), np.uint8), borderType=cv2.BORDER_REPLICATE)
    sigma = _at_least(config.blur * unit, config.blur_px, 1.0)
    return _blurred(inside, sigma, config.reach) if sigma else inside


def frame_margin(config: MaskConfig, unit: float) -> int:
    """Pixels by which :func:`soften_in_frame` may reach beyond a region whose box has the mean side ``unit``."""
    reach = (config.reach or USUAL_REACH) * _at_least(config.blur * unit, config.blur_px, 1.0)
    return 2 + max(0, math.ceil(reach - _at_least(config.erode * unit, config.erode_px, 1.0)))


def inward_ramp(region: np.ndarray, share: float) -> np.ndarray:
    """0 at the edge of ``region`` (where it is 0.5), rising linearly to 1 at ``share`` of its box's longer side."""
    inside = (region >= 0.5).astype(np.uint8)
    width = share * max(cv2.boundingRect(inside)[2:])
    # Padded: the crop's edge is the region's edge too. The measure starts at the centre of a pixel, half one inside.
    # (OpenCV's exact transform runs in threads, and its results were seen to differ between two calls.)
    distance = distance_transform_edt(np.pad(inside, 1))[1:-1, 1:-1]  # type: ignore[index]
    return np.clip(np.maximum(distance - 0.5, 0) / max(width, 1e-6), 0, 1).astype(np.float32)


def erode_sides(region: np.ndarray, sides: tuple[float, float, float, float]) -> np.ndarray:
    """``region`` (S, S) eroded at its top, bottom, left and right by these fractions; negative ones dilate it.

    Only edges that face that side move, each by the same number of whole pixels, whatever their shape. Outside the
    crop counts as 0.
    """
    px = region.shape[0]
    for place, fraction in enumerate(sides):
        steps = round(abs(fraction) * px)
        if not steps:
            continue
        downward = place < 2
        # An eroded pixel is the least of those between it and the side; a grown one the largest of those beyond it.
        first = (place % 2 == 0) == (fraction > 0)
        size = (1, steps + 1) if downward else (steps + 1, 1)
        at = steps if first else 0
        anchor = (0, at) if downward else (at, 0)
        kernel = np.ones(size[::-1], np.uint8)
        operation = cv2.erode if fraction > 0 else cv2.dilate
        region = operation(region, kernel, anchor=anchor, borderType=cv2.BORDER_CONSTANT, borderValue=0)  # type: ignore[call-overload]
    return region


def border_fade(px: int, fraction: float) -> np.ndarray:
    """(px, px) float32: 0 on the outermost pixels, smoothly 1 from ``fraction`` of the side inward."""
    distance = np.minimum(np.arange(px), np.arange(px)[::-1]).astype(np.float32)
    ramp = np.clip(distance / max(fraction * px, 1.0), 0.0, 1.0)
    smooth = ramp * ramp * (3 - 2 * ramp)
    return np.minimum(smooth[:, None], smooth[None, :])


def _at_least(value: float, frame_px: float | None, scale: float) -> float:
    return value if frame_px is None else max(value, frame_px * scale)


def _blurred(mask: np.ndarray, sigma: float, reach: float | None) -> np.ndarray:
    radius = max(1, math.ceil((reach or USUAL_REACH) * sigma))
    return cv2.GaussianBlur(mask, (2 * radius + 1, 2 * radius + 1), sigma, borderType=cv2.BORDER_REFLECT_101)


def _without_tails(mask: np.ndarray, sigma: float) -> np.ndarray:
    # Without its tails the Gaussian would paste 2 % of pixels far outside, so values are stretched to reach 0 and 1.
    return np.clip((mask - _TAIL) / (1 - 2 * _TAIL), 0.0, 1.0) if sigma else mask
