"""Frequency-domain loss. Convention: see :mod:`forge.training.losses.pixel`."""

from __future__ import annotations

import torch
from torch import Tensor


def focal_frequency(generated: Tensor, target: Tensor, weight: Tensor) -> Tensor:
    """Mean over frequencies of w abs(D)^2, D the spectrum's difference, w = abs(D) over its maximum in the image.

    Jiang et al., "Focal frequency loss for image reconstruction and synthesis", ICCV 2021, eq. 8 to 10, alpha 1: the
    frequencies with the largest error count most. The transform is orthonormal; w is of each image and channel, and
    takes no gradient. Pixels are weighted before the transform, by ``weight`` up to 1. 0 when equal.
    """
    with torch.autocast(generated.device.type, enabled=False):
        # Transforms are linear: the spectrum of the difference is the difference of spectra.
        spectrum = torch.fft.rfft2((generated - target).float() * weight.clamp(max=1), norm="ortho")
        power = spectrum.real**2 + spectrum.imag**2
        size = power.detach().sqrt()
        focus = size / size.amax((-2, -1), keepdim=True).clamp_min(_LEAST)
        return (focus * power * _mirrored(generated.shape[-1], power)).sum((-2, -1)).mean() / _places(generated)


_LEAST = 1e-12


def _mirrored(width: int, power: Tensor) -> Tensor:
    """Multiplicity of each column of a real image's half spectrum in the full one: 2 except self-mirrored columns."""
    counts = torch.full((power.shape[-1],), 2.0, device=power.device)
    counts[0] = 1
    if width % 2 == 0:
        counts[-1] = 1
    return counts


def _places(images: Tensor) -> int:
    return images.shape[-2] * images.shape[-1]
