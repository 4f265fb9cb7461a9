"""Fine detail of images: a loss and a sharpness measure. Pure functions on float32 batches.

Convention: see :mod:`forge.training.losses.pixel`.
"""

from __future__ import annotations

import itertools

import torch
from torch import Tensor

from forge.training.losses.blur import blur
from forge.training.losses.pixel import TINY, luma, weighted_mean

_BANDS = (0.5, 0.9, 1.6)
_DETAIL_FLOOR = 1 / 255
_GRID = 4
_GRID_WINDOW = 5


def detail(a: Tensor, b: Tensor, weight: Tensor) -> Tensor:
    """Weighted mean difference of the local strength of detail, in three bands; 0 for equal strength.

    Bands are differences of Gaussians, strength is the root mean square under SSIM's window. Where detail cannot be
    predicted exactly, SSIM and the absolute difference favour fainter detail, and the output gets soft; this term
    compares its strength and not its position. It does so band by band, because with a single band a sub-pixel decoder
    would produce checkerboard patterns.
    """
    with torch.autocast(a.device.type, enabled=False):
        strengths = zip(_detail_strengths(a), _detail_strengths(b), strict=True)
        differences = torch.cat([(one - other).abs() for one, other in strengths], 1)
        return weighted_mean(differences, weight)


def grid(a: Tensor, b: Tensor, weight: Tensor) -> Tensor:
    """Weighted mean of how much stronger a pattern that repeats every 4 pixels is in ``a`` than in ``b``; 0 for none.

    The finest detail is averaged over the pixels at the same place of 5 x 5 neighbouring cells of 4 x 4 pixels: hair
    and pores average out, and what two sub-pixel convolutions repeat stays (Odena et al. 2016, "Deconvolution and
    Checkerboard Artifacts"). With a high weight of :func:`detail` a decoder offers such a pattern for texture that it
    cannot predict, most of all in beards. The sides of the images are multiples of 4.
    """
    with torch.autocast(a.device.type, enabled=False):
        excess = (_grid_strength(a) - _grid_strength(b)).clamp_min(0)
        return weighted_mean(excess, torch.nn.functional.avg_pool2d(weight, _GRID))


def sharpness(images: Tensor, weight: Tensor) -> Tensor:
    """(B,): variance of the Laplacian of luma (0 to 255) over pixels weighted by ``weight``; higher is sharper.

    ``images`` are (B, 3, S, S) in [0, 1] RGB, ``weight`` (B, 1, S, S). Comparable only at one crop size.
    """
    grey = 255 * luma(images)
    kernel = images.new_tensor([[0, 1, 0], [1, -4, 1], [0, 1, 0]]).view(1, 1, 3, 3)
    edges = torch.nn.functional.conv2d(torch.nn.functional.pad(grey, (1, 1, 1, 1), mode="reflect"), kernel)
    counted = weight.sum((1, 2, 3)).clamp_min(TINY)
    mean = (edges * weight).sum((1, 2, 3)) / counted
    return ((edges - mean.view(-1, 1, 1, 1)) ** 2 * weight).sum((1, 2, 3)) / counted


def _detail_strengths(images: Tensor) -> list[Tensor]:
    """Detail strength of each band, (B, 1, S, S), the finest first."""
    grey = luma(images)
    levels = [grey, *(blur(grey, sigma) for sigma in _BANDS)]
    bands = [fine - coarse for fine, coarse in itertools.pairwise(levels)]
    return [torch.sqrt(blur(band * band) + _DETAIL_FLOOR**2) for band in bands]


def _grid_strength(images: Tensor) -> Tensor:
    """Root mean square of what is alike in neighbouring cells of the finest detail, (B, 1, S / 4, S / 4)."""
    grey = luma(images)
    places = torch.nn.functional.pixel_unshuffle(grey - blur(grey, _BANDS[-1]), _GRID)
    alike = torch.nn.functional.avg_pool2d(places, _GRID_WINDOW, 1, _GRID_WINDOW // 2, count_include_pad=False)
    return torch.sqrt((alike * alike).mean(1, keepdim=True) + _DETAIL_FLOOR**2)
