"""Index arithmetic against small tables and the properties that the tables stand for."""

from __future__ import annotations

from itertools import pairwise

import pytest

from shared.sampling import evenly_spaced, runs_of, windows


@pytest.mark.parametrize(
    ("total", "count", "expected"),
    [
        (10, 1, [5]),
        (1, 1, [0]),
        (10, 2, [0, 9]),
        (10, 4, [0, 3, 6, 9]),
        (11, 3, [0, 5, 10]),
        (5, 3, [0, 2, 4]),
        (6, 4, [0, 2, 3, 5]),
        (3, 5, [0, 1, 2]),
        (0, 3, []),
    ],
)
def test_evenly_spaced(total, count, expected):
    assert evenly_spaced(total, count) == expected


def test_evenly_spaced_is_ascending_within_range_and_even():
    for total in range(1, 60):
        for count in range(2, total + 1):
            indices = evenly_spaced(total, count)
            steps = [after - before for before, after in pairwise(indices)]
            assert len(indices) == count
            assert (indices[0], indices[-1]) == (0, total - 1)
            assert min(steps) >= 1
            assert max(steps) - min(steps) <= 1


@pytest.mark.parametrize(
    ("total", "length", "stride", "expected"),
    [
        (10, 4, 4, [(0, 4), (4, 8), (6, 10)]),
        (8, 4, 4, [(0, 4), (4, 8)]),
        (8, 4, 2, [(0, 4), (2, 6), (4, 8)]),
        (3, 4, 1, [(0, 3)]),
        (4, 4, 9, [(0, 4)]),
        (9, 2, 5, [(0, 2), (5, 7), (7, 9)]),
        (0, 4, 4, []),
    ],
)
def test_windows(total, length, stride, expected):
    assert windows(total, length, stride) == expected


def test_windows_with_a_stride_up_to_their_length_cover_everything():
    for total in range(1, 40):
        for length in range(1, 10):
            for stride in range(1, length + 1):
                covered = {index for start, stop in windows(total, length, stride) for index in range(start, stop)}
                assert covered == set(range(total))


@pytest.mark.parametrize(
    ("indices", "expected"),
    [
        ([], []),
        ([5], [(5, 6)]),
        ([3, 4, 7], [(3, 5), (7, 8)]),
        ([0, 1, 2], [(0, 3)]),
        ([1, 3, 5], [(1, 2), (3, 4), (5, 6)]),
    ],
)
def test_runs(indices, expected):
    assert runs_of(indices) == expected


def test_nonsense_is_refused():
    for wrong in ((-1, 1), (5, 0)):
        with pytest.raises(ValueError, match="need total"):
            evenly_spaced(*wrong)
    for wrong in ((5, 0, 1), (5, 1, 0)):
        with pytest.raises(ValueError, match="need length"):
            windows(*wrong)
