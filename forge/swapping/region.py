"""The region of the crop that is pasted: a mask learned by the swapper, a hull of landmarks, or both; then softened.

Convention:
    fractions: of the crop's side
    mask, region: (S, S) float32 in [0, 1]
"""

from __future__ import annotations

import cv2
import numpy as np

from forge.swapping.config import MaskChoice, MaskConfig
from shared.errors import UsageError
from shared.faces.align import map_points
from shared.faces.mask import erode as shrink
from shared.faces.mask import feather, hull_mask
from shared.types import SwappedFace

_TAIL = 0.03
_NEEDS_TARGET: tuple[MaskChoice, ...] = ("learned-target", "learned-product", "learned-sum")


def is_learned(choice: MaskChoice) -> bool:
    """Whether this kind of mask needs a swapper with a mask."""
    return choice.startswith("learned")


def needs_target_mask(choice: MaskChoice) -> bool:
    """Whether the mask of the *target's* decoder is part of it."""
    return choice in _NEEDS_TARGET


def resolved(config: MaskConfig, *, has_mask: bool) -> tuple[MaskChoice, bool]:
    """``config.kind`` with ``auto`` resolved, and whether the hull cuts it.

    Raises:
        UsageError: a learned mask is asked of a swapper that has none.
    """
    if config.kind == "auto":
        return ("learned-source", True) if has_mask else ("hull", False)
    if is_learned(config.kind) and not has_mask:
        raise UsageError(f"mask {config.kind!r} needs a swapper that learned a mask", hint="choose hull or full")
    return config.kind, config.inside_hull and is_learned(config.kind)


def face_region(
    swapped: SwappedFace,
    landmarks: np.ndarray,
    config: MaskConfig = MaskConfig(),  # noqa: B008 - frozen
    *,
    target_mask: np.ndarray | None = None,
) -> np.ndarray:
    """(S, S) float32 in [0, 1]: where in the swapped crop the face is; all ones for ``full``.

    ``landmarks`` are (68, 2) in frame pixels; ``target_mask`` (S, S) is the mask of the target's decoder.

    Raises:
        UsageError: a learned mask is asked of a swapper that has none.
        ValueError: ``config`` needs ``target_mask`` and it is not given.
    """
    kind, inside_hull = resolved(config, has_mask=swapped.mask is not None)
    px = swapped.crop.shape[0]
    if kind == "full":
        return np.ones((px, px), np.float32)
    if kind == "hull":
        return _hull(swapped, landmarks, config)
    learned = _learned(kind, swapped.mask, target_mask)
    return learned * _hull(swapped, landmarks, config) if inside_hull else learned


def _hull(swapped: SwappedFace, landmarks: np.ndarray, config: MaskConfig) -> np.ndarray:
    return hull_mask(map_points(swapped.frame_to_crop, landmarks), swapped.crop.shape[0], kind=config.hull)


def _learned(kind: MaskChoice, source: np.ndarray | None, target: np.ndarray | None) -> np.ndarray:
    if needs_target_mask(kind) and target is None:
        raise ValueError(f"mask {kind!r} needs the mask of the target's decoder")
    match kind, source, target:
        case "learned-target", _, np.ndarray():
            return target
        case "learned-product", np.ndarray(), np.ndarray():
            return source * target
        case "learned-sum", np.ndarray(), np.ndarray():
            return np.minimum(source + target, 1.0)
        case _, np.ndarray(), _:
            return source
        case _:
            raise ValueError(f"mask {kind!r} needs a learned mask")


def soften(region: np.ndarray, config: MaskConfig = MaskConfig()) -> np.ndarray:  # noqa: B008 - frozen
    """The compositor's mask (S, S) float32: ``region`` eroded, blurred, feathered inward, zero at the crop's edge.

    The feather (a Gaussian of that sigma) runs inward: the region is first shrunk by twice its reach, so that nothing
    outside the region is pasted. A blur reaches both ways. ``border`` is the width of the fade to the crop's edge; the
    outermost pixel is exactly zero, so that no box can be seen whatever the region is.
    """
    px = region.shape[0]
    region = erode_sides(region, config.sides)
    shrunk = shrink(region, (config.erode + 2 * config.feather) * px)
    soft = _without_tails(feather(shrunk, config.feather * px), config.feather)
    if config.blur:
        soft = _without_tails(feather(soft, config.blur * px), config.blur)
    return (soft * border_fade(px, config.border)).astype(np.float32)


def _without_tails(mask: np.ndarray, sigma: float) -> np.ndarray:
    # Without its tails the Gaussian would paste 2 % of pixels far outside, so values are stretched to reach 0 and 1.
    return np.clip((mask - _TAIL) / (1 - 2 * _TAIL), 0.0, 1.0) if sigma else mask


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
