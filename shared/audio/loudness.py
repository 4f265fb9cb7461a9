"""Levels of sound: EBU R 128 loudness, and the level of the parts that are not silent.

Loudness after ITU-R BS.1770-4, by pyloudnorm; it needs .4 s. The active level is the simple measure for short speech:
the root mean square over the windows of 20 ms that are less than 25 dB below the loudest ones.
"""

from __future__ import annotations

import math

import numpy as np

from shared.audio.sound import Sound

SPEECH_DB = -26.0
"""Usual level of speech, as root mean square in dB of full scale (ITU-T P.56 practice)."""

_WINDOW_SECONDS = 0.02
_ACTIVE_DB = 25.0
_LOUDEST = 0.95
_HEADROOM = 0.97
_QUIET = 1e-9


def loudness(sound: Sound) -> float | None:
    """Integrated loudness in LUFS; None for silence and for less than .4 s."""
    from pyloudnorm import Meter  # loaded when asked for: it brings scipy.signal

    if sound.seconds < 0.4:
        return None
    value = float(Meter(sound.rate).integrated_loudness(sound.samples.astype(np.float64)))
    return value if math.isfinite(value) else None


def active_level(samples: np.ndarray, rate: int) -> float | None:
    """Level of the parts that are not silent, in dB of full scale; None when nothing is there."""
    size = max(1, round(_WINDOW_SECONDS * rate))
    count = len(samples) // size
    whole = samples[: count * size].reshape(count, size) if count else samples.reshape(1, -1)
    if not whole.size:
        return None
    power = np.mean(whole.astype(np.float64) ** 2, axis=1)
    loud = float(np.quantile(power, _LOUDEST))
    if loud <= _QUIET:
        return None
    active = power[power >= loud * 10 ** (-_ACTIVE_DB / 10)]
    return 10 * math.log10(float(active.mean()))


def levelled(samples: np.ndarray, rate: int, level_db: float = SPEECH_DB) -> np.ndarray:
    """(N,) float32 at this active level, or as near to it as a peak of .97 allows; silence is given back."""
    now = active_level(samples, rate)
    if now is None:
        return samples.astype(np.float32)
    gain = 10 ** ((level_db - now) / 20)
    peak = float(np.abs(samples).max())
    return (samples * min(gain, _HEADROOM / peak)).astype(np.float32)
