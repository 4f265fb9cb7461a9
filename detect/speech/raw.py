"""``raw``: a small network on the waveform, with a logit every 20 ms.

After RawNet2 and RawNet3 (Jung et al., 2020 and 2022; Tak et al., 2021): a bank of band-pass filters in quadrature, the
log of their magnitudes every millisecond, residual blocks, and filter-wise scaling of what each gives. It hears single
pulses of the glottis, which the windows of a spectrogram blur. Where RawNet takes means over the whole sound, these are
over the half second or so around each step: a long sound can be scored in parts, and a part is heard as it is in a
whole.
"""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional
from typing_extensions import override

from detect.speech.contract import RATE, SPEECH_DETECTORS, STEP, NetworkOptions, count_of_steps
from detect.speech.network import NetworkDetector, scores_of, time_layers

_BANDS, _FINE = 48, 16
_LENGTH, _HOP = 129, 16
_FLOOR = 1e-6
_WIDE = 128
_AROUND_LEVEL, _AROUND_SCALE = 25, 15
_HIGH_PASS = (1.0, -4.0, 6.0, -4.0, 1.0)


class RawNet(nn.Module):
    """The network: (B, 1, 320 T) samples, step by step, to logits and log weights, each (B, T).

    Args:
        residual: adds 16 filters that hear the sound through a fixed high-pass filter, the fourth difference, at the
            level of its surroundings: what is left of a waveform when its smooth part is taken away.
    """

    def __init__(self, *, residual: bool = False) -> None:
        super().__init__()
        self.bank = FilterBank()
        self.fine = HighPassBranch() if residual else None
        inside = _BANDS + (_FINE if residual else 0)
        self.blocks = nn.Sequential(
            ScaledBlock(inside, 64, pool=5, rows=4),
            ScaledBlock(64, 96, pool=4, rows=1),
            ScaledBlock(96, _WIDE, pool=1, rows=1),
        )
        self.time = time_layers(_WIDE)
        self.head = nn.Conv1d(_WIDE, 2, 1)

    def forward(self, samples: Tensor) -> tuple[Tensor, Tensor]:
        """Logits (B, T) and log weights (B, T), the latter in [-4, 4]."""
        heard = self.bank(samples)
        if self.fine is not None:
            heard = torch.cat((heard, self.fine(samples)), 1)
        heard = self.blocks(heard)
        return scores_of(self.head(heard + self.time(heard)))


class FilterBank(nn.Module):
    """Log magnitudes (B, 48, 20 T) of bands of 160 Hz, without the mean of each over the second around.

    It starts as Hamming-windowed cosines and sines at evenly spaced frequencies, and learns from there.
    """

    def __init__(self) -> None:
        super().__init__()
        self.filters = nn.Parameter(_quadrature(_BANDS, _LENGTH))
        self.norm = nn.BatchNorm1d(_BANDS)

    def forward(self, samples: Tensor) -> Tensor:
        """(B, 1, 320 T) samples to (B, 48, 20 T)."""
        cosine, sine = _strided(samples, self.filters).chunk(2, 1)
        level = torch.log(cosine.square() + sine.square() + _FLOOR)
        return self.norm(level - _spread(_around(level, STEP // _HOP, _AROUND_LEVEL), STEP // _HOP))


class HighPassBranch(nn.Module):
    """Magnitudes (B, 16, 20 T) of short learned filters behind a fixed high-pass filter, at its own local level."""

    high_pass: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("high_pass", torch.tensor(_HIGH_PASS)[None, None] / 16, persistent=False)
        self.filters = nn.Parameter(torch.randn(_FINE, 1, 33) / 33**0.5)
        self.norm = nn.BatchNorm1d(_FINE)

    def forward(self, samples: Tensor) -> Tensor:
        """(B, 1, 320 T) samples to (B, 16, 20 T)."""
        residual = functional.conv1d(samples, self.high_pass, padding=len(_HIGH_PASS) // 2)
        power = _spread(_around(residual.square(), STEP, _AROUND_SCALE), STEP)
        return self.norm(_strided(residual * torch.rsqrt(power + _FLOOR**2), self.filters).abs())


class ScaledBlock(nn.Module):
    """Two convolutions beside a short cut, the highest of each ``pool`` values, and filter-wise scaling.

    The scale of a filter (RawNet2, equation 2: ``s x + s``) follows from the means of all filters over the 0.6 s around
    a step.

    Args:
        inside: channels in.
        outside: channels out.
        pool: values that become one.
        rows: values of a step that come out.
    """

    def __init__(self, inside: int, outside: int, *, pool: int, rows: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv1d(inside, outside, 3, padding=1, bias=False), nn.BatchNorm1d(outside), nn.ReLU(inplace=True),
            nn.Conv1d(outside, outside, 3, padding=1, bias=False), nn.BatchNorm1d(outside),
        )  # fmt: skip
        self.short = nn.Conv1d(inside, outside, 1, bias=False)
        self.scale = nn.Conv1d(outside, outside, 1)
        self.pool, self.rows = pool, rows

    def forward(self, values: Tensor) -> Tensor:
        """(B, inside, pool rows T) to (B, outside, rows T)."""
        found = functional.max_pool1d(functional.relu(self.body(values) + self.short(values)), self.pool)
        scale = torch.sigmoid(self.scale(_around(found, self.rows, _AROUND_SCALE)))
        scale = _spread(scale, self.rows)
        return found * scale + scale


@SPEECH_DETECTORS.register("raw")
class Raw(NetworkDetector):
    """The trained network."""

    kind: ClassVar[str] = "raw"
    rows: ClassVar[int] = STEP

    @staticmethod
    @override
    def build(options: NetworkOptions) -> nn.Module:
        return RawNet(residual=options.residual)

    @staticmethod
    @override
    def features(samples: np.ndarray) -> np.ndarray:
        return waveform(samples)


def waveform(samples: np.ndarray) -> np.ndarray:
    """(320 T,) float32: the 20 ms around each step, at a root mean square of 1 over the sound; silence stays silent."""
    around = np.pad(np.asarray(samples, np.float64), (STEP // 2, STEP))[: STEP * count_of_steps(samples)]
    level = np.sqrt(np.mean(around**2))
    return (around / np.maximum(level, 1e-9)).astype(np.float32)


def _quadrature(bands: int, length: int) -> Tensor:
    """(2 bands, 1, length): cosines, then sines, of a gain of 1 at their frequencies."""
    frequencies = (torch.arange(bands) + 0.75) * (RATE / 2) / (bands + 0.5)
    angles = 2 * torch.pi * frequencies[:, None] * (torch.arange(length) - length // 2) / RATE
    window = torch.hamming_window(length, periodic=False)
    return (torch.cat((angles.cos(), angles.sin())) * window / window.sum())[:, None]


def _strided(samples: Tensor, filters: Tensor) -> Tensor:
    """(B, K, 20 T): the outputs of (K, 1, L) filters every millisecond."""
    return functional.conv1d(samples, filters, stride=_HOP, padding=filters.shape[-1] // 2)


def _around(values: Tensor, rows: int, reach: int) -> Tensor:
    """(B, C, T): the means of (B, C, rows T) values over each step and ``reach`` steps to each side."""
    steps = functional.avg_pool1d(values, rows) if rows > 1 else values
    return functional.avg_pool1d(steps, 2 * reach + 1, 1, reach, count_include_pad=False)


def _spread(steps: Tensor, rows: int) -> Tensor:
    """(B, C, rows T): each of (B, C, T) values ``rows`` times."""
    return steps.repeat_interleave(rows, -1) if rows > 1 else steps
