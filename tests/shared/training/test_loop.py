from __future__ import annotations

import os
import signal

import pytest

from shared.training.load import LoadWatch
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


@pytest.mark.parametrize(("minutes", "said"), [(None, "so it takes longer"), (2.0, "--minutes goes by the clock")])
@pytest.mark.parametrize("on_cpu", [True, False])
def test_a_busy_machine_is_told_of_with_what_to_do(monkeypatch, capsys, minutes, said, on_cpu):
    monkeypatch.setattr(LoadWatch, "busy_share", lambda _watch: 0.4)
    monkeypatch.setattr("shared.training.loop.load_text", lambda: "load average 6.1 on 2 cores")
    one = BaseLoop(Processes(), steps=10, minutes=minutes, unit="face", on_cpu=on_cpu)
    with one.running(0, 8) as (_noted, advance):
        advance("step 1")
    told = " ".join(capsys.readouterr().err.split())
    assert ("its processor for 40 % of the time (load average 6.1 on 2 cores)" in told) is on_cpu
    assert (said in told) is on_cpu


def test_own_work_makes_no_machine_busy(monkeypatch):
    passed = 0.0
    monkeypatch.setattr("shared.training.loop.LoadWatch", lambda: LoadWatch(lambda: passed, lambda: 0.0))
    told: list[float] = []
    monkeypatch.setattr(BaseLoop, "_tell_busy", lambda _loop, share: told.append(share))
    one = BaseLoop(Processes(), steps=10, minutes=None, unit="face", on_cpu=True)
    one.busy_with_own_work()  # before the clock runs
    with one.running(0, 8) as (_noted, advance):
        for _ in range(3):
            passed += 31.0
            one.busy_with_own_work()
            advance("step")
        assert not told
        passed += 31.0
        advance("step")
    assert told == [0.0]


def test_the_newest_checkpoint_is_that_of_the_run(tmp_path):
    assert loop().newest(None) is None
    with Run.open_or_create(tmp_path / "run", {"a": 1}, seed=0, inputs={}, kind="test") as run:
        assert loop().newest(run) is None
        run.save(3, {}, {"left": 1})
        found = loop().newest(run)
    assert found is not None
    assert (found.step, found.meta) == (3, {"left": 1})
