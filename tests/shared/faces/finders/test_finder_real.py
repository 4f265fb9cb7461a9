"""Every finder that works without a network, on one frame of each of a few people."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from shared import weights
from shared.faces.finders.contract import LOST_BELOW
from shared.faces.finders.finder import FaceFinder, make_finder
from shared.video import VideoReader

pytestmark = pytest.mark.needs_media
pytest.importorskip("dlib")

CLIPS = ("video_portrait/lp_d9.mp4", "video_portrait/lp_s18.mp4", "video_grid/bbaf2n.mpg", "video_grid/brbk7n.mpg")


@pytest.fixture(scope="module")
def frames(media) -> list[np.ndarray]:
    found = []
    for clip in CLIPS:
        with VideoReader(media / clip) as reader:
            found.append(next(reader.frames()).image)
    return found


@pytest.fixture(scope="module")
def landmarks(frames) -> list[np.ndarray]:
    return [faces[0].landmarks for faces in make_finder("dlib").find(frames)]


@pytest.fixture
def imported(small_weights: Path, tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("ASSAY_HOME", str(tmp_path / "home"))
    weights.import_files([small_weights / kind for kind in ("yunet", "blazeface", "retinaface_mnet025")])


NAMES = ("dlib", "dlib-mmod", "mtcnn", "yunet+dlib68", "blazeface+dlib68", "blazeface-back+dlib68", "retinaface+dlib68")


@pytest.mark.usefixtures("imported")
@pytest.mark.parametrize("name", NAMES)
def test_each_finder_sees_one_face_a_frame_where_the_others_see_it(name, frames, landmarks):
    if name == "mtcnn":
        pytest.importorskip("joblib")
    finder: FaceFinder = make_finder(name)
    found = finder.find(frames)
    assert [len(faces) for faces in found] == [1] * len(CLIPS)
    for faces, points in zip(found, landmarks, strict=True):
        error = np.linalg.norm(faces[0].landmarks - points, axis=1).mean() / faces[0].width_px
        assert error < 0.015
        left, top, right, bottom = faces[0].box
        assert (faces[0].landmarks >= [left - 0.2 * faces[0].width_px, top]).all()
        assert (faces[0].landmarks <= [right + 0.2 * faces[0].width_px, bottom + 0.1 * faces[0].width_px]).all()


@pytest.mark.usefixtures("imported")
def test_frames_together_and_alone_give_the_same(frames):
    finder = make_finder("yunet")
    together = finder.find(frames[:2])
    alone = [finder.find([frame])[0] for frame in frames[:2]]
    for one, other in zip(together, alone, strict=True):
        np.testing.assert_array_equal(one[0].landmarks, other[0].landmarks)


def test_a_face_is_followed_by_its_own_box(frames):
    finder = make_finder("dlib")
    face = finder.find([frames[0]])[0][0]
    again = finder.refine(frames[0], [face.box, face.box - 2 * face.width_px])
    assert again[0].confidence > LOST_BELOW > again[1].confidence
    assert np.linalg.norm(again[0].landmarks - face.landmarks, axis=1).mean() < 0.01 * face.width_px


def test_asking_for_large_faces_only_still_finds_them(frames, landmarks):
    quick = make_finder("dlib", min_face_px=160).find([frames[0]])[0]
    assert len(quick) == 1
    assert np.linalg.norm(quick[0].landmarks - landmarks[0], axis=1).mean() < 0.015 * quick[0].width_px


def test_two_people_in_one_frame(frames):
    side_by_side = np.concatenate([frames[2], frames[3]], axis=1)
    faces = make_finder("dlib").find([side_by_side])[0]
    assert sorted(face.box[0] > frames[2].shape[1] - 20 for face in faces) == [False, True]
