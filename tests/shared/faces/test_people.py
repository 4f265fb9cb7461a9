from __future__ import annotations

import numpy as np
import pytest

from shared.faces import people
from shared.faces.people import group_by_person


def test_near_embeddings_are_one_person_and_far_ones_are_not():
    embeddings = [np.array([0.0]), np.array([5.0]), np.array([0.3]), None, np.array([5.2])]
    assert group_by_person(embeddings, 0.6) == [[0, 2], [1, 4], [3]]
    assert group_by_person([], 0.6) == []
    assert group_by_person([None, None], 0.6) == [[0], [1]]


def test_the_mean_distance_counts_not_the_nearest_link():
    # By hand: 0 and 0.5 join at 0.5; 1.0 is 0.75 from both on average, so a chain does not run on.
    chain = [np.array([0.0]), np.array([0.5]), np.array([1.0])]
    assert group_by_person(chain, 0.6) == [[0, 1], [2]]
    assert group_by_person(chain, 0.8) == [[0, 1, 2]]


def test_a_distance_of_exactly_the_limit_is_another_person():
    assert group_by_person([np.array([0.0]), np.array([0.5])], 0.5) == [[0], [1]]


def test_who_is_seen_together_is_never_one():
    embeddings = [np.array([0.0]), np.array([0.1]), np.array([0.05])]
    groups = group_by_person(embeddings, 0.6, [(0, 1)])
    assert sorted(map(len, groups)) == [1, 2]
    assert not any({0, 1} <= set(group) for group in groups)


@pytest.mark.parametrize("apart", [(), ((0, 3),)])
def test_tracks_beyond_those_clustered_join_the_nearest(monkeypatch, apart):
    monkeypatch.setattr(people, "_MOST_CLUSTERED", 2)
    embeddings = [np.array([0.0]), np.array([5.0]), np.array([5.1]), np.array([0.1]), np.array([9.0])]
    expected = [[0], [1, 2], [3], [4]] if apart else [[0, 3], [1, 2], [4]]
    assert group_by_person(embeddings, 0.6, apart) == expected
