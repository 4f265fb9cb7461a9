from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from detect.config import MixConfig, TrainConfig
from detect.data.real_faces import read_stack, recut, refuse_known
from detect.training.train import train_detector
from shared.dataset import DatasetFolder
from shared.errors import ConfigError, FacesetError, LeakError
from shared.faces.align import mean_in_crop
from shared.faces.facesets.reader import Faceset
from tests.factories import face_row, write_faceset

PX = 96


def write_faces(
    path: Path, *, identity: str = "crowd", count: int = 5, drawn_by: str = "", darker: int = 0, first: int = 0
) -> Path:
    """Photographs: a clip a face, each of its own grey with a dark mouth."""
    points = mean_in_crop(PX, "whole").astype(np.float32)
    faces = []
    for number in range(count):
        crop = np.full((PX, PX, 3), 120 + 10 * number - darker, np.uint8)
        x, y = points[48:68].mean(0).astype(int)
        crop[y - 3 : y + 4, x - 6 : x + 7] = 20
        box = np.array([8, 8, 80, 80], np.float32)
        faces.append((face_row(points, clip=number, track=number, box=box, kept=number != 2), crop))
    return write_faceset(path, identity, faces, clips=range(first, first + count), drawn_by=drawn_by)


def test_faces_are_cut_again_with_their_landmarks(tmp_path: Path):
    faceset = Faceset.open(write_faces(tmp_path / "crowd"))
    crops, landmarks = recut(faceset, [0, 3], px=48, framing="midface")
    assert crops.shape == (2, 48, 48, 3)
    np.testing.assert_allclose(landmarks[0], mean_in_crop(48, "midface"), atol=0.5)
    x, y = landmarks[0][48:68].mean(0).round().astype(int)
    assert crops[0, y, x].max() < 60  # the mouth is where the landmarks say
    assert crops[1, 5, 24].max() == 150


def test_twins_find_their_faces(tmp_path: Path):
    real = write_faces(tmp_path / "crowd")
    twins = write_faces(tmp_path / "twins", count=4, drawn_by="lightweight as crowd 0", darker=40)
    stack = read_stack(real, [twins], px=48, framing="whole")
    assert [int(crop[0, 0, 0]) for crop in stack.crops] == [120, 130, 150, 160]  # the one set aside is left out
    assert [[int(twin[0, 0, 0]) for twin in own] for own in stack.twins] == [[80], [90], [110], []]
    assert len(set(stack.groups.tolist())) == 4


def test_twins_of_other_faces_are_passed_over(tmp_path: Path):
    real = write_faces(tmp_path / "half")
    strangers = write_faces(tmp_path / "strangers", drawn_by="lightweight as other 0", first=100)
    mine = write_faces(tmp_path / "mine", drawn_by="lightweight as other 0", darker=40)
    stack = read_stack(real, [strangers, mine], px=48, framing="whole")
    assert [len(own) for own in stack.twins] == [1, 1, 1, 1]


def test_real_and_drawn_are_not_taken_for_each_other(tmp_path: Path):
    real = write_faces(tmp_path / "crowd")
    drawn = write_faces(tmp_path / "twins", drawn_by="lightweight as crowd 0")
    with pytest.raises(FacesetError, match="is drawn by lightweight"):
        read_stack(drawn, [], px=48, framing="whole")
    with pytest.raises(FacesetError, match="holds no drawn faces"):
        read_stack(real, [real], px=48, framing="whole")


def test_people_of_the_val_split_are_refused(tmp_path: Path, toy_set: Path):
    held_out = [record for record in DatasetFolder.open(toy_set).records() if record.split != "train"]
    refuse_known([write_faces(tmp_path / "crowd")], held_out, allowed=False)
    known = write_faces(tmp_path / "eve", identity="eve")
    with pytest.raises(LeakError, match="eve, who is in the val or test split"):
        refuse_known([known], held_out, allowed=False)
    refuse_known([known], held_out, allowed=True)


def test_training_on_blended_faces_alone_and_with_the_forged(tmp_path: Path, toy_set: Path, toy_config: TrainConfig):
    faces = str(write_faces(tmp_path / "crowd"))
    twins = str(write_faces(tmp_path / "twins", drawn_by="lightweight as crowd 0", darker=40))
    for number, forged in enumerate((0.0, 1.0)):
        mix = MixConfig(forged=forged, blended=1.0, real_faces=(faces,), twin_faces=(twins,), video_share=0.5)
        config = dataclasses.replace(toy_config, mix=mix, steps=3, optimizer="sam", mixup=0.2)
        result = train_detector(toy_set, tmp_path / f"run{number}", config)
        assert result.steps == 3
        told = (tmp_path / f"run{number}" / "run.json").read_text()
        assert Faceset.open(Path(faces)).digest() in told  # the run says which faces it saw


def test_no_share_at_all_is_refused():
    with pytest.raises(ConfigError, match="neither forged nor blended"):
        MixConfig(forged=0.0)
