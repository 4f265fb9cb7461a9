"""The sound mark: the tile as a gentle change of the loudness of each frequency over time.

The pattern of the picture mark is laid over the spectrogram, frequency downward and time to the right, and each cell
is made louder or softer by it, by 1.5 dB. The change is a constant share of the sound that is there, in the same
frequencies at the same time, so the sound itself masks it; silence stays silent. It is read as the picture mark is,
from the logarithm of the spectrogram. (Spread spectrum after Cox et al., IEEE Transactions on Image Processing 1997,
whose change is also in proportion to the coefficient that it changes.)

Convention:
    sound: (N,) or (N, channels) float32, -1 to 1
    cells: 31.25 Hz by 16 ms; of the tile's 128 rows the first is at 0 Hz, and it repeats every 4 kHz and 2.048 s
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from shared.marking.payload import Payload, encode
from shared.marking.read import whitened
from shared.marking.reading import MarkReading, threshold_for
from shared.marking.search import find_mark
from shared.marking.tile import SIDE, Tile

CHANGE_DB = 1.5
"""Root mean square of the change of loudness, in dB."""

SPEEDS: tuple[float, ...] = tuple(round(1 + step / 100, 2) for step in (0, -2, 2, -4, 4, -6, 6))
"""Speeds of playing that are tried, with the pitch changed alike and with the pitch kept."""

LEAST_RATE = 8000
"""Samples a second below which sound is not marked."""

_CELL_HZ = 31.25
_CELL_SECONDS = 0.016
_OVERLAP = 4
_LOWEST_HZ, _HIGHEST_HZ = 120.0, 7000.0
_READ_HZ = (180.0, 6500.0)
_QUIETEST = 1e-4
_LEAST_SECONDS = 0.5
_MOST_GAIN_DB = 3.0
_MOST_SECONDS = 30.0
_WHITENING_CELLS, _WHITENING_POWER = 11, 1.5
_ROWS_OFF = 2  # rows: the pattern keeps its frequencies, up to what is left of a change of pitch


def mark_sound(sound: np.ndarray, rate: int, payload: Payload, *, change_db: float = CHANGE_DB) -> np.ndarray:
    """A marked copy of a sound; all channels are changed alike.

    Args:
        sound: (N,) or (N, channels) float32.
        rate: samples a second, at least :data:`LEAST_RATE`.
        payload: what the mark says.
        change_db: root mean square of the change.

    Raises:
        ValueError: the rate is too low.
    """
    if rate < LEAST_RATE:
        raise ValueError(f"sound is marked from {LEAST_RATE:,} samples a second on, got {rate}")
    pattern = Tile.of_key().pattern(encode(payload.number))
    size = _window_size(rate, 1.0)
    hop = size // _OVERLAP
    window = np.hanning(size + 1)[:-1].astype(np.float32)
    plane = sound[:, None] if sound.ndim == 1 else sound
    padded = np.pad(plane, ((size, 2 * size), (0, 0)))
    out = np.zeros_like(padded)
    hertz = np.arange(size // 2 + 1) * rate / size
    rows = np.round(hertz / _CELL_HZ).astype(np.int64) % SIDE
    inside = ((hertz >= _LOWEST_HZ) & (hertz <= _HIGHEST_HZ)).astype(np.float32)
    for start in range(0, len(padded) - size + 1, hop):
        seconds = (start + size / 2 - size) / rate
        column = seconds / _CELL_SECONDS
        left = math.floor(column)
        part = column - left
        cells = pattern[rows, left % SIDE] * (1 - part) + pattern[rows, (left + 1) % SIDE] * part
        gain = np.clip(change_db * cells, -_MOST_GAIN_DB, _MOST_GAIN_DB) * inside
        spectrum = np.fft.rfft(padded[start : start + size] * window[:, None], axis=0)
        spectrum *= np.power(10.0, gain / 20)[:, None]
        out[start : start + size] += np.fft.irfft(spectrum, size, axis=0).astype(np.float32) * window[:, None]
    out /= _OVERLAP * 3 / 8  # the sum of the squared windows that overlap
    return np.clip(out[size : size + len(plane)], -1, 1).reshape(sound.shape)


def read_sound_mark(sound: np.ndarray, rate: int, *, speeds: Sequence[float] | None = None) -> MarkReading:
    """The mark of a sound, (N,) or (N, channels) float32; at most its first half minute is read.

    ``speeds`` are those tried instead of :data:`SPEEDS`.
    """
    speeds = speeds or SPEEDS
    mono = sound if sound.ndim == 1 else sound.mean(axis=1)
    mono = mono[: int(_MOST_SECONDS * rate)]
    times = 2 * len(speeds) - 1
    nothing = MarkReading(None, 0.0, threshold_for(1), 1.0)
    if rate < LEAST_RATE or len(mono) < _LEAST_SECONDS * rate or float(np.abs(mono).max()) < _QUIETEST:
        return nothing
    best = nothing
    for speed in speeds:
        for pitch in dict.fromkeys((speed, 1.0)):
            plane = whitened(_loudness(mono, rate, speed, pitch), _WHITENING_CELLS, _WHITENING_POWER)
            middle = round(_READ_HZ[0] / _CELL_HZ) + len(plane) // 2
            rows = range(-middle - _ROWS_OFF, -middle + _ROWS_OFF + 1)
            reading = find_mark(plane, (1.0,), times=times, rows=rows)
            looked = replace(reading, scale=speed if reading.found else None, looked_at=round(len(mono) / rate))
            best = max(best, looked, key=MarkReading.order)
            if best.found:
                return best
    return best


def _window_size(rate: int, pitch: float) -> int:
    """Samples of a window: one cell of frequency is one bin of its transform. Whole in the overlap."""
    return _OVERLAP * round(rate / (_CELL_HZ * pitch) / _OVERLAP)


def _loudness(mono: np.ndarray, rate: int, speed: float, pitch: float) -> np.ndarray:
    """(rows, columns) float32 dB: the spectrogram, in cells of the sound before a change of speed and pitch."""
    size = _window_size(rate, pitch)
    low, high = (round(hertz / _CELL_HZ) for hertz in _READ_HZ)
    high = min(high, size // 2)
    step = _CELL_SECONDS * rate / speed
    starts = np.round(np.arange(0, max(1, len(mono) - size), step)).astype(np.int64)
    window = np.hanning(size + 1)[:-1].astype(np.float32)
    padded = np.pad(mono, (0, size))
    frames = padded[starts[:, None] + np.arange(size)] * window
    power = np.abs(np.fft.rfft(frames, axis=1)[:, low:high]).astype(np.float32)
    floor = 1e-5 * size
    return np.ascontiguousarray(20 * np.log10(power + floor).T)
