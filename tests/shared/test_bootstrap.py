from __future__ import annotations

import numpy as np
import pytest

from shared.bootstrap import BootstrapSettings, mean_interval, sample_clusters

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
