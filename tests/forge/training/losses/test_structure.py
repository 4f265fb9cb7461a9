from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.ndimage import correlate1d
from scipy.signal import fftconvolve
from skimage.metrics import structural_similarity

from forge.training.losses import dssim, ssim, ssim_map
from forge.training.losses.structure import dfl_dssim, gms, gmsd, ms_ssim

POWERS = np.array([0.0448, 0.2856, 0.3001, 0.2363, 0.1333])


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


def test_ssim_agrees_with_scikit_image_inside():
    a, b = noise(1, 32)[0].double(), noise(2, 32)[0].double()
    _, theirs = structural_similarity(
        a.numpy(),
        b.numpy(),
        channel_axis=0,
        data_range=1,
        gaussian_weights=True,
        sigma=1.5,
        use_sample_covariance=False,
        full=True,
    )
    assert np.abs(ssim_map(a[None], b[None])[0].numpy() - theirs)[:, 5:-5, 5:-5].max() < 1e-6


def reference_dfl(a: np.ndarray, b: np.ndarray, taps: int) -> float:
    """The definition, written out by convolution: sigma 1.5, ``taps`` wide, no borders."""
    axis = np.arange(taps) - (taps - 1) / 2
    window = np.exp(-(axis[:, None] ** 2 + axis[None] ** 2) / 4.5)
    window /= window.sum()

    def under(x: np.ndarray) -> np.ndarray:
        return np.stack([fftconvolve(plane, window, mode="valid") for plane in x])

    ma, mb = under(a), under(b)
    va, vb, vab = under(a * a) - ma * ma, under(b * b) - mb * mb, under(a * b) - ma * mb
    value = (2 * ma * mb + 1e-4) * (2 * vab + 9e-4) / ((ma**2 + mb**2 + 1e-4) * (va + vb + 9e-4))
    return float(((1 - value) / 2).mean())


@pytest.mark.parametrize(("side", "windows"), [(64, [5]), (96, [8]), (256, [22, 11])])
def test_dfl_window_equals_its_definition(side, windows):
    a, b = noise(1, side)[:1], noise(2, side)[:1]
    pair = a[0].double().numpy(), b[0].double().numpy()
    wanted = np.mean([reference_dfl(*pair, taps) for taps in windows])
    assert dfl_dssim(a, b, ones(side)).item() == pytest.approx(wanted, abs=2e-4)
    assert dfl_dssim(a, a, ones(side)).item() == pytest.approx(0, abs=1e-6)


def test_dfl_window_counts_by_its_middle():
    a, b = flat(0.5, 64), flat(0.5, 64)
    b[..., 40:] = 0.9
    weight = ones(64)
    weight[..., 36:] = 0
    # A window of 5 px about column 35 ends at 37: what differs begins beyond.
    assert dfl_dssim(a, b, weight).item() == pytest.approx(0, abs=1e-6)


def test_ms_ssim_of_flat_pictures_by_hand():
    # Contrast and structure of flat pictures are 1; what is left is the coarsest luminance to its power. 16 px leave
    # two scales.
    power = POWERS[1] / POWERS[:2].sum()
    wanted = 1 - ((0.24 + 1e-4) / (0.4 + 1e-4)) ** power
    assert ms_ssim(flat(0.2), flat(0.6), ones()).item() == pytest.approx(wanted, abs=1e-4)


def test_ms_ssim_equals_its_definition():
    a, b = noise(5, 96), (noise(5, 96) + 0.3 * noise(6, 96)).clamp(0, 1)
    taps = np.exp(-(np.arange(-5, 6) ** 2) / 4.5)
    taps /= taps.sum()

    def blur(x: np.ndarray) -> np.ndarray:
        return correlate1d(correlate1d(x, taps, axis=-1, mode="mirror"), taps, axis=-2, mode="mirror")

    wanted = []
    for x, y in zip(a.double().numpy(), b.double().numpy(), strict=True):
        product = 1.0
        for number, power in enumerate(POWERS / POWERS.sum()):
            mx, my = blur(x), blur(y)
            vx, vy, vxy = blur(x * x) - mx**2, blur(y * y) - my**2, blur(x * y) - mx * my
            value = (2 * vxy + 9e-4) / (vx + vy + 9e-4)
            if number == 4:
                value = value * (2 * mx * my + 1e-4) / (mx**2 + my**2 + 1e-4)
            product *= value.mean() ** power
            side = x.shape[-1] // 2
            x, y = (each.reshape(3, side, 2, side, 2).mean((2, 4)) for each in (x, y))
        wanted.append(1 - product)
    assert ms_ssim(a, b, torch.ones(2, 1, 96, 96)).item() == pytest.approx(float(np.mean(wanted)), abs=1e-4)


def test_ms_ssim_lets_gradient_through_opposite_pictures():
    board = ((torch.arange(24)[:, None] + torch.arange(24)) % 2).float().expand(1, 3, 24, 24)
    picture = board.clone().requires_grad_()
    ms_ssim(picture, 1 - board, ones(24)).backward()
    assert picture.grad is not None
    assert torch.isfinite(picture.grad).all()


def test_ms_ssim_refuses_tiny_pictures():
    with pytest.raises(ValueError, match="more than 5 px"):
        ms_ssim(flat(0.5, 4), flat(0.5, 4), ones(4))


def test_gms_and_gmsd_by_hand():
    # A ramp of 0.1 a pixel across against a flat picture. Prewitt sees 0.1 * 2 / 3 * 3 = 0.2 everywhere, and nothing:
    # the similarity is c / (0.2^2 + c) at every pixel, and its deviation 0.
    ramp = (0.1 * torch.arange(8.0)).expand(1, 3, 8, 8)
    same = 0.0026 / (0.04 + 0.0026)
    assert gms(ramp, flat(0.5, 8), ones(8)).item() == pytest.approx(1 - same, abs=1e-5)
    assert gmsd(ramp, flat(0.5, 8), ones(8)).item() == pytest.approx(0, abs=1e-4)
    # Where the ramp stops at the middle, the three columns 3, 4, 5 of six see 0.2, 0.1 and nothing.
    half = ramp.clamp(max=0.4)
    columns = np.array([same] * 3 + [0.0026 / (0.01 + 0.0026)] + [1.0] * 2)
    assert gms(half, flat(0.5, 8), ones(8)).item() == pytest.approx(1 - columns.mean(), abs=1e-4)
    assert gmsd(half, flat(0.5, 8), ones(8)).item() == pytest.approx(columns.std(), abs=2e-3)


@pytest.mark.parametrize("term", [dssim, dfl_dssim, ms_ssim, gms, gmsd])
def test_equal_pictures_cost_nothing(term):
    picture = noise(3)
    assert term(picture, picture, torch.ones(2, 1, 24, 24)).item() == pytest.approx(0, abs=1e-5)
