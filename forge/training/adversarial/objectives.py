"""Adversarial objectives of discriminator and swapper. Pure functions of logits of any shape; higher means real."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from torch import Tensor
from torch.nn import functional as F


class AdversarialObjective(NamedTuple):
    """``discriminator(real, generated)`` and ``swapper(real, generated)``: scalar losses from the logits of both."""

    discriminator: Callable[[Tensor, Tensor], Tensor]
    swapper: Callable[[Tensor, Tensor], Tensor]


def _least_squares_discriminator(real: Tensor, generated: Tensor) -> Tensor:
    return (((real - 1) ** 2).mean() + (generated**2).mean()) / 2


def _least_squares_swapper(_real: Tensor, generated: Tensor) -> Tensor:
    return ((generated - 1) ** 2).mean()


def _relativistic_discriminator(real: Tensor, generated: Tensor) -> Tensor:
    return (((real - generated.mean() - 1) ** 2).mean() + ((generated - real.mean() + 1) ** 2).mean()) / 2


def _relativistic_swapper(real: Tensor, generated: Tensor) -> Tensor:
    return _relativistic_discriminator(generated, real)


def _hinge_discriminator(real: Tensor, generated: Tensor) -> Tensor:
    return F.relu(1 - real).mean() + F.relu(1 + generated).mean()


def _hinge_swapper(_real: Tensor, generated: Tensor) -> Tensor:
    return -generated.mean()


def _bce_discriminator(real: Tensor, generated: Tensor) -> Tensor:
    return (F.softplus(-real).mean() + F.softplus(generated).mean()) / 2


def _bce_swapper(_real: Tensor, generated: Tensor) -> Tensor:
    return F.softplus(-generated).mean()


OBJECTIVES = {
    "lsgan": AdversarialObjective(_least_squares_discriminator, _least_squares_swapper),
    "relativistic": AdversarialObjective(_relativistic_discriminator, _relativistic_swapper),
    "hinge": AdversarialObjective(_hinge_discriminator, _hinge_swapper),
    "bce": AdversarialObjective(_bce_discriminator, _bce_swapper),
}
"""lsgan: Mao et al. 2017, eq. 9, targets 0 and 1, squared error of the logit.
relativistic: average least squares, Jolicoeur-Martineau 2019, RaLSGAN; real logits exceed the mean of the others by 1.
hinge: Lim and Ye 2017; only logits on the wrong side of 1 or -1 count.
bce: Goodfellow et al. 2014, non-saturating; binary cross-entropy."""


def mixup_discriminator(logit: Tensor, share: Tensor) -> Tensor:
    """Mean of (logit - share)^2 on mixtures of ``share`` (B, 1, 1, 1) real and the rest generated: lsgan with mixup.

    Zhang et al., "mixup: Beyond empirical risk minimization", 2018, section 3.6; faceswap-GAN's default.
    """
    return ((logit - share) ** 2).mean()
