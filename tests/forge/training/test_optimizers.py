from __future__ import annotations

import dataclasses
import math

import pytest
import torch
from timm.optim.adabelief import AdaBelief
from timm.optim.lion import Lion
from torch import nn

from forge.training.config import TrainConfig
from forge.training.optimizers import AutoClip, OptimizerStep, build_optimizer
from shared.device import pick_device
from shared.errors import CheckpointError, ConfigError

CPU = pick_device("cpu", "float32")
NAMES = ("adam", "adamw", "adabelief", "lion", "rmsprop")
CONFIG = TrainConfig(learning_rate=0.1)


def parameter(*values: float) -> nn.Parameter:
    return nn.Parameter(torch.tensor(values))


def pushed(each: nn.Parameter, *gradient: float) -> nn.Parameter:
    each.grad = torch.tensor(gradient)
    return each


def test_adabelief_by_hand():
    weight = parameter(1.0)
    config = dataclasses.replace(CONFIG, optimizer="adabelief", beta1=0.9, beta2=0.99)
    optimizer = build_optimizer([weight], config, CPU)
    assert isinstance(optimizer, AdaBelief)
    pushed(weight, 2.0)
    optimizer.step()
    # m = 0.2, s = 0.01 * 1.8^2; corrected m = 2, s = 3.24, so the step is 0.1 * 2 / 1.8.
    assert weight.item() == pytest.approx(1 - 0.1 * 2 / 1.8, rel=1e-6)
    before = weight.item()
    pushed(weight, -1.0)
    optimizer.step()
    mean = 0.9 * 0.2 - 0.1
    belief = 0.99 * 0.0324 + 0.01 * (-1 - mean) ** 2
    step = 0.1 * (mean / (1 - 0.81)) / math.sqrt(belief / (1 - 0.99**2))
    assert weight.item() == pytest.approx(before - step, rel=1e-5)


def test_lion_by_hand():
    weight = parameter(1.0, 1.0)
    config = dataclasses.replace(CONFIG, optimizer="lion", beta1=0.9, beta2=0.5, weight_decay=0.5)
    optimizer = build_optimizer([weight], config, CPU)
    assert isinstance(optimizer, Lion)
    pushed(weight, 3.0, -0.01)
    optimizer.step()
    assert weight.tolist() == pytest.approx([0.95 - 0.1, 0.95 + 0.1])
    # The momentum is half the gradient, 1.5; a small push the other way does not turn it: 0.9 * 1.5 - 0.1 > 0.
    pushed(weight, -1.0, 0.0)
    optimizer.step()
    assert weight[0].item() == pytest.approx(0.85 * 0.95 - 0.1)


def test_rmsprop_by_hand():
    weight = parameter(1.0)
    optimizer = build_optimizer([weight], dataclasses.replace(CONFIG, optimizer="rmsprop"), CPU)
    pushed(weight, 4.0)
    optimizer.step()
    assert weight.item() == pytest.approx(1 - 0.1 * 4 / math.sqrt(0.1 * 16), rel=1e-5)


@pytest.mark.parametrize("name", NAMES)
def test_each_finds_the_bottom_of_a_valley(name):
    weight = parameter(1.0, -2.0)
    mover = OptimizerStep("model", [weight], dataclasses.replace(CONFIG, optimizer=name, weight_decay=0.0), CPU)
    start = (weight**2).sum().item()
    for step in range(150):
        (weight**2).sum().backward()
        mover.step(0.1 * (1 - step / 150), CONFIG)
    assert (weight**2).sum().item() < 1e-3 * start


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("extra", [{}, {"lr_dropout": 0.3, "autoclip": 10.0}, {"clip_norm": 0.5}])
def test_a_restored_mover_goes_on_bit_for_bit(name, extra):
    config = dataclasses.replace(CONFIG, optimizer=name, **extra)

    def begun() -> tuple[list[nn.Parameter], OptimizerStep]:
        weights = [nn.Parameter(torch.linspace(-1, 1, 12).view(3, 4)), parameter(0.5, 0.25)]
        return weights, OptimizerStep("model", weights, config, CPU)

    def walk(weights: list[nn.Parameter], mover: OptimizerStep, steps: range) -> None:
        for step in steps:
            (torch.sin(weights[0] * (step + 1)).sum() + (weights[1] ** 2).sum()).backward()
            mover.step(0.01, config)

    weights, mover = begun()
    walk(weights, mover, range(3))
    tensors, meta = mover.state()
    tensors = {key: value.clone() for key, value in tensors.items()}
    kept = [each.detach().clone() for each in weights]
    walk(weights, mover, range(3, 7))
    others, second = begun()
    walk(others, second, range(1))
    with torch.no_grad():
        for each, value in zip(others, kept, strict=True):
            each.copy_(value)
    second.restore(tensors, meta)
    walk(others, second, range(3, 7))
    for one, two in zip(weights, others, strict=True):
        assert torch.equal(one, two)
    assert set(second.state()[0]) == set(mover.state()[0])


@pytest.mark.parametrize("name", ["adabelief", "lion"])
def test_a_state_with_the_names_of_older_versions_is_read(name):
    config = dataclasses.replace(CONFIG, optimizer=name)
    weight = parameter(1.0, -2.0)
    mover = OptimizerStep("model", [pushed(weight, 1.0, 0.5)], config, CPU)
    mover.step(0.1, config)
    tensors, meta = mover.state()
    old = {key.replace("exp_avg_var", "belief").replace("exp_avg", "mean"): value for key, value in tensors.items()}
    assert set(old) != set(tensors)
    for group in meta["groups"]:
        for key in set(group) - {"lr", "betas", "eps", "params", "weight_decay"}:
            del group[key]
    other = parameter(*weight.tolist())
    again = OptimizerStep("model", [other], config, CPU)
    again.restore(old, meta)
    for each, mover_ in ((weight, mover), (other, again)):
        pushed(each, -1.0, 0.25)
        mover_.step(0.1, config)
    assert torch.equal(weight, other)


def test_the_state_of_another_optimizer_is_refused():
    weight = parameter(1.0)
    mover = OptimizerStep("model", [weight], CONFIG, CPU)
    pushed(weight, 1.0)
    mover.step(0.1, CONFIG)
    tensors, meta = mover.state()
    with pytest.raises(CheckpointError):
        OptimizerStep("model", [weight, parameter(1.0)], CONFIG, CPU).restore(tensors, meta)
    with pytest.raises(KeyError):
        OptimizerStep("model", [weight], dataclasses.replace(CONFIG, autoclip=10.0), CPU).restore(tensors, meta)


def test_a_share_of_the_weights_moves():
    weight = nn.Parameter(torch.zeros(10_000))
    config = dataclasses.replace(CONFIG, lr_dropout=0.3)
    mover = OptimizerStep("model", [weight], config, CPU)
    weight.grad = torch.ones(10_000)
    mover.step(0.1, config)
    first = weight.detach().clone()
    assert (first != 0).float().mean().item() == pytest.approx(0.3, abs=0.02)
    weight.grad = torch.ones(10_000)
    mover.step(0.1, config)
    assert (weight != first).float().mean().item() == pytest.approx(0.3, abs=0.02)
    assert ((weight != first) & (first != 0)).float().mean().item() == pytest.approx(0.09, abs=0.02)


def test_a_weight_without_a_gradient_stays():
    still, moving = parameter(1.0), parameter(1.0)
    for name in NAMES:
        mover = OptimizerStep(
            "model", [still, moving], dataclasses.replace(CONFIG, optimizer=name, lr_dropout=0.9), CPU
        )
        pushed(moving, 1.0)
        mover.step(0.1, CONFIG)
        assert still.item() == 1.0
        assert still.grad is moving.grad is None


def test_a_long_gradient_is_shortened_to_the_norm():
    weight = parameter(0.0, 0.0)
    config = dataclasses.replace(CONFIG, clip_norm=1.0)
    mover = OptimizerStep("model", [weight], config, CPU)
    mover.optimizer = torch.optim.SGD([weight], lr=1.0)
    pushed(weight, 3.0, 4.0)
    mover.step(1.0, config)
    assert weight.tolist() == pytest.approx([-0.6, -0.8], rel=1e-5)
    pushed(weight, 0.3, 0.4)
    mover.step(1.0, config)
    assert weight.tolist() == pytest.approx([-0.9, -1.2], rel=1e-5)


def test_autoclip_is_a_percentile_of_all_norms_so_far():
    clip = AutoClip(torch.device("cpu"))
    limits = [clip.limit(torch.tensor(norm), 50.0).item() for norm in (4.0, 2.0, 6.0)]
    assert limits == pytest.approx([4.0, 3.0, 4.0])
    for _ in range(10_000):
        clip.limit(torch.tensor(1.0), 50.0)
    assert clip.norms.max() == 1.0


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"lr_dropout": 0.0}, "lr_dropout"),
        ({"autoclip": 100.0}, "percentile"),
        ({"autoclip": 10.0, "clip_norm": 1.0}, "both set"),
        ({"beta1": 1.0}, "beta1"),
        ({"weight_decay": -1.0}, "weight_decay"),
        ({"accumulate": 0}, "accumulate"),
    ],
)
def test_settings_that_cannot_be_are_refused(changes, said):
    with pytest.raises(ConfigError, match=said):
        TrainConfig(**changes)
