"""The pattern of the picture mark: a square tile of keyed noise, repeated over the whole picture.

The tile is defined by its Fourier coefficients. Those in a ring of frequencies have equal magnitudes and phases drawn
from the key. A quarter of them is fixed and locates the tile; each of the others carries the sign of one bit of the
code (:mod:`shared.marking.payload`), and the coefficients of a bit are spread over the ring. Repetition over the
picture follows Kalker et al., "A video watermarking system for broadcast monitoring" (SPIE 3657, 1999); the payload
is in signs instead of shifts.

Convention:
    shape: ``(SIDE, SIDE)`` float32, rows downward; unit variance, mean 0
    frequencies: cycles per tile, (y, x); one of each pair of conjugates
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from shared.marking.payload import CODE_BITS

SIDE = 128
PUBLIC_KEY = "assay public mark 1"
"""The key of every mark that Assay writes: it is public, so that anyone can read the mark."""

LOWEST, HIGHEST = 6.0, 18.0
"""Frequencies of the ring, cycles per tile."""
_LOCATING = 4  # one of so many coefficients locates the tile


@dataclass(frozen=True, eq=False)
class Tile:
    """The coefficients of a key.

    Attributes:
        frequencies: (K, 2) int, (y, x) cycles per tile.
        phases: (K,) float64 radians, of the coefficients before a bit turns their sign.
        bits: (K,) int, the bit of the code that each carries; -1 for those that locate the tile.
    """

    frequencies: np.ndarray
    phases: np.ndarray
    bits: np.ndarray

    @classmethod
    def of_key(cls, key: str = PUBLIC_KEY) -> Tile:
        """The coefficients of ``key``; the same on every machine and with every version of the libraries."""
        return _tile(key, LOWEST, HIGHEST)

    def signs(self, code: np.ndarray) -> np.ndarray:
        """(K,) float64: the sign of each coefficient in a mark with this (160,) code of +1 and -1."""
        return np.where(self.bits < 0, 1.0, code[self.bits])

    def pattern(self, code: np.ndarray) -> np.ndarray:
        """(SIDE, SIDE) float32: the tile with this code, of unit variance."""
        spectrum = np.zeros((SIDE, SIDE), np.complex128)
        y, x = self.frequencies.T
        spectrum[y, x] = self.signs(code) * np.exp(1j * self.phases)
        tile = np.real(np.fft.ifft2(spectrum))
        return (tile / tile.std()).astype(np.float32)


@lru_cache(maxsize=4)
def _tile(key: str, lowest: float, highest: float) -> Tile:
    y, x = np.meshgrid(np.arange(-SIDE // 2, SIDE // 2), np.arange(SIDE // 2), indexing="ij")
    radius = np.hypot(y, x)
    ring = (radius >= lowest) & (radius <= highest) & ((x > 0) | (y > 0))
    frequencies = np.stack([y[ring], x[ring]], axis=1)
    order = np.lexsort((frequencies[:, 1], frequencies[:, 0], np.round(radius[ring], 6)))
    frequencies = frequencies[order]
    count = len(frequencies)
    raw = hashlib.shake_256(key.encode()).digest(16 * count)
    draws = np.frombuffer(raw, ">u8").reshape(2, count)
    phases = draws[0].astype(np.float64) / 2.0**64 * 2 * np.pi
    bits = np.full(count, -1)
    carriers = np.flatnonzero(np.arange(count) % _LOCATING != _LOCATING - 1)
    # Dealt in rounds of all bits from the lowest frequency up, each round in an order of its own, so that every bit
    # has coefficients of all frequencies.
    for start in range(0, len(carriers), CODE_BITS):
        dealt = carriers[start : start + CODE_BITS]
        bits[dealt] = np.argsort(draws[1, start : start + CODE_BITS], kind="stable")[: len(dealt)]
    return Tile(frequencies, phases, bits)
