"""What a swapper is trained to make small, a subject a file; :mod:`forge.losses.objective` puts them together."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from forge.loss_config import LossConfig
from forge.losses.pixel import mae, pixel_weight, weighted_mean
from forge.losses.structure import dssim, ssim, ssim_map
from forge.losses.texture import detail, sharpness
from forge.models.contract import Swap

__all__ = ["Losses", "detail", "dssim", "pixel_weight", "sharpness", "ssim", "ssim_map", "swap_loss", "weighted_mean"]


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
    absolute = mae(rgb, target, weight)
    shape = torch.zeros((), device=rgb.device) if swap.mask is None else ((swap.mask.float() - mask) ** 2).mean()
    fine = detail(rgb, target, weight) if config.detail else torch.zeros((), device=rgb.device)
    total = config.dssim * structure + config.mae * absolute + config.detail * fine + config.mask * shape
    return Losses(total, structure, absolute, fine, shape)
