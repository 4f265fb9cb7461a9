"""From a mel spectrogram of the voice model to samples, by Griffin-Lim from phases of the pitch.

The magnitudes that a mel spectrogram leaves are found by multiplicative updates, as in non-negative matrix
factorisation with the filters fixed (Lee and Seung, NIPS 2000). The phases start as those of a sum of harmonics at the
given pitch, with noise where a frame is not voiced, instead of at random: a start near the answer saves rounds, and
frames agree on where the pulses of the voice are.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from forge.speaking.conversion.features import FRAMING, MELS, unscaled
from forge.speaking.vocoders import griffin_lim
from shared.audio.features import filterbank
from shared.audio.sound import Sound, limited

_UPDATES = 40
_ROUNDS = 32
_HARMONICS_TO = 4000.0
_PEAK = 0.97


class Inverter(Protocol):
    """Makes a sound of a spectrogram and pitch, as :func:`sound_of` does."""

    def __call__(self, mel: np.ndarray, pitch: np.ndarray, samples: int, *, seed: int = 0) -> Sound:
        """See :func:`sound_of`."""
        ...


@dataclass(frozen=True)
class Inversion:
    """A way from spectrograms to sound: its name in records, what does it, and the SHA-256 of its weights, if any."""

    name: str
    sound_of: Inverter
    weights_sha256: str | None = None

    def facts(self) -> dict[str, str | int | None]:
        """What the signed record of a sound says of it."""
        return {"vocoder": self.name, "vocoder_weights_sha256": self.weights_sha256}


def sound_of(mel: np.ndarray, pitch: np.ndarray, samples: int, *, seed: int = 0) -> Sound:
    """A sound with the mel spectrogram (T, 80) and the pitch (T,), NaN where not voiced, of so many samples.

    Its level is that of the spectrogram, lowered where it would clip.
    """
    rng = np.random.default_rng(seed)
    magnitude = magnitude_of(mel).T
    source = excitation(pitch, samples, rng)
    window = torch.hann_window(FRAMING.window, dtype=torch.float64)

    def analysed(signal: np.ndarray) -> np.ndarray:
        spectrum: Tensor = torch.stft(
            torch.from_numpy(signal), FRAMING.window, FRAMING.hop, window=window, return_complex=True
        )
        return spectrum.numpy()[:, : magnitude.shape[1]]

    def put_together(spectrum: np.ndarray) -> np.ndarray:
        return torch.istft(
            torch.from_numpy(spectrum), FRAMING.window, FRAMING.hop, window=window, length=samples
        ).numpy()

    start = analysed(source)
    made = griffin_lim(magnitude, start / np.maximum(np.abs(start), 1e-12), analysed, put_together, rounds=_ROUNDS)
    return below_peak(made)


def below_peak(samples: np.ndarray) -> Sound:
    """(N,) samples of the work rate, lowered where they would clip."""
    peak = float(np.abs(samples).max(initial=0.0))
    return Sound(limited(samples * min(1.0, _PEAK / peak) if peak > 0 else samples), FRAMING.rate)


GRIFFIN_LIM = Inversion("griffin-lim", sound_of)


def magnitude_of(mel: np.ndarray) -> np.ndarray:
    """(T, bins) float64: magnitudes of a Fourier transform with a Hann window whose mel spectrogram this is."""
    filters = filterbank(MELS, FRAMING, mel=True).astype(np.float64)
    wanted = np.exp(unscaled(mel))
    spread = filters / np.maximum(filters.sum(axis=1, keepdims=True), 1e-9)
    power = (wanted / filters.sum(axis=0)) @ spread.T + 1e-12
    down = filters.sum(axis=1) + 1e-9
    for _ in range(_UPDATES):
        power *= ((wanted / np.maximum(power @ filters, 1e-12)) @ filters.T) / down
    return np.sqrt(power) * _half_window_sum()


@lru_cache(maxsize=1)
def _half_window_sum() -> float:
    """What a full-scale sine has in its bin, by which :func:`shared.audio.features.power_spectrogram` divides."""
    return float(np.hanning(FRAMING.window + 1)[:-1].sum()) / 2


def excitation(pitch: np.ndarray, samples: int, rng: np.random.Generator) -> np.ndarray:
    """(samples,) float64: equal harmonics up to 4 kHz at the pitch, with noise above it and where nothing is voiced."""
    known = np.isfinite(pitch)
    noise = rng.normal(size=samples)
    if not known.any():
        return noise
    places, times = np.arange(len(pitch)), np.arange(samples) / FRAMING.hop
    hertz = np.exp(np.interp(times, places[known], pitch[known].astype(np.float64)))
    voiced = known[np.minimum(np.round(times).astype(int), len(pitch) - 1)]
    phase = 2 * np.pi * np.cumsum(hertz) / FRAMING.rate
    tone = np.zeros(samples)
    # cos(k x) from the two before it: cos(k x) = 2 cos(x) cos((k - 1) x) - cos((k - 2) x)
    twice, before, here = 2 * np.cos(phase), np.ones(samples), np.cos(phase)
    for order in range(1, int(_HARMONICS_TO / float(hertz.min())) + 1):
        tone += here * (order * hertz < _HARMONICS_TO)
        before, here = here, twice * here - before
    return np.where(voiced, tone + 0.3 * noise, noise)
