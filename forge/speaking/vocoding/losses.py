"""How far two sounds are apart in their spectra.

The multi-resolution STFT loss of Parallel WaveGAN (Yamamoto, Song and Kim, ICASSP 2020), spectral convergence and log
magnitude, and the mean absolute difference of log-mel spectrograms. Neither sees the phase, but magnitudes of windows
that overlap, long and short ones, leave little of it open.
"""

from __future__ import annotations

import torch
from torch import Tensor

from forge.speaking.conversion.features import FRAMING, LOWEST, MELS
from shared.audio.features import filterbank

WINDOWS = (256, 512, 1024)
"""Samples of the Hann windows, and of the Fourier transforms; frames are a quarter of one apart."""

_FLOOR = 1e-4


def spectral_loss(made: Tensor, wanted: Tensor) -> Tensor:
    """Mean over :data:`WINDOWS` of spectral convergence and mean absolute difference of log magnitudes of (B, N)."""
    total = made.new_zeros(())
    for window in WINDOWS:
        one, other = (magnitude(each, window, window // 4) for each in (made, wanted))
        convergence = torch.linalg.vector_norm(other - one) / torch.linalg.vector_norm(other).clamp(min=1e-6)
        total = total + convergence + (_logarithm(one) - _logarithm(other)).abs().mean()
    return total / len(WINDOWS)


def mel_loss(made: Tensor, wanted: Tensor) -> Tensor:
    """Mean absolute difference of the voice model's log-mel spectrograms, in nats of power, of (B, N)."""
    one, other = (log_mel_of(each) for each in (made, wanted))
    return (one - other).abs().mean()


def log_mel_of(samples: Tensor) -> Tensor:
    """(B, T, 80): natural logarithm of the power in mel bands of (B, N), at least that of silence."""
    filters = torch.from_numpy(filterbank(MELS, FRAMING, mel=True)).to(samples)
    power = magnitude(samples, FRAMING.window, FRAMING.hop).transpose(1, 2) ** 2 @ filters
    return torch.log(power + 1e-10).clamp(min=LOWEST)


def magnitude(samples: Tensor, window: int, hop: int) -> Tensor:
    """(B, bins, T) of (B, N), scaled so that a full-scale sine has 1 in its bin."""
    shape = torch.hann_window(window, device=samples.device)
    spectrum = torch.stft(samples, window, hop, window=shape, return_complex=True)
    return torch.sqrt(spectrum.real**2 + spectrum.imag**2 + 1e-12) * (2 / shape.sum())


def _logarithm(values: Tensor) -> Tensor:
    return torch.log(values.clamp(min=_FLOOR))
