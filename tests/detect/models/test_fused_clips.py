from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch

from detect.models import build_detector
from detect.models.checkpoint import DetectorFacts, load_detector, save_detector
from detect.models.contract import Detector
from detect.models.fused_clips import ClipFusedDetector, ClipWeights
from shared.errors import ConfigError

FIT = ClipWeights((1.0, -1.0), (2.0, 0.5), ((1.0, 0.5), (0.0, 2.0)), (-0.5, 0.25))


def members() -> list[Detector]:
    torch.manual_seed(3)
    built = [build_detector("test_vit", input_px=64), build_detector("motion", family="motion", input_px=96)]
    with torch.no_grad():
        for each in built:
            for parameter in each.parameters():
                parameter.add_(0.05 * torch.randn_like(parameter))
    return [each.eval() for each in built]


def test_the_fused_logit_and_parts_by_hand():
    """Scores 1 and 4: ratios 1 + 2 - .5 and 8 + .25; without the first 1.5 and 8.25, without the second .5 and .25."""

    def mean(a: float, b: float) -> float:
        return math.log((math.exp(a) + math.exp(b)) / 2)

    whole, first, second, none = mean(2.5, 8.25), mean(0.5, 0.25), mean(1.5, 8.25), mean(-0.5, 0.25)
    found = FIT.fused(np.array([[3.0, 1.0], [3.0, np.nan], [np.nan, 1.0], [np.nan, np.nan]]))
    np.testing.assert_allclose(found, [whole, first, second, none])
    assert FIT.parts((3.0, 1.0)) == pytest.approx((whole - second, whole - first))
    assert FIT.parts((3.0, None)) == pytest.approx((first - none, 0.0))


def test_one_conviction_is_enough():
    """A kind that one detector alone finds is found, though the other says "real" with conviction."""
    fit = ClipWeights((0.0, 0.0), (1.0, 1.0), ((2.0, 0.0), (0.0, 2.0)), (0.0, 0.0))
    said = fit.fused(np.array([[-3.0, 3.0], [3.0, -3.0], [-3.0, -3.0]]))
    assert said[0] == said[1] > 5
    assert said[2] < -5


def test_faces_get_the_leads_logit_and_all_comes_back_from_a_folder(tmp_path: Path):
    built = members()
    fused = ClipFusedDetector.of(built, FIT).eval()
    assert fused.spec.name == "frame/test_vit@64-whole+motion/motion@96-whole"
    x = torch.rand(3, 3, 64, 64)
    expected = built[0](x).logit
    torch.testing.assert_close(fused(x).logit, expected)
    facts = DetectorFacts(fused.spec, members=tuple(DetectorFacts(each.spec) for each in built))
    again, read = load_detector(save_detector(fused, tmp_path / "d", facts, card="# card\n"))
    assert isinstance(again, ClipFusedDetector)
    assert again.fit == FIT
    assert read.members[1].spec.frames_per_clip == 25
    torch.testing.assert_close(again(x).logit, expected)
    landmarks = 40 + 10 * torch.rand(2, 25, 68, 2)
    torch.testing.assert_close(again.members[1](landmarks).logit, built[1](landmarks).logit)


@pytest.mark.parametrize(("name", "why"), [
    ("motion/motion@64-whole+frame/test_vit@64-whole", "scores no single faces"),
    ("fused/test_vit", "fused detector cannot be a member"),
    ("frame/test_vit@64-whole+fused-clips/test_vit@64-whole", "fused detector cannot be a member"),
    ("frame/test_vit@64", "no size and framing"),
    ("frame/test_vit@999999-whole", "no size and framing"),
    ("frame/test_vit@sixty-whole", "no size and framing"),
    ("+".join(["frame/test_vit@64-whole"] * 9), "at most 8"),
])  # fmt: skip
def test_names_that_make_no_fused_detector(name: str, why: str):
    with pytest.raises(ConfigError, match=why):
        build_detector(name, family="fused-clips", input_px=64)
