from __future__ import annotations

import numpy as np
import pytest
import torch

from forge.training.losses import detail, grid, sharpness


def flat(value: float, side: int = 16) -> torch.Tensor:
    return torch.full((1, 3, side, side), value)


def ones(side: int = 16) -> torch.Tensor:
    return torch.ones(1, 1, side, side)


def noise(seed: int, side: int = 24) -> torch.Tensor:
    return torch.rand(2, 3, side, side, generator=torch.Generator().manual_seed(seed))


def test_detail_asks_for_strength_and_not_for_place():
    a = noise(1)
    weight = torch.ones(2, 1, 24, 24)
    soft = torch.nn.functional.avg_pool2d(a, 3, 1, 1)
    shifted = a.roll(1, -1)
    assert detail(a, a, weight).item() == 0
    assert detail(shifted, a, weight) < 0.3 * detail(soft, a, weight)
    assert detail(flat(0.2), flat(0.7), ones()).item() == pytest.approx(0, abs=1e-6)


def test_detail_by_hand():
    # Of a checkerboard of 0.5 +- 0.2, Gaussians of 0.5, 0.9 and 1.6 leave 0.3297, 0.0013 and nothing. The bands' root
    # mean squares are 0.2 * 0.6703, 0.2 * 0.3284 and 0, each over a floor of one grey level.
    y, x = torch.meshgrid(torch.arange(16), torch.arange(16), indexing="ij")
    board = (0.5 + 0.2 * (1 - 2 * ((x + y) % 2).float())).expand(1, 3, 16, 16)
    floor = 1 / 255
    bands = [(value**2 + floor**2) ** 0.5 - floor for value in (0.13406, 0.06568, 0.0)]
    assert detail(board, flat(0.5), ones()).item() == pytest.approx(sum(bands) / 3, abs=1e-4)


def test_a_checkerboard_does_not_stand_in_for_other_detail():
    y, x = torch.meshgrid(torch.arange(24), torch.arange(24), indexing="ij")
    target = noise(1)[:1].mean(1, keepdim=True).expand(1, 3, 24, 24)
    target = torch.nn.functional.avg_pool2d(target, 3, 1, 1)
    soft = torch.nn.functional.avg_pool2d(target, 3, 1, 1)
    weight = ones(24)
    missing = detail(soft, target, weight)
    best = min(detail(soft + size * (1 - 2 * ((x + y) % 2).float()), target, weight) for size in (0.01, 0.02, 0.04))
    assert best > 0.6 * missing


def test_detail_lets_gradient_through_flat_pictures():
    picture = flat(0.5).requires_grad_()
    detail(picture, noise(3, 16)[:1], ones()).backward()
    assert picture.grad is not None
    assert torch.isfinite(picture.grad).all()


def test_sharpness_by_hand_and_order():
    # One bright column in the dark: the Laplacian is -2 on it (times 255), 1 beside it, 0 elsewhere: 3 of 8 columns.
    picture = torch.zeros(1, 3, 8, 8)
    picture[..., 4] = 1
    values = 255 * np.array([0, 0, 0, 1, -2, 1, 0, 0])
    assert sharpness(picture, ones(8)).item() == pytest.approx(values.var(), rel=1e-4)
    blurred = torch.nn.functional.avg_pool2d(noise(7), 3, 1, 1)
    weight = torch.ones(2, 1, 24, 24)
    assert (sharpness(blurred, weight) < sharpness(noise(7), weight)).all()


def columns(size: float, side: int = 40) -> torch.Tensor:
    """Grey with a column in four that is brighter by ``size``."""
    picture = flat(0.5, side)
    picture[..., ::4] += size
    return picture


def test_a_grid_is_what_repeats_every_four_pixels():
    weight = ones(40)
    target = flat(0.5, 40)
    texture = (0.5 + 0.2 * (noise(3, 40)[:1] - 0.5)).mean(1, keepdim=True).expand(1, 3, 40, 40)
    assert grid(target, target, weight).item() == 0
    assert grid(target, columns(0.2), weight).item() == 0, "a pattern that only the target has is no fault"
    assert grid(columns(0.2), columns(0.2), weight).item() == 0
    assert detail(texture, target, weight) > 0.5 * detail(columns(0.1), target, weight)
    assert grid(texture, target, weight) < 0.15 * grid(columns(0.1), target, weight)


def test_a_grid_by_hand():
    # One column in four is brighter by 0.2. Of a pattern of four columns a Gaussian of 1.6 leaves exp(-2 (0.4 pi)^2)
    # of the half cycles a pixel and exp(-2 (0.8 pi)^2) of the whole ones: 4.25 % and nothing. The column's share is
    # 0.05 at frequency 0, 0.1 at a quarter and 0.05 at a half, so the root mean square of what is left is
    # sqrt(2 * (0.05 * 0.9575)^2 + 0.05^2), over a floor of one grey level.
    rms = (2 * (0.05 * 0.9575) ** 2 + 0.05**2) ** 0.5
    floor = 1 / 255
    inner = torch.zeros(1, 1, 40, 40)
    inner[..., 16:24, 16:24] = 1
    expected = (rms**2 + floor**2) ** 0.5 - floor
    assert grid(columns(0.2), flat(0.5, 40), inner).item() == pytest.approx(expected, rel=0.02)


def test_a_grid_is_driven_out_by_its_gradient():
    picture = columns(0.1).requires_grad_()
    grid(picture, flat(0.5, 40), ones(40)).backward()
    assert picture.grad is not None
    assert torch.isfinite(picture.grad).all()
    assert picture.grad[..., 8:32, 20].mean() > 0, "the bright column gets darker"
