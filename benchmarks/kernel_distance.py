"""Kernel distance of two sets of features.

Bińkowski et al., "Demystifying MMD GANs", ICLR 2018: the squared maximum mean discrepancy with the polynomial kernel
(x y / D + 1)^3, its unbiased estimate (equation 4, without the diagonals), averaged over random blocks. It is
comparable only within one set of features: the name of the features belongs to the number.
"""

from __future__ import annotations

import numpy as np


def unbiased_mmd(one: np.ndarray, other: np.ndarray) -> float:
    """The squared discrepancy of ``one`` (N, D) and ``other`` (M, D), N and M at least 2; it may be below 0."""
    count, others = len(one), len(other)
    within, without, across = _kernel(one, one), _kernel(other, other), _kernel(one, other)
    first = (within.sum() - np.trace(within)) / (count * (count - 1))
    second = (without.sum() - np.trace(without)) / (others * (others - 1))
    return float(first + second - 2 * across.mean())


def kernel_distances(
    one: np.ndarray, other: np.ndarray, rng: np.random.Generator, *, blocks: int = 50, size: int = 100
) -> np.ndarray:
    """(blocks,) :func:`unbiased_mmd` of random blocks of ``size`` rows of each, at most as many as there are."""
    most = min(size, len(one), len(other))
    if most < 2:
        raise ValueError("a distance needs two rows of each set")
    return np.array(
        [
            unbiased_mmd(one[rng.choice(len(one), most, False)], other[rng.choice(len(other), most, False)])
            for _ in range(blocks)
        ]
    )


def _kernel(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    return (one.astype(np.float64) @ other.T.astype(np.float64) / one.shape[1] + 1) ** 3
