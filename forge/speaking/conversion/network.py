"""The voice model: an encoder of what is said, and a decoder with a light part of its own for each identity.

The encoder takes the speaker's statistics away by instance normalisation over time (AdaIN-VC: Chou, Yeh and Lee,
Interspeech 2019) and has a narrow output (AutoVC: Qian et al., ICML 2019). Pitch and energy go beside it. The decoder's
layers are scaled and shifted by a vector of the voice; an identity has such a vector and a low-rank addition to every
layer, which only its own speech trains.

Convention:
    mel: (B, T, 80), pitch: (B, T) natural logarithm of Hz, 0 where not voiced, energy: (B, T); T is a multiple of 2
    code: (B, T / 2, C)
    voice: (B,) int64, numbers of voices; those below ``identities`` have low-rank parts
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from forge.speaking.conversion.features import FRAMING, MELS
from shared.audio.features import filterbank

_SLOPE = 0.1
_DILATIONS = (1, 2, 4, 1, 2)
_ENCODER_BLOCKS = 3
_VOICE = 64
_PITCH_LOW, _PITCH_HIGH, _PITCHES = 3.9, 6.4, 501
_COMB_FLOOR, _COMB_SCALE = 1e-3, 3.0


@dataclass(frozen=True)
class VoiceSpec:
    """Size of a model: channels, channels of the code, rank, and numbers of voices and of identities among them."""

    width: int
    code: int
    rank: int
    voices: int
    identities: int


class Encoder(nn.Module):
    """(B, T, 80) to (B, T / 2, code): 40 vectors a second."""

    def __init__(self, width: int, code: int) -> None:
        super().__init__()
        self.first = nn.Conv1d(MELS, width, 5, padding=2)
        self.halve = nn.Conv1d(width, width, 5, stride=2, padding=2)
        self.blocks = nn.ModuleList(nn.Conv1d(width, width, 5, padding=2) for _ in range(_ENCODER_BLOCKS))
        self.last = nn.Conv1d(width, code, 1)

    def forward(self, mel: Tensor) -> Tensor:
        """See the class."""
        hidden = functional.leaky_relu(_normal(self.first(mel.transpose(1, 2))), _SLOPE)
        hidden = functional.leaky_relu(_normal(self.halve(hidden)), _SLOPE)
        for block in self.blocks:
            hidden = hidden + functional.leaky_relu(_normal(block(hidden)), _SLOPE)
        return _normal(self.last(hidden)).transpose(1, 2)


def _normal(hidden: Tensor) -> Tensor:
    """Each channel of each utterance without its mean and deviation over time."""
    mean = hidden.mean(dim=2, keepdim=True)
    deviation = hidden.var(dim=2, keepdim=True, unbiased=False).add(1e-5).sqrt()
    return (hidden - mean) / deviation


class Decoder(nn.Module):
    """Code, pitch, energy and voice to (B, T, 80)."""

    def __init__(self, spec: VoiceSpec) -> None:
        super().__init__()
        self.first = nn.Conv1d(spec.code + MELS + 2, spec.width, 5, padding=2)
        self.blocks = nn.ModuleList(
            nn.Conv1d(spec.width, spec.width, 5, padding=2 * dilation, dilation=dilation) for dilation in _DILATIONS
        )
        self.norms = nn.ModuleList(nn.GroupNorm(1, spec.width) for _ in _DILATIONS)
        self.style = nn.Linear(_VOICE, 2 * spec.width * len(_DILATIONS))
        self.last = nn.Conv1d(spec.width, MELS, 1)

    def forward(self, code: Tensor, tracks: Tensor, voice: Tensor, own: tuple[Tensor, Tensor] | None) -> Tensor:
        """Decodes.

        Args:
            code: (B, T / 2, C).
            tracks: (B, T, K) pitch and energy.
            voice: (B, 64) vectors of the voices.
            own: (B, L, r, W) and (B, L, W, r), the low-rank parts; None without.
        """
        count = tracks.shape[1]
        full = functional.interpolate(code.transpose(1, 2), size=count, mode="linear", align_corners=False)
        hidden = functional.leaky_relu(self.first(torch.cat([full, tracks.transpose(1, 2)], 1)), _SLOPE)
        styles = self.style(voice).view(len(voice), len(self.blocks), 2, -1, 1)
        for place, (block, norm) in enumerate(zip(self.blocks, self.norms, strict=True)):
            inner = norm(hidden)
            made = block(inner)
            if own is not None:
                made = made + torch.bmm(own[1][:, place], torch.bmm(own[0][:, place], inner))
            scale, shift = styles[:, place, 0], styles[:, place, 1]
            hidden = hidden + functional.leaky_relu(made * (1 + scale) + shift, _SLOPE)
        return self.last(hidden).transpose(1, 2)


class VoiceSwapper(nn.Module):
    """Encoder, decoder, a vector for every voice, and low-rank parts for the identities; see the module."""

    def __init__(self, spec: VoiceSpec) -> None:
        super().__init__()
        self.spec = spec
        layers = len(_DILATIONS)
        self.encoder = Encoder(spec.width, spec.code)
        self.decoder = Decoder(spec)
        self.voices = nn.Embedding(spec.voices, _VOICE)
        nn.init.normal_(self.voices.weight, std=0.3)
        self.own_in = nn.Parameter(torch.randn(spec.identities, layers, spec.rank, spec.width) / spec.width**0.5)
        self.own_out = nn.Parameter(torch.zeros(spec.identities, layers, spec.width, spec.rank))

    def encode(self, mel: Tensor) -> Tensor:
        """(B, T, 80) to the code (B, T / 2, C)."""
        return cast("Tensor", self.encoder(mel))

    def decode(self, code: Tensor, pitch: Tensor, energy: Tensor, voice: Tensor, *, own: bool = True) -> Tensor:
        """(B, T, 80): the code in a voice; with ``own`` the low-rank parts, which only identities have."""
        parts = (self.own_in[voice], self.own_out[voice]) if own else None
        return cast("Tensor", self.decoder(code, tracks_of(pitch, energy), self.voices(voice), parts))

    def shared_parameters(self) -> list[nn.Parameter]:
        """Encoder and decoder."""
        return [*self.encoder.parameters(), *self.decoder.parameters()]


def tracks_of(pitch: Tensor, energy: Tensor) -> Tensor:
    """(B, T, 82): the mel spectrogram of harmonics at the pitch, 0 where not voiced; whether voiced; and energy.

    The decoder is given where the harmonics are, so that it need not learn where each pitch puts them.
    """
    voiced = (pitch > 0).to(energy.dtype)[..., None]
    place = (pitch - _PITCH_LOW) / (_PITCH_HIGH - _PITCH_LOW) * (_PITCHES - 1)
    combs = torch.from_numpy(_combs()).to(energy)[place.round().long().clamp(0, _PITCHES - 1)]
    return torch.cat([combs * voiced, voiced, energy[..., None]], 2)


@lru_cache(maxsize=1)
def _combs() -> np.ndarray:
    """(501, 80) float32: mel spectrograms of equal harmonics, of pitches evenly spaced on a logarithmic scale."""
    hertz = np.exp(np.linspace(_PITCH_LOW, _PITCH_HIGH, _PITCHES))
    bins = np.arange(FRAMING.bins) * FRAMING.rate / FRAMING.window
    nearest = np.clip(np.round(bins / hertz[:, None]), 1, np.floor(FRAMING.rate / 2 / hertz)[:, None])
    offset = (bins - nearest * hertz[:, None]) * FRAMING.window / FRAMING.rate
    # The main lobe of a Hann window; at a distance of one bin its amplitude is half.
    edge = np.abs(np.abs(offset) - 1) < 1e-6
    lobe = np.where(edge, 0.5, np.sinc(offset) / np.where(edge, 1.0, 1 - offset**2))
    lobe = np.where(np.abs(offset) < 2, lobe, 0.0)
    power = lobe**2 @ filterbank(MELS, FRAMING, mel=True).astype(np.float64)
    return (np.log(power + _COMB_FLOOR) / _COMB_SCALE).astype(np.float32)


def count_parameters(spec: VoiceSpec) -> tuple[int, int]:
    """Parameters of encoder and decoder, and of each identity."""
    model = VoiceSwapper(spec)
    shared = sum(each.numel() for each in model.shared_parameters())
    return shared, _VOICE + 2 * len(_DILATIONS) * spec.rank * spec.width
