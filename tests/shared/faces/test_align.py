from __future__ import annotations

import math
import time

import cv2
import numpy as np
import pytest

from shared.errors import UsageError
from shared.faces.align import (
    FRAMING_RATIO,
    INNER,
    MEAN_FACE,
    align,
    compose,
    cut,
    frame_to_crop,
    invert,
    map_points,
    mean_in_crop,
    paste_bounds,
    resized,
    scale_of,
    similarity,
)
from shared.types import Face

_MIRROR = [
    *range(16, -1, -1), *range(26, 16, -1), *range(27, 31), *range(35, 30, -1), *range(45, 41, -1), 47, 46,
    *range(39, 35, -1), 41, 40, *range(54, 47, -1), *range(59, 54, -1), *range(64, 59, -1), *range(67, 64, -1),
]  # fmt: skip


def face_at(x: float, y: float, size: float, degrees: float = 0.0) -> np.ndarray:
    """Landmarks of the mean face with its box's centre at (x, y), scaled and turned clockwise."""
    c, s = math.cos(math.radians(degrees)) * size, math.sin(math.radians(degrees)) * size
    return ((MEAN_FACE - 0.5) @ np.array([[c, s], [-s, c]]) + [x, y]).astype(np.float32)


def smooth_picture(width: int, height: int) -> np.ndarray:
    y, x = np.mgrid[:height, :width]
    waves = [128 + 90 * np.sin(x / (40 + 9 * k) + k) * np.cos(y / (33 + 5 * k)) for k in range(3)]
    return np.stack(waves, axis=-1).round().astype(np.uint8)


def test_mean_face_is_symmetric_and_spans_the_unit_box():
    inner = MEAN_FACE[INNER]
    assert inner[:, 0].min() == 0
    assert inner[:, 0].max() == 1
    assert inner[:, 1].min() + inner[:, 1].max() == pytest.approx(1)
    np.testing.assert_allclose(MEAN_FACE[_MIRROR] * [-1, 1] + [1, 0], MEAN_FACE, atol=1e-9)


def test_similarity_by_hand():
    # Three times as large, turned a quarter clockwise (x goes down, y goes left), then moved.
    source = np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 2.0]])
    target = np.array([[10.0, 20.0], [10.0, 23.0], [4.0, 20.0]])
    np.testing.assert_allclose(similarity(source, target), [[0, -3, 10], [3, 0, 20]], atol=1e-12)


def test_similarity_is_the_least_squares_one(rng):
    source, noise = rng.normal(size=(51, 2)), 0.1 * rng.normal(size=(51, 2))
    target = map_points(np.array([[1.5, -0.4, 3.0], [0.4, 1.5, -2.0]]), source) + noise

    def error(a: float, b: float, x: float, y: float) -> float:
        return float(((map_points(np.array([[a, -b, x], [b, a, y]]), source) - target) ** 2).sum())

    best = similarity(source, target)
    a, b, x, y = best[0, 0], best[1, 0], best[0, 2], best[1, 2]
    least = error(a, b, x, y)
    for step in np.vstack([np.eye(4), -np.eye(4)]) * 1e-3:
        assert error(*(np.array([a, b, x, y]) + step)) > least


def test_similarity_never_mirrors():
    source = np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0], [2.0, 3.0]])
    matrix = similarity(source, source * [-1, 1])
    assert np.linalg.det(matrix[:, :2]) >= 0


@pytest.mark.parametrize("points", [np.full((51, 2), 7.0), np.zeros((1, 2))])
def test_similarity_refuses_a_point(points):
    with pytest.raises(ValueError, match="point"):
        similarity(points, points)


@pytest.mark.parametrize("framing", list(FRAMING_RATIO))
@pytest.mark.parametrize("degrees", [0, 35, -160])
def test_aligned_mean_face_lands_on_its_place(framing, degrees):
    matrix = frame_to_crop(face_at(300, 200, 120, degrees), px=256, framing=framing)
    landed = map_points(matrix, face_at(300, 200, 120, degrees))
    np.testing.assert_allclose(landed, mean_in_crop(256, framing), atol=1e-3)
    # The crop's side over the box's side is the table's ratio.
    assert scale_of(matrix) * 120 * FRAMING_RATIO[framing] == pytest.approx(256, rel=1e-4)


def test_framing_table():
    wanted = {"half": 1.0, "midface": 1.1909, "full": 1.5965, "whole": 2.1314, "head": 2.9799}
    assert {name: round(ratio, 4) for name, ratio in FRAMING_RATIO.items()} == wanted


def test_half_framing_covers_the_box_edge_to_edge():
    # The box's left edge is the crop's left edge, which is half a pixel left of the first pixel's centre.
    points = mean_in_crop(100, "half")
    assert points[17, 0] == pytest.approx(-0.5)
    assert points[26, 0] == pytest.approx(99.5)


def test_whole_and_head_look_up():
    for framing, share in (("whole", 0.07), ("head", 0.25)):
        nose_bridge_middle = mean_in_crop(1000, framing)[INNER, 1]
        middle = (nose_bridge_middle.min() + nose_bridge_middle.max()) / 2
        assert middle - 499.5 == pytest.approx(share * 1000 / FRAMING_RATIO[framing], abs=0.1)


def test_jaw_does_not_move_the_crop():
    still, open_jaw = face_at(100, 100, 80), face_at(100, 100, 80)
    open_jaw[:17] += [3, 20]
    np.testing.assert_array_equal(
        frame_to_crop(still, px=64, framing="full"), frame_to_crop(open_jaw, px=64, framing="full")
    )


@pytest.mark.parametrize(("framing", "px"), [("full", 0), ("fulll", 64)])
def test_bad_framing_is_a_usage_error(framing, px):
    with pytest.raises(UsageError):
        frame_to_crop(face_at(50, 50, 30), px=px, framing=framing)


def test_landmarks_must_be_68():
    with pytest.raises(ValueError, match="68"):
        frame_to_crop(np.zeros((5, 2)), px=64, framing="full")


def test_invert_and_compose(rng):
    a, b = rng.normal(size=(2, 3)), rng.normal(size=(2, 3))
    points = rng.normal(size=(7, 2))
    np.testing.assert_allclose(map_points(invert(a), map_points(a, points)), points, atol=1e-9)
    np.testing.assert_allclose(map_points(compose(a, b), points), map_points(a, map_points(b, points)), atol=1e-12)


def test_no_inverse_of_a_flat_map():
    with pytest.raises(ValueError, match="inverse"):
        invert(np.array([[1.0, 2.0, 0.0], [2.0, 4.0, 0.0]]))


def test_resized_keeps_the_corners_of_the_picture():
    half = resized(np.array([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]), 100, 50)
    np.testing.assert_allclose(map_points(half, np.array([[-0.5, 99.5]])), [[-0.5, 49.5]])


def test_cut_by_a_whole_shift_is_a_copy(rng):
    image = rng.integers(0, 255, (90, 120, 3), dtype=np.uint8)
    crop = cut(image, np.array([[1.0, 0.0, -30.0], [0.0, 1.0, -20.0]]), 50)
    np.testing.assert_array_equal(crop, image[20:70, 30:80])


def test_cut_reflects_beyond_the_border(rng):
    image = rng.integers(0, 255, (60, 60, 3), dtype=np.uint8)
    crop = cut(image, np.array([[1.0, 0.0, 4.0], [0.0, 1.0, 0.0]]), 60)
    np.testing.assert_array_equal(crop[:, :4], image[:, 3::-1])


def test_cut_by_half_averages_blocks(rng):
    image = rng.integers(0, 255, (64, 64, 3), dtype=np.uint8)
    crop = cut(image, resized(np.eye(2, 3), 64, 32), 32)
    blocks = image.reshape(32, 2, 32, 2, 3).mean(axis=(1, 3))
    assert np.abs(crop - blocks).max() <= 0.5


@pytest.mark.parametrize("scale", [0.9, 0.6, 0.37, 0.2])
@pytest.mark.parametrize("shift", [-60.0, 15.0])
def test_cut_keeps_pixel_centres_at_every_scale(scale, shift):
    # A plane of grey stays that plane, so any shift of the sampling grid shows as a difference.
    y, x = np.mgrid[:540, :960].astype(np.float32)
    image = 0.2 * x + 0.1 * y
    angle = 0.3
    c, s = scale * math.cos(angle), scale * math.sin(angle)
    matrix = np.array([[c, -s, shift], [s, c, shift]])
    crop = cut(image, matrix, 96)
    yy, xx = np.mgrid[:96, :96]
    points = map_points(invert(matrix), np.column_stack([xx.ravel(), yy.ravel()]))
    margin = 2 / scale
    inside = ((points > margin) & (points < [959 - margin, 539 - margin])).all(1)
    wanted = 0.2 * points[:, 0] + 0.1 * points[:, 1]
    assert inside.mean() > 0.3
    # In units of one crop pixel's step; cubic interpolation ripples by a few hundredths, a shift would be a bias.
    error = (crop.ravel() - wanted)[inside] * scale / 0.2
    assert np.abs(error).max() < 0.1
    assert abs(error.mean()) < 0.01


def test_shrinking_does_not_alias():
    # Stripes finer than a crop pixel must become grey, not new stripes.
    image = np.zeros((600, 600, 3), np.uint8)
    image[:, ::2] = 200
    crop = cut(image, np.array([[0.23, 0.01, 3.0], [-0.01, 0.23, 3.0]]), 100)
    assert np.abs(crop[10:90, 10:90].astype(int) - 100).max() <= 12


@pytest.mark.parametrize("centre", [(320, 240), (60, 50), (600, 440), (10, 470)])
@pytest.mark.parametrize("degrees", [0, 20])
def test_pasting_a_crop_back_changes_next_to_nothing(centre, degrees):
    image = smooth_picture(640, 480)
    landmarks = face_at(*centre, 100, degrees)
    matrix = frame_to_crop(landmarks, px=256, framing="whole")
    crop = cut(image, matrix, 256)
    back = cv2.warpAffine(crop, invert(matrix), (640, 480), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT)
    y, x = np.mgrid[:480, :640]
    inside = map_points(matrix, np.column_stack([x.ravel(), y.ravel()]))
    covered = ((inside >= 0) & (inside <= 255)).all(1).reshape(480, 640)
    assert covered.sum() > 5000
    assert np.abs(back[covered].astype(int) - image[covered]).max() <= 1


def test_align_carries_the_matrix_that_made_the_crop():
    image = smooth_picture(320, 240)
    landmarks = face_at(160, 120, 70)
    face = Face(box=np.array([120, 80, 200, 170], np.float32), landmarks=landmarks, confidence=1.0)
    aligned = align(image, face, px=64, framing="full", frame=9)
    assert aligned.frame == 9
    assert aligned.crop.shape == (64, 64, 3)
    np.testing.assert_array_equal(aligned.crop, cut(image, aligned.frame_to_crop, 64))
    np.testing.assert_array_equal(aligned.landmarks, landmarks)


def test_paste_bounds_by_hand():
    # A crop of 10 px at (5, 7), at twice the scale of the frame: it covers 4.75 to 9.75 by 6.75 to 11.75.
    matrix = compose(resized(np.eye(2, 3), 5, 10), np.array([[1.0, 0.0, -5.0], [0.0, 1.0, -7.0]]))
    assert paste_bounds(matrix, 10, 100, 100) == (4, 6, 11, 13)
    assert paste_bounds(matrix, 10, 8, 100) == (4, 6, 8, 13)


def test_paste_bounds_outside_the_frame_are_empty():
    x0, _y0, x1, _y1 = paste_bounds(np.array([[1.0, 0.0, 500.0], [0.0, 1.0, 0.0]]), 10, 100, 100)
    assert x0 == x1


def test_paste_bounds_hold_every_pixel_the_crop_reaches():
    matrix = frame_to_crop(face_at(100, 90, 60, 25), px=64, framing="full")
    x0, y0, x1, y1 = paste_bounds(matrix, 64, 200, 180)
    y, x = np.mgrid[:180, :200]
    inside = map_points(matrix, np.column_stack([x.ravel(), y.ravel()]))
    reached = ((inside >= -0.5) & (inside <= 63.5)).all(1).reshape(180, 200)
    rows, columns = np.nonzero(reached)
    assert x0 <= columns.min()
    assert columns.max() < x1 <= columns.max() + 4
    assert y0 <= rows.min()
    assert rows.max() < y1 <= rows.max() + 4


@pytest.mark.parametrize("size", [(1, 1), (2, 300), (300, 2)])
def test_a_large_crop_of_a_tiny_frame_takes_no_time(size):
    started = time.process_time()
    crop = cut(np.full((*size, 3), 90, np.uint8), np.array([[0.5, 0.1, 90_000.0], [-0.1, 0.5, 90_000.0]]), 256)
    assert crop.shape == (256, 256, 3)
    assert (crop == 90).all()
    assert time.process_time() - started < 2
