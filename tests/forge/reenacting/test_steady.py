"""Jitter goes, movements stay."""

from __future__ import annotations

import numpy as np
import pytest

from forge.reenacting.steady import smoothed, steadied

SECONDS = np.arange(50) / 25


def test_a_mean_over_time_by_hand():
    spike = np.zeros((5, 1))
    spike[2] = 1.0
    found = smoothed(spike, np.arange(5) * 1.0, 0.5)[:, 0]
    side = np.exp(-2.0)
    assert found == pytest.approx([0, side / (1 + 2 * side), 1 / (1 + 2 * side), side / (1 + 2 * side), 0], abs=1e-3)


def test_jitter_goes_and_lips_that_shut_for_two_frames_stay_shut(rng):
    jitter = rng.normal(0, 0.001, (50, 2, 2))
    shut = np.zeros((50, 2, 2))
    shut[20:22, 0, 1] = -0.08
    found = steadied(shut + jitter, SECONDS, most_noise=0.003)
    assert found[:, 1].std() < 0.6 * jitter[:, 1].std()
    assert found[20:22, 0, 1] == pytest.approx([-0.08, -0.08], abs=0.004)


def test_what_is_faster_than_a_finder_jitters_is_no_jitter():
    fast = 0.05 * np.sin(np.arange(50) * 2 * np.pi / 6)[:, None, None] * np.ones((1, 1, 2))
    assert np.abs(steadied(fast, SECONDS, most_noise=0.003) - fast).max() < 0.01


def test_a_few_frames_stay_as_they_are(rng):
    points = rng.normal(size=(7, 3, 2))
    assert steadied(points, SECONDS[:7], most_noise=1.0) is points
