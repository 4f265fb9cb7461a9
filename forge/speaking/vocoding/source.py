"""What the vocoder filters: pulses at the pitch of the voice, and noise.

A network that is given the phases of the pitch's harmonics has only to learn what the vocal tract does to them, not
where in time each period lies (neural source-filter models: Wang, Takaki and Yamagishi, 2019; with an inverse Fourier
transform: HiFTNet, Li et al., 2023).
"""

from __future__ import annotations

import numpy as np

from forge.speaking.conversion.features import FRAMING


def pulses(pitch: np.ndarray, samples: int, *, start: float = 0.0) -> np.ndarray:
    """(samples,) float32: cosines of amplitude 1 at all multiples of the pitch up to half the rate; 0 where not voiced.

    Args:
        pitch: (T,) natural logarithm of Hz, NaN where a frame is not voiced.
        samples: how many.
        start: phase before the first sample, in radians.
    """
    known = np.isfinite(pitch)
    if not known.any():
        return np.zeros(samples, np.float32)
    times = np.arange(samples) / FRAMING.hop
    hertz = np.exp(np.interp(times, np.flatnonzero(known), pitch[known].astype(np.float64)))
    phase = start + 2 * np.pi * np.cumsum(hertz) / FRAMING.rate
    orders = np.floor(FRAMING.rate / 2 / hertz)
    # The sum of cos(k x) for k = 1 to K is (sin((K + 1/2) x) / sin(x / 2) - 1) / 2 (Dirichlet's kernel).
    half = np.sin(phase / 2)
    peak = np.abs(half) < 1e-6
    made = (np.sin((orders + 0.5) * phase) / np.where(peak, 1.0, half) - 1) / 2
    voiced = known[np.minimum(np.round(times).astype(int), len(pitch) - 1)]
    return np.where(voiced, np.where(peak, orders, made), 0.0).astype(np.float32)
