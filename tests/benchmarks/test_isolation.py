from __future__ import annotations

from pathlib import Path

from benchmarks.isolation import measure
from shared.actors import Actor, film


def test_both_ways_are_timed_and_compared(tmp_path: Path):
    clip = film(Actor.from_seed(0), tmp_path / "actor.mp4", seconds=0.4, px=96, seed=0)
    apart, together, ratio = measure(
        clip, tmp_path, backbone="mobilenetv3_small_050", finder="dlib", device="cpu", repeats=1
    )
    assert ratio.values[0] > 0
    assert abs(ratio.values[0] - apart.values[0] / together.values[0]) < 0.01
    assert len(list(tmp_path.glob("case-*/report.json"))) == 4
