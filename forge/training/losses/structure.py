"""Structural losses: SSIM, MS-SSIM, GMSD. Pure functions on float32 batches.

Convention: see :mod:`forge.training.losses.pixel`. All compute in float32 under autocast.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from forge.training.losses.blur import REACH, SIGMA, blur, windowed
from forge.training.losses.pixel import TINY, luma, weighted_mean

_C1 = 0.01**2
_C2 = 0.03**2
_POWERS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
_GMS_C = 0.0026
_DFL_SHARE = 11.6
_DFL_TWO_FROM = 256


def dssim(a: Tensor, b: Tensor, weight: Tensor) -> Tensor:
    """Weighted mean of (1 - SSIM) / 2: 0 for equal images, at most 1. SSIM is that of :func:`ssim_map`."""
    return weighted_mean((1 - ssim_map(a, b)) / 2, weight)


def dfl_dssim(a: Tensor, b: Tensor, weight: Tensor, *, whole: bool = False) -> Tensor:
    """As :func:`dssim` with DeepFaceLab's windows: sigma 1.5 still, side S / 11.6 px, no borders.

    From 256 px on it is the mean of that and of one with a window of S / 23.2 px. A window's value has the weight of
    its centre pixel. ``whole`` divides by the number of windows, not by their weights.
    """
    side = a.shape[-1]
    shares = (_DFL_SHARE,) if side < _DFL_TWO_FROM else (_DFL_SHARE, 2 * _DFL_SHARE)
    found = [_valid_dssim(a, b, weight, max(3, int(side / share)), whole=whole) for share in shares]
    return torch.stack(found).mean()


def ssim(a: Tensor, b: Tensor, weight: Tensor | None = None) -> Tensor:
    """Mean SSIM of (B, C, S, S) images in [0, 1], weighted by ``weight`` (B, 1, S, S) if given."""
    weight = torch.ones_like(a[:, :1]) if weight is None else weight
    return weighted_mean(ssim_map(a, b), weight)


def ssim_map(a: Tensor, b: Tensor) -> Tensor:
    """(B, C, S, S) structural similarity at every pixel, in [-1, 1].

    Wang et al., "Image quality assessment: from error visibility to structural similarity", 2004, eq. 13, with an
    11x11 Gaussian window of sigma 1.5, k1 = 0.01, k2 = 0.03, range 1, borders reflected.
    """
    luminance, contrast = _ssim_parts(a, b, 2 * REACH + 1, valid=False)
    return luminance * contrast


def ms_ssim(a: Tensor, b: Tensor, weight: Tensor) -> Tensor:
    """1 - multi-scale SSIM, mean over the batch: 0 for equal images, at most 1.

    Wang, Simoncelli, Bovik, "Multi-scale structural similarity for image quality assessment", 2003, eq. 7: contrast
    and structure at every scale, luminance at the coarsest, to the powers 0.0448, 0.2856, 0.3001, 0.2363, 0.1333. A
    image too small for all five scales (under 96 px) uses those whose side is larger than 5 px, their powers scaled
    to the same sum. Scales are halved by 2x2 means; negative values are clamped to a small positive one.
    """
    scales = _scales(a.shape[-1])
    powers = torch.tensor(_POWERS[:scales], dtype=torch.float64)
    powers = (powers / powers.sum()).tolist()
    product = torch.ones((), device=a.device)
    for number, power in enumerate(powers):
        luminance, contrast = _ssim_parts(a, b, 2 * REACH + 1, valid=False)
        at_scale = luminance * contrast if number == scales - 1 else contrast
        counted = weight.sum((1, 2, 3)).clamp_min(TINY) * a.shape[1]
        product = product * ((at_scale * weight).sum((1, 2, 3)) / counted).clamp_min(TINY) ** power
        a, b, weight = (F.avg_pool2d(each, 2) for each in (a, b, weight))
    return 1 - product.mean()


def gms(a: Tensor, b: Tensor, weight: Tensor) -> Tensor:
    """Weighted mean of 1 - gradient magnitude similarity of luma: the loss faceswap calls gmsd. 0 when equal."""
    similarity, inside = _gms_map(a, b, weight)
    return weighted_mean(1 - similarity, inside)


def gmsd(a: Tensor, b: Tensor, weight: Tensor) -> Tensor:
    """Standard deviation over the image of gradient magnitude similarity, mean over the batch: 0 when equal.

    Xue et al., "Gradient magnitude similarity deviation", 2014, eq. 4 to 6: Prewitt gradients of luma and c = 170 at
    a range of 255; at full size and over weighted pixels. It is also 0 for a uniform error, so combine it with
    another term.
    """
    similarity, inside = _gms_map(a, b, weight)
    counted = inside.sum((1, 2, 3), keepdim=True).clamp_min(TINY)
    mean = (similarity * inside).sum((1, 2, 3), keepdim=True) / counted
    variance = ((similarity - mean) ** 2 * inside).sum((1, 2, 3)) / counted.flatten()
    # The root has no gradient at 0; the floor is a thousandth of the maximum.
    return (torch.sqrt(variance + TINY) - TINY**0.5).mean()


def _valid_dssim(a: Tensor, b: Tensor, weight: Tensor, taps: int, *, whole: bool) -> Tensor:
    luminance, contrast = _ssim_parts(a, b, taps, valid=True)
    first = (taps - 1) // 2
    height, width = contrast.shape[-2:]
    inside = weight[..., first : first + height, first : first + width]
    values = (1 - luminance * contrast) / 2
    return (values * inside).mean() if whole else weighted_mean(values, inside)


def _ssim_parts(a: Tensor, b: Tensor, taps: int, *, valid: bool) -> tuple[Tensor, Tensor]:
    """Luminance, and contrast times structure, at every position of the window."""

    def under(images: Tensor) -> Tensor:
        return windowed(images, taps, SIGMA, "valid") if valid else blur(images)

    with torch.autocast(a.device.type, enabled=False):
        mean_a, mean_b = under(a), under(b)
        aa, bb, ab = under(a * a) - mean_a**2, under(b * b) - mean_b**2, under(a * b) - mean_a * mean_b
        return (2 * mean_a * mean_b + _C1) / (mean_a**2 + mean_b**2 + _C1), (2 * ab + _C2) / (aa + bb + _C2)


def _scales(side: int) -> int:
    """How many of the five scales are large enough for the window."""
    count = sum(side // 2**number > REACH for number in range(len(_POWERS)))
    if not count:
        raise ValueError(f"MS-SSIM's window needs images of more than {REACH} px, got {side}")
    return count


def _gms_map(a: Tensor, b: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
    """(B, 1, S - 2, S - 2) similarity of gradient magnitudes, in (0, 1], and the weight of the same pixels."""
    with torch.autocast(a.device.type, enabled=False):
        one, other = _steepness(luma(a)), _steepness(luma(b))
        similarity = (2 * one * other + _GMS_C) / (one**2 + other**2 + _GMS_C)
    return similarity, weight[..., 1:-1, 1:-1]


def _steepness(images: Tensor) -> Tensor:
    """Prewitt gradient magnitude of (B, 1, S, S)."""
    kernel = images.new_tensor([[1, 0, -1]] * 3) / 3
    slopes = F.conv2d(images, torch.stack([kernel, kernel.T])[:, None])
    return torch.sqrt((slopes**2).sum(1, keepdim=True) + TINY**2)
