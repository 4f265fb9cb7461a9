"""Detectors of enlargements: residuals worked by hand, spectra of known signals, and a picture that was enlarged."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from detect.models import build_detector
from detect.models.upsampling import (
    SpectrumDetector,
    UpsamplingDetector,
    high_pass,
    neighbour_residual,
    radial_spectrum,
)
from shared.errors import ConfigError, UnknownNameError

KERNEL = high_pass()


def textures(count: int, seed: int, side: int = 64) -> torch.Tensor:
    """(N, 3, S, S): noise with the falling spectrum of photographs."""
    rng = np.random.default_rng(seed)
    noise = np.fft.rfft2(rng.normal(size=(count, 3, side, side)))
    radius = np.hypot(np.fft.fftfreq(side)[:, None], np.fft.rfftfreq(side)[None]) + 1 / side
    smooth = np.fft.irfft2(noise / radius, s=(side, side))
    spread = smooth / smooth.std() * 0.15 + 0.5
    return torch.from_numpy(spread.clip(0, 1)).float()


def enlarged(count: int, seed: int) -> torch.Tensor:
    """Such textures of half the side, doubled by nearest neighbours and smoothed, as a decoder doubles its maps."""
    small = F.interpolate(textures(count, seed, 32), scale_factor=2, mode="nearest")
    return F.avg_pool2d(F.pad(small, (1, 1, 1, 1), mode="replicate"), 3, 1)


def test_the_residual_is_against_the_first_pixel_of_each_cell():
    x = torch.tensor([[1.0, 2, 3], [4, 6, 8], [9, 9, 9]]).view(1, 1, 3, 3)
    expected = torch.tensor([[0.0, 1, 0], [3, 5, 0], [0, 0, 0]]).view(1, 1, 3, 3)
    torch.testing.assert_close(neighbour_residual(x), expected)
    doubled = F.interpolate(x, scale_factor=2, mode="nearest")
    assert float(neighbour_residual(doubled).abs().max()) == 0


def test_a_wave_is_in_the_band_of_its_frequency_at_every_size():
    for side in (64, 96):
        wave = 0.5 + 0.2 * torch.cos(2 * np.pi * 0.25 * torch.arange(side))
        bands = radial_spectrum(wave.expand(1, 3, side, side).contiguous(), KERNEL, bins=24)
        # A frequency of 1/4 is half of Nyquist's: the first band above the middle, or its neighbour by the window.
        assert int(bands[0].argmax()) in (11, 12)
    flat = radial_spectrum(torch.full((1, 3, 64, 64), 0.5), KERNEL)
    assert float(flat.max()) < -2


def test_both_tell_enlarged_textures_from_others():
    real, fake = textures(24, 0), enlarged(24, 1)
    held_real, held_fake = textures(16, 2), enlarged(16, 3)
    for family in ("upsampling", "spectrum"):
        torch.manual_seed(0)
        detector = build_detector(family, family=family, input_px=64)
        optimizer = torch.optim.Adam(detector.parameters(), lr=2e-3)
        detector.train()
        for _ in range(60):
            of_real, of_fake = detector(torch.cat([real, fake])).logit.chunk(2)
            loss = F.softplus(of_real).mean() + F.softplus(-of_fake).mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        detector.eval()
        with torch.no_grad():
            higher = detector(held_fake).logit[:, None] > detector(held_real).logit[None]
        assert float(higher.float().mean()) > 0.9, family


def test_the_bands_add_up_to_the_logit():
    torch.manual_seed(0)
    detector = build_detector("spectrum", family="spectrum").eval()
    assert isinstance(detector, SpectrumDetector)
    x = textures(3, 0)
    parts = detector.explained(x)
    assert parts.shape == (3, 48)
    torch.testing.assert_close(parts.sum(1) + detector.head.bias, detector(x).logit)
    hidden = build_detector("spectrum-mlp", family="spectrum")
    assert isinstance(hidden, SpectrumDetector)
    with pytest.raises(ConfigError, match="no weights of their own"):
        hidden.explained(x)


def test_any_size_from_32_px_is_taken():
    for family in ("upsampling", "spectrum"):
        detector = build_detector(family, family=family).eval()
        for side in (32, 65, 128):
            assert detector(torch.rand(2, 3, side, side)).logit.shape == (2,)
    assert isinstance(detector, SpectrumDetector | UpsamplingDetector)
    with pytest.raises(ConfigError, match="input_px"):
        build_detector("spectrum", family="spectrum", input_px=8)
    with pytest.raises(UnknownNameError, match="no model"):
        build_detector("npr", family="upsampling")
