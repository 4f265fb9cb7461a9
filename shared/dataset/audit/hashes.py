"""Similar pictures by perceptual hashes of 64 bits.

A hash is the sign, against their median, of the 8 x 8 lowest cosine coefficients of the picture at 32 x 32 (the
"pHash" of Zauner, "Implementation and benchmarking of perceptual image hash functions", 2010). Compression, scaling
and a swapped face hardly change it, so it also finds a clip and a fake of it in two splits.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np

THUMB_PX = 32
MAX_PICTURES = 20_000
"""Default maximum number of pictures, because all are compared with all."""
MAX_PAIRS = 5_000
"""Maximum number of pairs of clips that are reported."""

_BLOCK = 512
_MIN_LIKENESS = 0.97


@dataclass(frozen=True, eq=False)
class Thumbs:
    """Small grey copies of pictures, with their hashes.

    Convention:
        pixels: (N, 32, 32) uint8; hashes: (N,) uint64; owners: (N,) int, the index of each picture's clip
    """

    pixels: np.ndarray
    hashes: np.ndarray
    owners: np.ndarray

    @classmethod
    def of(cls, pixels: np.ndarray, owners: np.ndarray, *, most: int = MAX_PICTURES) -> Thumbs:
        """Thumbnails with their hashes; at most ``most``, evenly spaced."""
        if len(pixels) > most:
            chosen = np.linspace(0, len(pixels) - 1, most).astype(np.int64)
            pixels, owners = pixels[chosen], owners[chosen]
        hashes = np.array([picture_hash(picture) for picture in pixels], dtype=np.uint64)
        return cls(pixels, hashes, owners)


@dataclass(frozen=True)
class NearPair:
    """Two clips with similar pictures: the number of near pairs, and the bits by which the nearest pair differs."""

    first: int
    second: int
    pictures: int
    bits: int


def thumbnail(image: np.ndarray) -> np.ndarray:
    """(32, 32) uint8 of an RGB picture."""
    return cv2.resize(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), (THUMB_PX, THUMB_PX), interpolation=cv2.INTER_AREA)


def picture_hash(thumb: np.ndarray) -> int:
    """The 64-bit hash of a thumbnail; the first bit, of the mean brightness, is always 0."""
    low = cv2.dct(thumb.astype(np.float32))[:8, :8].ravel()
    bits = low > np.median(low[1:])
    bits[0] = False
    return int.from_bytes(np.packbits(bits).tobytes(), "big")


def differing_bits(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """(N, M) uint8 Hamming distances of (N,) and (M,) uint64 hashes."""
    mixed = first[:, None] ^ second[None]
    return _BIT_COUNTS[mixed.view(np.uint8).reshape(*mixed.shape, 8)].sum(axis=-1, dtype=np.uint8)


def near_pairs(
    thumbs: Thumbs,
    places: Sequence[str | None],
    *,
    near_bits: int,
    agree: Callable[[int, int], bool] | None = None,
) -> list[NearPair]:
    """Pairs of clips in different ``places`` (splits) with similar pictures, nearest first; at most 5,000.

    Hashes can be near for two people in front of the same background, so the thumbnails of a pair must also have a
    correlation of at least 0.97. Pictures without content (black, white) are left out.

    Args:
        thumbs: of all clips.
        places: split of each clip; None for one without.
        near_bits: hashes that differ by at most this number of bits are near.
        agree: a further test of two clips by index; pairs that fail it are ignored.
    """
    numbers = {place: number for number, place in enumerate(sorted({p for p in places if p is not None}))}
    split = np.array([-1 if place is None else numbers[place] for place in places])[thumbs.owners]
    flat = thumbs.pixels.reshape(len(thumbs.pixels), -1).astype(np.float32)
    flat -= flat.mean(axis=1, keepdims=True)
    norms = np.linalg.norm(flat, axis=1)
    usable = (norms > 3.0 * THUMB_PX) & (split >= 0)
    flat /= np.maximum(norms, 1e-6)[:, None]
    found: dict[tuple[int, int], list[int]] = {}
    refused: set[tuple[int, int]] = set()
    step = max(1, min(_BLOCK, _BLOCK * MAX_PICTURES // max(len(split), 1)))
    for start in range(0, len(split), step):
        block = slice(start, start + step)
        bits = differing_bits(thumbs.hashes[block], thumbs.hashes)
        near = (bits <= near_bits) & (split[block, None] < split[None]) & usable[block, None] & usable[None]
        for row, column in zip(*np.nonzero(near), strict=True):
            pair = (int(thumbs.owners[start + row]), int(thumbs.owners[column]))
            if pair in refused or (pair not in found and len(found) >= MAX_PAIRS):
                continue
            if float(flat[start + row] @ flat[column]) < _MIN_LIKENESS:
                continue
            if pair not in found and agree is not None and not agree(*pair):
                refused.add(pair)
                continue
            found.setdefault(pair, []).append(int(bits[row, column]))
    pairs = [NearPair(first, second, len(bits), min(bits)) for (first, second), bits in found.items()]
    return sorted(pairs, key=lambda pair: (pair.bits, -pair.pictures, pair.first, pair.second))


_BIT_COUNTS = np.array([number.bit_count() for number in range(256)], dtype=np.uint8)
