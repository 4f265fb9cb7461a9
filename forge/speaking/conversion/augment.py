"""Warps of the encoder's input: vocal tract, pitch, response of a line, noise. The target stays the clean utterance.

An encoder that sees the same words with another vocal tract and pitch, and whose decoder is given the true pitch and
voice, has no use for either (NANSY: Choi et al., NeurIPS 2021). Tempo is changed in input and target alike.

The warps work on the log-mel spectrogram: its cepstrum (the cosine transform over the bands) is split into the
envelope, which the vocal tract makes, and the fine structure, which the pitch makes; each is stretched along the mel
axis by a factor of its own.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from forge.speaking.conversion.config import VoiceConfig
from forge.speaking.conversion.features import MELS

_ENVELOPE = 20
"""Cepstral coefficients of the envelope, of 80."""

_TILT = 0.3


@dataclass(frozen=True, eq=False)
class Stretch:
    """A batch of stretches of speech: mel (B, T, 80), pitch (B, T) with 0 for not voiced, energy (B, T)."""

    mel: Tensor
    pitch: Tensor
    energy: Tensor


def warped(mel: Tensor, config: VoiceConfig, rng: torch.Generator) -> Tensor:
    """(B, T, 80) to the same with vocal tract and pitch stretched, a smooth gain over the bands, and noise."""
    batch = len(mel)
    envelope = mel @ _low_pass().to(mel)
    fine = mel - envelope
    out = _stretched(envelope, _factors(batch, config.formant, rng))
    out = out + _stretched(fine, _factors(batch, config.pitch, rng))
    out = out + _gain(batch, rng).to(mel)
    level = config.noise * torch.rand(batch, 1, 1, generator=rng)
    return out + (level * torch.randn(mel.shape, generator=rng)).to(mel)


def retimed(stretch: Stretch, frames: int) -> Stretch:
    """The stretch with another number of frames: faster or slower speech. Pitch is taken from the nearest frame."""
    count = stretch.mel.shape[1]
    places = torch.linspace(0, count - 1, frames)
    low = places.floor().long().clamp(max=count - 2)
    part = (places - low).to(stretch.mel)[None, :, None]
    mel = stretch.mel[:, low] * (1 - part) + stretch.mel[:, low + 1] * part
    return Stretch(mel, stretch.pitch[:, places.round().long()], mel.mean(dim=2))


def _factors(batch: int, largest: float, rng: torch.Generator) -> Tensor:
    """(B,) factors between 1 / largest and largest, evenly over their logarithm."""
    return torch.exp((2 * torch.rand(batch, generator=rng) - 1) * math.log(largest))


def _stretched(mel: Tensor, factors: Tensor) -> Tensor:
    """Each spectrogram with its frequencies multiplied by its factor; the highest band is repeated."""
    top = 2595 * math.log10(1 + 8000 / 700)
    step = top / (MELS + 1)
    hertz = 700 * (10 ** ((torch.arange(MELS) + 1) * step / 2595) - 1)
    sources = hertz[None] / factors[:, None]
    places = (2595 * torch.log10(1 + sources / 700) / step - 1).clamp(0, MELS - 1)
    low = places.floor().long().clamp(max=MELS - 2)
    part = (places - low).to(mel)[:, None]
    index = low.to(mel.device)[:, None].expand(-1, mel.shape[1], -1)
    return mel.gather(2, index) * (1 - part) + mel.gather(2, index + 1) * part


def _gain(batch: int, rng: torch.Generator) -> Tensor:
    """(B, 1, 80): a smooth gain over the bands, the response of a line."""
    bands = torch.linspace(0, math.pi, MELS)
    weights = _TILT * torch.randn(batch, 3, generator=rng)
    waves = torch.stack([torch.cos(bands * order) for order in (1, 2, 3)])
    return (weights @ waves)[:, None]


def _low_pass() -> Tensor:
    """(80, 80): keeps the first cepstral coefficients."""
    bands, orders = torch.arange(MELS, dtype=torch.float64), torch.arange(MELS, dtype=torch.float64)
    basis = torch.cos(math.pi / MELS * (bands[:, None] + 0.5) * orders[None]) * math.sqrt(2 / MELS)
    basis[:, 0] /= math.sqrt(2)
    kept = basis[:, :_ENVELOPE]
    return (kept @ kept.T).float()
