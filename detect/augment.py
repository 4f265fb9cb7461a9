"""What training crops go through: geometry, colour, blur, loss of resolution, noise and JPEG.

Nothing here knows a label, so real and fake crops are drawn from one distribution of damage. Each crop takes its own
generator: equal seed, equal crop, in whatever thread or order it is made.
"""

from __future__ import annotations

import cv2
import numpy as np

from detect.config import AugmentConfig
from shared.errors import MediaError

_BORDER = cv2.BORDER_REFLECT_101
_LUMA = np.array([0.299, 0.587, 0.114], np.float32)


def augment(crop: np.ndarray, rng: np.random.Generator, config: AugmentConfig) -> np.ndarray:
    """A changed copy of ``crop`` (S, S, 3) uint8 RGB, same shape and dtype.

    Compression comes last, as in the files that detectors meet.
    """
    crop = _move(crop, rng, config)
    if rng.random() < config.p_color:
        crop = _color(crop, rng, config)
    if rng.random() < config.p_blur:
        crop = cv2.GaussianBlur(crop, (0, 0), rng.uniform(0.2, max(0.2, config.blur_sigma_px)), borderType=_BORDER)
    if rng.random() < config.p_downscale:
        crop = _downscale(crop, rng, config)
    if rng.random() < config.p_noise:
        crop = _noise(crop, rng, config)
    if rng.random() < config.p_jpeg:
        low, high = config.jpeg_quality
        crop = jpeg(crop, int(rng.integers(low, high + 1)))
    return np.ascontiguousarray(crop)


def jpeg(crop: np.ndarray, quality: int) -> np.ndarray:
    """``crop`` after a JPEG round trip at ``quality`` 1 to 100.

    Raises:
        MediaError: the crop cannot be encoded.
    """
    done, data = cv2.imencode(".jpg", cv2.cvtColor(crop, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, quality])
    decoded = cv2.imdecode(data, cv2.IMREAD_COLOR) if done else None
    if decoded is None:
        raise MediaError("a crop could not be encoded as JPEG", hint="this is a defect; please report it")
    return cv2.cvtColor(decoded, cv2.COLOR_BGR2RGB)


def _move(crop: np.ndarray, rng: np.random.Generator, config: AugmentConfig) -> np.ndarray:
    """Flip, rotation, scale and shift in one resampling, borders reflected."""
    flip = rng.random() < config.p_flip
    if rng.random() >= config.p_affine:
        return crop[:, ::-1] if flip else crop
    side = crop.shape[0]
    centre = (side - 1) / 2
    scale = 1 + rng.uniform(-config.scale, config.scale)
    degrees = rng.uniform(-config.rotate_degrees, config.rotate_degrees)
    matrix = cv2.getRotationMatrix2D((centre, centre), degrees, scale)
    matrix[:, 2] += rng.uniform(-config.shift, config.shift, 2) * side
    if flip:
        matrix = matrix @ np.array([[-1.0, 0, side - 1], [0, 1, 0], [0, 0, 1]])
    return cv2.warpAffine(crop, matrix, (side, side), flags=cv2.INTER_LINEAR, borderMode=_BORDER)


def _color(crop: np.ndarray, rng: np.random.Generator, config: AugmentConfig) -> np.ndarray:
    """Brightness, contrast, saturation and hue as one 3 x 4 map of colours (hue turns about the grey axis)."""
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


def _downscale(crop: np.ndarray, rng: np.random.Generator, config: AugmentConfig) -> np.ndarray:
    side = crop.shape[0]
    small = max(8, round(side / rng.uniform(1.0, config.downscale)))
    shrunk = cv2.resize(crop, (small, small), interpolation=cv2.INTER_AREA)
    how = (cv2.INTER_LINEAR, cv2.INTER_CUBIC)[int(rng.integers(2))]
    return cv2.resize(shrunk, (side, side), interpolation=how)


def _noise(crop: np.ndarray, rng: np.random.Generator, config: AugmentConfig) -> np.ndarray:
    sigma = rng.uniform(0, config.noise_levels)
    noise = rng.standard_normal(crop.shape, dtype=np.float32) * np.float32(sigma)
    return np.clip(crop.astype(np.float32) + noise, 0, 255).round().astype(np.uint8)
