"""Four processes write one clip name at once: one wins, the set verifies, nothing else lies in it."""

from __future__ import annotations

import pytest

from benchmarks.writers import WRITERS, Outcome, measurements, run

pytestmark = pytest.mark.slow


@pytest.mark.slow
def test_one_of_four_writers_wins_and_the_set_stays_whole():
    outcomes = run(12)
    assert [outcome.faults for outcome in outcomes] == [()] * 12
    assert {outcome.refused for outcome in outcomes} == {WRITERS - 1}


def test_what_went_wrong_is_counted():
    found = {m.name: (m.median, m.met) for m in measurements([Outcome(0, 3, ()), Outcome(1, 2, ("a stray",))])}
    assert found == {"rounds that went wrong": (1.0, False), "refused writers a round": (2.5, None)}
