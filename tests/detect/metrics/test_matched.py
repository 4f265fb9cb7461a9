from __future__ import annotations

import numpy as np
import pytest

from detect.metrics.classification import auc
from detect.metrics.matched import matched_auc, person_spread


def test_spread_of_people_is_that_of_their_means():
    """Means 1, 3 and 5; how often a person comes does not matter."""
    logits, people = np.array([0.0, 2, 3, 5, 5, 5, 5]), np.array([7, 7, 8, 9, 9, 9, 9])
    assert person_spread(logits, people) == pytest.approx(2.0)
    assert person_spread(logits[:2], people[:2]) is None
    assert person_spread(np.empty(0), np.empty(0, int)) is None


def test_matching_by_hand():
    """Softness of 0 and 10 only. Among equals the scores tie, or the fake loses once."""
    labels = np.array([0, 0, 0, 1, 1, 1, 1], bool)
    quality = np.array([0.0, 0, 10, 0, 10, 10, 30])
    logits = np.array([1.0, 1, 5, 1, 5, 4, 9])
    found = matched_auc(labels, logits, quality, np.arange(7))
    assert found is not None
    assert (found.matched, found.fakes) == (3, 4)  # nobody is as soft as the last
    assert found.value == pytest.approx((0.5 + 0.5 + 0) / 3)
    assert found.low is not None


def test_where_softness_explains_all_the_auc_falls_to_chance(rng: np.random.Generator):
    """Fakes are softer by a step, and the score is nothing but softness, in levels."""
    labels = np.repeat([False, True], 400)
    quality = np.concatenate([rng.integers(0, 8, 400), rng.integers(3, 11, 400)]).astype(float)
    people = np.arange(800) % 40
    raw = auc(labels, quality)
    assert raw is not None
    assert raw > 0.75
    found = matched_auc(labels, quality, quality, people)
    assert found is not None
    assert found.value == 0.5
    smooth = rng.normal(0, 1, 800) + labels
    near = matched_auc(labels, smooth, smooth, people)
    assert near is not None
    assert near.value == pytest.approx(0.5, abs=0.05)


def test_where_softness_explains_nothing_the_auc_stays(rng: np.random.Generator):
    labels = np.repeat([False, True], 400)
    quality, people = rng.normal(0, 1, (800, 2)), np.arange(800) % 40
    logits = rng.normal(0, 1, 800) + labels
    raw, found = auc(labels, logits), matched_auc(labels, logits, quality, people)
    assert raw is not None
    assert found is not None
    assert found.low is not None
    assert found.high is not None
    assert found.value == pytest.approx(raw, abs=0.03)
    assert found.low < raw < found.high


def test_a_face_is_not_matched_with_its_own_person():
    labels, people = np.array([0, 1, 0], bool), np.array([1, 1, 2])
    logits, quality = np.array([0.0, 1.0, 2.0]), np.array([1.0, 1.0, 1.0])
    found = matched_auc(labels, logits, quality, people)
    assert found is not None
    assert (found.value, found.low, found.high) == (0.0, None, None)
    assert matched_auc(labels[:2], logits[:2], quality[:2], people[:2]) is None
