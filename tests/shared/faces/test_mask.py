from __future__ import annotations

import numpy as np
import pytest

from shared.errors import UsageError
from shared.faces.align import mean_in_crop
from shared.faces.mask import erode, feather, hull_mask

KINDS = ["extended", "components", "facehull", "dfl"]


@pytest.mark.parametrize("kind", KINDS)
def test_mask_is_a_symmetric_region_around_the_face(kind):
    mask = hull_mask(mean_in_crop(128, "whole"), 128, kind)
    assert mask.shape == (128, 128)
    assert mask.dtype == np.float32
    assert mask.min() == 0
    assert mask.max() == 1
    assert np.abs(mask - mask[:, ::-1]).max() <= 0.51
    assert np.abs(mask - mask[:, ::-1]).mean() < 0.01
    for x, y in mean_in_crop(128, "whole")[27:68].round().astype(int):
        assert mask[y, x] == 1


def test_kinds_are_nested():
    landmarks = mean_in_crop(128, "whole")
    area = {kind: hull_mask(landmarks, 128, kind) for kind in KINDS}
    assert (area["components"] <= area["facehull"] + 1e-6).all()
    assert (area["facehull"] <= area["extended"] + 1e-6).all()
    assert (area["components"] <= area["dfl"] + 1e-6).all()
    assert area["facehull"].sum() < 0.95 * area["extended"].sum()
    assert area["dfl"].sum() < 0.95 * area["extended"].sum()
    brow = landmarks[19]
    above = int(brow[1] - 8), int(brow[0])
    assert area["facehull"][above] == 0
    assert area["extended"][above] == 1


def test_components_follow_a_hollow_cheek_and_leave_no_hole():
    landmarks = mean_in_crop(128, "whole")
    whole = hull_mask(landmarks, 128, "facehull")
    assert np.abs(hull_mask(landmarks, 128, "components") - whole).sum() < 0.02 * whole.sum()
    landmarks[4:6, 0] += 9
    parts, hull = hull_mask(landmarks, 128, "components"), hull_mask(landmarks, 128, "facehull")
    assert parts.sum() < 0.99 * hull.sum()


def test_hull_has_the_area_of_its_polygon():
    # All points in the corners of a square of 40 by 40, corners on pixel edges: exactly 1600 pixels.
    corners = np.array([[19.5, 19.5], [59.5, 19.5], [59.5, 59.5], [19.5, 59.5]])
    landmarks = np.resize(corners, (68, 2))
    mask = hull_mask(landmarks, 100, "facehull")
    assert mask.sum() == pytest.approx(1600, rel=0.02)
    assert mask[40, 40] == 1
    assert mask[10, 10] == 0


def test_landmarks_far_outside_do_no_harm():
    landmarks = mean_in_crop(64, "full")
    landmarks[8] = [1e9, 1e9]
    assert hull_mask(landmarks, 64, "facehull").max() == 1


def test_unknown_kind_is_refused_with_a_hint():
    with pytest.raises(UsageError) as caught:
        hull_mask(mean_in_crop(64, "full"), 64, "extend")  # type: ignore[arg-type]
    assert "extended" in (caught.value.hint or "")


def test_landmarks_must_be_68():
    with pytest.raises(ValueError, match="68"):
        hull_mask(np.zeros((5, 2)), 64, "facehull")


def test_feather_keeps_the_middle_and_the_total():
    mask = np.zeros((80, 80), np.float32)
    mask[20:60, 20:60] = 1
    soft = feather(mask, 3)
    assert soft.dtype == np.float32
    assert soft[40, 40] == pytest.approx(1, abs=1e-5)
    assert (soft[40, 19] + soft[40, 20]) / 2 == pytest.approx(0.5, abs=1e-3)
    assert soft.sum() == pytest.approx(1600, rel=1e-3)


def test_feather_counts_the_outside_as_zero():
    soft = feather(np.ones((40, 40), np.float32), 4)
    assert soft[20, 0] == pytest.approx(0.55, abs=0.02)
    assert soft[20, 20] == pytest.approx(1, abs=1e-4)


def test_feather_by_nothing_and_less():
    mask = np.eye(8, dtype=np.float32)
    np.testing.assert_array_equal(feather(mask, 0), mask)
    with pytest.raises(ValueError, match="negative"):
        feather(mask, -1)


def test_erode_and_grow_by_whole_pixels():
    mask = np.zeros((40, 40), np.float32)
    mask[10:30, 10:30] = 1
    smaller, larger = erode(mask, 3), erode(mask, -3)
    assert np.nonzero(smaller[20])[0].tolist() == list(range(13, 27))
    assert np.nonzero(larger[20])[0].tolist() == list(range(7, 33))
    np.testing.assert_array_equal(erode(mask, 0.3), mask)


def test_erode_also_draws_in_from_the_border():
    smaller = erode(np.ones((20, 20), np.float32), 2)
    assert smaller[10, 1] == 0
    assert smaller[10, 2] == 1
