"""A disk that is full, a limit on file size, somebody else's folder: a sentence, and what was good stays good."""

from __future__ import annotations

import sys

import pytest

from benchmarks import refusals


def test_what_went_wrong_is_counted_by_obstacle():
    outcomes = [refusals.Outcome("inspect", "full", ""), refusals.Outcome("dataset add", "full", "traceback x")]
    (found,) = refusals.measurements(outcomes)
    assert (found.name, found.values, found.note) == ("full: went wrong", (1.0,), "of 2")


@pytest.mark.slow
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="forks as Linux does")
def test_every_command_says_that_it_may_not_write():
    assert [outcome for outcome in refusals.run() if outcome.fault] == []
