from __future__ import annotations

from pathlib import Path

import pytest
import torch

from detect.models import build_detector
from detect.models.checkpoint import DetectorFacts, load_detector, save_detector
from detect.models.contract import Detector
from detect.models.fused_clips import ClipFusedDetector, ClipWeights
from shared.errors import ConfigError

FIT = ClipWeights((2.0, 0.5), (0.25, -1.0), (0.5, 4.0), -0.125)


def members() -> list[Detector]:
    torch.manual_seed(3)
    built = [build_detector("test_vit", input_px=64), build_detector("motion", family="motion", input_px=96)]
    with torch.no_grad():
        for each in built:
            for parameter in each.parameters():
                parameter.add_(0.05 * torch.randn_like(parameter))
    return [each.eval() for each in built]


def test_parts_by_hand():
    """2 x 3 + 0.25, halved; 0.5 x -2 - 1, times four; one that scored nothing adds nothing."""
    assert FIT.parts((3.0, -2.0)) == (3.125, -8.0)
    assert FIT.parts((3.0, None)) == (3.125, 0.0)


def test_faces_get_the_leads_part_and_all_comes_back_from_a_folder(tmp_path: Path):
    built = members()
    fused = ClipFusedDetector.of(built, FIT).eval()
    assert fused.spec.name == "frame/test_vit@64-whole+motion/motion@96-whole"
    x = torch.rand(3, 3, 64, 64)
    expected = -0.125 + 0.5 * (2.0 * built[0](x).logit + 0.25)
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
