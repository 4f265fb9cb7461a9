"""A build follows one person as a single swap does."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from forge.building.intermediates import read_facts, read_found, write_found
from forge.building.steps import make_shot, read_made, render_master
from forge.building.tasks import MasterTask, ShotTask
from forge.swapping.config import SwapConfig
from shared.actors import Actor, perform
from shared.errors import ManifestError
from shared.storage import sha256_file
from tests.factories import write_clip, write_landmarks

LENGTH, BETWEEN = 8, 5


@pytest.fixture(scope="module")
def shot(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A shot of one actor, cut to another alone, and back."""
    pytest.importorskip("dlib")
    folder = tmp_path_factory.mktemp("clip")
    one, other = (list(perform(Actor.from_seed(who), frames=2 * LENGTH, px=96, seed=1)) for who in (0, 1))
    frames = [*one[:LENGTH], *other[:BETWEEN], *one[LENGTH:]]
    clip = write_clip(folder / "cut.mp4", [frame.image for frame in frames])
    write_landmarks(folder / "cut.landmarks.parquet", {i: frame.landmarks for i, frame in enumerate(frames)})
    task = ShotTask(
        out=str(folder / "shot"), source=str(clip), source_sha256=sha256_file(clip), start=0, frames=None,
        max_side=None, finder="sidecar", detect_every=None, min_face_px=16, device="cpu",
    )  # fmt: skip
    assert make_shot(task) == 2 * LENGTH + BETWEEN
    return folder / "shot"


def _master(shot: Path, swapper: Path, out: Path, **settings) -> MasterTask:
    config = SwapConfig(device="cpu", min_face_px=16, **settings)
    return MasterTask(
        out=str(out), shot=str(shot), swapper=str(swapper), source="ann", target="bob", config=config,
        segments=None, one_of_many=False, seed=1,
    )  # fmt: skip


def test_a_master_holds_one_person_in_all_shots_and_nobody_else(shot, swapper, tmp_path):
    assert render_master(_master(shot, swapper, tmp_path / "main")) == 2 * LENGTH
    made = read_made(tmp_path / "main")
    assert made.faked == (*range(LENGTH), *range(LENGTH + BETWEEN, 2 * LENGTH + BETWEEN))
    assert (made.rank, made.factors["frames_seen"]) == (0, str(2 * LENGTH))
    assert made.factors["people_recognised_by"] == "dlib-resnet-v1"
    second = _master(shot, swapper, tmp_path / "second", face="1")
    assert render_master(second) == BETWEEN
    assert read_made(tmp_path / "second").rank == 1
    assert "only 5 of 21 frames are swapped" in read_made(tmp_path / "second").factors["warnings"]


def test_one_of_many_is_drawn_among_people_who_last(shot, swapper, tmp_path):
    for seed in range(3):
        task = replace(_master(shot, swapper, tmp_path / str(seed)), one_of_many=True, seed=seed)
        assert render_master(task) == 2 * LENGTH


def test_found_faces_are_read_as_they_were_written(shot, tmp_path):
    found = read_found(shot)
    assert found.embedder == read_facts(shot).embedder == "dlib-resnet-v1"
    assert len(found.embeddings) == 3, "each part of the one track that its tracker made"
    for name in ("shot.json", "pictures.landmarks.parquet"):
        (tmp_path / name).write_bytes((shot / name).read_bytes())
    write_found(tmp_path, found)
    again = read_found(tmp_path)
    assert again.times == found.times
    assert again.parts_of == found.parts_of
    for track, vector in found.embeddings.items():
        assert np.array_equal(again.embeddings[track], vector)
    (tmp_path / "pictures.identities.parquet").write_bytes(b"no table")
    with pytest.raises(ManifestError, match="cannot be read"):
        read_found(tmp_path)
