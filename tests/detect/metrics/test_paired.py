from __future__ import annotations

import numpy as np
import pytest

from detect.metrics.paired import evaluate_pairs, outranked, own_reals, pair_outcomes, paired_accuracy, weighted_pairs
from shared.bootstrap import BootstrapSettings

LOGITS = np.array([0.0, 1.0, 5.0, 6.0, 5.0, 4.0, 2.0])
PAIRS = [(1, 0), (3, 2), (4, 2), (5, 2), (6, 2)]


def test_a_fake_above_its_real_counts_one_a_tie_half_by_hand():
    """Fakes of 1, 6, 5, 4, 2 against reals of 0, 5, 5, 5, 5: won, won, tied, lost, lost."""
    places, outcomes = pair_outcomes(LOGITS, PAIRS)
    assert places.tolist() == [1, 3, 4, 5, 6]
    assert outcomes.tolist() == [1.0, 1.0, 0.5, 0.0, 0.0]
    assert paired_accuracy(LOGITS, PAIRS) == 0.5


def test_a_fake_with_two_reals_counts_once():
    assert pair_outcomes(np.array([0.0, 3.0, 2.0]), [(2, 0), (2, 1)])[1].tolist() == [0.5]


def test_pairs_without_both_scores_have_no_outcome():
    logits = np.array([np.nan, 1.0, 0.0, 2.0])
    assert pair_outcomes(logits, [(1, 0), (3, 2)])[0].tolist() == [3]
    assert paired_accuracy(logits, [(1, 0)]) is None
    assert evaluate_pairs(logits, [(1, 0)], np.zeros(4, int)) is None


def test_the_interval_is_over_clusters_of_people():
    """Two clusters, one all won and one all lost: replicates give 0, a half and 1."""
    logits = np.array([0.0, 1.0, 1.0, 0.0, -1.0, -1.0])
    pairs = [(1, 0), (2, 0), (4, 3), (5, 3)]
    found = evaluate_pairs(logits, pairs, np.array([0, 0, 0, 1, 1, 1]), bootstrap=BootstrapSettings(replicates=400))
    assert (found.value, found.low, found.high, found.clusters) == (0.5, 0.0, 1.0, 2)
    assert (found.num_real, found.num_fake, found.metric) == (2, 4, "paired_accuracy")


def test_of_one_cluster_there_is_no_interval():
    found = evaluate_pairs(np.array([0.0, 1.0]), [(1, 0)], np.zeros(2, int))
    assert (found.value, found.low, found.high) == (1.0, None, None)


def test_where_all_pairs_are_won_the_interval_is_as_wide_as_the_people_demand():
    """Eight people can show no more than 0.025 ** (1/8) = 0.63."""
    logits = np.tile([0.0, 1.0], 8)
    pairs = [(2 * n + 1, 2 * n) for n in range(8)]
    found = evaluate_pairs(logits, pairs, np.repeat(np.arange(8), 2))
    assert found.low == pytest.approx(0.025 ** (1 / 8))
    assert found.high == 1.0


def test_own_reals_are_found_by_name():
    assert own_reals([(), ("a",), ("b", "a"), ("gone",)], {"a": 0, "b": 7}) == [(1, 0), (2, 7), (2, 0)]


def test_weighted_means_by_hand():
    outcomes, owners = np.array([1.0, 0.0, 0.5]), np.array([0, 0, 1])
    weights = np.array([[1.0, 1.0, 0.0], [0.0, 2.0, 0.0], [0.0, 0.0, 2.0]])
    np.testing.assert_allclose(weighted_pairs(outcomes, owners, weights), [0.5, 0.5, np.nan])


def test_a_fake_outranks_by_hand():
    found = outranked(np.array([1.0, 1, 1, 4]), np.array([0.0, 1, 2, 3]))
    np.testing.assert_array_equal(found, [1, 0.5, 0, 1])
