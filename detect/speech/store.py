"""The samples of recordings, decoded once and kept as 16 bits within a limit of memory."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from detect.speech.contract import LEAST_SECONDS, RATE
from shared.audio.reading import read_sound
from shared.audio.sound import is_silent
from shared.errors import MediaError

MOST_SECONDS = 900.0
"""Longest recording that is read."""

_KEPT_BYTES = 1 << 31
_FULL = 32_767


def read_samples(path: Path) -> np.ndarray:
    """(N,) float32 at 16 kHz: the sound of any media file.

    Raises:
        MediaError: it cannot be read, is longer than 15 minutes, shorter than 0.3 s, or silent.
    """
    samples = read_sound(path, rate=RATE, most_seconds=MOST_SECONDS).samples
    return need_speech(samples, str(path))


def need_speech(samples: np.ndarray, name: str) -> np.ndarray:
    """``samples``, if they can be scored.

    Raises:
        MediaError: they are shorter than 0.3 s, or silent.
    """
    if len(samples) < LEAST_SECONDS * RATE:
        raise MediaError(
            f"{name} has {len(samples) / RATE:.2f} s of sound", hint=f"at least {LEAST_SECONDS} s are scored"
        )
    if is_silent(samples):
        raise MediaError(f"{name} is silent", hint="name a recording of speech")
    return samples


class SampleStore:
    """Reads recordings and keeps up to 2 GiB of them."""

    def __init__(self, most_bytes: int = _KEPT_BYTES) -> None:
        self._kept: dict[Path, np.ndarray] = {}
        self._left = most_bytes

    def get(self, path: Path) -> np.ndarray:
        """As :func:`read_samples`, rounded to 16 bits."""
        kept = self._kept.get(path)
        if kept is None:
            kept = np.round(read_samples(path) * _FULL).astype(np.int16)
            if kept.nbytes <= self._left:
                self._kept[path] = kept
                self._left -= kept.nbytes
        return kept.astype(np.float32) / _FULL
