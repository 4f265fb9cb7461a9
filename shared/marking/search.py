"""Finds the tile in a whitened plane: for all shifts by one inverse transform, and for the scales that are given.

The Fourier transform of the plane, at the frequencies of the tile, is the sum of all repetitions of the tile. Its
magnitudes are flattened and its phases compared with those of the key (as the symmetrical phase-only matched filter of
Kalker et al., 1999, does). The best alignments are decoded, and a mark counts as read if the whole pattern, payload
included, agrees better than chance allows.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np

from shared.marking.payload import CHECK_BITS, CODE_BITS, PREFIX, Payload, checked, decode, encode
from shared.marking.reading import MarkReading, false_alarm_bound, threshold_for
from shared.marking.tile import HIGHEST, SIDE, Tile

_FLATTENING = 0.7
_PADDING = 3
_CANDIDATES = 8
_FINE_SCALES = np.linspace(-0.5, 0.5, 5)
_FINE_SHIFTS = np.linspace(-1, 1, 5)


@dataclass(frozen=True, eq=False)
class _Spectrum:
    """The Fourier transform of a picture about its centre, finely sampled; of the half with x >= 0."""

    values: np.ndarray
    size: tuple[int, int]

    @classmethod
    def of(cls, picture: np.ndarray) -> _Spectrum:
        height, width = picture.shape
        size = (cv2.getOptimalDFTSize(_PADDING * height), cv2.getOptimalDFTSize(_PADDING * width))
        padded = np.zeros(size, np.float32)
        padded[:height, :width] = picture
        # With the centre at the origin the phases vary slowly, so that values between samples can be interpolated.
        padded = np.roll(padded, (-(height // 2), -(width // 2)), (0, 1))
        return cls(np.fft.rfft2(padded).astype(np.complex64), size)

    def at(self, y: np.ndarray, x: np.ndarray) -> np.ndarray:
        """Values at frequencies in cycles per pixel, flattened: their magnitudes are raised to a small power."""
        rows, columns = y * self.size[0], x * self.size[1]
        top, left = np.floor(rows).astype(np.int64), np.floor(columns).astype(np.int64)
        down, right = rows - top, columns - left
        above, below = self.values[top % self.size[0]], self.values[(top + 1) % self.size[0]]
        place = np.arange(len(top))
        upper = above[place, left] * (1 - right) + above[place, left + 1] * right
        lower = below[place, left] * (1 - right) + below[place, left + 1] * right
        found = upper * (1 - down) + lower * down
        return found / np.power(np.abs(found) + 1e-12, _FLATTENING)


@dataclass(frozen=True)
class _Alignment:
    """Where the tile may lie: scale and shift (pixels of the tile), and how well the locating coefficients agree."""

    scale: float
    shift: tuple[float, float]
    agreement: float


def scales_between(low: float, high: float, shape: tuple[int, ...]) -> np.ndarray:
    """The scales to try on a plane of this shape: so dense that the pattern stays in step over it."""
    step = 2 / (math.pi * HIGHEST / SIDE * max(shape))
    count = math.ceil(math.log(high / low) / step)
    return low * (high / low) ** (np.arange(count + 1) / count)


def find_mark(
    plane: np.ndarray,
    scales: Sequence[float] | np.ndarray,
    *,
    times: int,
    written: float | None = None,
    rows: Sequence[int] | None = None,
) -> MarkReading:
    """The mark in a plane.

    Args:
        plane: (H, W) float32, mean about 0, of about equal strength everywhere.
        scales: pixels of the plane per pixel of the tile that are tried, ascending.
        times: how many planes are searched for one answer, over the share of the false alarms that the search and the
            look at ``written`` are allowed, each; it counts in the threshold.
        written: scale at which the tile lies in the corner if nothing was cut away; looked at first, by itself.
        rows: the only shifts in y that are tried, of the tile against the plane's middle row; None for all.
    """
    tile, spectrum = Tile.of_key(), _Spectrum.of(plane)
    if written is not None:
        shift = tuple(0.5 - (side // 2 + 0.5) / written for side in plane.shape)
        reading = _decoded(spectrum, tile, [_Alignment(written, (shift[0], shift[1]), 0.0)], float(times))
        if reading.found:
            return reading
    fine = _CANDIDATES * len(_FINE_SCALES) * len(_FINE_SHIFTS) ** 2
    alignments = float((len(scales) * SIDE * (SIDE if rows is None else len(rows)) + fine) * times)
    step = float(scales[1] / scales[0] - 1) if len(scales) > 1 else 0.004
    refined = [_refined(spectrum, tile, one, step) for one in _coarse(spectrum, tile, scales, rows)]
    return _decoded(spectrum, tile, refined, alignments)


def _decoded(spectrum: _Spectrum, tile: Tile, places: list[_Alignment], alignments: float) -> MarkReading:
    """The best reading at these places, found among ``alignments``."""
    limit = threshold_for(alignments)
    values = [_compared(spectrum, tile, one) for one in places]
    carries = tile.bits >= 0
    soft = [np.bincount(tile.bits[carries], np.real(one)[carries], minlength=CODE_BITS) for one in values]
    best = MarkReading(None, 0.0, limit, 1.0)
    for place, word in enumerate(decode(np.stack(soft), PREFIX)):
        code, number = encode(word >> CHECK_BITS), checked(word)
        strength = math.sqrt(float(np.sum(np.abs(values[place]) ** 2)) / 2)
        statistic = float(np.sum(np.real(values[place]) * tile.signs(code))) / max(strength, 1e-12)
        reading = MarkReading(None, statistic, limit, false_alarm_bound(statistic, alignments))
        if number is not None and statistic >= limit:
            wrong = int(np.sum((soft[place] < 0) != (code < 0)))
            reading = replace(
                reading, payload=Payload.from_number(number), bit_errors=wrong, scale=float(places[place].scale)
            )
        best = max(best, reading, key=MarkReading.order)
    return best


def _coarse(
    spectrum: _Spectrum, tile: Tile, scales: Sequence[float] | np.ndarray, rows: Sequence[int] | None
) -> list[_Alignment]:
    """The best alignment of each scale, the best of all scales first, as many as are decoded."""
    locating = tile.bits < 0
    y, x = tile.frequencies[locating].T
    turn = np.exp(-1j * tile.phases[locating])
    found: list[_Alignment] = []
    grid = np.zeros((SIDE, SIDE), np.complex64)
    tried = np.arange(SIDE) if rows is None else np.array(rows) % SIDE
    for scale in scales:
        values = spectrum.at(y / (SIDE * scale), x / (SIDE * scale)) * turn
        grid[y, x] = values
        agreement = np.real(np.fft.ifft2(grid))[tried]
        at = int(agreement.argmax())
        strength = math.sqrt(float(np.sum(np.abs(values) ** 2)) / 2) + 1e-12
        shift = (float(tried[at // SIDE]), float(at % SIDE))
        found.append(_Alignment(float(scale), shift, float(agreement.flat[at]) * SIDE * SIDE / strength))
    return sorted(found, key=lambda one: -one.agreement)[:_CANDIDATES]


def _refined(spectrum: _Spectrum, tile: Tile, coarse: _Alignment, step: float) -> _Alignment:
    """The best alignment near ``coarse``, at fractions of a step of scale and shift."""
    locating = tile.bits < 0
    frequencies = tile.frequencies[locating]
    turn = np.exp(-1j * tile.phases[locating])
    moves = np.stack(np.meshgrid(_FINE_SHIFTS, _FINE_SHIFTS, indexing="ij"), axis=-1).reshape(-1, 2)
    shifts = moves + np.array(coarse.shift)
    waves = np.exp(2j * np.pi / SIDE * (shifts @ frequencies.T))
    best = replace(coarse, agreement=-math.inf)
    for fraction in _FINE_SCALES:
        scale = coarse.scale * (1 + fraction * step)
        y, x = frequencies.T / (SIDE * scale)
        agreement = np.real(waves @ (spectrum.at(y, x) * turn))
        at = int(agreement.argmax())
        if agreement[at] > best.agreement:
            best = _Alignment(scale, (float(shifts[at, 0]), float(shifts[at, 1])), float(agreement[at]))
    return best


def _compared(spectrum: _Spectrum, tile: Tile, where: _Alignment) -> np.ndarray:
    """(K,) complex: each coefficient relative to the key's at this alignment; real and positive where they agree."""
    y, x = tile.frequencies.T / (SIDE * where.scale)
    wave = np.exp(2j * np.pi / SIDE * (tile.frequencies @ np.array(where.shift)))
    return spectrum.at(y, x) * np.exp(-1j * tile.phases) * wave
