"""Puts a swapped face back into its frame.

The way: a mask in the crop (learned, hull, both, or the whole crop), shrunk and feathered inward, faded to zero before
the crop's edge; crop and mask together through **one** cubic warp into the frame; alpha or Poisson blending on the
bounding area alone. A pixel whose alpha is zero keeps its bytes.

Convention:
    fractions: of the crop's side
    Patch.bounds: half-open (x0, y0, x1, y1) in frame pixels
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np

from forge.swap_config import BlendMethod, HullKind, MaskChoice
from shared.errors import UsageError
from shared.faces.align import compose, map_points, paste_bounds, resized, scale_of
from shared.faces.mask import erode as shrink
from shared.faces.mask import feather as blur
from shared.faces.mask import hull_mask
from shared.types import SwappedFace

_TAIL = 0.03
_TOP = np.array([255.0, 255.0, 255.0, 1.0], np.float32)
_POISSON_PAD_PX = 4
_MIN_POISSON_SIDE_PX = 8


@dataclass(frozen=True, eq=False)
class Patch:
    """A swapped face as it lies in the frame.

    Convention:
        rgb: (h, w, 3) float32 in [0, 255]
        alpha: (h, w) float32 in [0, 1], what the compositor uses; exactly 0 at the crop's edge and beyond
        region: (h, w) float32 in [0, 1], the model's or the landmarks' face region before shrinking and feathering
    """

    bounds: tuple[int, int, int, int]
    rgb: np.ndarray
    alpha: np.ndarray
    region: np.ndarray


def resolve_mask(choice: MaskChoice, *, has_mask: bool) -> Literal["learned", "hull", "product", "full"]:
    """``choice`` with ``auto`` settled.

    Raises:
        UsageError: a learned mask is asked of a swapper that has none.
    """
    if choice == "auto":
        return "product" if has_mask else "hull"
    if choice in ("learned", "product") and not has_mask:
        raise UsageError(f"mask {choice!r} needs a swapper that learned a mask", hint="choose hull or full")
    return choice


def face_region(
    swapped: SwappedFace, landmarks: np.ndarray, *, choice: MaskChoice = "auto", hull: HullKind = "extended"
) -> np.ndarray:
    """(S, S) float32 in [0, 1]: where in the swapped crop the face is; all ones for ``full``.

    ``landmarks`` are (68, 2) in frame pixels.

    Raises:
        UsageError: a learned mask is asked of a swapper that has none.
    """
    kind = resolve_mask(choice, has_mask=swapped.mask is not None)
    px = swapped.crop.shape[0]
    if kind == "full":
        return np.ones((px, px), np.float32)
    learned = swapped.mask if swapped.mask is not None else np.ones((px, px), np.float32)
    if kind == "learned":
        return learned
    outline = hull_mask(map_points(swapped.frame_to_crop, landmarks), px, kind=hull)
    return outline if kind == "hull" else outline * learned


def soften(region: np.ndarray, *, erode: float = 0.0, feather: float = 0.035, border: float = 0.08) -> np.ndarray:
    """The compositor's mask (S, S) float32: ``region`` shrunk by ``erode``, feathered inward, zero at the crop's edge.

    The feather (a Gaussian of that sigma) runs inward: the region is first shrunk by twice its reach, so nothing
    outside the region is pasted. ``border`` is the width of the fade to the crop's edge; the outermost pixel is
    exactly zero, so that no box can be seen whatever the region is. Negative ``erode`` grows.
    """
    px = region.shape[0]
    shrunk = shrink(region, (erode + 2 * feather) * px)
    # The Gaussian's tails would paste 2 % of a wrong pixel far outside: cut them, so that zero is zero and one is one.
    cut = np.clip((blur(shrunk, feather * px) - _TAIL) / (1 - 2 * _TAIL), 0.0, 1.0)
    return (cut * border_fade(px, border)).astype(np.float32)


def sharpened(crop: np.ndarray, amount: float) -> np.ndarray:
    """(S, S, 3) float32 in [0, 1]: ``crop`` plus ``amount`` times what a Gaussian of one pixel takes away from it."""
    if amount == 0:
        return crop
    detail = crop - cv2.GaussianBlur(crop, (0, 0), 1.0, borderType=cv2.BORDER_REFLECT)
    return np.clip(crop + amount * detail, 0.0, 1.0)


def border_fade(px: int, fraction: float) -> np.ndarray:
    """(px, px) float32: 0 on the outermost pixels, smoothly 1 from ``fraction`` of the side inward."""
    distance = np.minimum(np.arange(px), np.arange(px)[::-1]).astype(np.float32)
    ramp = np.clip(distance / max(fraction * px, 1.0), 0.0, 1.0)
    smooth = ramp * ramp * (3 - 2 * ramp)
    return np.minimum(smooth[:, None], smooth[None, :])


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
    # Replicated, the zero alpha of the crop's edge goes on for ever, and colours do not darken towards it.
    border = cv2.BORDER_REPLICATE if outside is None else cv2.BORDER_CONSTANT
    return cv2.warpAffine(
        crop,
        part_to_crop,
        (x1 - x0, y1 - y0),
        flags=interpolation | cv2.WARP_INVERSE_MAP,
        borderMode=border,
        borderValue=outside or 0.0,
    )


def paste(image: np.ndarray, patch: Patch, method: BlendMethod = "alpha") -> np.ndarray:
    """A new frame (H, W, 3) uint8 with ``patch`` in it; bytes where alpha is zero are those of ``image``.

    ``poisson`` takes the patch's gradients and the frame's colours at the mask's border (Pérez et al., "Poisson Image
    Editing", 2003), then blends by alpha. It **falls back to alpha** for a mask too small to solve in (under 8 px a
    side): see :func:`can_clone`.
    """
    x0, y0, x1, y1 = patch.bounds
    result = image.copy()
    part = image[y0:y1, x0:x1]
    rgb = patch.rgb
    if method == "poisson" and can_clone(patch):
        rgb = _cloned(part, patch).astype(np.float32)
    result[y0:y1, x0:x1] = _mixed(part, rgb, patch.alpha)
    return result


def can_clone(patch: Patch) -> bool:
    """Whether the mask is large enough for Poisson blending: eight pixels or more each way."""
    _x, _y, width, height = cv2.boundingRect((patch.alpha > 0).astype(np.uint8))
    return min(width, height) >= _MIN_POISSON_SIDE_PX


def _mixed(part: np.ndarray, rgb: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    behind = part.astype(np.float32)
    mixed = behind + alpha[..., None] * (rgb - behind)
    return np.clip(np.rint(mixed), 0, 255).astype(np.uint8)


def _cloned(part: np.ndarray, patch: Patch) -> np.ndarray:
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
    cloned = cv2.seamlessClone(face, behind, mask, centre, cv2.NORMAL_CLONE)
    return cloned[pad:-pad, pad:-pad]
