"""CIE L*a*b* (D65, 2 degrees) of sRGB and back, on the device of the images, without synchronising it.

kornia has the same functions, but creates its constants at every call, and each of those four copies synchronises a
GPU. Convention as there: L in 0 to 100, a and b about -128 to 127.
"""

from __future__ import annotations

import functools

import torch
from torch import Tensor

_WHITE = (0.95047, 1.0, 1.08883)
# sRGB primaries to XYZ: IEC 61966-2-1.
_TO_XYZ = (
    (0.412453, 0.357580, 0.180423),
    (0.212671, 0.715160, 0.072169),
    (0.019334, 0.119193, 0.950227),
)
# CIE 15: below (6/29)^3 the cube root is continued by its tangent.
_KNEE = (6 / 29) ** 3
_SLOPE = (29 / 6) ** 2 / 3


def rgb_to_lab(images: Tensor) -> Tensor:
    """(B, 3, H, W) sRGB in [0, 1] -> (B, 3, H, W) L, a, b; float32."""
    linear = torch.where(images > 0.04045, ((images + 0.055) / 1.055) ** 2.4, images / 12.92)
    white = _mixed(linear, _matrix(images.device, inverse=False))
    curved = torch.where(white > _KNEE, white.clamp_min(_KNEE) ** (1 / 3), _SLOPE * white + 4 / 29)
    x, y, z = curved.unbind(1)
    return torch.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], 1)


def lab_to_rgb(lab: Tensor) -> Tensor:
    """(B, 3, H, W) L, a, b -> sRGB, clipped to [0, 1]."""
    light, a, b = lab.unbind(1)
    y = (light + 16) / 116
    curved = torch.stack([y + a / 500, y, y - b / 200], 1)
    white = torch.where(curved > 6 / 29, curved**3, (curved - 4 / 29) / _SLOPE)
    linear = _mixed(white, _matrix(lab.device, inverse=True)).clamp_(0, 1)
    return torch.where(linear > 0.0031308, 1.055 * linear ** (1 / 2.4) - 0.055, 12.92 * linear)


def _mixed(channels: Tensor, matrix: Tensor) -> Tensor:
    with torch.autocast(channels.device.type, enabled=False):
        return (matrix @ channels.flatten(2)).view(channels.shape)


@functools.lru_cache(maxsize=16)
@torch.inference_mode(False)  # cached, so it must be usable in training too
def _matrix(device: torch.device, *, inverse: bool) -> Tensor:
    """(3, 3): linear sRGB to XYZ over the white point, or back."""
    matrix = torch.tensor(_TO_XYZ, dtype=torch.float64) / torch.tensor(_WHITE, dtype=torch.float64)[:, None]
    matrix = torch.linalg.inv(matrix) if inverse else matrix
    return matrix.float().to(device)
