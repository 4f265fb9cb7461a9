from __future__ import annotations

import cv2
import numpy as np
import pytest

from forge.swapping.blend import paste, place
from forge.swapping.prefilter import CUBIC_MEANS, inverse_of_means, prefiltered
from shared.faces.align import cut
from shared.types import SwappedFace

PX = 48


def _frame_to_crop(frame_px_per_crop_px: float, degrees: float = 0.0) -> np.ndarray:
    turn = np.radians(degrees)
    linear = np.array([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]]) / frame_px_per_crop_px
    return np.column_stack([linear, (PX - 1) / 2 - linear @ np.array([150.0, 150.0])])


def _again(crop: np.ndarray, matrix: np.ndarray, *, prefilter: bool) -> np.ndarray:
    """``crop`` pasted into a frame and cut out of it again, (S, S, 3) in [0, 1]."""
    whole = np.ones((PX, PX), np.float32)
    patch = place(SwappedFace(crop, None, matrix), whole, whole, width=300, height=300, prefilter=prefilter)
    assert patch is not None
    frame = paste(np.full((300, 300, 3), 128, np.uint8), patch)
    return cut(frame, matrix, PX).astype(np.float32) / 255


def test_the_means_are_those_of_the_cubic_kernel_of_opencv():
    fine = 64
    impulse = np.zeros((1, 9), np.float32)
    impulse[0, 4] = 1
    wide = cv2.resize(impulse, (9 * fine, 1), interpolation=cv2.INTER_CUBIC)
    means = wide.reshape(9, fine).mean(axis=1)
    assert means[4:7] == pytest.approx(CUBIC_MEANS, abs=2e-4)


def test_the_filter_undoes_the_means_and_leaves_a_flat_area():
    kernel = inverse_of_means()
    means = np.array([*CUBIC_MEANS[:0:-1], *CUBIC_MEANS])
    both = np.convolve(kernel, means)
    wanted = np.zeros_like(both)
    wanted[len(both) // 2] = 1
    assert np.abs(both - wanted).max() < 1e-3
    flat = np.full((PX, PX, 3), 0.4, np.float32)
    assert prefiltered(flat, _frame_to_crop(4)) == pytest.approx(flat, abs=1e-5)


@pytest.mark.parametrize(("degrees", "left", "error"), [(0.0, 0.9, 0.35), (20.0, 0.72, 0.8)])
def test_a_crop_that_was_pasted_is_cut_out_nearly_as_it_was(rng, degrees, left, error):
    """White noise, the finest detail there is; a turned square is averaged in two steps, which takes more of it."""
    crop = (0.5 + 0.08 * rng.standard_normal((PX, PX, 3))).astype(np.float32)
    inside = (slice(4, -4), slice(4, -4))
    matrix = _frame_to_crop(4.0, degrees)
    plain, kept = (_again(crop, matrix, prefilter=on)[inside] - 0.5 for on in (False, True))
    wanted = crop[inside] - 0.5
    share = [float((found * wanted).sum() / (wanted**2).sum()) for found in (plain, kept)]
    assert share[0] < 0.71
    assert left < share[1] < 1.01
    assert np.abs(kept - wanted).mean() < error * np.abs(plain - wanted).mean()


def test_it_fades_out_as_the_frame_gets_as_coarse_as_the_crop(rng):
    crop = rng.random((PX, PX, 3)).astype(np.float32)
    moved = [float(np.abs(prefiltered(crop, _frame_to_crop(size)) - crop).mean()) for size in (0.5, 1.0, 4 / 3, 2, 4)]
    assert moved[0] == moved[1] == 0
    assert moved[2] == pytest.approx(moved[3] / 2, rel=1e-3)
    assert moved[3] == pytest.approx(moved[4], rel=1e-6)
