from __future__ import annotations

import numpy as np
import pytest

from shared.faces.align import MEAN_FACE
from shared.faces.boxes import BoxConvention, box_around, centre_and_side, middle_of, overlap, suppress


def test_the_face_box_is_a_square_that_grows_and_moves_with_the_landmarks():
    landmarks = MEAN_FACE * 100
    box = box_around(landmarks)
    assert box.dtype == np.float32
    assert box[2] - box[0] == pytest.approx(box[3] - box[1])
    np.testing.assert_allclose(box_around(landmarks * 2 + [30, -7]), box * 2 + [30, -7, 30, -7], rtol=1e-5)


def test_the_face_box_reaches_from_brows_to_chin():
    landmarks = MEAN_FACE * 100
    _, y0, _, y1 = box_around(landmarks).tolist()
    side = y1 - y0
    assert 0 < landmarks[:, 1].min() - y0 < 0.2 * side
    assert abs(landmarks[:, 1].max() - y1) < 0.1 * side


def test_side_follows_the_definition():
    # Two points 2 apart: mean in the middle, root-mean-square distance 1.
    _, side = centre_and_side(np.array([[0.0, 0.0], [2.0, 0.0]]))
    assert side == pytest.approx(2.84)


def test_landmarks_in_one_point_still_give_a_box():
    box = box_around(np.full((68, 2), 5.0))
    assert box[2] > box[0]
    assert box[3] > box[1]


def test_a_convention_scales_about_the_moved_centre():
    box = BoxConvention(scale=0.5, right=0.1, down=-0.2).to_face_box(np.array([0.0, 0.0, 40.0, 90.0]))
    # sqrt(40 * 90) = 60, halved 30; centre (20, 45) moved by (3, -6).
    np.testing.assert_allclose(box, [8, 24, 38, 54])


def test_middle_of_never_gives_an_empty_side():
    centre, side = middle_of(np.array([3.0, 4.0, 3.0, 4.0]))
    assert side == 1
    np.testing.assert_array_equal(centre, [3, 4])


@pytest.mark.parametrize(
    ("other", "share"),
    [
        ((0, 0, 10, 10), 1.0),
        ((5, 0, 15, 10), 1 / 3),
        ((10, 0, 20, 10), 0.0),
        ((20, 20, 30, 30), 0.0),
        ((2, 2, 7, 7), 0.25),
    ],
)
def test_overlap_by_hand(other, share):
    boxes = np.array([other], dtype=np.float32)
    assert overlap(np.array([0, 0, 10, 10.0]), boxes)[0] == pytest.approx(share)
    assert overlap(np.array([0, 0, 10, 10.0]), boxes[0]) == pytest.approx(share)


def test_suppression_keeps_the_best_of_each_heap():
    boxes = np.array([[0, 0, 10, 10], [1, 0, 11, 10], [50, 50, 60, 60], [0, 1, 10, 11]], dtype=float)
    assert suppress(boxes, np.array([0.5, 0.9, 0.1, 0.8]), 0.5) == [1, 2]
    assert suppress(np.zeros((0, 4)), np.zeros(0), 0.5) == []
