from __future__ import annotations

import dataclasses
from typing import Any

import pytest
import torch
from scipy.stats import beta, kstest

from forge.models.contract import Swap, SwapSpec
from forge.training.adversarial import Adversary, LatentDiscriminator
from forge.training.adversarial.adversary import _shares
from forge.training.data import Batch
from forge.training.loss_config import AdversarialConfig
from shared.errors import CheckpointError, UsageError

SPEC = SwapSpec("small", 32, 32, "full", ("ann", "bob"), has_mask=False)
CONFIG = AdversarialConfig(kind="lsgan", channels=4)


def config(**changes: Any) -> AdversarialConfig:
    return dataclasses.replace(CONFIG, **changes)


def batch(side: int = 32, seed: int = 0, level: float = 0.5) -> Batch:
    chance = torch.Generator().manual_seed(seed)
    target = level + 0.3 * torch.rand(3, 3, side, side, generator=chance)
    mask = torch.zeros(3, 1, side, side)
    mask[..., 4:-4, 4:-4] = 1
    return Batch(target, target, mask, torch.zeros_like(mask), torch.zeros_like(mask))


def drawn(seed: int = 1, side: int = 32) -> Swap:
    chance = torch.Generator().manual_seed(seed)
    return Swap(torch.rand(3, 3, side, side, generator=chance).requires_grad_(), None)


def adversary(spec: SwapSpec = SPEC, **changes: Any) -> Adversary:
    torch.manual_seed(0)
    return Adversary(config(**changes), spec, spec.identities)


@pytest.mark.parametrize("net", ["patch", "unet"])
@pytest.mark.parametrize("kind", ["lsgan", "relativistic", "hinge", "bce"])
def test_each_side_gets_its_own_gradient_and_no_other(kind, net):
    subject, swap = adversary(kind=kind, net=net), drawn()
    subject.generator_loss(swap, batch(), "ann").backward()
    assert swap.rgb.grad is not None
    assert swap.rgb.grad.abs().sum() > 0
    assert all(parameter.grad is None for parameter in subject.parameters())
    swap.rgb.grad = None
    subject.discriminator_loss(swap, batch(), "ann").backward()
    assert swap.rgb.grad is None
    own, other = subject.nets
    assert all(parameter.grad is not None for parameter in own.parameters())
    assert all(parameter.grad is None for parameter in other.parameters())


@pytest.mark.parametrize("changes", [{}, {"mixup": False}, {"kind": "hinge"}, {"kind": "bce", "net": "unet"}])
def test_a_discriminator_learns_to_separate_real_and_generated(changes):
    subject = adversary(**changes)
    optimizer = torch.optim.Adam(subject.parameters(), lr=2e-3)
    chance = torch.Generator().manual_seed(3)
    losses = []
    for _ in range(25):
        optimizer.zero_grad()
        loss = subject.discriminator_loss(drawn(), batch(), "ann", generator=chance)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert sum(losses[-5:]) < sum(losses[:5])
    perfect = Swap(batch().target, None)
    assert subject.generator_loss(drawn(), batch(), "ann") > subject.generator_loss(perfect, batch(), "ann")


def test_pixels_outside_the_mask_are_ignored():
    subject, swap = adversary(), drawn()
    subject.generator_loss(swap, batch(), "bob").backward()
    assert swap.rgb.grad is not None
    outside = batch().mask == 0
    assert swap.rgb.grad[outside.expand_as(swap.rgb)].abs().max() == 0


def test_the_input_may_be_of_another_size():
    wide = dataclasses.replace(SPEC, input_px=16)
    given = batch()._replace(input=torch.rand(3, 3, 16, 16))
    assert torch.isfinite(adversary(wide).generator_loss(drawn(), given, "ann"))


def test_shares_of_mixup_follow_beta_and_the_generator():
    one = _shares(4000, torch.Generator().manual_seed(1)).flatten()
    assert torch.equal(one, _shares(4000, torch.Generator().manual_seed(1)).flatten())
    assert kstest(one.numpy(), beta(0.2, 0.2).cdf).pvalue > 0.01


@pytest.mark.parametrize("net", ["patch", "unet"])
@pytest.mark.parametrize("kind", ["lsgan", "relativistic", "hinge", "bce"])
def test_finite_under_autocast(kind, net):
    subject, swap = adversary(kind=kind, net=net), drawn()
    with torch.autocast("cpu", torch.bfloat16):
        made = subject.generator_loss(Swap(swap.rgb.bfloat16(), None), batch(), "ann")
        told = subject.discriminator_loss(swap, batch(), "ann")
    (made + told).backward()
    assert made.dtype == told.dtype == torch.float32
    grads = [swap.rgb.grad, *(each.grad for each in subject.nets[0].parameters())]
    assert all(grad is not None and torch.isfinite(grad).all() for grad in grads)


def test_its_own_state_is_taken_back():
    first, second = adversary(), adversary()
    with torch.no_grad():
        for parameter in first.parameters():
            parameter.add_(1)
    second.load_state_dict(first.state_dict())
    assert all(torch.equal(one, other) for one, other in zip(first.parameters(), second.parameters(), strict=True))


def test_no_state_of_anything_else_is_taken():
    subject = adversary()
    strangers = dataclasses.replace(SPEC, identities=("ann", "eve"))
    foreign = {name: value for name, value in subject.state_dict().items() if name != "origin"}
    for state in (foreign, adversary(strangers).state_dict(), adversary(kind="hinge").state_dict(), {}):
        with pytest.raises(CheckpointError, match="not that of this training's adversary"):
            subject.load_state_dict(state)
    own = subject.state_dict()
    own.popitem()
    with pytest.raises(CheckpointError, match="damaged"):
        subject.load_state_dict(own, strict=False)


def test_what_cannot_be_built_is_refused():
    with pytest.raises(UsageError, match="no adversary"):
        adversary(kind="none")
    with pytest.raises(UsageError, match="32 px"):
        adversary(dataclasses.replace(SPEC, output_px=16))
    with pytest.raises(UsageError, match="'an'") as caught:
        adversary().generator_loss(drawn(), batch(), "an")
    assert caught.value.hint == "did you mean ann?"


@pytest.mark.parametrize("shape", [(6,), (5, 4, 4)])
def test_latents_lose_the_identity(shape):
    torch.manual_seed(1)
    subject = LatentDiscriminator(shape, ("ann", "bob"))
    codes = {"ann": torch.randn(16, *shape) + 1, "bob": torch.randn(16, *shape) - 1}
    optimizer = torch.optim.Adam(subject.parameters(), lr=1e-3)
    for _ in range(30):
        optimizer.zero_grad()
        loss = subject.discriminator_loss(codes)
        loss.backward()
        optimizer.step()
    assert loss.item() < 0.2
    free = {name: value.clone().requires_grad_() for name, value in codes.items()}
    told = subject.generator_loss(free)
    assert told.item() > 0.5
    slopes = torch.autograd.grad(told, list(free.values()))
    assert all(torch.isfinite(slope).all() and slope.abs().sum() > 0 for slope in slopes)
    moved = {name: free[name] - 20 * slope for name, slope in zip(free, slopes, strict=True)}
    assert subject.generator_loss(moved) < told


def test_an_untrained_latent_discriminator_has_the_expected_loss():
    subject = LatentDiscriminator((3,), ("ann", "bob", "eve"))
    for parameter in subject.parameters():
        parameter.data.zero_()
    codes = {"eve": torch.ones(2, 3)}
    assert subject.generator_loss(codes).item() == pytest.approx(0, abs=1e-6)
    assert subject.discriminator_loss(codes).item() == pytest.approx(1.0986, abs=1e-4)


def test_codes_of_odd_shape_are_refused():
    with pytest.raises(UsageError, match="cannot be classified"):
        LatentDiscriminator((2, 3), ("ann", "bob"))
