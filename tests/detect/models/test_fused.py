from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from detect.inspection.heatmap import heat_maps
from detect.models import build_detector
from detect.models.checkpoint import DetectorFacts, load_detector, save_detector
from detect.models.contract import Detector
from detect.models.fused import FusedDetector
from detect.models.predictor import CropPredictor
from shared.device import pick_device
from shared.errors import ConfigError, UnknownNameError

PX = 64
MEMBERS = (("frame", "test_vit"), ("multitask", "test_efficientnet"), ("pooled-multitask", "test_resnet"))


def members() -> list[Detector]:
    torch.manual_seed(3)
    built = [build_detector(name, family=family, input_px=PX).eval() for family, name in MEMBERS]
    with torch.no_grad():
        for each in built:
            for parameter in each.parameters():
                parameter.add_(0.05 * torch.randn_like(parameter))
    return built


def test_the_logit_is_the_weighted_sum_on_the_same_crops(rng: np.random.Generator, tmp_path: Path):
    """Also after it was written and read; members of other means and deviations get what they would get alone."""
    built = members()
    assert len({member.spec.mean for member in built}) > 1
    weights, bias = (0.5, 0.25, 2.0), -0.75
    fused = FusedDetector.of(built, weights, bias).eval()
    cpu = pick_device("cpu", "float32")
    crops = rng.integers(0, 256, (5, PX, PX, 3), np.uint8)
    alone = [CropPredictor(member, cpu).logits(crops) for member in built]
    expected = bias + sum(weight * logits for weight, logits in zip(weights, alone, strict=True))
    np.testing.assert_allclose(CropPredictor(fused, cpu).logits(crops), expected, atol=1e-5)
    folder = save_detector(fused, tmp_path / "d", DetectorFacts(fused.spec), card="# card\n")
    again, facts = load_detector(folder)
    assert facts.spec == fused.spec
    assert facts.spec.name == "frame/test_vit+multitask/test_efficientnet+pooled-multitask/test_resnet"
    np.testing.assert_allclose(CropPredictor(again, cpu).logits(crops), expected, atol=1e-5)


def test_regions_are_averaged_at_the_size_of_the_first():
    built = members()
    fused = FusedDetector.of(built, (1.0, 1.0, 1.0), 0.0).eval()
    x = torch.rand(2, 3, PX, PX)
    found: Tensor | None = fused(x).mask
    assert found is not None
    masks = []
    for member in built[1:]:
        mean, std = (torch.tensor(each).view(1, 3, 1, 1) for each in (member.spec.mean, member.spec.std))
        masks.append(member((x - mean) / std).mask)
    torch.testing.assert_close(found, (masks[0] + masks[1]) / 2)
    assert FusedDetector.of(built[:1] * 2, (1.0, 1.0), 0.0)(x).mask is None


def test_heat_is_that_of_the_member_with_the_largest_weight():
    built = members()
    fused = FusedDetector.of(built, (0.1, 3.0, 0.2), 0.0).eval()
    assert fused.net is fused.members[1].net
    maps = heat_maps(fused, torch.rand(2, 3, PX, PX))
    assert maps is not None
    assert maps.shape == (2, PX, PX)


def test_a_new_one_has_equal_weights_and_can_be_trained_together():
    fused = build_detector("test_vit+pooled/test_resnet", family="fused", input_px=PX)
    assert isinstance(fused, FusedDetector)
    assert fused.weights.tolist() == [0.5, 0.5]
    fused(torch.rand(2, 3, PX, PX)).logit.sum().backward()
    assert all(parameter.grad is not None for parameter in fused.parameters())


@pytest.mark.parametrize(("name", "why"), [
    ("temporal/test_vit+test_vit", "scores sequences"),
    ("fused/test_vit", "cannot be a member"),
    ("meso4/meso4+test_vit", "different crops"),
    ("+".join(["test_vit"] * 9), "at most 8"),
])  # fmt: skip
def test_what_cannot_be_fused_is_refused(name: str, why: str):
    with pytest.raises(ConfigError, match=why):
        build_detector(name, family="fused", input_px=None if "meso" in name else PX)


def test_unknown_members_are_named():
    with pytest.raises(UnknownNameError, match="no_such"):
        build_detector("frame/no_such", family="fused")
    with pytest.raises(UnknownNameError, match="blurry"):
        build_detector("blurry/test_vit", family="fused")
    fused = FusedDetector.of(members()[:2], (1.0, 1.0), 0.0)
    with pytest.raises(ConfigError, match="fused already"):
        FusedDetector.of([fused, fused], (1.0, 1.0), 0.0)
