from __future__ import annotations

import numpy as np
import pytest

from forge.quality.frechet import frechet_distance, frechet_interval
from shared.bootstrap import BootstrapSettings

SETTINGS = BootstrapSettings(seed=1)


def frechet_of_gaussians(mean_a: np.ndarray, cov_a: np.ndarray, mean_b: np.ndarray, cov_b: np.ndarray) -> float:
    """Squared distance of two Gaussians: ``|mean_a - mean_b|^2 + tr(A + B - 2 (A B)^(1/2))``.

    ``mean``: (D,), ``cov``: (D, D), symmetric and not negative. ``(A B)^(1/2)`` has the trace of
    ``(A^(1/2) B A^(1/2))^(1/2)``, which is symmetric, so no complex numbers appear.
    """
    values, vectors = np.linalg.eigh(cov_a)
    root = (vectors * np.sqrt(values.clip(min=0))) @ vectors.T
    middle = np.linalg.eigvalsh(root @ cov_b @ root).clip(min=0)
    apart = float(((mean_a - mean_b) ** 2).sum())
    return apart + float(np.trace(cov_a) + np.trace(cov_b) - 2 * np.sqrt(middle).sum())


def test_gaussians_whose_axes_agree_have_the_closed_form():
    a, b = np.array([1.0, 4.0, 9.0]), np.array([4.0, 4.0, 1.0])
    apart = np.array([3.0, 0.0, 4.0])
    expected = 25.0 + ((np.sqrt(a) - np.sqrt(b)) ** 2).sum()
    assert frechet_of_gaussians(apart, np.diag(a), np.zeros(3), np.diag(b)) == pytest.approx(expected)


def test_turned_gaussians_by_hand():
    """A turn by a right angle swaps the axes: (A B)^(1/2) is then 2 times the identity."""
    assert frechet_of_gaussians(np.zeros(2), np.diag([1.0, 4.0]), np.zeros(2), np.diag([4.0, 1.0])) == pytest.approx(2)


def test_vectors_give_what_their_means_and_covariances_give(rng):
    a, b = rng.normal(0, 1, (30, 5)), rng.normal(0.5, 2, (40, 5))
    expected = frechet_of_gaussians(a.mean(0), np.cov(a.T), b.mean(0), np.cov(b.T))
    assert frechet_distance(a, b) == pytest.approx(expected)
    assert frechet_distance(a, a) == pytest.approx(0, abs=1e-9)


def test_fewer_vectors_than_their_length_are_no_trouble_but_a_larger_distance(rng):
    many, few = (frechet_distance(rng.normal(0, 1, (n, 64)), rng.normal(0, 1, (n, 64))) for n in (800, 20))
    assert few > 3 * many > 0


def test_the_interval_holds_the_value_and_repeats_itself(rng):
    a = rng.normal(0, 1, (60, 8))
    b = a + np.repeat(rng.normal(1, 0.3, (6, 8)), 10, axis=0)
    clusters = np.repeat(np.arange(6), 10)
    low, high = frechet_interval(a, b, clusters, SETTINGS)
    assert 0 <= low < frechet_distance(a, b) < high
    assert frechet_interval(a, b, clusters, SETTINGS) == (low, high)
    assert frechet_interval(a, b, np.zeros(60, int), SETTINGS) is None


def test_sets_that_cannot_be_compared_are_refused(rng):
    a = rng.normal(0, 1, (5, 3))
    for other in (a[:1], a[:, :2], a[0]):
        with pytest.raises(ValueError, match="two sets"):
            frechet_distance(a, other)
    with pytest.raises(ValueError, match="pairs"):
        frechet_interval(a, a[:4], np.arange(5), SETTINGS)
