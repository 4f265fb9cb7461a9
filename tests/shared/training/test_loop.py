from __future__ import annotations

import os
import signal

import pytest

from shared.training.loop import BaseLoop
from shared.training.processes import Processes
from shared.training.run import Run


def loop(*, steps: int = 1000, minutes: float | None = None) -> BaseLoop:
    return BaseLoop(Processes(), steps=steps, minutes=minutes, unit="faces")


@pytest.mark.parametrize(
    ("step", "seconds", "minutes", "expected"),
    [(250, 0, None, 0.25), (250, 90, 2, 0.75), (900, 30, 2, 0.9), (2000, 0, None, 1.0), (0, 600, 2, 1.0)],
)
def test_whichever_is_further_on_drives_the_schedule(step, seconds, minutes, expected):
    one = loop(minutes=minutes)
    one.earlier_seconds = seconds
    with one.running(step, 1):
        assert one.fraction(step) == pytest.approx(expected, abs=0.05)


def test_a_signal_is_noted_and_stops_all():
    one = loop()
    with one.running(0, 8) as (noted, advance):
        advance("step 1")
        assert not one.agree(stopped=bool(noted))
        os.kill(os.getpid(), signal.SIGINT)
        assert one.agree(stopped=bool(noted))
    with pytest.raises(KeyboardInterrupt):
        one.stop(1)


def test_the_newest_checkpoint_is_that_of_the_run(tmp_path):
    assert loop().newest(None) is None
    with Run.open_or_create(tmp_path / "run", {"a": 1}, seed=0, inputs={}, kind="test") as run:
        assert loop().newest(run) is None
        run.save(3, {}, {"left": 1})
        found = loop().newest(run)
    assert found is not None
    assert (found.step, found.meta) == (3, {"left": 1})
