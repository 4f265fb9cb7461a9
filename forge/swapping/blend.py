"""Puts a swapped face back into its frame.

Crop and mask are warped into the frame by **one** cubic warp, then blended inside the mask's bounding box. A pixel
whose alpha is zero keeps its bytes with every blending method.

Convention:
    Patch.bounds: half-open (x0, y0, x1, y1) in frame pixels
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from types import MappingProxyType

import cv2
import numpy as np

from forge.swapping.config import BlendMethod
from shared.faces.align import compose, paste_bounds, resized, scale_of
from shared.types import SwappedFace

_TOP = np.array([255.0, 255.0, 255.0, 1.0], np.float32)
_POISSON_PAD_PX = 4
_MIN_POISSON_SIDE_PX = 8


@dataclass(frozen=True, eq=False)
class Patch:
    """A swapped face warped into the frame.

    Convention:
        rgb: (h, w, 3) float32 in [0, 255]
        alpha: (h, w) float32 in [0, 1], what the compositor uses; exactly 0 at the crop's edge and beyond
        region: (h, w) float32 in [0, 1], the model's or the landmarks' face region before shrinking and feathering
    """

    bounds: tuple[int, int, int, int]
    rgb: np.ndarray
    alpha: np.ndarray
    region: np.ndarray


def place(swapped: SwappedFace, alpha: np.ndarray, region: np.ndarray, *, width: int, height: int) -> Patch | None:
    """``swapped`` with its masks (S, S) in the frame of ``width`` x ``height``; None when it lies outside.

    One cubic warp from crop to frame; a crop finer than the frame is area-averaged first, so that it does not alias.
    """
    px = swapped.crop.shape[0]
    bounds = paste_bounds(swapped.frame_to_crop, px, width, height)
    x0, y0, x1, y1 = bounds
    if x1 <= x0 or y1 <= y0:
        return None
    layers = np.dstack([swapped.crop.astype(np.float32) * 255.0, alpha])
    layers, matrix = _at_most_frame_scale(layers, swapped.frame_to_crop)
    placed = _to_frame(layers, matrix, bounds, cv2.INTER_CUBIC)
    np.clip(placed, 0.0, _TOP, out=placed)  # the cubic overshoots
    outline, matrix = _at_most_frame_scale(region.astype(np.float32), swapped.frame_to_crop)
    return Patch(
        bounds=bounds,
        rgb=placed[..., :3],
        alpha=placed[..., 3],
        region=np.clip(_to_frame(outline, matrix, bounds, cv2.INTER_LINEAR, outside=0.0), 0.0, 1.0),
    )


def _at_most_frame_scale(crop: np.ndarray, frame_to_crop: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """``crop`` with no more pixels than the frame can show, and its matrix."""
    px, scale = crop.shape[0], scale_of(frame_to_crop)
    if scale <= 1.25:
        return crop, frame_to_crop
    smaller = max(2, round(px / scale))
    return cv2.resize(crop, (smaller, smaller), interpolation=cv2.INTER_AREA), resized(frame_to_crop, px, smaller)


def _to_frame(
    crop: np.ndarray,
    frame_to_crop: np.ndarray,
    bounds: tuple[int, int, int, int],
    interpolation: int,
    *,
    outside: float | None = None,
) -> np.ndarray:
    x0, y0, x1, y1 = bounds
    shift = np.array([[1.0, 0, x0], [0, 1.0, y0]])
    part_to_crop = compose(frame_to_crop, shift)
    # Replicated: alpha stays zero beyond the crop's edge, and colours do not darken towards it.
    border = cv2.BORDER_REPLICATE if outside is None else cv2.BORDER_CONSTANT
    return cv2.warpAffine(
        crop,
        part_to_crop,
        (x1 - x0, y1 - y0),
        flags=interpolation | cv2.WARP_INVERSE_MAP,
        borderMode=border,
        borderValue=outside or 0.0,
    )


def paste(image: np.ndarray, patch: Patch, method: BlendMethod = "alpha", *, levels: int = 5) -> np.ndarray:
    """A new frame (H, W, 3) uint8 with ``patch`` in it; bytes where alpha is zero are those of ``image``.

    * ``alpha``: each pixel a mixture of face and frame.
    * ``poisson``: the face's gradients and the frame's colours at the mask's border (Pérez et al., "Poisson Image
      Editing", 2003, eq. 9), then mixed by alpha. ``poisson-mixed`` takes the stronger gradient of face and frame
      (eq. 12), so wrinkles and hair of the target show through. Both **fall back to alpha** for a mask too small to
      solve in (under 8 px a side): see :func:`can_clone`.
    * ``pyramid``: each band of detail mixed over a width that suits it (Burt and Adelson, "A Multiresolution Spline
      with Application to Image Mosaics", 1983), ``levels`` bands at most.
    * ``overlay``: the face as a layer in the mode that image editors call overlay (W3C Compositing, 10.1.3): where the
      frame is dark it darkens, where it is light it lightens. The frame's own shape stays visible: a weak swap.
    """
    x0, y0, x1, y1 = patch.bounds
    result = image.copy()
    part = image[y0:y1, x0:x1]
    result[y0:y1, x0:x1] = _WAYS[method](part, patch, levels)
    return result


def scaled(frame_to_crop: np.ndarray, px: int, factor: float) -> np.ndarray:
    """(2, 3) float64: ``frame_to_crop`` of a crop of ``px`` laid ``factor`` times as large about its centre."""
    centre = (px - 1) / 2
    shrink = np.array([[1 / factor, 0, centre * (1 - 1 / factor)], [0, 1 / factor, centre * (1 - 1 / factor)]])
    return compose(shrink, frame_to_crop)


def can_clone(patch: Patch) -> bool:
    """Whether the mask is large enough for Poisson blending: eight pixels or more each way."""
    _x, _y, width, height = cv2.boundingRect((patch.alpha > 0).astype(np.uint8))
    return min(width, height) >= _MIN_POISSON_SIDE_PX


def _mixed(part: np.ndarray, rgb: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    behind = part.astype(np.float32)
    mixed = behind + alpha[..., None] * (rgb - behind)
    return np.clip(np.rint(mixed), 0, 255).astype(np.uint8)


def _alpha(part: np.ndarray, patch: Patch, _levels: int) -> np.ndarray:
    return _mixed(part, patch.rgb, patch.alpha)


def _poisson(part: np.ndarray, patch: Patch, _levels: int) -> np.ndarray:
    if not can_clone(patch):
        return _mixed(part, patch.rgb, patch.alpha)
    return _mixed(part, _cloned(part, patch, cv2.NORMAL_CLONE).astype(np.float32), patch.alpha)


def _poisson_mixed(part: np.ndarray, patch: Patch, _levels: int) -> np.ndarray:
    if not can_clone(patch):
        return _mixed(part, patch.rgb, patch.alpha)
    return _mixed(part, _cloned(part, patch, cv2.MIXED_CLONE).astype(np.float32), patch.alpha)


def _overlay(part: np.ndarray, patch: Patch, _levels: int) -> np.ndarray:
    behind, face = part.astype(np.float32) / 255, patch.rgb / 255
    layered = np.where(behind <= 0.5, 2 * behind * face, 1 - 2 * (1 - behind) * (1 - face))
    return _mixed(part, layered * 255, patch.alpha)


def _pyramid(part: np.ndarray, patch: Patch, levels: int) -> np.ndarray:
    blended = multiband(patch.rgb, part.astype(np.float32), patch.alpha, levels)
    # Wide bands reach beyond the mask. Their change is faded out over the mask's outermost quarter, so
    # that where alpha is zero the frame's bytes stay.
    return _mixed(part, blended, np.minimum(4 * patch.alpha, 1.0))


def multiband(front: np.ndarray, back: np.ndarray, alpha: np.ndarray, levels: int) -> np.ndarray:
    """(h, w, 3) float32: ``front`` over ``back`` by ``alpha`` (h, w), each octave of detail mixed by a mask as coarse.

    As many octaves as ``levels`` or as the picture holds. One level is plain alpha blending.
    """
    octaves = min(levels, max(1, int(np.log2(max(2, min(alpha.shape)))) - 1))
    padded = [_for_octaves(layer, octaves) for layer in (front, back, alpha)]
    fronts, backs = (_laplacians(layer, octaves) for layer in padded[:2])
    masks = _gaussians(padded[2], octaves)
    bands = [b + m[..., None] * (f - b) for f, b, m in zip(fronts, backs, masks, strict=True)]
    result = bands[-1]
    for band in reversed(bands[:-1]):
        result = cv2.pyrUp(result, dstsize=(band.shape[1], band.shape[0])) + band
    return np.clip(result[: alpha.shape[0], : alpha.shape[1]], 0.0, 255.0)


def _for_octaves(layer: np.ndarray, octaves: int) -> np.ndarray:
    """Padded to sides divisible by two once an octave, so that no octave is shifted against another."""
    unit = 2 ** (octaves - 1)
    height, width = layer.shape[:2]
    return cv2.copyMakeBorder(layer, 0, -height % unit, 0, -width % unit, cv2.BORDER_REPLICATE)


def _gaussians(layer: np.ndarray, octaves: int) -> list[np.ndarray]:
    found = [layer]
    for _ in range(octaves - 1):
        found.append(cv2.pyrDown(found[-1]))
    return found


def _laplacians(layer: np.ndarray, octaves: int) -> list[np.ndarray]:
    found = _gaussians(layer, octaves)
    fine = [a - cv2.pyrUp(b, dstsize=(a.shape[1], a.shape[0])) for a, b in pairwise(found)]
    return [*fine, found[-1]]


def _cloned(part: np.ndarray, patch: Patch, flags: int) -> np.ndarray:
    """``patch.rgb`` re-lit to the frame's border colours, (h, w, 3) uint8.

    The centre given to OpenCV is that of the mask's own box: OpenCV places the *box of the mask* there, so any other
    centre shifts the face by a pixel or two from frame to frame. Padding keeps a mask that reaches the frame's edge
    away from the edge of the picture, where the solver reads outside.
    """
    pad = _POISSON_PAD_PX
    mask = cv2.copyMakeBorder((patch.alpha > 0).astype(np.uint8) * 255, pad, pad, pad, pad, cv2.BORDER_CONSTANT)
    behind = cv2.copyMakeBorder(part, pad, pad, pad, pad, cv2.BORDER_REPLICATE)
    face = cv2.copyMakeBorder(np.rint(patch.rgb).astype(np.uint8), pad, pad, pad, pad, cv2.BORDER_REPLICATE)
    x, y, width, height = cv2.boundingRect(mask)
    centre = (x + width // 2, y + height // 2)
    cloned = cv2.seamlessClone(face, behind, mask, centre, flags)
    return cloned[pad:-pad, pad:-pad]


_WAYS: Mapping[BlendMethod, Callable[[np.ndarray, Patch, int], np.ndarray]] = MappingProxyType(
    {
        "alpha": _alpha,
        "poisson": _poisson,
        "poisson-mixed": _poisson_mixed,
        "pyramid": _pyramid,
        "overlay": _overlay,
    }
)
