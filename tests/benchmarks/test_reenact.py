from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from benchmarks.reenact import UNITS, Scores, Trained, actor_clips, found, measure_case, measurements
from forge.reenacting.config import ReenactConfig
from forge.reenacting.networks.shipped import shipped_network
from shared.errors import UsageError
from shared.faces.finders.finder import make_finder
from shared.faces.identity import make_embedder


@pytest.mark.slow
def test_an_actor_is_driven_nearer_to_its_drive_than_frames_left_alone(tmp_path):
    finder, embedder = make_finder("dlib", min_face_px=40), make_embedder("dlib")
    target, driver = (found(path, finder, embedder, frames=12) for path in actor_clips(tmp_path, count=2, frames=12))
    config = replace(ReenactConfig(), regions=("mouth",), max_pose_gap_degrees=60.0)
    scores = measure_case(target, driver, config, finder, embedder)
    values = scores.values()
    assert values["outside the region"] == 0
    assert values["landmark error"] < values["landmark error, copy-source"]
    assert values["identity"] > 0.9
    assert scores.cells[0].shape == (400, 200, 3)
    assert {one.name for one in measurements("actors", {name: [value] for name, value in values.items()})} == {
        f"actors: {name}" for name in UNITS
    }


def test_values_are_multiples_of_the_noise():
    scores = Scores(error=[3.0, 5.0], copied=[8.0], noise=[2.0], pose=[1.0], pose_noise=[0.5], outside=0, flicker=1.1)
    scores.own = [np.array([1.0, 0.0]), np.array([0.0, 1.0])]
    scores.driven = [np.array([0.5, 0.5])]
    values = scores.values()
    assert values["landmark error"] == 2.0
    assert values["landmark error, copy-source"] == 4.0
    assert values["identity distance"] == 0.0
    assert values["identity"] > 1


def test_a_network_drives_whom_it_knows():
    def one(family) -> Trained:
        return Trained(Path("run"), family, ("ann", "bob"), 0.2, 100)

    assert one("reenact-warp").drives("eve", "dan")
    assert one("reenact-landmark").drives("ann", "dan")
    assert not one("reenact-landmark").drives("eve", "ann")
    assert one("reenact-latent").drives("ann", "bob")
    assert not one("reenact-latent").drives("ann", "dan")


def test_a_run_of_another_family_is_refused():
    with pytest.raises(UsageError, match="is of reenact-warp"):
        Trained.read(shipped_network("reenact-warp"), "reenact-landmark")
    assert Trained.read(shipped_network("reenact-warp"), "reenact-warp").steps > 0
