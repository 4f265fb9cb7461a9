"""A second design of the picture mark, measured beside the one that is kept: dither modulation of block transforms.

Each block of 8 x 8 pixels carries one bit of the code: the projection of five low coefficients of its cosine transform
on a keyed direction is quantised to one of two interleaved lattices (spread-transform dither modulation, Chen and
Wornell, IEEE Transactions on Information Theory 2001). The reader adds up what the blocks of all frames say. It knows
nothing of shifts and scales: a crop or a resize that moves the blocks is put right by hand before it reads.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import cv2
import numpy as np

from shared.marking.payload import CHECK_BITS, CODE_BITS, checked, decode, encode

_BLOCK = 8
_PLACES = ((0, 1), (1, 0), (1, 1), (0, 2), (2, 0))
_SEED = 15


class DitherMark:
    """Writes and reads the second design; ``psnr_db`` is the wanted PSNR of each frame."""

    def __init__(self, number: int, *, psnr_db: float) -> None:
        self.number = number
        # Quantising with a step moves a projection by a uniform error of variance step^2 / 12.
        error = 255.0**2 / 10 ** (psnr_db / 10) - 1 / 12
        self.step = math.sqrt(12 * error * _BLOCK**2)

    def mark(self, image: np.ndarray) -> np.ndarray:
        """A marked copy of an (H, W, 3) uint8 RGB picture."""
        luma = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY).astype(np.float32)
        rows, columns = luma.shape[0] // _BLOCK, luma.shape[1] // _BLOCK
        bits, directions = _keyed(rows, columns)
        basis = _basis(directions)
        blocks = _blocks(luma, rows, columns)
        projection = np.einsum("nyx,nyx->n", blocks, basis)
        offset = np.where(encode(self.number)[bits] > 0, 0.0, 0.5) * self.step
        wanted = np.round((projection - offset) / self.step) * self.step + offset
        change = np.zeros(luma.shape, np.float32)
        moved = (wanted - projection)[:, None, None] * basis
        change[: rows * _BLOCK, : columns * _BLOCK] = (
            moved.reshape(rows, columns, _BLOCK, _BLOCK).swapaxes(1, 2).reshape(rows * _BLOCK, columns * _BLOCK)
        )
        return cv2.add(image, cv2.merge([change] * 3), dtype=cv2.CV_8U)

    def reads(self, lumas: Sequence[np.ndarray]) -> bool:
        """Whether the payload is read from (H, W) uint8 luma pictures."""
        rows, columns = lumas[0].shape[0] // _BLOCK, lumas[0].shape[1] // _BLOCK
        bits, directions = _keyed(rows, columns)
        basis = _basis(directions)
        soft = np.zeros(CODE_BITS)
        for luma in lumas:
            projection = np.einsum("nyx,nyx->n", _blocks(luma.astype(np.float32), rows, columns), basis)
            soft += np.bincount(bits, np.cos(2 * np.pi * projection / self.step), minlength=CODE_BITS)
        word = decode(soft[None] / max(float(np.abs(soft).max()), 1e-9))[0]
        return checked(word) == self.number and word >> CHECK_BITS == self.number


def _keyed(rows: int, columns: int) -> tuple[np.ndarray, np.ndarray]:
    """(N,) the bit of each block, (N, 5) the direction of its coefficients."""
    rng = np.random.default_rng(_SEED)
    count = rows * columns
    bits = rng.permutation(np.arange(count) % CODE_BITS)
    return bits, rng.choice([-1.0, 1.0], (count, len(_PLACES))) / math.sqrt(len(_PLACES))


def _basis(directions: np.ndarray) -> np.ndarray:
    """(N, 8, 8) float32: the picture of each block's direction, of unit norm."""
    waves = []
    for place in _PLACES:
        plane = np.zeros((_BLOCK, _BLOCK), np.float32)
        plane[place] = 1
        waves.append(cv2.idct(plane))
    return np.einsum("nk,kyx->nyx", directions, np.stack(waves)).astype(np.float32)


def _blocks(luma: np.ndarray, rows: int, columns: int) -> np.ndarray:
    cut = luma[: rows * _BLOCK, : columns * _BLOCK]
    return cut.reshape(rows, _BLOCK, columns, _BLOCK).swapaxes(1, 2).reshape(-1, _BLOCK, _BLOCK)
