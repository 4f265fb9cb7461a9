"""The kind of sound that a detector of speech was validated on: length, band, noise floor.

A sound may be longer than any of validation: the logit of a whole is a mean of values that each see a fifth of a
second, and of more of them it only varies less.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from detect.speech.contract import RATE
from shared.audio.features import power_spectrogram
from shared.results.scores import Outside

_WORDS = {
    "seconds": ("seconds of sound", "{:.1f}"),
    "band_hz": ("highest frequency (Hz)", "{:.0f}"),
    "floor_db": ("noise floor below the speech (dB)", "{:.0f}"),
}
_SLACK = {"seconds": 0.25, "band_hz": 0.1, "floor_db": 0.15}
_BAND_DB = 55.0
_MOST_FLOOR_DB = 70.0


@dataclass(frozen=True)
class SoundFigures:
    """Figures of one sound.

    Attributes:
        seconds: its length.
        band_hz: the highest frequency whose loudest moments are at most 55 dB below those of the loudest frequency.
        floor_db: how far the quiet moments (5th percentile) lie below the loud ones (95th), at most 70: what lies
            lower the network does not see (see ``detect.speech.spectral``), so digital silence is like a quiet room.
    """

    seconds: float
    band_hz: float
    floor_db: float


@dataclass(frozen=True)
class SpeechDomain:
    """Ranges of the figures over validation recordings, (low, high) each."""

    seconds: tuple[float, float]
    band_hz: tuple[float, float]
    floor_db: tuple[float, float]

    @classmethod
    def over(cls, figures: Sequence[SoundFigures]) -> SpeechDomain:
        """The ranges of at least one sound, widened by a share of their ends."""

        def span(name: str) -> tuple[float, float]:
            values = [float(getattr(each, name)) for each in figures]
            return round(min(values) * (1 - _SLACK[name]), 2), round(max(values) * (1 + _SLACK[name]), 2)

        return cls(span("seconds"), span("band_hz"), span("floor_db"))

    @property
    def longest(self) -> float:
        """Seconds of the longest recording of validation."""
        return self.seconds[1] / (1 + _SLACK["seconds"])

    def outside(self, figures: SoundFigures) -> tuple[Outside, ...]:
        """The figures that lie outside."""
        found = []
        for name, (words, form) in _WORDS.items():
            low, high = getattr(self, name)
            if name == "floor_db":  # of earlier versions, whose figures went up to 90
                low = min(low, _MOST_FLOOR_DB * (1 - _SLACK[name]))
            value = float(getattr(figures, name))
            if value < low or (value > high and name != "seconds"):
                end = low if value < low else high
                text = f"{words} {form.format(value)}, validated: {self._range(name, form)}"
                found.append(
                    Outside(name, text, round(value, 2), low, high, round(abs(value - end) / max(end, 1e-9), 3))
                )
        return tuple(found)

    def __str__(self) -> str:
        return "; ".join(f"{words} {self._range(name, form)}" for name, (words, form) in _WORDS.items())

    def _range(self, name: str, form: str) -> str:
        low, high = (form.format(end) for end in getattr(self, name))
        return f"from {low} on" if name == "seconds" else f"{low} to {high}"


def figures_of(samples: np.ndarray) -> SoundFigures:
    """The figures of (N,) samples at 16 kHz; of long sounds the band and the floor of the first minute."""
    power = power_spectrogram(samples[: 60 * RATE])
    level = 10 * np.log10(power.sum(1) + 1e-12)
    loud, quiet = np.quantile(level, 0.95), np.quantile(level, 0.05)
    peaks = 10 * np.log10(np.quantile(power, 0.99, axis=0) + 1e-14)
    inside = np.flatnonzero(peaks >= peaks.max() - _BAND_DB)
    top = float(inside[-1]) * RATE / 2 / (power.shape[1] - 1)
    return SoundFigures(len(samples) / RATE, top, min(_MOST_FLOOR_DB, float(loud - quiet)))
