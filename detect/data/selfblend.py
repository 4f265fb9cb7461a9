"""Self-blended images: a fake made from one real face, so that only the act of blending can be learned.

Source: Shiohara and Yamasaki, "Detecting Deepfakes with Self-Blended Images", CVPR 2022 (arXiv 2204.08376), written
from the published recipe: a copy of the face is changed in colour or sharpness, moved a little, and blended back
through a deformed, blurred hull of the landmarks. The real picture and its fake come out as a pair.

Convention:
    crop: (S, S, 3) uint8, RGB, framing "whole" or wider
    landmarks: (68, 2) float32 in crop pixels
    mask: (S, S) float32 in [0, 1], what the blend used: the region of the forgery
"""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np

from detect.config import SelfBlendConfig
from shared.faces.mask import HullKind, hull_mask

_HULLS: tuple[HullKind, ...] = ("dfl", "extended", "components", "facehull")


class SelfBlend(NamedTuple):
    """A real crop and its self-blended fake, both (S, S, 3) uint8, and the mask (S, S) float32 of the blend."""

    real: np.ndarray
    fake: np.ndarray
    mask: np.ndarray


def self_blend(
    crop: np.ndarray,
    landmarks: np.ndarray,
    rng: np.random.Generator,
    config: SelfBlendConfig | None = None,
    *,
    copy: np.ndarray | None = None,
) -> SelfBlend:
    """The pair that the recipe makes of one real face.

    ``copy`` (S, S, 3) uint8, the same face drawn by a decoder, is blended in place of the face's own copy. It needs no
    change to be told from the face, so it gets one in half of the cases only, and stays where it is in half of them.

    The real half comes back changed in half of the cases (the transform falls on it or on the copy with equal chance),
    so that a change of colour says nothing by itself.
    """
    config = config or SelfBlendConfig()
    px = crop.shape[0]
    mask = hull_mask(landmarks, px, _HULLS[rng.integers(len(_HULLS))])
    source, target = crop if copy is None else copy, crop
    side, changed, moved = rng.random(3)
    if copy is None or changed < 0.5:
        if side < 0.5:
            source = change_look(source, rng, config)
        else:
            target = change_look(target, rng, config)
    move = _small_affine(px, rng, config) if copy is None or moved < 0.5 else np.eye(2, 3)
    source = cv2.warpAffine(source, move, (px, px), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101)
    mask = cv2.warpAffine(mask, move, (px, px), flags=cv2.INTER_LINEAR)
    mask = soften(_elastic(mask, rng, config.elastic), rng) * rng.choice(config.ratios)
    weight = mask[..., None].astype(np.float32)
    blended = weight * source + (1 - weight) * target
    return SelfBlend(target, np.clip(np.rint(blended), 0, 255).astype(np.uint8), mask.astype(np.float32))


def change_look(crop: np.ndarray, rng: np.random.Generator, config: SelfBlendConfig) -> np.ndarray:
    """``crop`` with other colours and another sharpness: what a second camera or a decoder would give."""
    image = crop.astype(np.float32) / 255
    if rng.random() < 0.3:
        image = image + rng.uniform(-config.rgb_shift, config.rgb_shift, 3).astype(np.float32)
    image = _shift_hsv(np.clip(image, 0, 1), rng, config)
    gain = 1 + rng.uniform(-config.contrast, config.contrast)
    image = (image - image.mean()) * gain + image.mean() + rng.uniform(-config.brightness, config.brightness)
    image = np.clip(image, 0, 1).astype(np.float32)
    image = _coarser(image, int(rng.choice((2, 4)))) if rng.random() < 0.5 else _sharper(image, rng)
    return np.rint(np.clip(image, 0, 1) * 255).astype(np.uint8)


def soften(mask: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """``mask`` blurred, drawn in to where the blur was whole, and blurred again: (S, S) float32 with maximum 1.

    Kernels are odd, 5 to 25 px at 256 px; a mask that vanishes on the way comes back as the first blur.
    """
    scale = mask.shape[0] / 256
    first = _blurred(mask, _odd(rng, scale), 0.0)
    inner = np.where(first >= first.max() * 0.999, first, 0.0).astype(np.float32) if first.max() > 0 else first
    second = _blurred(inner, _odd(rng, scale), float(rng.uniform(5, 46)) * scale)
    peak = second.max()
    return second / peak if peak > 0 else first


def _odd(rng: np.random.Generator, scale: float) -> int:
    return max(1, round(int(rng.integers(2, 13)) * scale)) * 2 + 1


def _blurred(mask: np.ndarray, kernel: int, sigma: float) -> np.ndarray:
    return cv2.GaussianBlur(mask.astype(np.float32), (kernel, kernel), sigma)


def _shift_hsv(image: np.ndarray, rng: np.random.Generator, config: SelfBlendConfig) -> np.ndarray:
    hsv = cv2.cvtColor(image, cv2.COLOR_RGB2HSV)
    hsv[..., 0] = (hsv[..., 0] + 360 * rng.uniform(-config.hue_shift, config.hue_shift)) % 360
    hsv[..., 1] *= 1 + rng.uniform(-config.saturation, config.saturation)
    hsv[..., 2] *= 1 + rng.uniform(-config.brightness, config.brightness)
    return cv2.cvtColor(np.clip(hsv, 0, (360, 1, 1)).astype(np.float32), cv2.COLOR_HSV2RGB)


def _coarser(image: np.ndarray, factor: int) -> np.ndarray:
    side = image.shape[0]
    small = cv2.resize(image, (side // factor, side // factor), interpolation=cv2.INTER_NEAREST)
    return cv2.resize(small, (side, side), interpolation=cv2.INTER_LINEAR)


def _sharper(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    amount = float(rng.uniform(0.2, 0.5))
    return image + amount * 4 * (image - cv2.GaussianBlur(image, (3, 3), 0))


def _small_affine(px: int, rng: np.random.Generator, config: SelfBlendConfig) -> np.ndarray:
    scale = float(rng.uniform(1 - config.zoom, 1 / (1 - config.zoom)))
    centre = (px - 1) / 2
    shift_x = rng.uniform(-config.shift_x, config.shift_x) * px
    shift_y = rng.uniform(-config.shift_y, config.shift_y) * px
    return np.array([[scale, 0, centre * (1 - scale) + shift_x], [0, scale, centre * (1 - scale) + shift_y]])


def _elastic(mask: np.ndarray, rng: np.random.Generator, strength: float) -> np.ndarray:
    """``mask`` under a smooth random displacement whose standard deviation is ``strength`` of the side."""
    side = mask.shape[0]
    # Drawn coarse and enlarged: smoothing white noise over 7 of 256 px leaves nothing finer than this grid.
    field = rng.standard_normal((2, 20, 20)).astype(np.float32) * strength * side * 0.5
    grid_y, grid_x = np.mgrid[0:side, 0:side].astype(np.float32)
    dx, dy = (cv2.resize(plane, (side, side), interpolation=cv2.INTER_CUBIC) for plane in field)
    return cv2.remap(mask.astype(np.float32), grid_x + dx, grid_y + dy, cv2.INTER_LINEAR)
