from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.real_clips import clips_under, measure
from detect.models import build_detector
from detect.models.checkpoint import DetectorFacts, save_detector
from shared.actors import Actor, film
from shared.device import seed_everything
from shared.errors import UsageError


def test_verdicts_are_counted_and_a_clip_that_cannot_be_read_has_none(tmp_path: Path):
    film(Actor.from_seed(0), tmp_path / "clips" / "inner" / "actor.mp4", seconds=0.4, px=96, seed=0)
    (tmp_path / "clips" / "broken.mp4").write_bytes(b"no video")
    seed_everything(0)
    model = build_detector("mobilenetv3_small_050")
    detector = save_detector(model, tmp_path / "detector", DetectorFacts(model.spec), card="# untrained\n")
    found, verdicts = measure(clips_under([tmp_path / "clips"]), detector, finder="dlib", device="cpu")
    assert verdicts["inner/actor.mp4"] == "not validated"
    assert verdicts["clips/broken.mp4"].startswith("error: ")
    counts = {each.name.removeprefix("real clips called "): each.values[0] for each in found}
    assert counts == {"fake": 0, "inconclusive": 0, "not validated": 1, "real": 0}


def test_folders_without_a_video_are_refused(tmp_path: Path):
    with pytest.raises(UsageError, match="no video"):
        clips_under([tmp_path])
