from __future__ import annotations

import dataclasses

import pytest
import torch
from torch import nn

from detect.config.training import TrainConfig
from detect.training.optimizers import climbed, make_optimizer
from shared.errors import ConfigError


def test_climbing_by_hand_and_back():
    """f(w) = w0² + 2 w1 at (3, 1): the gradient is (6, 2), and rho along it is rho (6, 2) / sqrt(40)."""
    model = nn.Linear(2, 1, bias=False)
    with torch.no_grad():
        model.weight.copy_(torch.tensor([[3.0, 1.0]]))
    loss = model.weight[0, 0] ** 2 + 2 * model.weight[0, 1]
    loss.backward()
    with climbed(model, 0.5):
        moved = model.weight.detach().clone()
    step = 0.5 * torch.tensor([[6.0, 2.0]]) / 40**0.5
    torch.testing.assert_close(moved, torch.tensor([[3.0, 1.0]]) + step)
    torch.testing.assert_close(model.weight.detach(), torch.tensor([[3.0, 1.0]]))


def test_a_gradient_that_is_no_number_moves_nothing():
    model = nn.Linear(1, 1, bias=False)
    before = model.weight.detach().clone()
    model.weight.grad = torch.full_like(model.weight, float("nan"))
    with climbed(model, 0.5):
        torch.testing.assert_close(model.weight.detach(), before)


@pytest.mark.parametrize(("name", "kind"), [("adamw", "AdamW"), ("sgd", "SGD"), ("sam", "SGD")])
def test_norms_and_biases_do_not_decay(name: str, kind: str):
    model = nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2))
    optimizer = make_optimizer(model, TrainConfig(optimizer=name, weight_decay=0.1))  # type: ignore[arg-type]
    assert type(optimizer).__name__ == kind
    decays = {group["weight_decay"]: len(group["params"]) for group in optimizer.param_groups}
    assert decays == {0.1: 1, 0.0: 3}


def test_frozen_parameters_are_left_out():
    model = nn.Linear(3, 2)
    model.weight.requires_grad_(False)
    groups = make_optimizer(model, TrainConfig()).param_groups
    assert [len(group["params"]) for group in groups] == [0, 1]


@pytest.mark.parametrize("change", [{"mixup": -1.0}, {"sam_rho": 0.0}, {"mask_weight": 1000.0}])
def test_bad_settings_are_refused(change: dict):
    with pytest.raises(ConfigError):
        dataclasses.replace(TrainConfig(), **change)
