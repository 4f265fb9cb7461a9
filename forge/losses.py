"""What a swapper is trained to make small. Pure functions on float32 batches.

Convention:
    pictures: (B, 3, S, S) in [0, 1]
    weight: (B, 1, S, S), not negative, how much a pixel counts; a loss is a weighted mean, so its scale does not
        depend on how large the face is
"""

from __future__ import annotations

import functools
import itertools
from typing import NamedTuple

import torch
from torch import Tensor

from forge.loss_config import LossConfig
from forge.models.contract import Swap

_WINDOW = 11
_SIGMA = 1.5
_C1 = 0.01**2
_C2 = 0.03**2
_TINY = 1e-6
_LUMA = (0.299, 0.587, 0.114)
_BANDS = (0.5, 0.9, 1.6)
_DETAIL_FLOOR = 1 / 255


class Losses(NamedTuple):
    """Scalars of one batch: ``total`` is what is minimised, the others its parts before weighting."""

    total: Tensor
    dssim: Tensor
    mae: Tensor
    detail: Tensor
    mask: Tensor


def swap_loss(swap: Swap, target: Tensor, mask: Tensor, weight: Tensor, config: LossConfig) -> Losses:
    """The loss of decoded faces against what they should be.

    Args:
        swap: what the model drew.
        target: (B, 3, S, S) in [0, 1].
        mask: (B, 1, S, S) in [0, 1], the face; what a learned mask is compared with.
        weight: (B, 1, S, S), see :func:`pixel_weight`.
        config: how much each part counts.
    """
    rgb, target = swap.rgb.float(), target.float()
    structure = dssim(rgb, target, weight)
    absolute = weighted_mean((rgb - target).abs(), weight)
    shape = torch.zeros((), device=rgb.device) if swap.mask is None else ((swap.mask.float() - mask) ** 2).mean()
    fine = detail(rgb, target, weight) if config.detail else torch.zeros((), device=rgb.device)
    total = config.dssim * structure + config.mae * absolute + config.detail * fine + config.mask * shape
    return Losses(total, structure, absolute, fine, shape)


def pixel_weight(mask: Tensor, eyes: Tensor, mouth: Tensor, config: LossConfig) -> Tensor:
    """(B, 1, S, S): the face counts 1, its eyes and mouth more, what is around it ``config.background``.

    All inputs are (B, 1, S, S) in [0, 1].
    """
    face = mask * (1 + (config.eyes - 1) * eyes + (config.mouth - 1) * mouth)
    return face + config.background * (1 - mask)


def weighted_mean(values: Tensor, weight: Tensor) -> Tensor:
    """Mean of ``values`` (B, C, S, S) where each pixel counts ``weight`` (B, 1, S, S); 0 where nothing counts."""
    channels = values.shape[1]
    return (values * weight).sum() / (weight.sum() * channels).clamp_min(_TINY)


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
        mean_a, mean_b = _blur(a), _blur(b)
        aa, bb, ab = _blur(a * a) - mean_a**2, _blur(b * b) - mean_b**2, _blur(a * b) - mean_a * mean_b
        luminance = (2 * mean_a * mean_b + _C1) / (mean_a**2 + mean_b**2 + _C1)
        return luminance * (2 * ab + _C2) / (aa + bb + _C2)


def detail(a: Tensor, b: Tensor, weight: Tensor) -> Tensor:
    """Weighted mean difference of how much detail there is around each pixel, in three bands; 0 where it is as strong.

    Bands are differences of Gaussians, strength is the root mean square under SSIM's window. Where a detail cannot be
    foretold exactly, SSIM and the absolute difference are smallest for a fainter one, and what is drawn gets soft;
    this term asks for its strength and not for its place. It does so band by band, because asked for all of it at
    once a sub-pixel decoder pays in checkerboards, the cheapest detail there is.
    """
    with torch.autocast(a.device.type, enabled=False):
        strengths = zip(_detail_strengths(a), _detail_strengths(b), strict=True)
        differences = torch.cat([(one - other).abs() for one, other in strengths], 1)
        return weighted_mean(differences, weight)


def sharpness(pictures: Tensor, weight: Tensor) -> Tensor:
    """(B,): variance of the Laplacian of luma (0 to 255) over the counted pixels; higher is sharper.

    ``pictures`` are (B, 3, S, S) in [0, 1] RGB, ``weight`` (B, 1, S, S). Comparable only at one crop size.
    """
    luma = 255 * (pictures * pictures.new_tensor(_LUMA).view(1, 3, 1, 1)).sum(1, keepdim=True)
    kernel = pictures.new_tensor([[0, 1, 0], [1, -4, 1], [0, 1, 0]]).view(1, 1, 3, 3)
    edges = torch.nn.functional.conv2d(torch.nn.functional.pad(luma, (1, 1, 1, 1), mode="reflect"), kernel)
    counted = weight.sum((1, 2, 3)).clamp_min(_TINY)
    mean = (edges * weight).sum((1, 2, 3)) / counted
    return ((edges - mean.view(-1, 1, 1, 1)) ** 2 * weight).sum((1, 2, 3)) / counted


def _detail_strengths(pictures: Tensor) -> list[Tensor]:
    """Of each band (B, 1, S, S), the finest first."""
    luma = (pictures * pictures.new_tensor(_LUMA).view(1, 3, 1, 1)).sum(1, keepdim=True)
    levels = [luma, *(_blur(luma, sigma) for sigma in _BANDS)]
    bands = [fine - coarse for fine, coarse in itertools.pairwise(levels)]
    return [torch.sqrt(_blur(band * band) + _DETAIL_FLOOR**2) for band in bands]


def _blur(pictures: Tensor, sigma: float = _SIGMA) -> Tensor:
    height, width = pictures.shape[-2:]
    rows = _blur_matrix(height, sigma, pictures.device, pictures.dtype)
    columns = _blur_matrix(width, sigma, pictures.device, pictures.dtype)
    return rows @ pictures @ columns.mT


@functools.lru_cache(maxsize=32)
@torch.inference_mode(False)  # kept beyond the call, so it must be fit for training too
def _blur_matrix(side: int, sigma: float, device: torch.device, dtype: torch.dtype) -> Tensor:
    """(side, side): the Gaussian window along one axis, reflection at the ends included, as a product.

    Two small matrix products beat an 11-tap depthwise convolution on every device, backward above all.
    """
    reach = _WINDOW // 2
    if side <= reach:
        raise ValueError(f"SSIM's window needs pictures of more than {reach} px, got {side}")
    taps = torch.arange(-reach, reach + 1, dtype=torch.float64)
    window = torch.exp(-(taps**2) / (2 * sigma**2))
    window = window / window.sum()
    matrix = torch.zeros(side, side, dtype=torch.float64)
    for row in range(side):
        for tap, value in zip(range(-reach, reach + 1), window, strict=True):
            column = abs(row + tap)
            matrix[row, min(column, 2 * (side - 1) - column)] += value
    return matrix.to(device=device, dtype=dtype)
