"""``spectral``: a small convolutional network on the linear log spectrogram, with a logit every 20 ms.

Linear frequency, because traces of vocoders lie in detail that mel bands blur (log and constant-Q spectrograms beat mel
by a third in equal error rate: Mueller et al., "Does audio deepfake detection generalize?", 2022). Each frequency has
its mean over the sound taken away and a floor 70 dB below its loudest, so that level, the response of the line and
digital silence are not seen. A fixed high-pass filter in front, as detectors of raw waveforms gain from, would add a
constant to each frequency here and so change nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from detect.speech.contract import RATE, SPEECH_DETECTORS, STEP, SpeechDetector, StepScores, count_of_steps
from shared.audio.features import Framing, log_spectrogram

_FRAMING = Framing(RATE, 512, STEP // 2)
_RANGE = 70 * np.log(10) / 10
_SCALE = 3.0
_CHANNELS = (24, 32, 48, 96)
_WIDE = 208
_CHUNK, _MARGIN = 3000, 100


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
        self.time = nn.Sequential(
            nn.Conv1d(_WIDE, _WIDE, 3, padding=1), nn.BatchNorm1d(_WIDE), nn.GELU(), nn.Dropout(0.2),
            nn.Conv1d(_WIDE, _WIDE, 3, padding=3, dilation=3), nn.BatchNorm1d(_WIDE), nn.GELU(), nn.Dropout(0.2),
        )  # fmt: skip
        self.head = nn.Conv1d(_WIDE, 2, 1)

    def forward(self, spectrogram: Tensor) -> tuple[Tensor, Tensor]:
        """Logits (B, T) and log weights (B, T), the latter in [-4, 4]."""
        seen = self.picture(spectrogram)
        seen = self.collapse(seen.permute(0, 1, 3, 2).flatten(1, 2))
        logits, gates = self.head(seen + self.time(seen)).unbind(1)
        return logits, 4 * torch.tanh(gates / 4)


def _convolution(inside: int, outside: int, kernel: tuple[int, int], stride: tuple[int, int]) -> nn.Sequential:
    padding = (kernel[0] // 2, kernel[1] // 2)
    return nn.Sequential(
        nn.Conv2d(inside, outside, kernel, stride, padding, bias=False), nn.BatchNorm2d(outside), nn.ReLU(inplace=True)
    )


class Spectral(SpeechDetector):
    """The trained network on the CPU.

    Raises:
        ValueError: the tensors are not those of the network, or not finite.
    """

    kind: ClassVar[str] = "spectral"

    def __init__(self, tensors: Mapping[str, Tensor]) -> None:
        self.network = SpectralNet()
        try:
            self.network.load_state_dict(dict(tensors))
        except RuntimeError as error:
            raise ValueError(f"the weights do not fit: {str(error).splitlines()[0]}") from error
        if not all(tensor.isfinite().all() for tensor in self.network.state_dict().values()):
            raise ValueError("a weight is not finite")
        self.network.eval()

    @torch.inference_mode()
    def steps(self, samples: np.ndarray) -> StepScores:
        """Scores by parts of a minute that overlap by more than the network sees."""
        picture = torch.from_numpy(spectrogram(samples))
        count = count_of_steps(samples)
        values, gates = np.zeros(count, np.float32), np.zeros(count, np.float32)
        for first in range(0, count, _CHUNK):
            begin, stop = max(0, first - _MARGIN), min(count, first + _CHUNK)
            part = picture[2 * begin : 2 * (stop + _MARGIN)][None, None]
            logits, weights = self.network(part)
            values[first:stop] = logits[0, first - begin : stop - begin].numpy()
            gates[first:stop] = weights[0, first - begin : stop - begin].exp().numpy()
        return StepScores(values, gates)

    def tensors(self) -> dict[str, Tensor]:
        """The network's state."""
        return {name: tensor.detach().cpu() for name, tensor in self.network.state_dict().items()}


@SPEECH_DETECTORS.register(Spectral.kind)
def _restored(tensors: Mapping[str, Tensor]) -> Spectral:
    return Spectral(tensors)


def spectrogram(samples: np.ndarray) -> np.ndarray:
    """(2 T, 257) float32: the log spectrogram every 10 ms, floored and without the mean of each frequency."""
    power = log_spectrogram(samples, _FRAMING)
    rows = 2 * count_of_steps(samples)
    power = np.pad(power, ((0, max(0, rows - len(power))), (0, 0)), mode="edge")[:rows]
    power = np.maximum(power, power.max() - _RANGE)
    return ((power - power.mean(0)) / _SCALE).astype(np.float32)


def pooled(logits: Tensor, gates: Tensor) -> Tensor:
    """(B,) the logit of each whole sound from (B, T) logits and log weights."""
    return (torch.softmax(gates, 1) * logits).sum(1)
