from __future__ import annotations

import math

import pytest
import torch

from forge.training.loss_config import LossConfig
from forge.training.losses import pixel_weight, weighted_mean
from forge.training.losses.pixel import edge, laplacian, log_cosh, luma, mae, mse, total_variation


def row(*values: float) -> torch.Tensor:
    return torch.tensor(values).view(1, 1, 1, -1)


def test_weighted_mean_by_hand():
    values = torch.tensor([[[[1.0, 2.0], [3.0, 4.0]]]]).repeat(1, 2, 1, 1)
    weight = torch.tensor([[[[1.0, 0.0], [0.0, 3.0]]]])
    assert weighted_mean(values, weight).item() == pytest.approx((1 + 3 * 4) / 4)
    assert weighted_mean(values, torch.zeros_like(weight)).item() == 0


def test_pixel_weight_by_hand():
    config = LossConfig(eyes=3, mouth=2, background=0.1)
    mask = torch.tensor([1.0, 1.0, 1.0, 0.0, 0.5]).view(1, 1, 1, 5)
    eyes = torch.tensor([0.0, 1.0, 0.0, 1.0, 0.0]).view(1, 1, 1, 5)
    mouth = torch.tensor([0.0, 0.0, 1.0, 0.0, 0.0]).view(1, 1, 1, 5)
    weights = pixel_weight(mask, eyes, mouth, config).flatten().tolist()
    assert weights == pytest.approx([1, 3, 2, 0.1, 0.55])


def test_luma_by_hand():
    assert luma(torch.tensor([1.0, 0.5, 0.0]).view(1, 3, 1, 1)).item() == pytest.approx(0.299 + 0.2935)


def test_mae_mse_and_log_cosh_by_hand():
    drawn, target, weight = row(0.5, 1.0, 0.0), row(0.0, 0.0, 0.0), row(1.0, 3.0, 0.0)
    assert mae(drawn, target, weight).item() == pytest.approx((0.5 + 3) / 4)
    assert mse(drawn, target, weight).item() == pytest.approx((0.25 + 3) / 4)
    wanted = (math.log(math.cosh(0.5)) + 3 * math.log(math.cosh(1.0))) / 4
    assert log_cosh(drawn, target, weight).item() == pytest.approx(wanted, abs=1e-6)


def test_log_cosh_far_off_does_not_overflow():
    assert log_cosh(row(500.0), row(0.0), row(1.0)).item() == pytest.approx(500 - math.log(2), rel=1e-6)


def test_total_variation_by_hand():
    picture = torch.tensor([[0.0, 1.0, 1.0], [0.5, 0.5, 0.0]]).view(1, 1, 2, 3)
    assert total_variation(picture).item() == pytest.approx((1 + 0 + 0 + 0.5) / 4 + (0.5 + 0.5 + 1) / 3)
    assert total_variation(torch.full((1, 3, 4, 4), 0.3)).item() == 0


def test_edge_by_hand():
    # The difference is a bright pixel in the corner that counts: one step across the first row, one down.
    drawn, target = torch.zeros(1, 1, 2, 2), torch.zeros(1, 1, 2, 2)
    drawn[0, 0, 0, 0] = 0.6
    weight = torch.tensor([[1.0, 1.0], [0.0, 1.0]]).view(1, 1, 2, 2)
    # Across, steps lead to the right column (weights 1, 1): mean 0.6 / 2. Down, to the lower row (0, 1): nothing.
    assert edge(drawn, target, weight).item() == pytest.approx((0.3 + 0.0) / 2)


def test_edge_and_laplacian_bands_do_not_see_a_change_of_brightness():
    target = torch.rand(1, 3, 32, 32, generator=torch.Generator().manual_seed(1))
    weight = torch.ones(1, 1, 32, 32)
    assert edge(target + 0.2, target, weight).item() == pytest.approx(0, abs=1e-6)
    # Only what is left of the pyramid, 0.2 at its top, is different.
    assert laplacian(target + 0.2, target, weight).item() == pytest.approx(0.2, abs=1e-6)


def test_laplacian_by_hand():
    # 16 px: one halving. Columns alternate by 0.1 about 0: means over 2x2 are 0, the band is the picture itself.
    stripes = 0.1 * (1 - 2 * (torch.arange(16) % 2).float()).expand(1, 3, 16, 16)
    assert laplacian(stripes, torch.zeros(1, 3, 16, 16), torch.ones(1, 1, 16, 16)).item() == pytest.approx(0.1)


@pytest.mark.parametrize("term", [mae, mse, log_cosh, edge, laplacian])
def test_equal_pictures_cost_nothing(term):
    picture = torch.rand(2, 3, 24, 24, generator=torch.Generator().manual_seed(0))
    assert term(picture, picture, torch.ones(2, 1, 24, 24)).item() == pytest.approx(0, abs=1e-7)
