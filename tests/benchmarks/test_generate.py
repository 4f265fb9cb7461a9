"""The kernel distance, against values worked by hand and samples of known distributions."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.kernel_distance import kernel_distances, unbiased_mmd


def test_the_distance_of_four_vectors_worked_by_hand():
    one, other = np.array([[1.0], [1.0]]), np.array([[0.0], [0.0]])
    # k(1, 1) = 2^3, k(0, 0) = 1, k(1, 0) = 1: without the diagonals 8 + 1 - 2.
    assert unbiased_mmd(one, other) == pytest.approx(7.0)


def test_equal_distributions_are_at_zero_on_average_and_shifted_ones_are_not(rng):
    one, other = rng.normal(size=(400, 8)), rng.normal(size=(400, 8))
    near = kernel_distances(one, other, rng, blocks=40)
    far = kernel_distances(one, other + 1, rng, blocks=40)
    assert near.shape == (40,)
    assert abs(near.mean()) < 0.05 < far.mean()
    assert near.min() < 0  # unbiased, so it is not bounded by zero
    with pytest.raises(ValueError, match="two rows"):
        kernel_distances(one[:1], other, rng)
