"""The set of the scaling benchmark is a sound one, and its numbers are those that the build recorded."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks import scaling
from benchmarks.scaling import Build, make_settings, measurements
from benchmarks.toy_set import toy_set
from forge.building.build import BuildResult, plan_build
from forge.building.spec import load_spec
from shared.engine.local import LocalEngine
from shared.errors import UsageError


def test_the_set_is_four_people_in_two_splits_with_twelve_fakes_and_three_renditions(tmp_path):
    toy_set(tmp_path / "clips", groups=(2, 2))
    clips = sorted((tmp_path / "clips").glob("*.mp4"))
    spec = load_spec(make_settings(tmp_path, clips, frames=8, steps=2, finder="sidecar"))
    dry = plan_build(spec, tmp_path / "out")
    fakes = {clip.task.id.name.partition("@")[0] for clip in dry.plan.clips if clip.task.id.manipulation}
    assert len(dry.plan.clips) == (4 + 12) * 3
    assert len(fakes) >= 4
    assert {cost.kind: cost.missing for cost in dry.costs}["train"] == 2
    assert {clip.split for clip in dry.plan.clips} == {"train", "test"}


def test_other_than_four_clips_are_refused(tmp_path):
    with pytest.raises(UsageError, match="1 clips"):
        make_settings(tmp_path, [tmp_path / "ann.mp4"], frames=8, steps=2, finder="dlib")


def test_a_build_is_timed_by_stage(tmp_path):
    seen = scaling._build(toy_set(tmp_path / "clips"), tmp_path / "out", LocalEngine(1))
    assert set(seen.stages) == {"shot", "faceset", "train", "master", "clips"}
    assert sum(seen.stages.values()) == pytest.approx(seen.result.seconds)
    assert seen.result.seconds > 0
    assert seen.wall_seconds > 0


def test_rates_and_their_ratio_by_hand():
    """48 clips: 60 s of work are 48 a minute, its 40 s of training alone 72; 80 s of wall clock beside 50 are 1.6."""

    def build(wall: float) -> Build:
        result = BuildResult(Path("out"), 48, 48, {}, {"train": 2, "clips": 16}, seconds=60.0)
        return Build(wall, result, {"train": 40.0, "clips": 20.0}, "same")

    found = {one.name.partition(":")[0]: one for one in measurements(build(80.0), build(50.0))}
    assert found["a whole build, of one core"].median == 48
    assert (found["train"].median, found["clips"].median) == (72, 144)
    assert "slowest" in found["train"].note
    assert "slowest" not in found["clips"].note
    assert found["one Ray worker"].median == 36
    assert found["two Ray workers beside one"].median == 1.6
