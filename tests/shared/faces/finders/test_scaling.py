from __future__ import annotations

import numpy as np
import pytest

from shared.faces.finders.dlib_hog import scales_for
from shared.faces.finders.scaling import shrunk


@pytest.mark.parametrize(
    ("size", "min_face_px", "expected"),
    [
        ((300, 200), None, (300, 200)),
        ((1280, 720), None, (640, 360)),
        ((640, 360), 48, (320, 180)),
        ((640, 360), 12, (640, 360)),
        ((1, 5000), None, (1, 640)),
    ],
)
def test_frames_are_shrunk_as_far_as_the_search_allows(size, min_face_px, expected):
    width, height = size
    small, back = shrunk(np.zeros((height, width, 3), np.uint8), longest_px=640, easy_px=24, min_face_px=min_face_px)
    assert (small.shape[1], small.shape[0]) == expected
    np.testing.assert_allclose(np.array(expected) * back, size)


@pytest.mark.parametrize(
    ("size", "min_face_px", "scales"),
    [
        ((512, 480), None, [1.0, 2.0]),
        ((1280, 720), None, [1.0, 2.0]),
        ((2560, 1440), None, [0.5, 1.0]),
        ((512, 480), 160, [0.5]),
        ((512, 480), 20, [2.0]),
        ((5120, 2880), 80, [0.5]),
    ],
)
def test_hog_searches_small_first_and_large_only_when_nothing_was_found(size, min_face_px, scales):
    assert scales_for(*size, min_face_px) == pytest.approx(scales)
