from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.ndimage import correlate1d

from forge.loss_config import LossConfig
from forge.losses import detail, dssim, pixel_weight, sharpness, ssim, ssim_map, swap_loss, weighted_mean
from forge.models import Swap


def flat(value: float, side: int = 16) -> torch.Tensor:
    return torch.full((1, 3, side, side), value)


def ones(side: int = 16) -> torch.Tensor:
    return torch.ones(1, 1, side, side)


def noise(seed: int, side: int = 24) -> torch.Tensor:
    return torch.rand(2, 3, side, side, generator=torch.Generator().manual_seed(seed))


def reference_ssim(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """The definition, written out: an 11-tap Gaussian of sigma 1.5 on each axis, mirrored borders."""
    taps = np.exp(-(np.arange(-5, 6) ** 2) / 4.5)
    taps /= taps.sum()

    def blur(x: np.ndarray) -> np.ndarray:
        return correlate1d(correlate1d(x, taps, axis=-1, mode="mirror"), taps, axis=-2, mode="mirror")

    ma, mb = blur(a), blur(b)
    va, vb, vab = blur(a * a) - ma * ma, blur(b * b) - mb * mb, blur(a * b) - ma * mb
    return (2 * ma * mb + 1e-4) * (2 * vab + 9e-4) / ((ma**2 + mb**2 + 1e-4) * (va + vb + 9e-4))


def test_ssim_of_flat_pictures_by_hand():
    # No variance: only the luminance term is left, (2 * .2 * .6 + c1) / (.2^2 + .6^2 + c1) with c1 = 1e-4.
    assert ssim(flat(0.2), flat(0.6)).item() == pytest.approx((0.24 + 1e-4) / (0.4 + 1e-4), abs=1e-4)
    assert dssim(flat(0.2), flat(0.6), ones()).item() == pytest.approx((1 - 0.2401 / 0.4001) / 2, abs=1e-4)


def test_ssim_equals_its_definition_also_at_the_border():
    a, b = noise(1), noise(2)
    expected = reference_ssim(a.double().numpy(), b.double().numpy())
    assert np.abs(ssim_map(a.double(), b.double()).numpy() - expected).max() < 1e-9
    assert np.abs(ssim_map(a, b).numpy() - expected).max() < 1e-3


def test_ssim_of_equal_pictures_is_one_and_falls_with_noise():
    a = noise(3)
    assert ssim(a, a).item() == pytest.approx(1, abs=1e-5)
    assert ssim(a, (a + 0.1 * noise(4)).clamp(0, 1)) > ssim(a, (a + 0.5 * noise(4)).clamp(0, 1))


def test_ssim_refuses_pictures_smaller_than_its_window():
    with pytest.raises(ValueError, match="more than 5 px"):
        ssim(flat(0.5, 5), flat(0.5, 5))


def test_measuring_first_does_not_spoil_training_after():
    with torch.inference_mode():
        ssim(noise(1, 21), noise(2, 21))
    picture = noise(1, 21).requires_grad_()
    ssim(picture, noise(2, 21)).backward()
    assert picture.grad is not None


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


def test_what_is_outside_the_mask_does_not_count():
    config = LossConfig(background=0, mask=0)
    mask = ones()
    mask[..., 8:] = 0
    target, wrong = flat(0.5), flat(0.5)
    wrong[..., 14:] = 1
    weight = pixel_weight(mask, torch.zeros_like(mask), torch.zeros_like(mask), config)
    assert swap_loss(Swap(wrong, mask), target, mask, weight, config).mae.item() == pytest.approx(0, abs=1e-7)


def test_total_by_hand():
    config = LossConfig(dssim=2, mae=3, mask=4, detail=5)
    losses = swap_loss(Swap(flat(0.6), 0.5 * ones()), flat(0.2), ones(), ones(), config)
    structure = (1 - 0.2401 / 0.4001) / 2
    assert losses.mae.item() == pytest.approx(0.4, abs=1e-6)
    assert losses.mask.item() == pytest.approx(0.25, abs=1e-6)
    assert losses.detail.item() == pytest.approx(0, abs=1e-6)
    assert losses.total.item() == pytest.approx(2 * structure + 3 * 0.4 + 4 * 0.25, abs=1e-3)


def test_a_model_without_a_mask_has_no_mask_loss():
    losses = swap_loss(Swap(flat(0.6), None), flat(0.2), ones(), ones(), LossConfig())
    assert losses.mask.item() == 0


def test_gradient_moves_the_picture_to_its_target():
    picture, target = noise(5).requires_grad_(), noise(6)
    weight = torch.ones(2, 1, 24, 24)
    before = swap_loss(Swap(picture, None), target, weight, weight, LossConfig()).total
    (slope,) = torch.autograd.grad(before, picture)
    after = swap_loss(Swap(picture - 20 * slope, None), target, weight, weight, LossConfig()).total
    assert torch.isfinite(slope).all()
    assert after < before


def test_sharpness_by_hand_and_order():
    # One bright column in the dark: the Laplacian is -2 on it (times 255), 1 beside it, 0 elsewhere: 3 of 8 columns.
    picture = torch.zeros(1, 3, 8, 8)
    picture[..., 4] = 1
    values = 255 * np.array([0, 0, 0, 1, -2, 1, 0, 0])
    assert sharpness(picture, ones(8)).item() == pytest.approx(values.var(), rel=1e-4)
    blurred = torch.nn.functional.avg_pool2d(noise(7), 3, 1, 1)
    weight = torch.ones(2, 1, 24, 24)
    assert (sharpness(blurred, weight) < sharpness(noise(7), weight)).all()
