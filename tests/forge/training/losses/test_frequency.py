from __future__ import annotations

import numpy as np
import pytest
import torch

from forge.training.losses.frequency import focal_frequency


def ones(side: int) -> torch.Tensor:
    return torch.ones(1, 1, side, side)


def test_focal_frequency_two_by_two_by_hand():
    # The difference is 1 in one corner of 2x2: its orthonormal spectrum is 1/2 at all four frequencies, all weights 1.
    drawn = torch.tensor([[1.0, 0.0], [0.0, 0.0]]).expand(1, 3, 2, 2)
    assert focal_frequency(drawn, torch.zeros(1, 3, 2, 2), ones(2)).item() == pytest.approx(0.25)
    # A brightness step is one frequency, of 2 * 0.5: (1 * 1 + 0 + 0 + 0) / 4.
    assert focal_frequency(torch.full((1, 3, 2, 2), 0.5), torch.zeros(1, 3, 2, 2), ones(2)).item() == pytest.approx(
        0.25
    )
    # Columns of 0.75 and 0.25: frequencies 1 (mean) and 0.5 (across), weights 1 and 0.5: (1 + 0.5 * 0.25) / 4.
    columns = torch.tensor([[0.75, 0.25], [0.75, 0.25]]).expand(1, 3, 2, 2)
    assert focal_frequency(columns, torch.zeros(1, 3, 2, 2), ones(2)).item() == pytest.approx(1.125 / 4)


@pytest.mark.parametrize("side", [7, 8])
def test_the_half_spectrum_is_the_whole(side):
    chance = torch.Generator().manual_seed(0)
    a, b = (torch.rand(2, 3, side, side, generator=chance) for _ in range(2))
    spectrum = np.fft.fft2((a - b).double().numpy(), norm="ortho")
    size = np.abs(spectrum)
    wanted = (size / size.max((-2, -1), keepdims=True) * size**2).mean()
    assert focal_frequency(a, b, torch.ones(2, 1, side, side)).item() == pytest.approx(wanted, rel=1e-4)


def test_equal_pictures_cost_nothing_and_send_finite_gradient():
    picture = torch.full((1, 3, 8, 8), 0.4, requires_grad=True)
    loss = focal_frequency(picture, torch.full((1, 3, 8, 8), 0.4), ones(8))
    loss.backward()
    assert loss.item() == 0
    assert picture.grad is not None
    assert picture.grad.abs().max() == 0
