"""Losses that compare how neighbourhoods are built: SSIM, MS-SSIM, GMSD. Pure functions on float32 batches.

Convention: see :mod:`forge.losses.pixel`.
"""

from __future__ import annotations

import torch
from torch import Tensor

from forge.losses.blur import blur
from forge.losses.pixel import weighted_mean

_C1 = 0.01**2
_C2 = 0.03**2


def dssim(a: Tensor, b: Tensor, weight: Tensor) -> Tensor:
    """Weighted mean of (1 - SSIM) / 2: 0 for equal pictures, at most 1."""
    return weighted_mean((1 - ssim_map(a, b)) / 2, weight)


def ssim(a: Tensor, b: Tensor, weight: Tensor | None = None) -> Tensor:
    """Mean SSIM of (B, C, S, S) pictures in [0, 1], over the pixels that ``weight`` (B, 1, S, S) counts, or all."""
    weight = torch.ones_like(a[:, :1]) if weight is None else weight
    return weighted_mean(ssim_map(a, b), weight)


def ssim_map(a: Tensor, b: Tensor) -> Tensor:
    """(B, C, S, S) structural similarity at every pixel, in [-1, 1].

    Wang et al., "Image quality assessment: from error visibility to structural similarity", 2004, eq. 13, with an
    11x11 Gaussian window of sigma 1.5, k1 = 0.01, k2 = 0.03, range 1, borders reflected.
    """
    with torch.autocast(a.device.type, enabled=False):
        mean_a, mean_b = blur(a), blur(b)
        aa, bb, ab = blur(a * a) - mean_a**2, blur(b * b) - mean_b**2, blur(a * b) - mean_a * mean_b
        luminance = (2 * mean_a * mean_b + _C1) / (mean_a**2 + mean_b**2 + _C1)
        return luminance * (2 * ab + _C2) / (aa + bb + _C2)
