from __future__ import annotations

import pytest
import torch

from benchmarks.roofline import CASES, Case, flops_per_image, matrix_rate, measure
from forge.models import build_swapper
from shared.device import pick_device

pytestmark = pytest.mark.slow


def test_the_cases_can_be_built():
    for case in CASES:
        with torch.device("meta"):
            swapper = build_swapper(case.model, ["a", "b"], width=case.width, **dict(case.options))
        assert swapper.spec.output_px >= 64
    assert [case.label for case in CASES[1:3]] == ["saehd df-ud 128 x1 batch 16", "saehd liae-ud 256 x1 batch 8"]


@pytest.mark.parametrize("case", [
    Case("lightweight", 2, 0.05),
    Case("h64", 2, 0.05, options=(("mask", False),), adversarial=True),
])  # fmt: skip
def test_a_case_is_measured_with_its_ratios(case: Case, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("benchmarks.roofline.matrix_rate", lambda *_args, **_settings: 1e12)
    found = {one.name: one for one in measure("cpu", cases=(case,), repeats=1, seconds=0.01)}
    share = found[f"{case.label}: share of the measured matrix rate"]
    speed = found[f"{case.label}: mixed precision"].median
    assert share.median == pytest.approx(100 * speed * flops_per_image(case) / 1e12, rel=1e-4)
    assert 0 < found[f"{case.label}: share of a step spent on making the batch"].median < 100


def test_the_matrix_rate_is_a_rate():
    assert matrix_rate(pick_device("cpu", "float32"), torch.float32, side=64, seconds=0.02) > 1e6
