from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import binomtest, norm

from shared.bootstrap import BootstrapSettings, mean_interval, sample_clusters, share_interval, widened

SETTINGS = BootstrapSettings(replicates=4000, seed=3)


def test_every_replicate_draws_as_many_clusters_as_there_are(rng):
    assert (sample_clusters(7, 50, rng).sum(axis=1) == 7).all()


def test_two_clusters_give_the_three_means_that_two_draws_can_give():
    low, high = mean_interval(np.array([0.0, 4.0]), np.array([2, 2]), np.array([0, 1]), SETTINGS)
    assert (low, high) == (0.0, 2.0)


def test_the_interval_is_that_of_the_mean_of_clusters_not_of_values():
    rng = np.random.default_rng(1)
    means = rng.normal(0, 1, 40)
    low, high = mean_interval(means * 100, np.full(40, 100), np.arange(40), SETTINGS)
    error = means.std() / np.sqrt(40)
    assert low == pytest.approx(means.mean() - 1.96 * error, abs=0.15 * error)
    assert high == pytest.approx(means.mean() + 1.96 * error, abs=0.15 * error)


def test_clips_of_one_cluster_are_drawn_together():
    totals, counts = np.array([0.0, 0.0, 1.0, 1.0]), np.ones(4)
    together = mean_interval(totals, counts, np.array([0, 0, 1, 1]), SETTINGS)
    apart = mean_interval(totals, counts, np.arange(4), SETTINGS)
    assert together == (0.0, 1.0)
    assert apart[1] - apart[0] <= 1.0


def test_one_cluster_gives_no_interval_and_bad_input_is_refused():
    assert mean_interval(np.array([1.0, 2.0]), np.ones(2), np.zeros(2, int), SETTINGS) is None
    with pytest.raises(ValueError, match="positive count"):
        mean_interval(np.array([1.0]), np.array([0]), np.array([0]), SETTINGS)
    with pytest.raises(ValueError, match="positive count"):
        mean_interval(np.array([1.0, 2.0]), np.ones(1), np.zeros(2, int), SETTINGS)
    with pytest.raises(ValueError, match="replicates"):
        BootstrapSettings(replicates=0)


def test_the_tails_of_ninety_five_percent():
    assert BootstrapSettings().tails == pytest.approx((2.5, 97.5))


def test_certainty_is_bounded_by_the_number_of_draws():
    """By hand: 0.025 ** (1 / 2) = 0.158, and Clopper and Pearson's interval of 8 hits of 8 is 0.631 to 1."""
    assert widened(1.0, 1.0, 2, SETTINGS) == (pytest.approx(0.1581, abs=1e-4), 1.0)
    assert widened(1.0, 1.0, 8, SETTINGS) == (pytest.approx(binomtest(8, 8).proportion_ci(0.95).low), 1.0)
    assert widened(0.0, 0.0, 8, SETTINGS) == (0.0, pytest.approx(binomtest(0, 8).proportion_ci(0.95).high))
    assert widened(0.2, 0.9, 8, SETTINGS) == (0.2, 0.9)


def test_the_bound_holds_for_separated_classes():
    """Of all draws, those that separate the classes lie as seldom below the true area as is claimed."""
    rng = np.random.default_rng(3)
    area, people, trials = 0.63, 8, 20_000  # the bound of eight people
    shift = np.sqrt(2) * norm.ppf(area)
    fakes, reals = rng.normal(shift, 1, (trials, people)), rng.normal(0, 1, (trials, people))
    separated = (fakes.min(axis=1) > reals.max(axis=1)).mean()
    assert separated <= 0.025


def test_a_share_of_one_is_no_certainty():
    clusters = np.repeat(np.arange(4), 3)
    assert share_interval(np.ones(12, bool), clusters, SETTINGS) == (pytest.approx(0.025**0.25), 1.0)
    assert share_interval(np.zeros(12, bool), clusters, SETTINGS) == (0.0, pytest.approx(1 - 0.025**0.25))
    assert share_interval(np.ones(3, bool), np.zeros(3), SETTINGS) is None
    low, high = share_interval(np.arange(12) % 3 == 0, clusters, SETTINGS)
    assert low == high == pytest.approx(1 / 3)  # every cluster is alike
