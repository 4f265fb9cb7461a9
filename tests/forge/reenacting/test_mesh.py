"""The map of pixels is continuous, zero beyond its edge, and does what its corners do."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from forge.reenacting.mesh import RING, moved_pixels, places_in, polygon, sampled, triangles, vertices_of
from forge.reenacting.shape import EYES, INNER_LIPS
from shared.faces.align import MEAN_FACE

SIDE = 200
FACE = MEAN_FACE * 70 + [65, 60]


def _moved(points: dict[int, tuple[float, float]]):
    before = vertices_of(FACE)
    after = before.copy()
    for point, by in points.items():
        after[point] += by
    return moved_pixels(before, after, width=SIDE, height=SIDE)


def test_triangles_cover_the_head_once():
    corners = vertices_of(MEAN_FACE)[triangles()]
    one, two = corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
    areas = np.abs(one[:, 0] * two[:, 1] - one[:, 1] * two[:, 0]) / 2
    ring = vertices_of(MEAN_FACE)[-RING:]
    x, y = ring[:, 0], ring[:, 1]
    whole = abs((x * np.roll(y, -1) - y * np.roll(x, -1)).sum()) / 2
    # The outline dents in at the temples, so the triangles cover its convex hull, a little more.
    assert whole <= areas.sum() * 1.001
    assert areas.sum() < 1.06 * whole


def test_no_triangle_reaches_from_within_a_mouth_or_an_eye_to_outside():
    for hole in (INNER_LIPS, *EYES):
        inside = [set(corners) <= set(hole) for corners in triangles().tolist()]
        assert sum(inside) == len(hole) - 2


def test_a_corner_moves_its_triangles_and_nothing_else():
    moved = _moved({57: (0.0, 6.0)})
    x0, y0, x1, y1 = moved.bounds
    assert 57 in triangles()[[57 in corners for corners in triangles().tolist()]]
    assert x1 - x0 < 60
    assert y1 - y0 < 60
    x, y = np.rint(FACE[57] + [0, 6]).astype(int)
    np.testing.assert_allclose(moved.shift[y - y0, x - x0], [0, -6], atol=0.6)
    # The outermost pixels hardly move: the map ends where the skin rests.
    edge = moved.support & ~np.pad(moved.support[1:-1, 1:-1], 1)
    assert np.abs(moved.shift[edge]).max(initial=0) < 1.0
    assert (moved.alpha[~moved.support] == 0).all()


def test_the_map_is_continuous():
    moved = _moved({point: (1.0, 4.0) for point in (*range(48, 68), 7, 8, 9)})
    step = np.abs(np.diff(moved.shift, axis=1)).max(axis=2)
    both = moved.support[:, 1:] & moved.support[:, :-1]
    assert step[both].max() < 1.5


def test_nothing_that_moves_gives_no_map():
    assert _moved({}) is None
    before = vertices_of(FACE + 500)
    after = before.copy()
    after[57] += 4
    assert moved_pixels(before, after, width=SIDE, height=SIDE) is None


def test_a_still_pixel_is_sampled_exactly(rng):
    image = rng.integers(0, 255, (40, 50, 3), dtype=np.uint8)
    places = places_in((5, 6, 30, 31))
    assert np.array_equal(sampled(image, places), image[6:31, 5:30].astype(np.float32))
    shifted = sampled(image, places + np.float32([2, 1]))
    assert np.array_equal(shifted, image[7:32, 7:32].astype(np.float32))


def test_a_polygon_covers_its_area():
    square = np.array([[10.0, 10], [20, 10], [20, 20], [10, 20]])
    mask = polygon(square, (5, 5, 30, 30))
    assert mask.sum() == pytest.approx(100, rel=0.12)
    soft = polygon(square, (5, 5, 30, 30), 1.0)
    assert soft.sum() == pytest.approx(mask.sum(), rel=0.02)
    assert 0 < soft[4, 10] < 1


def test_a_smooth_map_has_no_creases_and_ends_where_the_other_does():
    before = vertices_of(FACE)
    after = before.copy()
    after[[48, 60]] += (-6.0, 3.0)
    sharp, smooth = (moved_pixels(before, after, width=SIDE, height=SIDE, smooth_px=px) for px in (0.0, 1.0))
    assert sharp is not None
    assert smooth is not None
    np.testing.assert_array_equal(smooth.support, sharp.support)
    inside = cv2.erode(sharp.support.astype(np.uint8), np.ones((9, 9), np.uint8))[:, 2:] > 0
    creases = [np.abs(np.diff(moved.shift, n=2, axis=1)).max(axis=2)[inside].max() for moved in (sharp, smooth)]
    assert creases[1] < 0.5 * creases[0]
    edge = sharp.support & ~np.pad(sharp.support[1:-1, 1:-1], 1)
    assert np.abs(smooth.shift - sharp.shift)[edge].max(initial=0) < 0.5
    assert np.abs(smooth.shift - sharp.shift).max() < 1.5
