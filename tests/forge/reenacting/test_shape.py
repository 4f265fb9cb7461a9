"""Shapes come back to the same pixels, and the turn of a head is no expression."""

from __future__ import annotations

import numpy as np
import pytest

from forge.reenacting.shape import DEPTHS, Placement, eye_openings, lopsidedness, mouth_opening, mouth_width
from shared.faces.align import MEAN_FACE
from shared.faces.pose import Pose, rotation


def _picture(yaw: float, pitch: float, roll_degrees: float = 0.0) -> np.ndarray:
    """(68, 2) pixels of the mean face with the depths of :data:`DEPTHS`, turned."""
    turn = rotation(Pose(yaw, pitch, roll_degrees))
    return (np.column_stack([MEAN_FACE, DEPTHS]) @ turn.T)[:, :2] * 80 + [30, 40]


@pytest.mark.parametrize(("yaw", "pitch"), [(0, 0), (18, 0), (-25, 12), (10, -15)])
def test_a_shape_is_laid_back_exactly(yaw, pitch, rng):
    landmarks = rng.normal(0, 2, (68, 2)) + MEAN_FACE * 60
    place = Placement.of(landmarks, Pose(yaw, pitch, 0.0))
    np.testing.assert_allclose(place.landmarks(place.frontal(landmarks)), landmarks, atol=1e-9)


@pytest.mark.parametrize(("yaw", "pitch"), [(20, 0), (-20, 8)])
def test_a_turned_head_has_the_same_shape(yaw, pitch):
    straight, turned = (_picture(*turn) for turn in ((0, 0), (yaw, pitch)))
    shapes = [
        Placement.of(points, Pose(*turn, 0.0)).frontal(points)
        for points, turn in ((straight, (0, 0)), (turned, (yaw, pitch)))
    ]
    assert np.abs(shapes[0] - shapes[1]).max() < 1e-6
    # Without the turn the same face would seem to have moved by a tenth of its box.
    flat = Placement.of(turned, Pose(0, 0, 0)).frontal(turned)
    assert np.abs(flat - shapes[0]).max() > 0.1


@pytest.mark.parametrize("roll", [-12.0, 0.0, 25.0])
def test_roll_is_read_clockwise(roll):
    angle = np.radians(roll)
    turned = MEAN_FACE @ np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]]) * 50
    assert Placement.of(turned, Pose(0, 0, 0)).roll_degrees == pytest.approx(roll, abs=1e-6)


def test_openings_are_measured_in_face_units():
    shape = MEAN_FACE.copy()
    shape[[67, 66, 65], 1] = shape[[61, 62, 63], 1] + 0.1
    assert mouth_opening(shape) == pytest.approx(0.1)
    shape[[67, 66, 65], 1] -= 0.3
    assert mouth_opening(shape) == 0
    assert eye_openings(shape).shape == (2,)
    assert (eye_openings(shape) > 0.03).all()
    assert mouth_width(MEAN_FACE) == pytest.approx(0.534, abs=0.01)


def test_a_crooked_mouth_is_lopsided_and_an_even_one_is_not():
    assert lopsidedness(MEAN_FACE) < 0.003
    crooked = MEAN_FACE.copy()
    crooked[54] += [0.06, -0.05]
    assert lopsidedness(crooked) > 0.01
