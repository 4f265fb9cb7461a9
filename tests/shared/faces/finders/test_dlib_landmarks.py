from __future__ import annotations

import cv2
import numpy as np
import pytest

from shared.faces.finders.contract import LOST_BELOW, Place
from shared.faces.finders.dlib_landmarks import DlibLandmarks, upright_patch
from shared.faces.finders.finder import make_finder
from shared.video import VideoReader

pytest.importorskip("dlib")


@pytest.fixture(scope="module")
def landmarker() -> DlibLandmarks:
    return DlibLandmarks()


@pytest.fixture
def portrait(media) -> np.ndarray:
    with VideoReader(media / "video_portrait" / "lp_d9.mp4") as reader:
        return next(reader.frames()).image


def test_the_patch_is_where_its_matrix_says(rng):
    image = np.zeros((120, 160, 3), np.uint8)
    image[50:53, 70:73] = 255
    patch, frame_to_patch = upright_patch(image, np.array([75.0, 55.0]), 40.0, 0.3, 80)
    assert patch.shape == (128, 128)
    x, y = frame_to_patch @ [71, 51, 1]
    rows, columns = np.nonzero(patch > 127)
    np.testing.assert_allclose([columns.mean(), rows.mean()], [x, y], atol=0.6)
    # The face box's centre is the patch's, and its side 80 px.
    np.testing.assert_allclose(frame_to_patch @ [75, 55, 1], [63.5, 63.5])
    assert np.linalg.norm(frame_to_patch[:, 0]) == pytest.approx(2)


@pytest.mark.parametrize("size", [(1, 1), (2, 300), (300, 2)])
@pytest.mark.parametrize("box", [(0, 0, 1e5, 1e5), (-500, -500, -400, -400), (0, 0, 1, 1)])
def test_boxes_far_from_the_frame_get_an_answer_without_confidence(landmarker, size, box):
    image = np.full((*size, 3), 90, np.uint8)
    fit = landmarker.fit([Place(image, np.array(box, np.float32))])[0]
    assert np.isfinite(fit.landmarks).all()
    assert fit.confidence < LOST_BELOW


def test_noise_is_no_face(landmarker, rng):
    image = rng.integers(0, 256, (200, 200, 3), dtype=np.uint8)
    assert landmarker.fit([Place(image, np.array([50, 50, 150, 150.0]))])[0].confidence < LOST_BELOW


@pytest.mark.needs_media
def test_confidence_separates_faces_from_background_and_covers(landmarker, portrait, rng):
    face = make_finder("dlib").find([portrait])[0][0]
    side = face.width_px
    moved = [face.box + side * np.tile(step, 2).astype(np.float32) for step in rng.normal(0, 0.05, (8, 2))]
    beside = [face.box + side * np.tile(step, 2) for step in ([0.8, 0], [-0.8, 0], [0, 0.8], [0.6, 0.6])]
    assert min(fit.confidence for fit in landmarker.fit([Place(portrait, box) for box in moved])) > LOST_BELOW
    assert max(fit.confidence for fit in landmarker.fit([Place(portrait, box) for box in beside])) < LOST_BELOW
    covered = portrait.copy()
    x0, y0, x1, y1 = face.box.astype(int)
    covered[y0:y1, x0:x1] = cv2.resize(portrait[:40, :40], (x1 - x0, y1 - y0))
    assert landmarker.fit([Place(covered, face.box)])[0].confidence < LOST_BELOW


@pytest.mark.needs_media
def test_landmarks_hold_still_when_the_box_does_not(landmarker, portrait, rng):
    face = make_finder("dlib").find([portrait])[0][0]
    shifts = rng.normal(0, 0.04, (6, 2)) * face.width_px
    points = np.stack(
        [fit.landmarks for fit in landmarker.fit([Place(portrait, face.box + np.tile(s, 2)) for s in shifts])]
    )
    assert points.std(axis=0).mean() < 0.004 * face.width_px


@pytest.mark.needs_media
def test_expected_landmarks_take_the_place_of_the_first_pass(landmarker, portrait, monkeypatch):
    face = make_finder("dlib").find([portrait])[0][0]
    plain = landmarker.fit([Place(portrait, face.box)])[0]
    side, calls, predict = face.width_px, [], DlibLandmarks._predict

    def counted(*given):
        calls.append(given)
        return predict(*given)

    monkeypatch.setattr(DlibLandmarks, "_predict", counted)
    near = landmarker.fit([Place(portrait, face.box, expected=plain.landmarks + 0.01 * side)])[0]
    assert len(calls) == 1
    assert np.linalg.norm(near.landmarks - plain.landmarks, axis=1).mean() < 0.005 * side
    assert near.confidence > LOST_BELOW
    # Too far off, too large or turned: the box counts.
    middle = plain.landmarks.mean(0)
    tilted = (plain.landmarks - middle) @ np.array([[0.98, -0.2], [0.2, 0.98]]) + middle
    for wrong in (plain.landmarks + 0.08 * side, (plain.landmarks - middle) * 1.2 + middle, tilted):
        fit = landmarker.fit([Place(portrait, face.box, expected=wrong)])[0]
        np.testing.assert_array_equal(fit.landmarks, plain.landmarks)
    assert len(calls) == 1 + 3 * 3


@pytest.mark.needs_media
def test_a_small_face_gets_landmarks_finer_than_its_pixels(landmarker, portrait):
    face = make_finder("dlib").find([portrait])[0][0]
    small = cv2.resize(portrait, None, fx=0.25, fy=0.25, interpolation=cv2.INTER_AREA)
    fit = landmarker.fit([Place(small, (face.box + 0.5) / 4 - 0.5)])[0]
    error_px = np.linalg.norm((fit.landmarks + 0.5) * 4 - 0.5 - face.landmarks, axis=1)[17:].mean() / 4
    assert error_px < 0.5


@pytest.mark.needs_media
def test_decoded_frames_with_padded_rows_are_taken_as_they_are(landmarker, portrait):
    padded = np.zeros((portrait.shape[0], portrait.shape[1] + 24, 3), np.uint8)
    padded[:, : portrait.shape[1]] = portrait
    view = padded[:, : portrait.shape[1]]
    assert not view.flags.c_contiguous
    finder = make_finder("dlib")
    np.testing.assert_array_equal(finder.find([view])[0][0].landmarks, finder.find([portrait])[0][0].landmarks)
