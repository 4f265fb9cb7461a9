"""``spectral``: a small convolutional network on the linear log spectrogram, with a logit every 20 ms.

Linear frequency, because traces of vocoders lie in detail that mel bands blur (log and constant-Q spectrograms beat mel
by a third in equal error rate: Mueller et al., "Does audio deepfake detection generalize?", 2022). Each frequency has
its mean over the sound taken away and a floor 70 dB below its loudest, so that level, the response of the line and
digital silence are not seen. A fixed high-pass filter in front, as detectors of raw waveforms gain from, would add a
constant to each frequency here and so change nothing.
"""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from torch import Tensor, nn
from typing_extensions import override

from detect.speech.contract import RATE, SPEECH_DETECTORS, STEP, NetworkOptions, count_of_steps
from detect.speech.network import NetworkDetector, scores_of, time_layers
from shared.audio.features import Framing, log_spectrogram

_FRAMING = Framing(RATE, 512, STEP // 2)
_RANGE = 70 * np.log(10) / 10
_SCALE = 3.0
_CHANNELS = (24, 32, 48, 96)
_WIDE = 208


class SpectralNet(nn.Module):
    """The network: (B, 1, 2 T, 257) normalised log spectrograms to logits and log weights, each (B, T).

    Four convolutions reduce the frequencies to nine, the first also the time by two; two along time, one of them
    dilated, see 0.2 s around each step. Every layer is local, so a long sound can be scored in parts.
    """

    def __init__(self) -> None:
        super().__init__()
        first, second, third, fourth = _CHANNELS
        self.picture = nn.Sequential(
            _convolution(1, first, (5, 9), (2, 4)),
            _convolution(first, second, (3, 3), (1, 2)),
            _convolution(second, third, (3, 3), (1, 2)),
            _convolution(third, fourth, (3, 3), (1, 2)),
        )
        self.collapse = nn.Sequential(nn.Conv1d(fourth * 9, _WIDE, 1), nn.BatchNorm1d(_WIDE), nn.GELU())
        self.time = time_layers(_WIDE)
        self.head = nn.Conv1d(_WIDE, 2, 1)

    def forward(self, spectrogram: Tensor) -> tuple[Tensor, Tensor]:
        """Logits (B, T) and log weights (B, T), the latter in [-4, 4]."""
        seen = self.picture(spectrogram)
        seen = self.collapse(seen.permute(0, 1, 3, 2).flatten(1, 2))
        return scores_of(self.head(seen + self.time(seen)))


def _convolution(inside: int, outside: int, kernel: tuple[int, int], stride: tuple[int, int]) -> nn.Sequential:
    padding = (kernel[0] // 2, kernel[1] // 2)
    return nn.Sequential(
        nn.Conv2d(inside, outside, kernel, stride, padding, bias=False), nn.BatchNorm2d(outside), nn.ReLU(inplace=True)
    )


@SPEECH_DETECTORS.register("spectral")
class Spectral(NetworkDetector):
    """The trained network."""

    kind: ClassVar[str] = "spectral"
    rows: ClassVar[int] = 2

    @staticmethod
    @override
    def build(options: NetworkOptions) -> nn.Module:
        return SpectralNet()

    @staticmethod
    @override
    def features(samples: np.ndarray) -> np.ndarray:
        return spectrogram(samples)


def spectrogram(samples: np.ndarray) -> np.ndarray:
    """(2 T, 257) float32: the log spectrogram every 10 ms, floored and without the mean of each frequency."""
    power = log_spectrogram(samples, _FRAMING)
    rows = 2 * count_of_steps(samples)
    power = np.pad(power, ((0, max(0, rows - len(power))), (0, 0)), mode="edge")[:rows]
    power = np.maximum(power, power.max() - _RANGE)
    return ((power - power.mean(0)) / _SCALE).astype(np.float32)
