"""Losses that look at one pixel, or at one and its neighbour, at a time. Pure functions on float32 batches.

Convention:
    drawn, target: (B, C, H, W) in [0, 1]
    weight: (B, 1, H, W), not negative, how much a pixel counts; a loss is a weighted mean, so its scale does not
        depend on how large the face is
"""

from __future__ import annotations

import math

from torch import Tensor
from torch.nn import functional as F

from forge.training.loss_config import LossConfig

TINY = 1e-6
_LUMA = (0.299, 0.587, 0.114)
_LEVELS = 5
_COARSEST = 8


def pixel_weight(mask: Tensor, eyes: Tensor, mouth: Tensor, config: LossConfig) -> Tensor:
    """(B, 1, S, S): the face counts 1, its eyes and mouth more, what is around it ``config.background``.

    All inputs are (B, 1, S, S) in [0, 1].
    """
    face = mask * (1 + (config.eyes - 1) * eyes + (config.mouth - 1) * mouth)
    return face + config.background * (1 - mask)


def weighted_mean(values: Tensor, weight: Tensor) -> Tensor:
    """Mean of ``values`` (B, C, S, S) where each pixel counts ``weight`` (B, 1, S, S); 0 where nothing counts."""
    channels = values.shape[1]
    return (values * weight).sum() / (weight.sum() * channels).clamp_min(TINY)


def luma(pictures: Tensor) -> Tensor:
    """(B, 1, H, W) of RGB (B, 3, H, W): 0.299 R + 0.587 G + 0.114 B."""
    red, green, blue = pictures.split(1, 1)
    return _LUMA[0] * red + _LUMA[1] * green + _LUMA[2] * blue


def mae(drawn: Tensor, target: Tensor, weight: Tensor) -> Tensor:
    """Weighted mean of abs(d), d = drawn - target."""
    return weighted_mean((drawn - target).abs(), weight)


def mse(drawn: Tensor, target: Tensor, weight: Tensor) -> Tensor:
    """Weighted mean of d^2, d = drawn - target."""
    return weighted_mean((drawn - target) ** 2, weight)


def log_cosh(drawn: Tensor, target: Tensor, weight: Tensor) -> Tensor:
    """Weighted mean of ln(cosh(d)), d = drawn - target: d^2 / 2 near nothing, abs(d) - ln 2 far from it.

    Computed as abs(d) + ln(1 + exp(-2 abs(d))) - ln 2, which does not overflow.
    """
    distance = (drawn - target).abs()
    return weighted_mean(distance + F.softplus(-2 * distance) - math.log(2), weight)


def total_variation(pictures: Tensor) -> Tensor:
    """Mean absolute step to the neighbour on the right plus that to the one below (Rudin, Osher, Fatemi 1992)."""
    across, down = _steps(pictures)
    return across.abs().mean() + down.abs().mean()


def edge(drawn: Tensor, target: Tensor, weight: Tensor) -> Tensor:
    """Weighted mean absolute difference of first differences, the mean over both axes: faceswap-GAN's edge loss.

    A step counts as much as the pixel it leads to.
    """
    along, down = _steps(drawn - target)
    return (weighted_mean(along.abs(), weight[..., 1:]) + weighted_mean(down.abs(), weight[..., 1:, :])) / 2


def _steps(pictures: Tensor) -> tuple[Tensor, Tensor]:
    return pictures[..., 1:] - pictures[..., :-1], pictures[..., 1:, :] - pictures[..., :-1, :]


def laplacian(drawn: Tensor, target: Tensor, weight: Tensor) -> Tensor:
    """Sum over the bands of a Laplacian pyramid of the weighted mean absolute difference.

    Bojanowski et al., "Optimizing the latent space of generative networks", ICML 2018, Lap1: a coarser band counts
    more by as much as it has fewer pixels. Bands are halved by 2x2 means and doubled bilinearly, down to 8 px at most
    five times; the last one is what is left.
    """
    rest = drawn - target  # a pyramid is linear: that of the difference is the difference of pyramids
    total = rest.new_zeros(())
    for _ in range(_LEVELS):
        if rest.shape[-1] < 2 * _COARSEST:
            break
        coarse = F.avg_pool2d(rest, 2)
        band = rest - F.interpolate(coarse, size=rest.shape[-2:], mode="bilinear", align_corners=False)
        total = total + weighted_mean(band.abs(), weight)
        rest, weight = coarse, F.avg_pool2d(weight, 2)
    return total + weighted_mean(rest.abs(), weight)
