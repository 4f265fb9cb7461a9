"""What a critic and the swapper it judges each make small. Pure functions of verdicts, any shape, higher is realer.

A verdict is raw: no game needs it squashed first.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from torch import Tensor
from torch.nn import functional as F


class AdversarialObjective(NamedTuple):
    """``critic(real, drawn)`` and ``swapper(real, drawn)``, scalars of verdicts on both."""

    critic: Callable[[Tensor, Tensor], Tensor]
    swapper: Callable[[Tensor, Tensor], Tensor]


def _least_squares_critic(real: Tensor, drawn: Tensor) -> Tensor:
    return (((real - 1) ** 2).mean() + (drawn**2).mean()) / 2


def _least_squares_swapper(_real: Tensor, drawn: Tensor) -> Tensor:
    return ((drawn - 1) ** 2).mean()


def _relativistic_critic(real: Tensor, drawn: Tensor) -> Tensor:
    return (((real - drawn.mean() - 1) ** 2).mean() + ((drawn - real.mean() + 1) ** 2).mean()) / 2


def _relativistic_swapper(real: Tensor, drawn: Tensor) -> Tensor:
    return _relativistic_critic(drawn, real)


def _hinge_critic(real: Tensor, drawn: Tensor) -> Tensor:
    return F.relu(1 - real).mean() + F.relu(1 + drawn).mean()


def _hinge_swapper(_real: Tensor, drawn: Tensor) -> Tensor:
    return -drawn.mean()


def _bce_critic(real: Tensor, drawn: Tensor) -> Tensor:
    return (F.softplus(-real).mean() + F.softplus(drawn).mean()) / 2


def _bce_swapper(_real: Tensor, drawn: Tensor) -> Tensor:
    return F.softplus(-drawn).mean()


OBJECTIVES = {
    "lsgan": AdversarialObjective(_least_squares_critic, _least_squares_swapper),
    "relativistic": AdversarialObjective(_relativistic_critic, _relativistic_swapper),
    "hinge": AdversarialObjective(_hinge_critic, _hinge_swapper),
    "bce": AdversarialObjective(_bce_critic, _bce_swapper),
}
"""lsgan: Mao et al. 2017, eq. 9, targets 0 and 1; a verdict is squared against them.
relativistic: average least squares, Jolicoeur-Martineau 2019, RaLSGAN; realer than the others' mean by 1.
hinge: Lim and Ye 2017; only verdicts on the wrong side of 1 or -1 count.
bce: Goodfellow et al. 2014, not saturating; binary cross-entropy."""


def mixed_critic(verdict: Tensor, share: Tensor) -> Tensor:
    """Mean of (verdict - share)^2 on mixtures of ``share`` (B, 1, 1, 1) real and the rest drawn: lsgan with mixup.

    Zhang et al., "mixup: Beyond empirical risk minimization", 2018, section 3.6; faceswap-GAN's default.
    """
    return ((verdict - share) ** 2).mean()
