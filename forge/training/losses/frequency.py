"""A loss that compares spectra. Convention: see :mod:`forge.training.losses.pixel`."""

from __future__ import annotations

import torch
from torch import Tensor


def focal_frequency(drawn: Tensor, target: Tensor, weight: Tensor) -> Tensor:
    """Mean over frequencies of w abs(D)^2, D the spectrum's difference, w = abs(D) over its largest of the picture.

    Jiang et al., "Focal frequency loss for image reconstruction and synthesis", ICCV 2021, eq. 8 to 10, alpha 1: the
    frequencies that are drawn worst count most. The transform is orthonormal; w is of each picture and channel, and
    takes no gradient. Pixels are counted before the transform, by ``weight`` up to 1. 0 when equal.
    """
    with torch.autocast(drawn.device.type, enabled=False):
        # Transforms are linear: the spectrum of the difference is the difference of spectra.
        spectrum = torch.fft.rfft2((drawn - target).float() * weight.clamp(max=1), norm="ortho")
        power = spectrum.real**2 + spectrum.imag**2
        size = power.detach().sqrt()
        focus = size / size.amax((-2, -1), keepdim=True).clamp_min(_LEAST)
        return (focus * power * _mirrored(drawn.shape[-1], power)).sum((-2, -1)).mean() / _places(drawn)


_LEAST = 1e-12


def _mirrored(width: int, power: Tensor) -> Tensor:
    """How often each column of a real picture's half spectrum stands in the whole: all twice but the self-mirrored."""
    counts = torch.full((power.shape[-1],), 2.0, device=power.device)
    counts[0] = 1
    if width % 2 == 0:
        counts[-1] = 1
    return counts


def _places(pictures: Tensor) -> int:
    return pictures.shape[-2] * pictures.shape[-1]
