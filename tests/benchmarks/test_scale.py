"""The made-up set is a sound one, and the benchmark measures what it says."""

from __future__ import annotations

from pathlib import Path

from benchmarks.scale import make_set, measure
from shared.dataset import DatasetFolder, verify_dataset


def test_a_small_made_up_set_lacks_nothing_but_its_media(tmp_path: Path):
    make_set(tmp_path / "scale", 64)
    kinds = {problem.kind for problem in verify_dataset(tmp_path / "scale", deep=False)}
    assert kinds == {"file"}
    records = DatasetFolder.open(tmp_path / "scale").records()
    assert {record.split for record in records} == {"train", "val", "test"}
    assert sum(record.label == "fake" for record in records) == 48


def test_every_step_is_timed():
    found = {m.name: m for m in measure(64)}
    steps = [m.median for name, m in found.items() if name.split(",")[0] not in ("all steps", "peak memory")]
    assert len(steps) == 4
    assert abs(sum(steps) - found["all steps"].median) < 0.01
    assert found["peak memory"].target == 2000
