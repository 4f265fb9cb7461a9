"""The value that all work on sound takes and gives.

Convention:
    samples: (N,) float32 in [-1, 1], one channel
    rate: samples a second
    time: of sample ``i`` it is ``start + i / rate`` seconds, as a fraction
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from fractions import Fraction

import numpy as np

SOUND_SUFFIXES = frozenset(
    {".wav", ".flac", ".mp3", ".m4a", ".aac", ".ogg", ".opus", ".oga", ".aif", ".aiff", ".wma"}
)  # fmt: skip
"""File suffixes by which files of sound alone are known in a folder."""

WORK_RATE = 16_000
"""Samples a second of the form in which models and measurements take speech."""

_CLIPPED_LEVEL = 0.998
_CLIPPED_RUN = 3


@dataclass(frozen=True, eq=False)
class SoundSource:
    """What a file states about the sound that was read from it.

    Attributes:
        rate: samples a second in the file.
        channels: of the stream, before they were mixed to one.
        codec: FFmpeg's name of the codec.
        sample_format: of the decoder: ``s16``, ``u8``, ``fltp`` and others.
        filled_seconds: length of the gaps between the file's own times that were filled with silence.
        stopped: where and why decoding ended before the end of the file; empty if it did not.
    """

    rate: int
    channels: int
    codec: str
    sample_format: str
    filled_seconds: float = 0.0
    stopped: str = ""


@dataclass(frozen=True, eq=False)
class Sound:
    """One channel of sound.

    Attributes:
        samples: (N,) float32 in [-1, 1].
        rate: samples a second.
        start: time of the first sample in its file, in seconds.
        source: what the file states, None for a sound that was made here.

    Raises:
        ValueError: samples of another shape or type, not finite or outside [-1, 1], or a rate below 1.
    """

    samples: np.ndarray
    rate: int
    start: Fraction = field(default=Fraction(0))
    source: SoundSource | None = None

    def __post_init__(self) -> None:
        if self.samples.ndim != 1 or self.samples.dtype != np.float32:
            raise ValueError(f"samples must be (N,) float32, got {self.samples.shape} {self.samples.dtype}")
        if self.rate < 1:
            raise ValueError(f"a rate is at least 1, got {self.rate}")
        if len(self.samples) and not float(np.abs(self.samples).max()) <= 1.0:  # also where one is no number
            raise ValueError("samples must be finite and in [-1, 1]")

    def __len__(self) -> int:
        return len(self.samples)

    @property
    def seconds(self) -> float:
        """Its length."""
        return len(self.samples) / self.rate

    def time_of(self, index: int) -> Fraction:
        """Exact time of a sample in the file, in seconds."""
        return self.start + Fraction(index, self.rate)

    def cut(self, first: int, stop: int) -> Sound:
        """The samples from ``first`` up to ``stop``, with their own start time."""
        first = max(first, 0)
        return replace(self, samples=self.samples[first:stop], start=self.time_of(first))

    def with_samples(self, samples: np.ndarray) -> Sound:
        """Other samples at the same rate and start, limited to [-1, 1]."""
        return replace(self, samples=limited(samples))


def limited(samples: np.ndarray) -> np.ndarray:
    """``samples`` as float32, cut off at -1 and 1."""
    return np.clip(samples, -1.0, 1.0).astype(np.float32)


def clipped_share(samples: np.ndarray) -> float:
    """Share of samples in runs of at least three at full scale: what an overloaded input leaves."""
    if not len(samples):
        return 0.0
    full = np.abs(samples) >= _CLIPPED_LEVEL
    runs = full[:-2] & full[1:-1] & full[2:]
    inside = np.zeros(len(samples), dtype=bool)
    for shift in range(_CLIPPED_RUN):
        inside[shift : len(samples) - 2 + shift] |= runs
    return float(inside.mean())


def is_silent(samples: np.ndarray, *, below: float = 1e-4) -> bool:
    """Whether no sample is louder than ``below`` (-80 dB of full scale)."""
    return not len(samples) or float(np.abs(samples).max()) < below
