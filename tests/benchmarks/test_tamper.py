"""Each of the seven tamperings is found in a small set and named; the set is not accused before."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks import tamper
from benchmarks.tamper import TAMPERINGS, Outcome, Stage, make_stage, measurements


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Stage:
    return make_stage(tmp_path_factory.mktemp("stage"))


@pytest.mark.parametrize("seed", range(len(TAMPERINGS)), ids=[kind.replace(" ", "-") for kind in TAMPERINGS])
def test_a_tampering_is_named(stage: Stage, tmp_path: Path, seed: int):
    outcome = tamper._outcome(tmp_path / f"set-{seed}", stage, seed)
    assert outcome.accused == ()
    assert outcome.kind == list(TAMPERINGS)[seed]
    assert outcome.found, outcome.said


def test_what_is_missed_is_counted():
    outcomes = [
        Outcome(0, "a flipped byte", (), True, ()),
        Outcome(7, "a flipped byte", ("accused",), False, ()),
        Outcome(1, "a removed line", (), True, ()),
    ]
    found = {m.name: (m.median, m.met) for m in measurements(outcomes)}
    assert found == {
        "untouched sets accused": (1.0, False),
        "found: a flipped byte": (0.5, False),
        "found: a removed line": (1.0, True),
    }
