"""The text encoder: phones with times to content code, pitch, voicing and energy of the voice model.

Convolutions over phones see the neighbours of each; what they give is laid out over the length of each phone, with
where in the phone a moment lies (the length regulator of FastSpeech: Ren et al., NeurIPS 2019, with lengths that are
given); and dilated convolutions over time make the movements between them.

Convention:
    symbols: (B, P) int64, places: (B, H) int64, position: (B, H, 6), see ``timing``; H = T / 2
    voice: (B,) int64, numbers of the engine's voices
    inside: (B, H) bool, the utterance; what is behind its end is padding
    code: (B, H, C), each channel with mean 0 and deviation 1 over the utterance, as the voice model's encoder gives it
    pitch: (B, T), in deviations of a voice's range from its mean; voiced: (B, T) logits; energy: (B, T)
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from forge.speaking.reading.timing import POSITIONS

_SLOPE = 0.1
_PHONE_BLOCKS = 3
_DILATIONS = (1, 2, 4, 8, 1, 2)
_TRACKS = 3


@dataclass(frozen=True)
class TextSpec:
    """Size of a text encoder: channels, channels of the code, symbols of the inventory, and voices of the engine."""

    width: int
    code: int
    symbols: int
    voices: int


@dataclass(frozen=True, eq=False)
class TextCode:
    """What a text encoder gives, see the module."""

    code: Tensor
    pitch: Tensor
    voiced: Tensor
    energy: Tensor


class _Block(nn.Module):
    """A residual convolution behind a normalisation of each frame's channels."""

    def __init__(self, width: int, dilation: int, dropout: float) -> None:
        super().__init__()
        self.dropout = nn.Dropout(dropout)
        self.norm = nn.LayerNorm(width)
        self.conv = nn.Conv1d(width, width, 5, padding=2 * dilation, dilation=dilation)

    def forward(self, hidden: Tensor, inside: Tensor) -> Tensor:
        """(B, W, T) to the same; what is not inside is 0."""
        made = self.conv(self.dropout(self.norm(hidden.transpose(1, 2)).transpose(1, 2)) * inside)
        return (hidden + functional.leaky_relu(made, _SLOPE)) * inside


class TextEncoder(nn.Module):
    """See the module. ``dropout`` is a share of channels that are left out in training."""

    def __init__(self, spec: TextSpec, dropout: float = 0.0) -> None:
        super().__init__()
        self.spec = spec
        width = spec.width
        self.symbols = nn.Embedding(spec.symbols + 1, width)
        self.voices = nn.Embedding(spec.voices, width)
        self.phone_blocks = nn.ModuleList(_Block(width, 1, dropout) for _ in range(_PHONE_BLOCKS))
        self.first = nn.Conv1d(width + POSITIONS, width, 5, padding=2)
        self.blocks = nn.ModuleList(_Block(width, dilation, dropout) for dilation in _DILATIONS)
        self.to_code = nn.Conv1d(width, spec.code, 1)
        self.to_tracks = nn.Conv1d(width, 2 * _TRACKS, 1)

    def forward(self, symbols: Tensor, places: Tensor, position: Tensor, voice: Tensor, inside: Tensor) -> TextCode:
        """See the module; phones behind the last that sounds are padding."""
        kept = inside[:, None].to(position.dtype)
        phones = torch.arange(symbols.shape[1], device=symbols.device)[None] <= places.amax(1, keepdim=True)
        there = phones[:, None].to(position.dtype)
        hidden = (self.symbols(symbols) + self.voices(voice)[:, None]).transpose(1, 2) * there
        for block in self.phone_blocks:
            hidden = block(hidden, there)
        laid = hidden.gather(2, places[:, None].expand(-1, hidden.shape[1], -1))
        frames = self.first(torch.cat([laid, position.transpose(1, 2)], 1) * kept)
        frames = functional.leaky_relu(frames, _SLOPE) * kept
        for block in self.blocks:
            frames = block(frames, kept)
        code = normal(self.to_code(frames), inside).transpose(1, 2)
        pitch, voiced, energy = self.to_tracks(frames).unflatten(1, (_TRACKS, 2)).transpose(2, 3).flatten(2).unbind(1)
        return TextCode(code, pitch, voiced, energy)


def normal(code: Tensor, inside: Tensor) -> Tensor:
    """(B, C, H) with mean 0 and deviation 1 of each channel over what is inside (B, H); 0 elsewhere."""
    kept = inside[:, None].to(code.dtype)
    count = kept.sum(2, keepdim=True).clamp(min=1)
    mean = (code * kept).sum(2, keepdim=True) / count
    centred = (code - mean) * kept
    deviation = (centred.square().sum(2, keepdim=True) / count).add(1e-5).sqrt()
    return centred / deviation


def count_parameters(spec: TextSpec) -> int:
    """Parameters of a text encoder."""
    return sum(each.numel() for each in TextEncoder(spec).parameters())
