from __future__ import annotations

import math

import pytest
import torch

from forge.training.adversarial.objectives import OBJECTIVES, mixup_discriminator

REAL, DRAWN = torch.tensor([0.5, 2.0]), torch.tensor([-0.5, 1.0])

# Worked by hand for verdicts 0.5, 2 on real and -0.5, 1 on drawn faces; means 1.25 and 0.25.
CRITIC = {
    "lsgan": ((0.25 + 1) / 2 + (0.25 + 1) / 2) / 2,
    "relativistic": ((0.75**2 + 0.75**2) / 2 + (0.75**2 + 0.75**2) / 2) / 2,
    "hinge": 0.5 / 2 + (0.5 + 2) / 2,
    "bce": sum(math.log1p(math.exp(x)) for x in (-0.5, -2, -0.5, 1)) / 4,
}
SWAPPER = {
    "lsgan": (1.5**2 + 0) / 2,
    "relativistic": ((2.75**2 + 1.25**2) / 2 + (1.25**2 + 2.75**2) / 2) / 2,
    "hinge": -0.25,
    "bce": (math.log1p(math.exp(0.5)) + math.log1p(math.exp(-1))) / 2,
}


@pytest.mark.parametrize("kind", list(OBJECTIVES))
def test_games_by_hand(kind):
    assert OBJECTIVES[kind].discriminator(REAL, DRAWN).item() == pytest.approx(CRITIC[kind])
    assert OBJECTIVES[kind].swapper(REAL, DRAWN).item() == pytest.approx(SWAPPER[kind])


@pytest.mark.parametrize("kind", list(OBJECTIVES))
def test_discriminator_and_swapper_have_opposite_gradients(kind):
    drawn = torch.tensor([0.9, 0.95], requires_grad=True)
    (down,) = torch.autograd.grad(OBJECTIVES[kind].discriminator(REAL, drawn), drawn)
    (up,) = torch.autograd.grad(OBJECTIVES[kind].swapper(REAL, drawn), drawn)
    assert (down > 0).all()
    assert (up < 0).all()


def test_mixup_discriminator_by_hand():
    share = torch.tensor([1.0, 0.25]).view(2, 1, 1, 1)
    verdict = torch.tensor([[0.5, 1.0], [0.25, 0.75]]).view(2, 1, 1, 2)
    assert mixup_discriminator(verdict, share).item() == pytest.approx((0.25 + 0 + 0 + 0.25) / 4)
