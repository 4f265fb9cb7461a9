"""The vocoder: for each frame of a mel spectrogram, what pulses and noise are multiplied by; then one inverse STFT.

As in iSTFTNet (Kaneko et al., ICASSP 2022) and Vocos (Siuzdak, ICLR 2024) the network works at the rate of frames and
gives log magnitudes and phases, the latter as cosine and sine; its blocks are those of ConvNeXt (Liu et al., 2022) in
one dimension. Its magnitudes and phases are those of a filter over the spectrum of a source (see ``source``): with
``P`` and ``Q`` the transforms of pulses and noise, each brought to the mel spectrogram that is wanted, the result has
the transform ``exp(a + i b) P + exp(c) Q``.

Convention:
    mel: (B, T, 80); pitch: (B, T) natural logarithm of Hz, 0 where not voiced; see ``conversion.features``
    pulses, noise: (B, N) with T = 1 + N // hop; the result is (B, N) samples
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor, nn

from forge.speaking.conversion.features import FRAMING, MELS, unscaled_tensor
from forge.speaking.conversion.network import tracks_of
from shared.audio.features import filterbank

_KERNEL = 7
_WIDER = 2
_TRACKS = MELS + 2
_LARGEST = 8.0
"""Largest log magnitude, either way."""

_PULSE_LEVEL, _NOISE_LEVEL = -0.3, -1.0
"""Log magnitudes at the start of a training."""

_LEAST_PULSES, _LEAST_NOISE = -5.0, -9.0
"""Log power in a band from which on a source is brought to what is wanted: below it, it is not there."""


@dataclass(frozen=True)
class VocoderSpec:
    """Size of a vocoder: channels, and number of blocks."""

    width: int
    blocks: int


class _Block(nn.Module):
    """A convolution of each channel over time, then two layers over the channels; added to what came in."""

    def __init__(self, width: int, blocks: int) -> None:
        super().__init__()
        self.over_time = nn.Conv1d(width, width, _KERNEL, padding=_KERNEL // 2, groups=width)
        self.norm = nn.LayerNorm(width)
        self.wider = nn.Linear(width, _WIDER * width)
        self.narrower = nn.Linear(_WIDER * width, width)
        self.scale = nn.Parameter(torch.full((width,), 1 / blocks))

    def forward(self, hidden: Tensor) -> Tensor:
        """(B, T, W) to the same."""
        inner = self.norm(self.over_time(hidden.transpose(1, 2)).transpose(1, 2))
        return hidden + self.scale * self.narrower(nn.functional.gelu(self.wider(inner)))


class VocoderNetwork(nn.Module):
    """Mel spectrogram, pitch, pulses and noise to samples; see the module."""

    def __init__(self, spec: VocoderSpec) -> None:
        super().__init__()
        self.spec = spec
        self.first = nn.Conv1d(MELS + _TRACKS, spec.width, _KERNEL, padding=_KERNEL // 2)
        self.norm = nn.LayerNorm(spec.width)
        self.blocks = nn.ModuleList(_Block(spec.width, spec.blocks) for _ in range(spec.blocks))
        self.last_norm = nn.LayerNorm(spec.width)
        self.last = nn.Linear(spec.width, 4 * FRAMING.bins)
        with torch.no_grad():
            self.last.weight.mul_(0.1)
            levels = torch.tensor([_PULSE_LEVEL, _NOISE_LEVEL, 1.0, 0.0])
            self.last.bias.copy_(levels.repeat_interleave(FRAMING.bins))

    def forward(self, mel: Tensor, pitch: Tensor, pulses: Tensor, noise: Tensor) -> Tensor:
        """(B, N) samples, see the convention of the module."""
        hidden = torch.cat([mel, tracks_of(pitch, mel.mean(2))], 2)
        hidden = self.norm(self.first(hidden.transpose(1, 2)).transpose(1, 2))
        for block in self.blocks:
            hidden = block(hidden)
        made = self.last(self.last_norm(hidden)).transpose(1, 2)
        of_pulses, of_noise, cosine, sine = made.chunk(4, 1)
        wanted = unscaled_tensor(mel)
        length = torch.sqrt(cosine**2 + sine**2 + 1e-8)
        loud = torch.exp(of_pulses.clamp(-_LARGEST, _LARGEST)) / length
        voiced = torch.complex(loud * cosine, loud * sine) * brought_to(wanted, pulses, _LEAST_PULSES)
        rest = torch.exp(of_noise.clamp(-_LARGEST, _LARGEST)) * brought_to(wanted, noise, _LEAST_NOISE)
        window = torch.hann_window(FRAMING.window, device=mel.device)
        return torch.istft(voiced + rest, FRAMING.window, FRAMING.hop, window=window, length=pulses.shape[1])


def brought_to(wanted: Tensor, samples: Tensor, least: float) -> Tensor:
    """(B, bins, T) complex: the Fourier transform of (B, N) samples, with the log power ``wanted`` (B, T, 80) in bands.

    Bands of the samples whose log power is below ``least`` are taken as if it were that.
    """
    window = torch.hann_window(FRAMING.window, device=samples.device)
    spectrum = torch.stft(samples, FRAMING.window, FRAMING.hop, window=window, return_complex=True)
    power = (spectrum.real**2 + spectrum.imag**2) * (2 / window.sum()) ** 2
    there = torch.log(power.transpose(1, 2) @ torch.from_numpy(filterbank(MELS, FRAMING, mel=True)).to(power) + 1e-12)
    gain = (wanted - there.clamp(min=least)) / 2 @ torch.from_numpy(_bands_to_bins()).to(power)
    return torch.exp(gain).transpose(1, 2) * spectrum


@lru_cache(maxsize=1)
def _bands_to_bins() -> np.ndarray:
    """(80, bins) float32: values of mel bands, interpolated between their middles, at the frequencies of the bins."""
    top = 2595 * np.log10(1 + FRAMING.rate / 2 / 700)
    middles = 700 * (10 ** (np.linspace(0, top, MELS + 2)[1:-1] / 2595) - 1)
    hertz = np.arange(FRAMING.bins) * FRAMING.rate / FRAMING.window
    return np.stack([np.interp(hertz, middles, band) for band in np.eye(MELS)]).astype(np.float32)


def count_parameters(spec: VocoderSpec) -> int:
    """Parameters of a vocoder."""
    return sum(each.numel() for each in VocoderNetwork(spec).parameters())
