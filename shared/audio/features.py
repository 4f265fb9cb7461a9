"""Features of speech: spectrograms, cepstral coefficients, pitch, and what a high-pass filter leaves.

Convention:
    samples: (N,) float32, mono, full scale at 1; ``rate`` in Hz
    frames: T of them, one every ``hop`` samples, centred on samples 0, hop, 2 hop ...; T = 1 + N // hop. The signal is
        mirrored at its ends
    features: (T, D) float32, a row a frame
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from scipy.fft import dct, irfft, rfft

FLOOR = 1e-10
"""Added to power before its logarithm: -100 dB of full scale squared."""


@dataclass(frozen=True)
class Framing:
    """How a signal is cut into frames.

    Attributes:
        rate: samples a second.
        window: samples of the Hann window, and of the Fourier transform.
        hop: samples from one frame to the next.
    """

    rate: int = 16_000
    window: int = 512
    hop: int = 160

    def __post_init__(self) -> None:
        if not (self.rate > 0 and self.window >= 2 and self.hop >= 1):
            raise ValueError(f"rate, window and hop are positive, got {self}")

    @property
    def bins(self) -> int:
        """Frequencies of the transform, from 0 to half the rate."""
        return self.window // 2 + 1

    @property
    def hop_seconds(self) -> float:
        """Seconds from one frame to the next."""
        return self.hop / self.rate

    def count(self, samples: int) -> int:
        """Frames of a signal of so many samples."""
        return 1 + samples // self.hop


def frames_of(samples: np.ndarray, framing: Framing) -> np.ndarray:
    """(T, window) float32: the frames without a window function; a signal of no samples is one frame of zeros.

    Raises:
        ValueError: ``samples`` is not (N,), or not finite.
    """
    samples = np.asarray(samples, np.float32)
    if samples.ndim != 1 or not np.isfinite(samples).all():
        raise ValueError(f"samples are (N,) and finite, got shape {samples.shape}")
    half = framing.window // 2
    padded = np.pad(samples, half, mode="reflect") if len(samples) > 1 else np.pad(samples, half)
    short = framing.window - len(padded)
    padded = np.pad(padded, (0, max(0, short)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, framing.window)[:: framing.hop]
    return windows[: framing.count(len(samples))]


def power_spectrogram(samples: np.ndarray, framing: Framing = Framing()) -> np.ndarray:
    """(T, bins) float32: power of each frequency, scaled so that a full-scale sine has 1 in its bin."""
    # A periodic Hann window. That of scipy.signal would make each process that hears a file load all of scipy.stats.
    window = np.hanning(framing.window + 1)[:-1].astype(np.float32)
    spectrum = np.asarray(rfft(frames_of(samples, framing) * window, axis=1))
    return (np.abs(spectrum) * (2 / window.sum())).astype(np.float32) ** 2


def log_spectrogram(samples: np.ndarray, framing: Framing = Framing()) -> np.ndarray:
    """(T, bins) float32: natural logarithm of :func:`power_spectrogram`, at least ``log(FLOOR)``."""
    return np.log(power_spectrogram(samples, framing) + FLOOR)


@lru_cache(maxsize=16)
def filterbank(filters: int, framing: Framing, *, mel: bool, low_hz: float = 0.0) -> np.ndarray:
    """(bins, filters) float32: triangles that overlap by half, evenly spaced in Hz or in mel, each with a peak of 1.

    Mel as ``2595 log10(1 + f / 700)`` (O'Shaughnessy, 1987). The first triangle begins at ``low_hz``, the last ends at
    half the rate.

    Raises:
        ValueError: no filter, or ``low_hz`` is not below half the rate.
    """
    top = framing.rate / 2
    if filters < 1 or not 0 <= low_hz < top:
        raise ValueError(f"need filters and a low end below {top:g} Hz, got {filters} from {low_hz:g} Hz")
    if mel:
        ends = np.linspace(_to_mel(low_hz), _to_mel(top), filters + 2)
        corners = 700 * (10 ** (ends / 2595) - 1)
    else:
        corners = np.linspace(low_hz, top, filters + 2)
    hertz = np.linspace(0, top, framing.bins)[:, None]
    left, middle, right = corners[:-2], corners[1:-1], corners[2:]
    rising, falling = (hertz - left) / (middle - left), (right - hertz) / (right - middle)
    return np.maximum(0, np.minimum(rising, falling)).astype(np.float32)


def _to_mel(hertz: float) -> float:
    return float(2595 * np.log10(1 + hertz / 700))


def log_mel(samples: np.ndarray, framing: Framing = Framing(), *, filters: int = 80) -> np.ndarray:
    """(T, filters) float32: natural logarithm of the power in bands evenly spaced in mel."""
    return np.log(power_spectrogram(samples, framing) @ filterbank(filters, framing, mel=True) + FLOOR)


def lfcc(
    samples: np.ndarray,
    framing: Framing = Framing(window=512, hop=160),
    *,
    filters: int = 20,
    coefficients: int = 20,
    differences: int = 2,
) -> np.ndarray:
    """(T, coefficients * (1 + differences)) float32: linear-frequency cepstral coefficients and their slopes.

    The orthonormal DCT-II of the log power in linear bands (Sahidullah et al., "A comparison of features for synthetic
    speech detection", 2015), then the slopes of these over time, then the slopes of the slopes.

    Raises:
        ValueError: more coefficients than filters.
    """
    if not 1 <= coefficients <= filters:
        raise ValueError(f"coefficients are between 1 and {filters}, got {coefficients}")
    bands = np.log(power_spectrogram(samples, framing) @ filterbank(filters, framing, mel=False) + FLOOR)
    parts = [np.asarray(dct(bands, type=2, norm="ortho", axis=1))[:, :coefficients].astype(np.float32)]
    for _ in range(differences):
        parts.append(slopes(parts[-1]))
    return np.hstack(parts)


def slopes(features: np.ndarray, reach: int = 2) -> np.ndarray:
    """(T, D) float32: slope a frame of the line fitted to ``2 reach + 1`` frames around each; ends are repeated."""
    padded = np.pad(np.asarray(features, np.float32), ((reach, reach), (0, 0)), mode="edge")
    total = len(features)
    weights = 2 * sum(step * step for step in range(1, reach + 1))
    rise = sum(
        step * (padded[reach + step : reach + step + total] - padded[reach - step : reach - step + total])
        for step in range(1, reach + 1)
    )
    return np.asarray(rise / weights, np.float32)


def high_pass(samples: np.ndarray) -> np.ndarray:
    """(N,) float32: the noise residual, the signal's third difference ``(1, -3, 3, -1) / 8``.

    It passes half the rate unchanged and stops slow changes: at a quarter of the rate the gain is 0.35, at an eighth
    0.06. The filter is fixed, as in detectors with a branch for the residual (SONAR, 2026).
    """
    samples = np.asarray(samples, np.float32)
    if not len(samples):
        return samples
    kernel = np.array([1, -3, 3, -1], np.float32) / 8
    return np.convolve(np.pad(samples, (1, 2), mode="edge"), kernel, mode="valid").astype(np.float32)


def log_f0(
    samples: np.ndarray,
    framing: Framing = Framing(window=1024, hop=160),
    *,
    low_hz: float = 60.0,
    high_hz: float = 500.0,
    threshold: float = 0.2,
) -> np.ndarray:
    """(T,) float32: natural logarithm of the fundamental frequency in Hz; NaN where a frame is not voiced.

    YIN (de Cheveigne and Kawahara, 2002): the first dip of the cumulative mean normalised difference below
    ``threshold``, its place refined by a parabola. Half of the window is compared with itself shifted, so ``low_hz``
    is at least ``2 rate / window``.

    Raises:
        ValueError: the window is too short for ``low_hz``.
    """
    half = framing.window // 2
    longest, shortest = int(np.ceil(framing.rate / low_hz)), max(2, int(framing.rate / high_hz))
    if longest + 1 > half:
        raise ValueError(f"a window of {framing.window} samples is too short for {low_hz:g} Hz")
    found = np.full(framing.count(len(samples)), np.nan, np.float32)
    for first in range(0, len(found), 512):
        frames = frames_of(samples, framing)[first : first + 512].astype(np.float64)
        normal, loud = _normal_difference(frames, half, longest + 2), (frames**2).mean(1) > 1e-8
        for row, curve in enumerate(normal):
            period = _first_dip(curve, shortest, longest, threshold) if loud[row] else None
            if period is not None:
                found[first + row] = np.log(framing.rate / period)
    return found


def _normal_difference(frames: np.ndarray, half: int, lags: int) -> np.ndarray:
    """(T, lags) float64: cumulative mean normalised difference of the first half of each frame, 1 at lag 0."""
    size = 2 * frames.shape[1]
    head = frames[:, :half]
    ahead, whole = np.asarray(rfft(head, size, axis=1)), np.asarray(rfft(frames, size, axis=1))
    product = np.asarray(irfft(np.conj(ahead) * whole, size, axis=1))[:, :lags]
    sums = np.cumsum(np.pad(frames**2, ((0, 0), (1, 0))), axis=1)
    energy = sums[:, half : half + lags] - sums[:, :lags]
    difference = np.maximum(energy[:, :1] + energy - 2 * product, 0)
    running = np.cumsum(difference[:, 1:], axis=1)
    normal = np.ones_like(difference)
    normal[:, 1:] = difference[:, 1:] * np.arange(1, lags) / np.maximum(running, 1e-12)
    return normal


def _first_dip(curve: np.ndarray, shortest: int, longest: int, threshold: float) -> float | None:
    """The lag, between samples, of the first dip below ``threshold``; None without one."""
    below = np.flatnonzero(curve[shortest : longest + 1] < threshold)
    if not len(below):
        return None
    lag = shortest + int(below[0])
    while lag < longest and curve[lag + 1] < curve[lag]:
        lag += 1
    before, here, after = curve[lag - 1 : lag + 2]
    bend = before - 2 * here + after
    return lag + (0.5 * (before - after) / bend if bend > 1e-12 else 0.0)
