"""The inside of a mouth hangs from the upper lip; an eye is not squeezed."""

from __future__ import annotations

import numpy as np
import pytest

from forge.reenacting.interior import OpenMouth, can_give, eyeballs, in_colours_of, mouth_inside
from forge.reenacting.shape import Placement
from shared.faces.pose import Pose
from tests.forge.reenacting.conftest import talking

SIDE = 160
BOUNDS = (0, 0, SIDE, SIDE)
SIZE = {"size": 80.0, "left": 40.0}


def _placement(points: np.ndarray) -> Placement:
    return Placement.of(points, Pose(0, 0, 0))


def _teeth() -> tuple[np.ndarray, np.ndarray]:
    """A picture of an open mouth with four white rows below the upper lip and black below them, and its landmarks."""
    points = talking(3, **SIZE)
    image = np.full((SIDE, SIDE, 3), 120, np.uint8)
    top = round(float(points[62, 1]))
    image[top - 1 : top + 4, 40:120] = 250
    image[top + 4 : top + 14, 40:120] = 5
    return image, points


def test_a_shut_mouth_has_no_inside():
    points = talking(0, **SIZE)
    image = np.zeros((SIDE, SIDE, 3), np.uint8)
    assert mouth_inside(image, points, points, _placement(points), BOUNDS, None) is None


def test_teeth_of_another_frame_keep_their_height_below_the_upper_lip():
    image, open_points = _teeth()
    donor = OpenMouth(7, image, open_points, _placement(open_points))
    shut = talking(0, **SIZE)
    half = talking(2, **SIZE)
    layer = mouth_inside(np.full_like(image, 120), shut, half, _placement(shut), BOUNDS, donor)
    x0, y0 = layer.bounds[:2]
    x, top, bottom = (round(float(v)) for v in (half[62, 0], half[62, 1], half[66, 1]))
    column = layer.levels[top - y0 : bottom - y0, x - x0, 0]
    assert (column[:3] > 200).all()
    assert column[-1] < 60
    assert layer.cover[(top + bottom) // 2 - y0, x - x0] > 0.8


def test_without_an_open_mouth_the_inside_is_dark():
    shut, opened = talking(0, **SIZE), talking(3, **SIZE)
    image = np.full((SIDE, SIDE, 3), 120, np.uint8)
    layer = mouth_inside(image, shut, opened, _placement(shut), BOUNDS, None)
    assert layer.levels.max() < 0.3 * 120


def test_a_mouth_that_is_open_already_shows_its_own_inside():
    image, points = _teeth()
    layer = mouth_inside(image, points, points, _placement(points), BOUNDS, None)
    x0, y0, x1, y1 = layer.bounds
    inside = layer.cover > 0.99
    np.testing.assert_allclose(layer.levels[inside], image[y0:y1, x0:x1].astype(np.float32)[inside], atol=12)


@pytest.mark.parametrize(("opening", "can"), [(0.0, False), (0.02, False), (0.03, True)])
def test_a_mouth_gives_its_inside_from_an_opening_on(opening, can):
    assert can_give(opening) is can


def test_lids_that_shut_slide_over_the_eye():
    points = talking(0, **SIZE).astype(np.float64)
    image = np.full((SIDE, SIDE, 3), 120, np.uint8)
    x, y = np.rint(points[36:42].mean(0)).astype(int)
    image[y - 1 : y + 2, x - 1 : x + 2] = 10
    drive = points.copy()
    drive[[37, 38]] = points[[37, 38]] + 0.5 * (points[[41, 40]] - points[[37, 38]])
    (layer,) = eyeballs(image, points, drive, BOUNDS)
    x0, y0 = layer.bounds[:2]
    assert layer.levels[y + 1 - y0, x - x0].max() < 20
    assert eyeballs(image, points, points, BOUNDS) == []


def test_the_drivers_inside_takes_the_colours_of_the_targets_lips():
    image, points = _teeth()
    donor = OpenMouth(7, np.full_like(image, 60), points, _placement(points))
    brighter = np.full_like(image, 90)
    assert in_colours_of(donor, brighter, points).image.mean() == pytest.approx(90, abs=1)
    black = np.zeros_like(image)
    assert in_colours_of(donor, black, points).image.mean() == pytest.approx(30, abs=1)  # no more than half
