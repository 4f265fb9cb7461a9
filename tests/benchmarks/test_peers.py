from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from benchmarks import peer_loops, peers
from benchmarks.peer_loops import PlainTraining, extract_by_loop, swap_by_loop
from forge.models import build_swapper
from forge.models.checkpoint import save_swapper
from shared.errors import UsageError
from shared.faces.align import MEAN_FACE
from shared.video import VideoReader, probe
from tests.factories import write_clip

WIDTH, HEIGHT, FRAMES = 160, 120, 3
LANDMARKS = MEAN_FACE * 70 + [45, 30]


class _SameFace:
    """Gives the same face for every picture, so that a loop needs no face that dlib finds."""

    def __call__(self, image: np.ndarray) -> list[np.ndarray]:
        return [LANDMARKS]


@pytest.fixture
def clip(tmp_path, rng, monkeypatch) -> Path:
    monkeypatch.setattr(peer_loops, "PlainDlib", _SameFace)
    path = tmp_path / "clip.mp4"
    write_clip(path, [rng.integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8) for _ in range(FRAMES)])
    return path


def test_the_loop_swaps_every_frame_and_pastes_where_the_face_is(clip, tmp_path):
    torch.manual_seed(0)
    swapper = save_swapper(build_swapper("lightweight", ("ann", "bob"), width=0.125), tmp_path / "swapper")
    out = tmp_path / "out.mp4"
    assert swap_by_loop(clip, swapper, "ann", out) == FRAMES
    with VideoReader(clip) as before, VideoReader(out) as after:
        pairs = [(one.image.astype(int), other.image.astype(int)) for one, other in zip(before, after, strict=True)]
    changed = np.mean([np.abs(one - other).mean(axis=2) for one, other in pairs], axis=0)
    inside = np.zeros((HEIGHT, WIDTH), np.uint8)
    cv2.fillConvexPoly(inside, cv2.convexHull(LANDMARKS.astype(np.int32)), 1)
    assert changed[inside > 0].mean() > 2 * changed[inside == 0].mean()


def test_the_loop_writes_a_crop_for_every_face(clip, tmp_path):
    assert extract_by_loop(clip, tmp_path / "crops") == FRAMES
    crops = sorted((tmp_path / "crops").iterdir())
    assert [path.name for path in crops] == [f"{index:06d}-0.png" for index in range(FRAMES)]
    assert cv2.imread(str(crops[0])).shape == (256, 256, 3)


def test_the_plain_training_learns(monkeypatch):
    build = peer_loops.build_swapper
    monkeypatch.setattr(peer_loops, "build_swapper", lambda *given, **options: build(*given, width=0.05, **options))
    training = PlainTraining(("ann", "bob"), 2, faces=2)
    weights = [parameter.detach().clone() for parameter in training._model.parameters()]
    assert training.step() == 4
    assert any(not torch.equal(one, other) for one, other in zip(weights, training._model.parameters(), strict=True))


def test_a_race_gives_a_ratio_for_each_repeat_and_clock_and_a_target_for_cpu_seconds(monkeypatch):
    rates = iter([(30.0, 8.0), (10.0, 4.0), (40.0, 8.0), (10.0, 2.0)])
    monkeypatch.setattr(peers, "_rates", lambda work: next(rates))
    race = peers._Race("swap", "frames")
    race.run(lambda: 1, lambda: 1, 2)
    found = {one.name: one for one in race.measurements()}
    assert found["swap, ratio per CPU second"].values == (3.0, 4.0)
    assert found["swap, ratio per CPU second"].met
    assert found["swap, ratio per second"].values == (2.0, 4.0)
    assert found["swap, ratio per second"].target is None
    assert found["swap, frames/CPU second: peer"].unit == "frames/CPU second"


@pytest.mark.parametrize("size", [(64, 60), (64, 96)])
def test_filmed_clips_have_the_size_that_is_asked_for(tmp_path, size):
    info = probe(peers.film_clip(tmp_path, size, 0.1))
    assert (info.width, info.height) == size


def test_a_folder_without_videos_is_refused(tmp_path):
    with pytest.raises(UsageError, match="holds no video"):
        peers.measure(tmp_path, clips=tmp_path, seconds=1.0, steps=1, networks=("lightweight",), repeats=1)
