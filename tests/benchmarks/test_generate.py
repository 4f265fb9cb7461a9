"""The kernel distance, against values worked by hand and samples of known distributions."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.generated_stills import CHAINS, halved, logits, people_apart, trained
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


def test_people_are_of_one_side_and_chains_keep_the_shape(rng):
    train, test = people_apart(["a", "a", "b", "c", "d", "b"])
    assert train.tolist() == [0, 1, 3]
    assert test.tolist() == [2, 4, 5]
    face = rng.integers(0, 255, (32, 32, 3), np.uint8)
    for change in CHAINS.values():
        assert change(face).shape == face.shape
    assert halved(face).std() < face.std()


def test_a_detector_of_stills_learns_what_tells_them_apart(rng):
    flat = [np.full((32, 32, 3), shade, np.uint8) for shade in rng.integers(40, 200, 40)]
    noisy = [np.clip(face + rng.normal(0, 20, face.shape), 0, 255).astype(np.uint8) for face in flat]
    detector = trained(noisy, flat, "spectrum", "spectrum", 32, epochs=8)
    assert logits(detector, flat).min() > logits(detector, noisy).max()
