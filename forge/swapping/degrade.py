"""Degradations of pictures, like those of a weak camera, a small stream or an old encoder.

Each is a function of a picture, (H, W, 3) float32 in [0, 255] to the same; :func:`degraded` runs those that the
settings ask for, in a fixed order.
"""

from __future__ import annotations

import cv2
import numpy as np

from forge.swapping.config import DegradeConfig, Rounding


def degraded(picture: np.ndarray, config: DegradeConfig, rng: np.random.Generator) -> np.ndarray:
    """``picture`` denoised, resampled, reduced to fewer colours, and with noise, as far as ``config`` asks."""
    if config.denoise:
        picture = denoised(picture, config.denoise)
    if config.resample > 1:
        picture = resampled(picture, config.resample)
    if config.color_steps not in (0, 256):
        picture = quantised(picture, config.color_steps, config.color_rounding, config.color_offset or 0.0)
    if config.noise:
        picture = noisy(picture, config.noise, rng)
    return picture


def degraded_frame(image: np.ndarray, config: DegradeConfig, rng: np.random.Generator) -> np.ndarray:
    """:func:`degraded` for a whole (H, W, 3) uint8 frame."""
    return np.clip(np.rint(degraded(image.astype(np.float32), config, rng)), 0, 255).astype(np.uint8)


def denoised(picture: np.ndarray, radius: int) -> np.ndarray:
    """The median of each pixel's square of side ``2 * radius + 1``: dots vanish, edges stay, skin becomes smooth."""
    levels = np.clip(np.rint(picture), 0, 255).astype(np.uint8)
    return cv2.medianBlur(levels, 2 * radius + 1).astype(np.float32)


def resampled(picture: np.ndarray, factor: float) -> np.ndarray:
    """Reduced by ``factor`` (area averages) and enlarged again (cubic): detail finer than ``factor`` is gone."""
    height, width = picture.shape[:2]
    small = (max(1, round(width / factor)), max(1, round(height / factor)))
    reduced = cv2.resize(picture, small, interpolation=cv2.INTER_AREA)
    return np.clip(cv2.resize(reduced, (width, height), interpolation=cv2.INTER_CUBIC), 0, 255)


def quantised(picture: np.ndarray, steps: int, rounding: Rounding | None = None, offset: float = 0.0) -> np.ndarray:
    """Each channel rounded to the nearest of ``steps`` evenly spaced levels, 0 and 255 among them.

    With "floor" to the next level below. ``offset`` levels are added then, and the sum is clipped to [0, 255].
    """
    size = 255 / (steps - 1)
    # Levels themselves must not fall to the one below by an error of rounding.
    level = np.floor(picture / size + 1e-4) if rounding == "floor" else np.rint(picture / size)
    return np.clip((level + offset) * size, 0, 255)


def noisy(picture: np.ndarray, sigma: float, rng: np.random.Generator) -> np.ndarray:
    """With Gaussian noise of ``sigma`` grey levels, independent for each pixel and channel; clipped to [0, 255]."""
    return np.clip(picture + rng.normal(0, sigma, picture.shape).astype(np.float32), 0, 255)
