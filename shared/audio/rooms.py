"""A simulated room: a direct sound and a decaying tail, without a shift in time.

The tail is noise that decays by 60 dB in the reverberation time, faster at high frequencies; a usual stand-in for a
measured response (Moorer, Computer Music Journal 1979).
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from scipy.signal import fftconvolve, lfilter

from shared.audio.sound import Sound, limited

_DIRECT_SECONDS = 0.003


def room_response(rate: int, seconds: float, direct_db: float, rng: np.random.Generator) -> np.ndarray:
    """(N,) float64: an impulse response that begins with its direct sound, of energy 1.

    Args:
        rate: samples a second.
        seconds: reverberation time: of a decay by 60 dB.
        direct_db: level of the direct sound over the tail.
        rng: for the tail.

    Raises:
        ValueError: no positive time.
    """
    if not 0 < seconds <= 10:
        raise ValueError(f"a reverberation time is above 0 and at most 10 s, got {seconds}")
    count = max(2, round(seconds * rate))
    times = np.arange(count) / rate
    tail = rng.normal(size=count) * 10 ** (-3 * times / seconds)
    dull = lfilter([0.5], [1, -0.5], tail)
    share = np.clip(times / seconds, 0, 1)
    tail = (1 - share) * tail + share * dull
    tail[: round(_DIRECT_SECONDS * rate)] = 0.0
    energy = float(np.sum(tail**2))
    response = tail * np.sqrt(10 ** (-direct_db / 10) / energy) if energy > 0 else tail
    response[0] = 1.0
    return response / np.sqrt(np.sum(response**2))


def in_room(sound: Sound, seconds: float, direct_db: float, rng: np.random.Generator) -> Sound:
    """The sound as a microphone in a room hears it, as long as before."""
    response = room_response(sound.rate, seconds, direct_db, rng)
    heard = fftconvolve(sound.samples.astype(np.float64), response)[: len(sound)]
    peak = float(np.abs(heard).max()) if len(heard) else 0.0
    return replace(sound, samples=limited(heard / max(1.0, peak / 0.97)))
