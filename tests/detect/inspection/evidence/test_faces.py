"""Measures of faces whose noise, blur and colour were made here; and faces against others and a table."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest

from detect.inspection.evidence.faces import MeasuredTrack, compare, measures_plot
from detect.inspection.evidence.measures import (
    MEASURES,
    FaceMeasures,
    eye_opening,
    face_profile,
    measure_face,
    mouth_opening,
)
from detect.inspection.evidence.reference import LIMIT, Reference, Spread, reference
from shared.faces.align import mean_in_crop

SIDE = 320


@pytest.fixture(scope="module")
def landmarks() -> np.ndarray:
    return mean_in_crop(200, "whole") + 60


@pytest.fixture(scope="module")
def picture() -> np.ndarray:
    """(320, 320, 3): skin-coloured texture with noise, the same everywhere."""
    rng = np.random.default_rng(4)
    texture = cv2.GaussianBlur(rng.normal(0, 60, (SIDE, SIDE)), (0, 0), 3) + rng.normal(0, 3, (SIDE, SIDE))
    return np.clip(np.array([180, 140, 120]) + texture[..., None], 0, 255).astype(np.uint8)


def _inside(landmarks: np.ndarray) -> np.ndarray:
    mask = np.zeros((SIDE, SIDE), np.uint8)
    cv2.fillConvexPoly(mask, cv2.convexHull(np.rint(landmarks).astype(np.int32)), 1)
    return mask > 0


def test_a_face_like_its_surroundings_measures_about_nothing(picture, landmarks):
    found = measure_face(picture, landmarks)
    assert abs(found.noise) < 0.25
    assert abs(found.sharpness) < 0.25
    assert found.colour < 2


def test_a_softer_noisier_or_tinted_face_is_measured(picture, landmarks):
    plain, inside = measure_face(picture, landmarks), _inside(landmarks)
    soft, noisy, tinted = picture.copy(), picture.copy(), picture.astype(np.float32)
    soft[inside] = cv2.GaussianBlur(picture, (0, 0), 1.5)[inside]
    rng = np.random.default_rng(0)
    noisy[inside] = np.clip(picture + rng.normal(0, 12, picture.shape), 0, 255).astype(np.uint8)[inside]
    lower = inside & (np.arange(SIDE)[:, None] > landmarks[28, 1])
    tinted[lower] += (25, -15, 0)
    assert measure_face(soft, landmarks).sharpness < plain.sharpness - 1
    assert measure_face(soft, landmarks).spectrum < plain.spectrum - 1
    assert measure_face(noisy, landmarks).noise > plain.noise + 1
    assert measure_face(np.clip(tinted, 0, 255).astype(np.uint8), landmarks).colour > plain.colour + 8


def test_small_faces_and_faces_at_the_edge_are_left_out(picture, landmarks):
    assert measure_face(picture, (landmarks - 160) * 0.2 + 160) is None
    assert measure_face(picture, landmarks - 150) is None
    assert len(face_profile(np.float32(picture[..., 0]), landmarks)) == 24


def test_openings_of_eyes_and_mouth_are_those_of_the_landmarks():
    face = mean_in_crop(200, "whole")[None].repeat(2, 0)
    face[1, [37, 38, 43, 44], 1] = face[1, [41, 40, 47, 46], 1]
    assert eye_opening(face)[1] == pytest.approx(0, abs=0.12)
    assert eye_opening(face)[0] > 0.2
    face[1, [65, 66, 67], 1] += 20
    width = np.linalg.norm(face[1, 36] - face[1, 45])
    assert mouth_opening(face)[1] - mouth_opening(face)[0] == pytest.approx(20 / width, rel=0.1)


def _track(noise: float, frames: int = 8) -> MeasuredTrack:
    faces = tuple(FaceMeasures(noise + 0.01 * at, 0.0, 1.0, -3.0) for at in range(frames))
    return MeasuredTrack(faces, np.linspace(3, 0, 24))


SPREAD = Spread(20, 0.0, 0.25, -0.6, 0.7)


def test_a_face_far_from_real_material_is_odd_and_one_near_it_is_not():
    assert compare("noise", {0: _track(0.3)}, SPREAD, still=False).odd is False
    far = compare("noise", {0: _track(LIMIT * 0.25 + 0.1)}, SPREAD, still=False)
    assert far.odd is True
    assert "face 0 differs from real files" in far.finding
    assert far.value == pytest.approx(1.135, abs=0.01)
    assert compare("noise", {0: _track(9, frames=3)}, SPREAD, still=False).odd is None
    assert compare("noise", {0: _track(9, frames=1)}, SPREAD, still=True).odd is True
    for spread in (None, replace(SPREAD, count=9)):
        few = compare("noise", {0: _track(9)}, spread, still=False)
        assert few.odd is None
        assert "too few to compare" in few.finding


def test_a_face_unlike_the_other_faces_of_the_file_is_odd():
    found = compare("noise", {0: _track(0.6), 1: _track(-0.85), 2: _track(0.65)}, SPREAD, still=False)
    assert found.odd is True
    assert "face 1 differs from the rest" in found.finding
    pair = compare("noise", {0: _track(0.5), 1: _track(-0.95)}, SPREAD, still=False)
    assert "face 1 against the other faces" in pair.details
    assert "face 0 against the other faces" not in pair.details


def test_a_spread_counts_robust_deviations_and_the_plot_is_a_picture(tmp_path):
    spread = Spread.of([0, 1, 2, 3, 4, 5, 6, 7, 100])
    assert (spread.count, spread.median, spread.high) == (9, 4, 100)
    assert spread.distance(4 + 2 * spread.deviation) == pytest.approx(2, abs=1e-3)
    table = Reference({"clips": 9}, {"video": dict.fromkeys(MEASURES, spread)})
    table.write(tmp_path / "table.json")
    assert measures_plot({0: _track(0), 4: _track(1)}, table, "video").startswith(b"\x89PNG")


def test_the_table_of_this_version_holds_every_measure_of_clips_and_photographs():
    table = reference()
    assert table.material.keys() == {"video_grid", "video_portrait", "video_more", "london", "canada", "congress"}
    for kind in ("video", "still"):
        for name in MEASURES:
            spread = table.of(kind, name)
            assert spread is not None
            assert spread.low <= spread.median <= spread.high
            assert spread.deviation > 0
