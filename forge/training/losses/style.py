"""Style losses of a face decoded by another identity's decoder, for which there is no target image.

DeepFaceLab's style powers, re-built from their facts. Convention: see :mod:`forge.training.losses.pixel`.
"""

from __future__ import annotations

import torch
from torch import Tensor

from forge.training.losses.blur import windowed
from forge.training.losses.pixel import TINY, mse
from forge.training.losses.structure import dssim

_SOFTNESS = 8


def face_style(generated: Tensor, reference: Tensor, mask: Tensor) -> Tensor:
    """(difference of means)^2 + (difference of standard deviations)^2 of each channel inside ``mask``, mean of all.

    Both images are blurred first, sigma an eighth of their side, so that only colour and light count.
    """
    with torch.autocast(generated.device.type, enabled=False):
        sigma = generated.shape[-1] / _SOFTNESS
        taps = 2 * int(2 * sigma) + 1
        one, other = (_moments(windowed(each, taps, sigma, "reflect"), mask) for each in (generated, reference))
        return ((one[0] - other[0]) ** 2 + (one[1] - other[1]) ** 2).mean()


def background_style(generated: Tensor, surroundings: Tensor, mask: Tensor) -> Tensor:
    """DSSIM plus squared error outside ``mask``, so that other decoders keep the surroundings too."""
    outside = 1 - mask
    return dssim(generated, surroundings, outside) + mse(generated, surroundings, outside)


def _moments(images: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation (B, C) under ``mask``."""
    counted = mask.sum((2, 3)).clamp_min(TINY)
    mean = (images * mask).sum((2, 3)) / counted
    variance = ((images - mean[..., None, None]) ** 2 * mask).sum((2, 3)) / counted
    return mean, torch.sqrt(variance + TINY)
