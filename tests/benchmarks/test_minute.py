"""The benchmark of a minute of video: an inspection as a command, its time, memory and steps."""

from __future__ import annotations

import resource

import numpy as np
import pytest

from benchmarks.commands_speed import minute
from benchmarks.minute import Inspected, inspect_once, measure_inspection
from benchmarks.schema import Measurement
from detect.models import build_detector
from detect.models.checkpoint import DetectorFacts, save_detector
from shared.errors import RunError
from tests.factories import write_clip


@pytest.fixture
def detector(tmp_path):
    model = build_detector("test_efficientnet", input_px=64, pretrained=False)
    return save_detector(model, tmp_path / "detector", DetectorFacts(model.spec), card="# untrained\n")


def test_an_inspection_tells_its_time_memory_and_steps(detector, tmp_path):
    clip = write_clip(tmp_path / "clip.mp4", np.zeros((6, 48, 64, 3), np.uint8))
    found = inspect_once(clip, detector, tmp_path / "case", device="cpu")
    assert found.cpu_seconds > 0
    assert found.wall_seconds > 0
    # What the system counts for a child begins with this process, which started it.
    own_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6
    assert 100 < found.peak_mb < 3_000 + own_mb
    assert {"intake", "detector", "evidence: coding of the frames", "writing"} <= found.steps.keys()
    assert sum(found.steps.values()) < found.wall_seconds
    with pytest.raises(RunError, match=r"clip\.mp4 ended with 1"):
        inspect_once(clip, detector, tmp_path / "case", device="cpu")  # the case exists


def test_targets_grow_with_the_length_and_steps_stand_one_by_one():
    runs = [Inspected(100.0, 150.0, 900.0, {"intake": 1.0}), Inspected(120.0, 170.0, 950.0, {"exit": 3.0})]
    found = {one.name: one for one in measure_inspection(runs, length=60.0)}
    assert found["inspection, wall clock"].target == 180.0
    assert found["inspection, processor time of all processes"].target == 360.0
    assert all(one.met is not False for one in found.values())
    assert found["step: intake"].values == (1.0, 0.0)
    assert found["step: exit"].values == (0.0, 3.0)


def test_a_given_clip_is_measured_by_its_own_length(detector, tmp_path, monkeypatch):
    clip, lengths = write_clip(tmp_path / "clip.mp4", np.zeros((50, 48, 64, 3), np.uint8)), []

    def measured(*_, length, **__):
        lengths.append(length)
        return [Measurement.of("scoring", "s", [1.0])]

    monkeypatch.setattr("benchmarks.minute.measure", measured)
    minute(detector, clip=clip, inspection=False, device="cpu")
    assert lengths == [pytest.approx(2.0, abs=0.1)]
