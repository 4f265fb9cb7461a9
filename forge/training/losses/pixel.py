"""Losses per pixel or per pair of neighbouring pixels. Pure functions on float32 batches.

Convention:
    generated, target: (B, C, H, W) in [0, 1]
    weight: (B, 1, H, W), not negative, weight of each pixel; a loss is a weighted mean, so its scale does not depend on
        the size of the face, unless ``loss.mean`` asks for it
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
    """(B, 1, S, S): weight 1 in the face, more in eyes and mouth, ``config.background`` outside.

    All inputs are (B, 1, S, S) in [0, 1].
    """
    face = mask * (1 + (config.eyes - 1) * eyes + (config.mouth - 1) * mouth)
    return face + config.background * (1 - mask)


def weighted_mean(values: Tensor, weight: Tensor) -> Tensor:
    """Mean of ``values`` (B, C, S, S) with pixel weights ``weight`` (B, 1, S, S); 0 if all are 0."""
    channels = values.shape[1]
    return (values * weight).sum() / (weight.sum() * channels).clamp_min(TINY)


def luma(images: Tensor) -> Tensor:
    """(B, 1, H, W) of RGB (B, 3, H, W): 0.299 R + 0.587 G + 0.114 B."""
    red, green, blue = images.split(1, 1)
    return _LUMA[0] * red + _LUMA[1] * green + _LUMA[2] * blue


def mae(generated: Tensor, target: Tensor, weight: Tensor) -> Tensor:
    """Weighted mean of abs(d), d = generated - target."""
    return weighted_mean((generated - target).abs(), weight)


def mse(generated: Tensor, target: Tensor, weight: Tensor) -> Tensor:
    """Weighted mean of d^2, d = generated - target."""
    return weighted_mean((generated - target) ** 2, weight)


def log_cosh(generated: Tensor, target: Tensor, weight: Tensor) -> Tensor:
    """Weighted mean of ln(cosh(d)), d = generated - target: d^2 / 2 near 0, abs(d) - ln 2 far from it.

    Computed as abs(d) + ln(1 + exp(-2 abs(d))) - ln 2, which does not overflow.
    """
    distance = (generated - target).abs()
    return weighted_mean(distance + F.softplus(-2 * distance) - math.log(2), weight)


def total_variation(images: Tensor) -> Tensor:
    """Mean absolute difference to the right neighbour plus that to the one below (Rudin, Osher, Fatemi 1992)."""
    across, down = _steps(images)
    return across.abs().mean() + down.abs().mean()


def edge(generated: Tensor, target: Tensor, weight: Tensor) -> Tensor:
    """Weighted mean absolute difference of first differences, the mean over both axes: faceswap-GAN's edge loss.

    A difference has the weight of its second pixel.
    """
    along, down = _steps(generated - target)
    return (weighted_mean(along.abs(), weight[..., 1:]) + weighted_mean(down.abs(), weight[..., 1:, :])) / 2


def _steps(images: Tensor) -> tuple[Tensor, Tensor]:
    return images[..., 1:] - images[..., :-1], images[..., 1:, :] - images[..., :-1, :]


def laplacian(generated: Tensor, target: Tensor, weight: Tensor) -> Tensor:
    """Sum over the bands of a Laplacian pyramid of the weighted mean absolute difference.

    Bojanowski et al., "Optimizing the latent space of generative networks", ICML 2018, Lap1: a coarser band has more
    weight, inversely to its number of pixels. Bands are halved by 2x2 means and doubled bilinearly, down to 8 px at
    most five times; the last one is the residual.
    """
    rest = generated - target  # a pyramid is linear: the pyramid of the difference is the difference of pyramids
    total = rest.new_zeros(())
    for _ in range(_LEVELS):
        if rest.shape[-1] < 2 * _COARSEST:
            break
        coarse = F.avg_pool2d(rest, 2)
        band = rest - F.interpolate(coarse, size=rest.shape[-2:], mode="bilinear", align_corners=False)
        total = total + weighted_mean(band.abs(), weight)
        rest, weight = coarse, F.avg_pool2d(weight, 2)
    return total + weighted_mean(rest.abs(), weight)
