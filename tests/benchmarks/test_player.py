"""The benchmark of the player measures every kind of step on a clip that it is given."""

from __future__ import annotations

import numpy as np

from benchmarks.player import measure
from tests.factories import write_clip


def test_every_kind_of_step_is_measured(tmp_path):
    pictures = (np.full((48, 64, 3), 40 + index % 160, np.uint8) for index in range(250))
    found = {one.name: one for one in measure(write_clip(tmp_path / "clip.mp4", pictures), tmp_path, pause_ms=0.0)}
    assert len(found["one frame on"].values) == 60
    assert len(found["one frame back, further on"].values) == 59
    assert len(found["jump to any frame"].values) == 20
    assert found["one frame on"].target == 100.0
    assert found["index of the whole clip"].note == "250 frames"
    assert all(one.median >= 0 for one in found.values())
