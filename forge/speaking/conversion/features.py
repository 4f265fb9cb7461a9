"""What the voice model reads and writes of an utterance: mel spectrogram, pitch and energy, 80 frames a second.

Convention:
    frames: T of them, one every 200 samples at 16,000 a second; T = 1 + N // 200
    mel: (T, 80) float32, the logarithm of the power in mel bands, cut at its floor, scaled to about -1 to 1
    pitch: (T,) float32, logarithm of the fundamental frequency in Hz; NaN where a frame is not voiced
    energy: (T,) float32, the mean of a frame's mel bands
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from shared.audio.features import Framing, log_f0, log_mel
from shared.audio.loudness import levelled
from shared.audio.rates import resampled
from shared.audio.sound import WORK_RATE, Sound
from shared.errors import SpeechError

if TYPE_CHECKING:
    from torch import Tensor

FRAMING = Framing(rate=WORK_RATE, window=1024, hop=200)
MELS = 80
LEAST_FRAMES = 16
"""Frames of the shortest sound that is taken, a fifth of a second."""

LOWEST = -18.0
"""Logarithm of the power at which a mel spectrogram is cut."""

_MIDDLE, _SCALE = -11.0, 5.0
_LEAST_VOICED = 8


@dataclass(frozen=True, eq=False)
class VoiceFeatures:
    """Of one utterance: mel (T, 80), pitch (T,) and energy (T,), see the module."""

    mel: np.ndarray
    pitch: np.ndarray
    energy: np.ndarray

    def __len__(self) -> int:
        return len(self.mel)


@dataclass(frozen=True)
class PitchRange:
    """Mean and standard deviation of the logarithm of a voice's fundamental frequency in Hz."""

    mean: float
    deviation: float


def features_of(sound: Sound) -> VoiceFeatures:
    """The features of a sound in its work form.

    Raises:
        SpeechError: shorter than a fifth of a second.
    """
    samples = work_form(sound)
    if FRAMING.count(len(samples)) < LEAST_FRAMES:
        raise SpeechError(f"the sound has only {sound.seconds:.2f} s", hint="a fifth of a second is needed")
    mel = scaled(log_mel(samples, FRAMING, filters=MELS))
    return VoiceFeatures(mel, log_f0(samples, FRAMING), mel.mean(axis=1))


def work_form(sound: Sound) -> np.ndarray:
    """(N,) float32: the samples from which features are taken, 16,000 a second, at one level of speech."""
    return levelled(resampled(sound, WORK_RATE).samples, WORK_RATE)


def scaled(log_power: np.ndarray) -> np.ndarray:
    """Log power cut at its floor, and scaled."""
    return ((np.maximum(log_power, LOWEST) - _MIDDLE) / _SCALE).astype(np.float32)


def unscaled(mel: np.ndarray) -> np.ndarray:
    """The log power of :func:`scaled`."""
    return np.maximum(mel.astype(np.float64) * _SCALE + _MIDDLE, LOWEST)


def unscaled_tensor(mel: Tensor) -> Tensor:
    """:func:`unscaled` of a tensor."""
    return (mel * _SCALE + _MIDDLE).clamp(min=LOWEST)


def pitch_range(pitches: list[np.ndarray]) -> PitchRange | None:
    """Mean and deviation over the voiced frames of some utterances; None where almost nothing is voiced.

    Median and the middle half stand for them, so that octave errors of single frames do not count.
    """
    voiced = np.concatenate([each[np.isfinite(each)] for each in pitches]) if pitches else np.zeros(0)
    if len(voiced) < _LEAST_VOICED:
        return None
    low, middle, high = np.quantile(voiced.astype(np.float64), (0.25, 0.5, 0.75))
    return PitchRange(float(middle), float(max((high - low) / 1.349, 0.05)))


def moved_pitch(pitch: np.ndarray, source: PitchRange | None, target: PitchRange) -> np.ndarray:
    """(T,) float32: a pitch in the range of another voice: its mean, and its deviation as far as within 1.5 times.

    Without a ``source`` range it is left as it is.
    """
    if source is None:
        return pitch
    ratio = float(np.clip(target.deviation / source.deviation, 1 / 1.5, 1.5))
    moved = (pitch - source.mean) * ratio + target.mean
    return np.clip(moved, np.log(50.0), np.log(600.0)).astype(np.float32)
