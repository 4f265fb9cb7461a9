"""What the network hears: a mel spectrogram in which the voice, the level and the channel are evened out.

Convention:
    steps: 50 a second, the first at the sound's first sample
    spectrum: (T, 40) float32, natural logarithm of the power in 40 bands evenly spaced in mel
    features: (T, 40) float32, each band with mean 0 and variance 1 over the louder part of the sound
"""

from __future__ import annotations

import numpy as np

from shared.audio.features import Framing, log_mel
from shared.audio.rates import change_rate
from shared.audio.sound import WORK_RATE, Sound

FRAMING = Framing(rate=WORK_RATE, window=512, hop=320)
BANDS = 40
STEPS = round(1 / FRAMING.hop_seconds)
"""Steps a second."""

_RANGE = 9.0
"""Nepers of power (39 dB) below the loud parts of a band at which it counts as silent."""
_LOUD = 0.95


def spectrum_of(sound: Sound) -> np.ndarray:
    """The spectrum of ``sound``, of any rate."""
    return log_mel(change_rate(sound.samples, sound.rate, WORK_RATE), FRAMING, filters=BANDS)


def features_of(spectrum: np.ndarray) -> np.ndarray:
    """The features of a whole sound: no band falls below the floor, then each is normalised by its own statistics.

    Statistics are taken where the sound is not silent, so that pauses at its ends do not change what speech looks like.
    """
    loud = np.quantile(spectrum, _LOUD, axis=0)
    raised = np.maximum(spectrum, loud - _RANGE)
    heard = raised.mean(axis=1) > (loud - _RANGE).mean() + 0.15 * _RANGE
    spoken = raised[heard] if heard.sum() >= 10 else raised
    return ((raised - spoken.mean(axis=0)) / np.maximum(spoken.std(axis=0), 0.1)).astype(np.float32)


def loudness_of(spectrum: np.ndarray) -> np.ndarray:
    """(T,): natural logarithm of the power of all bands together, not more than :data:`_RANGE` below its loud parts."""
    level = np.log(np.exp(spectrum.astype(np.float64)).sum(axis=1))
    return np.maximum(level, np.quantile(level, _LOUD) - _RANGE)
