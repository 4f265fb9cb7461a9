from __future__ import annotations

import numpy as np
import pytest

from forge.swapping.sharpen import line_kernel, motion_blurred, sharpened


def test_sharpening_adds_what_a_blur_takes_away():
    step = np.zeros((16, 16, 3), np.float32)
    step[:, 8:] = 0.5
    step += 0.25
    sharp = sharpened(step, 1.0)
    # Beside a step of height h a Gaussian of sigma 1 moves the nearest pixel by h * Phi(-1/2) = 0.309 h.
    assert sharp[8, 8, 0] - step[8, 8, 0] == pytest.approx(0.309 * 0.5, abs=0.01)
    assert sharp[8, 7, 0] - step[8, 7, 0] == pytest.approx(-0.309 * 0.5, abs=0.01)
    assert sharp[8, 1] == pytest.approx(step[8, 1], abs=1e-4)
    assert sharpened(step, 0.0) is step
    assert sharpened(step, 4.0).max() == 1.0


def _dot(height: float = 0.4) -> np.ndarray:
    crop = np.full((9, 9, 3), 0.5, np.float32)
    crop[4, 4] += height
    return crop


def test_a_box_takes_away_the_mean_of_nine():
    sharp = sharpened(_dot(0.18), 1.0, kind="box", radius=1.0)
    assert sharp[4, 4, 0] == pytest.approx(0.5 + 0.18 + 0.18 * 8 / 9, abs=1e-5)
    assert sharp[4, 5, 0] == pytest.approx(0.5 - 0.02, abs=1e-5)
    assert sharp[4, 7, 0] == pytest.approx(0.5)


def test_unsharp_leaves_weak_detail_alone():
    assert sharpened(_dot(0.01), 1.0, kind="unsharp", threshold=0.02) == pytest.approx(_dot(0.01))
    strong = sharpened(_dot(0.3), 1.0, kind="unsharp", threshold=0.02)
    assert strong[4, 4, 0] == sharpened(_dot(0.3), 1.0, kind="gauss")[4, 4, 0] > 0.8


def test_a_wider_radius_reaches_further():
    assert abs(sharpened(_dot(), 1.0, radius=3.0)[4, 7, 0] - 0.5) > abs(sharpened(_dot(), 1.0)[4, 7, 0] - 0.5)


@pytest.mark.parametrize("motion", [(3.0, 0.0), (0.0, 2.5), (4.0, -3.0), (0.4, 0.1)])
def test_the_line_weighs_one_lies_on_its_centre_and_is_as_long_as_the_motion(motion):
    kernel = line_kernel(np.array(motion))
    offsets = np.arange(len(kernel)) - len(kernel) // 2
    assert kernel.sum() == pytest.approx(1, abs=1e-5)
    assert kernel @ np.ones(len(kernel)) @ offsets == pytest.approx(0, abs=1e-5)
    assert offsets @ kernel @ np.ones(len(kernel)) == pytest.approx(0, abs=1e-5)
    # An even spread over a length has the variance length squared / 12; sharing among pixels adds at most 1/4.
    for axis, length in enumerate(motion):
        spread = kernel.sum(axis=axis) @ offsets**2
        assert length**2 / 12 * 0.97 <= spread <= length**2 / 12 + 0.26
    if motion == (4.0, -3.0):
        assert offsets @ kernel @ offsets < 0  # it runs up to the right


def test_a_blur_along_the_motion_leaves_what_runs_along_it():
    stripes = np.zeros((32, 32, 3), np.float32)
    stripes[::4] = 1
    assert motion_blurred(stripes, np.array([6.0, 0.0])) == pytest.approx(stripes, abs=1e-5)
    assert np.ptp(motion_blurred(stripes, np.array([0.0, 8.0]))[8:24]) < 0.15
    assert motion_blurred(stripes, np.array([0.05, 0.05])) is stripes
