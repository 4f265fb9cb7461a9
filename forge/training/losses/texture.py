"""How much fine detail a picture has: a loss that asks for it, and a measure. Pure functions on float32 batches.

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
    grey = 255 * luma(pictures)
    kernel = pictures.new_tensor([[0, 1, 0], [1, -4, 1], [0, 1, 0]]).view(1, 1, 3, 3)
    edges = torch.nn.functional.conv2d(torch.nn.functional.pad(grey, (1, 1, 1, 1), mode="reflect"), kernel)
    counted = weight.sum((1, 2, 3)).clamp_min(TINY)
    mean = (edges * weight).sum((1, 2, 3)) / counted
    return ((edges - mean.view(-1, 1, 1, 1)) ** 2 * weight).sum((1, 2, 3)) / counted


def _detail_strengths(pictures: Tensor) -> list[Tensor]:
    """Of each band (B, 1, S, S), the finest first."""
    grey = luma(pictures)
    levels = [grey, *(blur(grey, sigma) for sigma in _BANDS)]
    bands = [fine - coarse for fine, coarse in itertools.pairwise(levels)]
    return [torch.sqrt(blur(band * band) + _DETAIL_FLOOR**2) for band in bands]
