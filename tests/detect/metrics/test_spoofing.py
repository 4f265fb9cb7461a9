"""Costs and F1 of detectors of speech, against values worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from detect.metrics.spoofing import (
    DetectionCosts,
    act_dcf,
    best_f1_threshold,
    interval_over,
    min_dcf,
    segment_f1,
    segment_f1_interval,
    segments_of,
)
from shared.bootstrap import BootstrapSettings

LABELS = np.array([False, False, False, False, True, True, True, True])


def test_constants_are_those_of_asvspoof_5():
    costs = DetectionCosts()
    assert costs.default == pytest.approx(0.5)  # to call all real costs 10 x 0.05, all fake 1 x 0.95
    assert costs.llr_threshold == pytest.approx(np.log10(0.95 / 0.5))
    assert costs.cost(0.0, 0.0) == 0
    assert costs.cost(0.0, 1.0) == pytest.approx(1)
    assert costs.cost(1.0, 0.0) == pytest.approx(1.9)


def test_the_least_cost_is_that_of_the_best_threshold():
    assert min_dcf(LABELS, np.arange(8.0)) == 0
    # one fake below all real: accept it (10 * .05 * .25 / .5 = .25), or miss all four real (1.9)
    scores = np.array([1.0, 2, 3, 4, 0, 5, 6, 7])
    assert min_dcf(LABELS, scores) == pytest.approx(0.25)
    # one real above all fakes: miss it (.95 * .25 / .5)
    assert min_dcf(LABELS, np.array([0.0, 1, 2, 9, 5, 6, 7, 8])) == pytest.approx(0.475)
    assert min_dcf(LABELS, np.zeros(8)) == pytest.approx(1.0)
    assert min_dcf(np.ones(3, bool), np.zeros(3)) is None


def test_the_actual_cost_is_that_of_the_threshold_of_bayes():
    llrs = np.where(LABELS, 1.0, -1.0)
    assert act_dcf(LABELS, llrs) == 0
    assert act_dcf(LABELS, llrs - 0.9) == pytest.approx(1.0)  # right order, but all below 0.28: called real
    assert act_dcf(LABELS, llrs + 1.5) == pytest.approx(1.9)
    assert act_dcf(np.zeros(2, bool), np.zeros(2)) is None


def test_a_segment_is_fake_if_any_part_of_it_is_and_scores_as_its_highest_step():
    scores = np.array([0, 1, 2, 3, 4, 5, 6, 7, 8, 9], float)
    labels, values = segments_of([(0.05, 0.07)], scores, step_seconds=0.02, segment_seconds=0.08)
    assert labels.tolist() == [True, False, False]
    assert values.tolist() == [3, 7, 9]
    labels, _ = segments_of([(0.04, 0.08)], scores, step_seconds=0.02, segment_seconds=0.02)
    assert np.flatnonzero(labels).tolist() == [2, 3]
    assert segments_of([], np.zeros(0), step_seconds=0.02, segment_seconds=0.02)[0].size == 0


def test_f1_counts_hits_twice_over_called_and_true():
    labels = np.array([True, True, False, False, True])
    scores = np.array([3.0, 1, 2, 0, 5])
    assert segment_f1(labels, scores, 2) == pytest.approx(2 * 2 / (3 + 3))
    assert segment_f1(~labels & labels, scores, 2) is None
    assert best_f1_threshold(labels, scores) == 1  # four called, three hit: 6 / 7
    assert segment_f1(labels, scores, 1) == pytest.approx(6 / 7)
    assert best_f1_threshold(np.zeros(2, bool), np.zeros(2)) is None
    assert best_f1_threshold(np.array([True, False]), np.zeros(2)) == 0


def test_intervals_are_over_groups():
    settings = BootstrapSettings(replicates=200)
    rng = np.random.default_rng(0)
    labels = np.tile([False, True], 40)
    scores = labels + rng.normal(0, 0.8, 80)
    groups = np.repeat(np.arange(20), 4)
    low, high = interval_over(groups, labels, scores, min_dcf, settings)
    assert low < min_dcf(labels, scores) + 1e-9
    assert low < high
    assert interval_over(np.zeros(80), labels, scores, min_dcf, settings) is None
    low, high = segment_f1_interval(groups, labels, scores, 0.5, settings)
    assert low <= segment_f1(labels, scores, 0.5) <= high
    assert segment_f1_interval(np.zeros(80), labels, scores, 0.5, settings) is None
