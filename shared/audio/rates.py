"""Other sample rates, by a polyphase filter that keeps the time of every sample."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import numpy as np
from scipy.signal import resample_poly

from shared.audio.sound import Sound, limited


def resampled(sound: Sound, rate: int) -> Sound:
    """The same sound at another rate; itself when the rate is the same."""
    return (
        sound if rate == sound.rate else replace(sound, samples=change_rate(sound.samples, sound.rate, rate), rate=rate)
    )


def change_rate(samples: np.ndarray, old: int, new: int) -> np.ndarray:
    """(M,) float32 from (N,) samples: M is N times ``new / old``, rounded up.

    Raises:
        ValueError: a rate below 1.
    """
    if min(old, new) < 1:
        raise ValueError(f"rates are at least 1, got {old} and {new}")
    ratio = Fraction(new, old)
    if ratio == 1 or not len(samples):
        return samples.astype(np.float32)
    return limited(resample_poly(samples.astype(np.float64), ratio.numerator, ratio.denominator))
