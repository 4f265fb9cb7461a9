"""Losses of a face drawn by another person's decoder: they have no target, only surroundings and a manner.

DeepFaceLab's style powers, re-built from their facts. Convention: see :mod:`forge.training.losses.pixel`.
"""

from __future__ import annotations

import torch
from torch import Tensor

from forge.training.losses.blur import windowed
from forge.training.losses.pixel import TINY, mse
from forge.training.losses.structure import dssim

_SOFTNESS = 8


def face_style(drawn: Tensor, manner: Tensor, mask: Tensor) -> Tensor:
    """(difference of means)^2 + (difference of standard deviations)^2 of each channel inside ``mask``, mean of all.

    Both pictures are blurred first, sigma an eighth of their side, so that colour and light count and features do not.
    """
    with torch.autocast(drawn.device.type, enabled=False):
        sigma = drawn.shape[-1] / _SOFTNESS
        taps = 2 * int(2 * sigma) + 1
        one, other = (_moments(windowed(each, taps, sigma, "reflect"), mask) for each in (drawn, manner))
        return ((one[0] - other[0]) ** 2 + (one[1] - other[1]) ** 2).mean()


def background_style(drawn: Tensor, surroundings: Tensor, mask: Tensor) -> Tensor:
    """DSSIM plus squared difference outside ``mask``: another decoder too is to keep what is around."""
    outside = 1 - mask
    return dssim(drawn, surroundings, outside) + mse(drawn, surroundings, outside)


def _moments(pictures: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation (B, C) under ``mask``."""
    counted = mask.sum((2, 3)).clamp_min(TINY)
    mean = (pictures * mask).sum((2, 3)) / counted
    variance = ((pictures - mean[..., None, None]) ** 2 * mask).sum((2, 3)) / counted
    return mean, torch.sqrt(variance + TINY)
