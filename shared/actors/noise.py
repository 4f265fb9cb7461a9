"""Smooth random fields for textures and backgrounds, independent of resolution."""

from __future__ import annotations

import cv2
import numpy as np


def smooth_field(rng: np.random.Generator, size: tuple[int, int], cells: tuple[int, int]) -> np.ndarray:
    """(H, W) float32, mean about 0 and deviation about 1, varying over ``cells`` (rows, columns) of the image."""
    coarse = rng.standard_normal(cells).astype(np.float32)
    field = cv2.resize(coarse, (size[1], size[0]), interpolation=cv2.INTER_CUBIC)
    if cells[0] >= size[0] or cells[1] >= size[1]:
        field = cv2.resize(coarse, (size[1], size[0]), interpolation=cv2.INTER_AREA)
    return field * np.float32(1.35)


def fractal_field(rng: np.random.Generator, size: tuple[int, int], cells: int, octaves: int) -> np.ndarray:
    """(H, W) float32: fields of doubling detail and halving strength, deviation about 1."""
    out = np.zeros(size, dtype=np.float32)
    total = 0.0
    for octave in range(octaves):
        weight = 0.5**octave
        side = cells * 2**octave
        out += np.float32(weight) * smooth_field(rng, size, (side, side))
        total += weight * weight
    return out / np.float32(np.sqrt(total))


def strands(rng: np.random.Generator, size: tuple[int, int], across: int, along: int) -> np.ndarray:
    """(H, W) float32, deviation about 1: streaks along the rows' direction (down), ``across`` of them side by side."""
    fine = smooth_field(rng, size, (along, across))
    coarse = smooth_field(rng, size, (max(along // 2, 2), max(across // 5, 2)))
    return (fine * np.float32(0.75) + coarse * np.float32(0.66)).astype(np.float32)
