from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
import timm
import torch
from torch import nn

from detect.config.training import TrainConfig
from detect.models import build_detector
from detect.models.checkpoint import load_detector
from detect.models.tuning import ResidualLinear, plain_state, tune
from detect.training.train import train_detector
from shared.errors import ConfigError


def net(name: str = "test_vit") -> nn.Module:
    torch.manual_seed(0)
    return (
        timm.create_model(name, num_classes=1, img_size=32) if "vit" in name else timm.create_model(name, num_classes=1)
    )


def trained_names(model: nn.Module) -> set[str]:
    return {name for name, parameter in model.named_parameters() if parameter.requires_grad}


def test_full_trains_all_and_probe_the_head_alone():
    model = net()
    everything = sum(parameter.numel() for parameter in model.parameters())
    assert tune(model, "full") == everything
    assert tune(model, "probe") == sum(parameter.numel() for parameter in model.head.parameters())  # type: ignore[union-attr]
    assert trained_names(model) == {"head.weight", "head.bias"}


@pytest.mark.parametrize("name", ["test_vit", "test_efficientnet", "test_convnext"])
def test_norms_are_trained_with_the_head(name: str):
    model = net(name)
    left = tune(model, "norm")
    assert 0 < left < sum(parameter.numel() for parameter in model.parameters()) / 3
    for part in trained_names(model):
        module = model.get_submodule(part.rsplit(".", 1)[0])
        assert "norm" in type(module).__name__.lower() or part.startswith(("head", "classifier"))


def test_low_rank_starts_as_the_model_it_was_and_trains_little():
    model, before = net().eval(), net().eval()
    x = torch.randn(2, 3, 32, 32)
    left = tune(model, "low-rank", rank=2)
    torch.testing.assert_close(model(x), before(x), rtol=1e-3, atol=1e-4)
    assert left < 0.1 * sum(parameter.numel() for parameter in before.parameters())
    assert all(part.endswith((".left", ".scale", ".right")) or part.startswith("head") for part in trained_names(model))


def test_a_weight_is_split_by_singular_value():
    """Of diag(3, 2, 1), rank 1 trains the direction of 1 and freezes the other two."""
    layer = nn.Linear(3, 3)
    with torch.no_grad():
        layer.weight.copy_(torch.diag(torch.tensor([3.0, 2.0, 1.0])))
    split = ResidualLinear(layer, 1)
    torch.testing.assert_close(split.main, torch.diag(torch.tensor([3.0, 2.0, 0.0])))
    torch.testing.assert_close(split.scale.detach(), torch.tensor([1.0]))
    torch.testing.assert_close(split.weight.detach(), layer.weight.detach())


def test_the_export_has_plain_names_again():
    model, fresh = net().eval(), net().eval()
    tune(model, "low-rank")
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name.endswith(".left"):
                parameter.add_(0.1)
    fresh.load_state_dict(plain_state(model))
    x = torch.randn(2, 3, 32, 32)
    torch.testing.assert_close(fresh(x), model(x), rtol=1e-3, atol=1e-4)


def test_what_cannot_be_tuned_is_refused():
    with pytest.raises(ConfigError, match="needs attention"):
        tune(net("test_efficientnet"), "low-rank")
    with pytest.raises(ConfigError, match="rank 64 does not lie"):
        tune(net(), "low-rank", rank=64)


def test_a_detector_tuned_by_rank_is_exported_whole(tmp_path: Path, toy_set: Path, toy_config: TrainConfig):
    config = dataclasses.replace(toy_config, model="test_vit", tuning="low-rank", steps=2, evaluate_every=2)
    result = train_detector(toy_set, tmp_path / "run", config)
    detector, _ = load_detector(result.detector)
    fresh = build_detector("test_vit", input_px=64)
    assert set(detector.state_dict()) == set(fresh.state_dict())
