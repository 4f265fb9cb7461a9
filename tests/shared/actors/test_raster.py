from __future__ import annotations

import numpy as np
import pytest

from shared.actors.raster import rasterise


def _points(*rows: tuple[float, float, float]) -> np.ndarray:
    return np.array(rows, dtype=np.float32)


# Facing the viewer: anticlockwise on screen, with y pointing down.
CORNER = _points((-0.5, -0.5, 1.0), (-0.5, 3.5, 1.0), (3.5, -0.5, 1.0))
FACING = np.array([[0, 1, 2]])


def test_a_right_triangle_covers_the_pixels_under_its_diagonal():
    seen = rasterise(CORNER, FACING, width=4, height=4)
    covered = {(int(p) % 4, int(p) // 4) for p in seen.pixel}
    # x + y < 3 lies inside; the centres on the diagonal itself, x + y = 3, are within rounding of it.
    inside = {(x, y) for x in range(4) for y in range(4) if x + y < 3}
    assert inside <= covered <= inside | {(x, 3 - x) for x in range(4)}


def test_triangles_that_face_away_are_dropped_unless_two_sided():
    away = FACING[:, ::-1]
    assert len(rasterise(CORNER, away, width=4, height=4).pixel) == 0
    assert len(rasterise(CORNER, away, width=4, height=4, two_sided=True).pixel) >= 6


def test_the_nearer_triangle_wins_wherever_it_is_listed():
    near, far = CORNER + np.float32([0, 0, 5]), CORNER
    points = np.concatenate([near, far]).astype(np.float32)
    for triangles, nearest in (([[0, 1, 2], [3, 4, 5]], 0), ([[3, 4, 5], [0, 1, 2]], 1)):
        seen = rasterise(points, np.array(triangles), width=4, height=4)
        assert (seen.triangle == nearest).all()
        np.testing.assert_allclose(seen.depth, 6.0)


def test_neighbours_leave_no_crack_and_each_pixel_once():
    rng = np.random.default_rng(3)
    side = 9
    x, y = np.meshgrid(np.linspace(-1, 40, side), np.linspace(-1, 40, side))
    jitter = rng.uniform(-1.5, 1.5, (2, side, side))
    jitter[:, [0, -1]] = 0
    jitter[:, :, [0, -1]] = 0
    points = np.stack([x + jitter[0], y + jitter[1], np.zeros_like(x)], axis=-1).reshape(-1, 3).astype(np.float32)
    corner = np.arange(side * side).reshape(side, side)
    a, b, c, d = corner[:-1, :-1].ravel(), corner[:-1, 1:].ravel(), corner[1:, :-1].ravel(), corner[1:, 1:].ravel()
    triangles = np.concatenate([np.stack([a, c, b], 1), np.stack([b, c, d], 1)])
    seen = rasterise(points, triangles, width=40, height=40)
    np.testing.assert_array_equal(seen.pixel, np.arange(1600))


def test_interpolation_is_linear_in_the_picture():
    points = _points((0.3, -0.7, 2.0), (2.0, 14.5, 9.0), (15.2, 4.0, -3.0))
    seen = rasterise(points, FACING, width=16, height=16)
    x, y = seen.pixel % 16, seen.pixel // 16
    found = seen.interpolate(FACING, points)
    np.testing.assert_allclose(found[:, 0], x, atol=2e-3)
    np.testing.assert_allclose(found[:, 1], y, atol=2e-3)
    np.testing.assert_allclose(found[:, 2], seen.depth, atol=5e-3)
    np.testing.assert_allclose(seen.weights.sum(axis=1), 1.0, atol=1e-3)


@pytest.mark.parametrize("shift", [(-100, 0), (100, 0), (0, -100), (0, 100)])
def test_nothing_outside_the_picture_is_seen(shift: tuple[int, int]):
    assert len(rasterise(CORNER + np.float32([*shift, 0]), FACING, width=4, height=4).pixel) == 0


def test_a_triangle_larger_than_the_picture_fills_it():
    points = _points((-50, -50, 0), (-50, 150, 0), (150, -50, 0))
    assert len(rasterise(points, FACING, width=7, height=5).pixel) == 35
