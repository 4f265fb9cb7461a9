"""Embeddings of speakers by the network in the package Resemblyzer, read without running the package.

The package needs others that are not wanted here, so its weights are loaded into the same network: three LSTM layers
of 256 on 40 mel bands, a linear layer, a ReLU (Wan et al., "Generalized end-to-end loss for speaker verification",
ICASSP 2018). Its removal of long pauses is left out: utterances are cut at pauses already.
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import numpy as np
import torch
from scipy.fft import rfft
from scipy.signal.windows import hann
from torch import nn

from shared.audio.rates import resampled
from shared.audio.sound import WORK_RATE, Sound

_WINDOW, _HOP, _BANDS = 400, 160, 40
_PART, _STEP = 160, 80
_LEVEL_DB = -30.0


class SpeakerEncoder:
    """Sound to an embedding (256,) of length 1."""

    def __init__(self, weights: Path) -> None:
        self._lstm = nn.LSTM(_BANDS, 256, 3, batch_first=True)
        self._linear = nn.Linear(256, 256)
        state = torch.load(weights, map_location="cpu", weights_only=True)["model_state"]
        for name, module in (("lstm.", self._lstm), ("linear.", self._linear)):
            module.load_state_dict(
                {key.removeprefix(name): value for key, value in state.items() if key.startswith(name)}
            )
            module.eval()

    @classmethod
    def found(cls, packages: Path | None) -> SpeakerEncoder | None:
        """The network of the package in a folder of packages, or of the installed one; None where there is none."""
        folder = None if packages is None else packages / "resemblyzer"
        if folder is None or not folder.is_dir():
            spec = find_spec("resemblyzer")
            folder = None if spec is None or spec.origin is None else Path(spec.origin).parent
        weights = None if folder is None else folder / "pretrained.pt"
        return cls(weights) if weights is not None and weights.is_file() else None

    @torch.inference_mode()
    def embedded(self, sound: Sound) -> np.ndarray:
        """(256,) float64 of length 1: the mean over parts of 1.6 s, every .8 s; a shorter sound is repeated."""
        bands = mel_power(_levelled(resampled(sound, WORK_RATE).samples))
        if len(bands) < _PART:
            bands = np.tile(bands, (-(-_PART // len(bands)), 1))
        parts = [bands[first : first + _PART] for first in range(0, len(bands) - _PART + 1, _STEP)]
        _, (hidden, _) = self._lstm(torch.from_numpy(np.stack(parts)))
        found = torch.relu(self._linear(hidden[-1])).double()
        found = found / found.norm(dim=1, keepdim=True).clamp(min=1e-9)
        mean = found.mean(0).numpy()
        return mean / max(float(np.linalg.norm(mean)), 1e-9)


def _levelled(samples: np.ndarray) -> np.ndarray:
    """The samples raised to -30 dB of full scale; louder ones as they are."""
    level = 20 * np.log10(max(float(np.sqrt(np.mean(samples.astype(np.float64) ** 2))), 1e-9))
    return samples * 10 ** (max(0.0, _LEVEL_DB - level) / 20)


def mel_power(samples: np.ndarray) -> np.ndarray:
    """(T, 40) float32: power in bands of Slaney's mel scale, each filter of area 1, without a logarithm."""
    padded = np.pad(samples.astype(np.float64), _WINDOW // 2)
    padded = np.pad(padded, (0, max(0, _WINDOW - len(padded))))
    frames = np.lib.stride_tricks.sliding_window_view(padded, _WINDOW)[::_HOP]
    power = np.abs(np.asarray(rfft(frames * hann(_WINDOW, sym=False), axis=1))) ** 2
    return (power @ _slaney_filters()).astype(np.float32)


def _slaney_filters() -> np.ndarray:
    """(201, 40): triangles, linear below 1 kHz and logarithmic above (Slaney, Auditory Toolbox, 1998)."""
    step = np.log(6.4) / 27
    top = 15 + np.log(WORK_RATE / 2 / 1000) / step
    mels = np.linspace(0, top, _BANDS + 2)
    corners = np.where(mels < 15, mels * 200 / 3, 1000 * np.exp(step * (mels - 15)))
    hertz = np.linspace(0, WORK_RATE / 2, _WINDOW // 2 + 1)[:, None]
    left, middle, right = corners[:-2], corners[1:-1], corners[2:]
    rising, falling = (hertz - left) / (middle - left), (right - hertz) / (right - middle)
    return np.maximum(0, np.minimum(rising, falling)) * 2 / (right - left)
