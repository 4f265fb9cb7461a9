from __future__ import annotations

import pytest

from shared.training import load
from shared.training.load import LoadWatch, load_text


class Times:
    """Two clocks that a test moves: what passes, and what a thread gets of it."""

    def __init__(self) -> None:
        self.passed = self.own = 0.0
        self.watch = LoadWatch(lambda: self.passed, lambda: self.own)

    def run(self, seconds: float, share: float) -> float | None:
        self.passed += seconds
        self.own += share * seconds
        return self.watch.busy_share()


def test_a_thread_that_runs_is_on_an_idle_machine():
    times = Times()
    assert [times.run(10, 0.95) for _ in range(30)] == [None] * 30


def test_one_that_waits_is_told_of_once_half_a_minute_on():
    times = Times()
    assert [times.run(10, 0.4) for _ in range(2)] == [None, None]
    assert times.run(10, 0.4) == pytest.approx(0.4)
    assert [times.run(40, 0.2) for _ in range(3)] == [None] * 3


def test_a_short_wait_in_half_a_minute_is_nothing_and_load_that_comes_later_is_seen():
    times = Times()
    assert times.run(5, 0.1) is None
    assert times.run(25, 1.0) is None
    assert times.run(30, 0.5) == pytest.approx(0.5)


def test_time_that_is_left_out_makes_no_machine_busy():
    times = Times()
    assert times.run(29, 0.2) is None
    times.watch.restart()
    assert [times.run(10, 0.9) for _ in range(3)] == [None] * 3
    assert times.run(30, 0.3) == pytest.approx(0.3)


def test_the_load_average_is_given_where_there_is_one(monkeypatch):
    monkeypatch.setattr(load.os, "getloadavg", lambda: (6.12, 0.0, 0.0), raising=False)
    monkeypatch.setattr(load.os, "cpu_count", lambda: 2)
    assert load_text() == "load average 6.1 on 2 cores"
    monkeypatch.delattr(load.os, "getloadavg")
    assert load_text() == ""
