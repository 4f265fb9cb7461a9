"""Augmentation of training crops: sharpness, geometry, colour, blur, loss of resolution, noise and compression.

It does not depend on labels, so real and fake crops get the same distribution of degradations. Each crop has its own
generator: equal seeds give equal crops, whatever the thread or order.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from detect.config.data import AugmentConfig
from detect.data.degrade import coded, jpeg, jpeg_twice, rescaled, reuploaded, small_move, webp
from detect.data.quality import inner_face, quality_changed
from shared.types import Framing

_BORDER = cv2.BORDER_REFLECT_101
_LUMA = np.array([0.299, 0.587, 0.114], np.float32)


def augment_with_mask(
    crop: np.ndarray,
    mask: np.ndarray | None,
    rng: np.random.Generator,
    config: AugmentConfig,
    *,
    framing: Framing = "whole",
) -> tuple[np.ndarray, np.ndarray | None]:
    """An augmented copy of ``crop`` (S, S, 3) uint8 RGB, same shape and dtype. Compression is last, as in files.

    Changes of sharpness come first, while the face is where ``framing`` has it.

    ``mask`` (M, M) float32, which covers the same square, gets the same geometry. Sampled parameters do not depend on
    the pixels: equal generators change two crops in the same way.
    """
    if config.p_inner_quality and rng.random() < config.p_inner_quality:
        region = inner_face(crop.shape[0], framing, rng)
        crop = quality_changed(crop, rng, config.quality_changes, region)
    if config.p_quality and rng.random() < config.p_quality:
        crop = quality_changed(crop, rng, config.quality_changes)
    motion = _sample_motion(rng, config)
    crop = _move(crop, motion, cv2.INTER_LINEAR)
    mask = None if mask is None else _move(mask, motion, cv2.INTER_LINEAR)
    if rng.random() < config.p_color:
        crop = _color(crop, rng, config)
    if rng.random() < config.p_blur:
        crop = cv2.GaussianBlur(crop, (0, 0), rng.uniform(0.2, max(0.2, config.blur_sigma_px)), borderType=_BORDER)
    if rng.random() < config.p_downscale:
        factor = rng.uniform(1.0, config.downscale)
        crop = rescaled(crop, factor, up=(cv2.INTER_LINEAR, cv2.INTER_CUBIC)[int(rng.integers(2))])
    if rng.random() < config.p_noise:
        crop = _noise(crop, rng, config)
    return np.ascontiguousarray(_compressed(crop, rng, config)), mask


def _compressed(crop: np.ndarray, rng: np.random.Generator, config: AugmentConfig) -> np.ndarray:
    """One of JPEG, a video encoder, a re-upload, JPEG twice, WebP, or none of them."""
    chances = (config.p_jpeg, config.p_video, config.p_reupload, config.p_jpeg_twice, config.p_webp)
    low, high = config.jpeg_quality
    match int(np.searchsorted(np.cumsum(chances), rng.random(), side="right")):
        case 0:
            return jpeg(crop, int(rng.integers(low, high + 1)))
        case 1:
            least, most = config.video_crf
            moved = small_move(rng) if rng.random() < 0.5 else None
            return coded(crop, int(rng.integers(least, most + 1)), moved=moved)
        case 2:
            return reuploaded(crop, rng)
        case 3:
            first, second = (int(quality) for quality in rng.integers(low, high + 1, 2))
            x, y = rng.integers(0, 8, 2)
            return jpeg_twice(crop, first, second, (int(x), int(y)))
        case 4:
            return webp(crop, int(rng.integers(low, high + 1)))
        case _:
            return crop


@dataclass(frozen=True)
class _Motion:
    """A flip, and optionally rotation, scale and shift (share of the side)."""

    flip: bool
    still: bool
    scale: float
    degrees: float
    shift: tuple[float, float]


def _sample_motion(rng: np.random.Generator, config: AugmentConfig) -> _Motion:
    flip = rng.random() < config.p_flip
    still = rng.random() >= config.p_affine
    scale = 1 + rng.uniform(-config.scale, config.scale)
    degrees = rng.uniform(-config.rotate_degrees, config.rotate_degrees)
    x, y = rng.uniform(-config.shift, config.shift, 2)
    return _Motion(flip, still, scale, degrees, (float(x), float(y)))


def _move(image: np.ndarray, motion: _Motion, interpolation: int) -> np.ndarray:
    """Flip, rotation, scale and shift in one resampling, borders reflected."""
    if motion.still:
        return image[:, ::-1] if motion.flip else image
    side = image.shape[0]
    centre = (side - 1) / 2
    matrix = cv2.getRotationMatrix2D((centre, centre), motion.degrees, motion.scale)
    matrix[:, 2] += np.array(motion.shift) * side
    if motion.flip:
        matrix = matrix @ np.array([[-1.0, 0, side - 1], [0, 1, 0], [0, 0, 1]])
    return cv2.warpAffine(image, matrix, (side, side), flags=interpolation, borderMode=_BORDER)


def _color(crop: np.ndarray, rng: np.random.Generator, config: AugmentConfig) -> np.ndarray:
    """Brightness, contrast, saturation and hue as one 3 x 4 colour matrix (hue rotates about the grey axis)."""
    brightness = rng.uniform(-config.brightness, config.brightness) * 255
    contrast = 1 + rng.uniform(-config.contrast, config.contrast)
    saturation = 1 + rng.uniform(-config.saturation, config.saturation)
    angle = np.deg2rad(rng.uniform(-config.hue_degrees, config.hue_degrees))
    grey = np.full((3, 1), 1.0) @ _LUMA[None].astype(np.float64)
    mixed = saturation * np.eye(3) + (1 - saturation) * grey
    linear = contrast * _turn_about_grey(angle) @ mixed
    offset = np.full((3, 1), brightness + 127.5 * (1 - contrast))
    return np.clip(cv2.transform(crop.astype(np.float32), np.hstack((linear, offset))), 0, 255).round().astype(np.uint8)


def _turn_about_grey(angle: float) -> np.ndarray:
    """(3, 3) rotation of RGB about (1, 1, 1) (Rodrigues)."""
    axis = np.full(3, 1 / np.sqrt(3))
    rotation, _ = cv2.Rodrigues(axis * angle)
    return rotation


def _noise(crop: np.ndarray, rng: np.random.Generator, config: AugmentConfig) -> np.ndarray:
    sigma = rng.uniform(0, config.noise_levels)
    noise = rng.standard_normal(crop.shape, dtype=np.float32) * np.float32(sigma)
    return np.clip(crop.astype(np.float32) + noise, 0, 255).round().astype(np.uint8)
