"""A killed or interrupted command run again ends as one left alone; what is compared is what has to be equal."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from benchmarks import kills
from benchmarks.kills import ERRANDS, Outcome, files_digest, measurements


def test_files_are_compared_by_name_and_bytes_but_not_by_how_long_training_took(tmp_path: Path):
    for name, seconds, loss in (("a", 1, 5), ("b", 2, 5), ("c", 2, 6)):
        out = tmp_path / name / "out" / "swapper"
        out.mkdir(parents=True)
        (out / "swapper.toml").write_text(f"seconds = {seconds}\nloss = {loss}\n")
    digest = files_digest("swapper/*")
    assert digest(tmp_path / "a") == digest(tmp_path / "b") != digest(tmp_path / "c")


def test_what_went_wrong_is_counted_by_command():
    outcomes = [Outcome("inspect", "SIGKILL", True, ()), Outcome("inspect", "SIGINT", False, ("it ended otherwise",))]
    found = {each.name: each.values[0] for each in measurements(outcomes, {"inspect": 1.5})}
    assert found == {
        "inspect: stopped while running": 1.0,
        "inspect: went wrong": 1.0,
        "inspect: left alone": 1.5,
    }


@pytest.mark.slow
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="forks as Linux does")
def test_every_command_goes_on_after_a_kill_and_an_interrupt():
    outcomes, alone = kills.run(2, seed=7)
    assert [outcome for outcome in outcomes if outcome.faults] == []
    assert set(alone) == {errand.name for errand in ERRANDS}
    assert any(outcome.stopped for outcome in outcomes)
