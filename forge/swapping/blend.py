"""Puts a swapped face back into its frame.

Crop and mask are warped into the frame by **one** cubic warp, or as the square of a paste says, then blended inside the
mask's bounding box. A pixel whose alpha is zero keeps its bytes with every blending method.

Convention:
    Patch.bounds: half-open (x0, y0, x1, y1) in frame pixels
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from itertools import pairwise
from types import MappingProxyType

import cv2
import numpy as np

from forge.swapping.config import BlendConfig, BlendMethod, Rounding
from forge.swapping.prefilter import prefiltered
from shared.faces.align import compose, invert, map_points, paste_bounds, scale_of
from shared.faces.pastes.config import MaskConfig, SquareConfig
from shared.faces.pastes.square import at_most_frame_scale, lay, to_frame
from shared.types import SwappedFace

_REACH_PX = 3
"""How far a cubic warp and the averaging before it carry a pixel of the crop, at most."""
_POISSON_PAD_PX = 4
_MIN_POISSON_SIDE_PX = 8
_MOST_SHIFT_PX = 3
_OPAQUE = 0.7
"""Alpha that counts as full for the centre of a clone; FaceForensics++ takes its mask times 365, cut at 255."""


@dataclass(frozen=True, eq=False)
class Patch:
    """A swapped face warped into the frame.

    Convention:
        rgb: (h, w, 3) float32 in [0, 255]
        alpha: (h, w) float32 in [0, 1], what the compositor uses; exactly 0 beyond the crop's edge
        region: (h, w) float32 in [0, 1], the model's or the landmarks' face region before shrinking and feathering
    """

    bounds: tuple[int, int, int, int]
    rgb: np.ndarray
    alpha: np.ndarray
    region: np.ndarray


@dataclass(frozen=True, eq=False)
class Clone:
    """What Poisson blending clones and where to: see ``clone_above`` and the like in ``[blend]``.

    Convention:
        mask: (h, w) bool, the part of the patch; None for that whose alpha is above zero
        shift: (x, y) frame pixels by which the face is moved
    """

    mask: np.ndarray | None = None
    shift: tuple[int, int] = (0, 0)


def place(
    swapped: SwappedFace,
    alpha: np.ndarray,
    region: np.ndarray,
    *,
    width: int,
    height: int,
    square: SquareConfig | None = None,
    mask: MaskConfig = MaskConfig(),  # noqa: B008 - frozen
    whole: bool = False,
    prefilter: bool = False,
) -> Patch | None:
    """``swapped`` with its masks (S, S) in the frame of ``width`` x ``height``; None when it lies outside.

    One cubic warp from crop to frame; a crop finer than the frame is area-averaged first, so that it does not alias.
    The patch holds what ``alpha`` and ``region`` show of the crop, or, for a way of blending that looks at more, the
    ``whole``. ``prefilter`` undoes the blur of an enlargement (:mod:`forge.swapping.prefilter`). With a ``square``,
    whose crop ``swapped`` then is, warped and softened as it and ``mask`` say.
    """
    if square is not None:
        laid = lay(swapped.crop, alpha, swapped.frame_to_crop, square, mask, width=width, height=height)
        if laid is None:
            return None
        outline = to_frame(region, swapped.frame_to_crop, laid.bounds, cv2.INTER_LINEAR, beyond="zero")
        return Patch(laid.bounds, laid.rgb, laid.alpha, np.clip(outline, 0.0, 1.0))
    px = swapped.crop.shape[0]
    bounds = paste_bounds(swapped.frame_to_crop, px, width, height)
    if not whole:
        bounds = _shown(np.maximum(alpha, region), swapped.frame_to_crop, bounds)
    x0, y0, x1, y1 = bounds
    if x1 <= x0 or y1 <= y0:
        return None
    levels = swapped.crop.astype(np.float32) * 255.0
    layers = np.dstack([prefiltered(levels, swapped.frame_to_crop) if prefilter else levels, alpha])
    layers, matrix = at_most_frame_scale(layers, swapped.frame_to_crop)
    # Replicated: alpha stays zero beyond the crop's edge, and colours do not darken towards it.
    placed = to_frame(layers, matrix, bounds, cv2.INTER_CUBIC)
    # Each contiguous, which is several times faster to work on; clipped, because the cubic overshoots.
    rgb, shares = cv2.cvtColor(placed, cv2.COLOR_RGBA2RGB), cv2.extractChannel(placed, 3)
    outline, matrix = at_most_frame_scale(region.astype(np.float32), swapped.frame_to_crop)
    return Patch(
        bounds=bounds,
        rgb=np.clip(rgb, 0.0, 255.0, out=rgb),
        alpha=np.clip(shares, 0.0, 1.0, out=shares),
        region=np.clip(to_frame(outline, matrix, bounds, cv2.INTER_LINEAR, beyond="zero"), 0.0, 1.0),
    )


def warp_reach(frame_to_crop: np.ndarray) -> float:
    """How many pixels of the crop the warp into the frame carries a pixel of it, at most."""
    return _REACH_PX * max(1.0, scale_of(frame_to_crop))


def _shown(
    shares: np.ndarray, frame_to_crop: np.ndarray, bounds: tuple[int, int, int, int]
) -> tuple[int, int, int, int]:
    """The part of ``bounds`` that a warp of ``shares`` (S, S) can make other than zero; all of it for no share."""
    x, y, width, height = cv2.boundingRect((shares > 0).astype(np.uint8))
    if not width:
        return bounds
    reach = 0.5 + warp_reach(frame_to_crop)
    low, high = np.array([x, y]) - reach, np.array([x + width - 1, y + height - 1]) + reach
    corners = map_points(invert(frame_to_crop), np.array([low, [high[0], low[1]], high, [low[0], high[1]]]))
    (left, top), (right, bottom) = np.floor(corners.min(0)).astype(int), np.ceil(corners.max(0)).astype(int) + 1
    x0, y0, x1, y1 = bounds
    left, top = min(max(x0, int(left)), x1), min(max(y0, int(top)), y1)
    return left, top, max(left, min(x1, int(right))), max(top, min(y1, int(bottom)))


def paste(
    image: np.ndarray,
    patch: Patch,
    method: BlendMethod = "alpha",
    *,
    levels: int = 5,
    rounding: Rounding | None = None,
    clone: Clone = Clone(),
) -> np.ndarray:
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

    ``rounding`` is of the mixed values; ``clone`` is for the two Poisson methods.
    """
    x0, y0, x1, y1 = patch.bounds
    result = image.copy()
    part = image[y0:y1, x0:x1]
    layer, alpha = _WAYS[method](part, patch, levels, clone)
    behind = part.astype(np.float32)
    mixed = layer - behind
    mixed *= cv2.merge([alpha] * 3)
    mixed += behind
    if rounding == "floor":
        np.floor(mixed, out=mixed)
    result[y0:y1, x0:x1] = to_bytes(mixed)
    return result


def to_bytes(values: np.ndarray) -> np.ndarray:
    """Float ``values`` as uint8, rounded to the nearest, half to even, and clipped to 0 to 255."""
    return cv2.add(values, np.zeros(4), dtype=cv2.CV_8U)


def clone_for(patch: Patch, config: BlendConfig, rng: np.random.Generator) -> tuple[Patch, Clone]:
    """``patch`` with the alpha that its clone is mixed by, and how it is cloned; ``rng`` draws ``clone_jitter``.

    Without ``clone_mixed`` that alpha is 1 wherever the clone reaches, as it lies and as it is moved.
    """
    inside = patch.alpha > (config.clone_above or 0.0)
    shift = np.zeros(2, np.int64)
    opaque = inside & (patch.alpha >= _OPAQUE)
    if config.clone_center == "opaque" and opaque.any():
        shift += _centre(opaque) - _centre(inside)
    if config.clone_jitter:
        shift += rng.integers(-config.clone_jitter, config.clone_jitter + 1, 2)
    x, y = (int(one) for one in np.clip(shift, -_MOST_SHIFT_PX, _MOST_SHIFT_PX))
    if config.clone_mixed is False:
        binary, move = inside.astype(np.float32), np.array([[1.0, 0, x], [0, 1.0, y]])
        moved = cv2.warpAffine(binary, move, binary.shape[::-1], flags=cv2.INTER_NEAREST)
        patch = replace(patch, alpha=np.maximum(binary, moved))
    return patch, Clone(inside, (x, y))


def _centre(mask: np.ndarray) -> np.ndarray:
    x, y, width, height = cv2.boundingRect(mask.astype(np.uint8))
    return np.array([x + width // 2, y + height // 2])


def scaled(frame_to_crop: np.ndarray, px: int, factor: float) -> np.ndarray:
    """(2, 3) float64: ``frame_to_crop`` of a crop of ``px`` laid ``factor`` times as large about its centre."""
    centre = (px - 1) / 2
    shrink = np.array([[1 / factor, 0, centre * (1 - 1 / factor)], [0, 1 / factor, centre * (1 - 1 / factor)]])
    return compose(shrink, frame_to_crop)


def can_clone(patch: Patch, above: float = 0.0) -> bool:
    """Whether the mask (alpha ``above`` that) is large enough for Poisson blending: eight pixels or more each way."""
    _x, _y, width, height = cv2.boundingRect((patch.alpha > above).astype(np.uint8))
    return min(width, height) >= _MIN_POISSON_SIDE_PX


Layer = tuple[np.ndarray, np.ndarray]
"""What is mixed with the frame, (h, w, 3) float32, and by which alpha."""


def _alpha(_part: np.ndarray, patch: Patch, _levels: int, _clone: Clone) -> Layer:
    return patch.rgb, patch.alpha


def _poisson(part: np.ndarray, patch: Patch, _levels: int, clone: Clone) -> Layer:
    return _cloned(part, patch, cv2.NORMAL_CLONE, clone) if can_clone(patch) else (patch.rgb, patch.alpha)


def _poisson_mixed(part: np.ndarray, patch: Patch, _levels: int, clone: Clone) -> Layer:
    return _cloned(part, patch, cv2.MIXED_CLONE, clone) if can_clone(patch) else (patch.rgb, patch.alpha)


def _overlay(part: np.ndarray, patch: Patch, _levels: int, _clone: Clone) -> Layer:
    behind, face = part.astype(np.float32) / 255, patch.rgb / 255
    layered = np.where(behind <= 0.5, 2 * behind * face, 1 - 2 * (1 - behind) * (1 - face))
    return layered * 255, patch.alpha


def _pyramid(part: np.ndarray, patch: Patch, levels: int, _clone: Clone) -> Layer:
    blended = multiband(patch.rgb, part.astype(np.float32), patch.alpha, levels)
    # Wide bands reach beyond the mask. Their change is faded out over the mask's outermost quarter, so
    # that where alpha is zero the frame's bytes stay.
    return blended, np.minimum(4 * patch.alpha, 1.0)


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


def _cloned(part: np.ndarray, patch: Patch, flags: int, clone: Clone) -> Layer:
    """``patch.rgb`` re-lit to the frame's border colours, and the patch's alpha.

    The centre given to OpenCV is that of the mask's own box: OpenCV places the *box of the mask* there, so any other
    centre shifts the face by a pixel or two from frame to frame, as ``clone.shift`` wants it. Padding keeps a mask
    that reaches the frame's edge away from the edge of the picture, where the solver reads outside.
    """
    pad = _POISSON_PAD_PX
    inside = patch.alpha > 0 if clone.mask is None else clone.mask
    mask = cv2.copyMakeBorder(inside.astype(np.uint8) * 255, pad, pad, pad, pad, cv2.BORDER_CONSTANT)
    behind = cv2.copyMakeBorder(part, pad, pad, pad, pad, cv2.BORDER_REPLICATE)
    face = cv2.copyMakeBorder(np.rint(patch.rgb).astype(np.uint8), pad, pad, pad, pad, cv2.BORDER_REPLICATE)
    x, y, width, height = cv2.boundingRect(mask)
    centre = (x + width // 2 + clone.shift[0], y + height // 2 + clone.shift[1])
    cloned = cv2.seamlessClone(face, behind, mask, centre, flags)
    return cloned[pad:-pad, pad:-pad].astype(np.float32), patch.alpha


_WAYS: Mapping[BlendMethod, Callable[[np.ndarray, Patch, int, Clone], Layer]] = MappingProxyType(
    {
        "alpha": _alpha,
        "poisson": _poisson,
        "poisson-mixed": _poisson_mixed,
        "pyramid": _pyramid,
        "overlay": _overlay,
    }
)
