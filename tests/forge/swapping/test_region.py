from __future__ import annotations

import numpy as np
import pytest

from forge.swapping.config import MaskConfig
from forge.swapping.region import face_region, needs_target_mask, resolved
from shared.errors import UsageError
from shared.faces.align import MEAN_FACE, frame_to_crop, mean_in_crop
from shared.faces.pastes.mask import border_fade, erode_sides, soften
from shared.types import SwappedFace

PX = 32
LANDMARKS = (MEAN_FACE * 40 + [40, 28]).astype(np.float32)


def _swapped(mask: float | None = None) -> SwappedFace:
    learned = None if mask is None else np.full((PX, PX), mask, np.float32)
    matrix = frame_to_crop(LANDMARKS, px=PX, framing="whole")
    return SwappedFace(np.ones((PX, PX, 3), np.float32), learned, matrix)


@pytest.mark.parametrize("px", [8, 32, 65])
def test_border_fade_is_zero_on_the_outermost_pixels_and_one_inside(px):
    fade = border_fade(px, 0.1)
    edge = np.concatenate([fade[0], fade[-1], fade[:, 0], fade[:, -1]])
    assert (edge == 0).all()
    assert fade[px // 2, px // 2] == 1
    assert (np.diff(fade[px // 2, : px // 2]) >= 0).all()


@pytest.mark.parametrize(("erode", "feather"), [(0.0, 0.035), (0.1, 0.0), (-0.2, 0.0), (0.0, 0.0)])
def test_even_a_full_mask_fades_to_nothing_at_the_edge_of_the_crop(erode, feather):
    alpha = soften(np.ones((64, 64), np.float32), MaskConfig(erode=erode, feather=feather))
    assert alpha[0].max() == alpha[-1].max() == alpha[:, 0].max() == alpha[:, -1].max() == 0
    assert alpha[32, 32] == 1


def test_the_feather_runs_inward():
    region = np.zeros((64, 64), np.float32)
    region[16:48, 16:48] = 1
    alpha = soften(region, MaskConfig(feather=0.035, border=0.05))
    assert (alpha[region == 0] == 0).all()
    assert alpha[32, 32] == 1
    assert 0.2 < alpha[32, 20] < 0.8  # half way two sigma (4.5 px) inside the edge
    assert np.unique(alpha[32, 16:32]).size > 4


def test_erosion_is_a_fraction_of_the_side_at_any_resolution():
    for px in (64, 256):
        region = np.zeros((px, px), np.float32)
        region[px // 4 : -px // 4, px // 4 : -px // 4] = 1
        alpha = soften(region, MaskConfig(erode=1 / 16, feather=0.0, border=0.02))
        assert int(alpha[px // 2].sum()) == px // 2 - 2 * px // 16


TARGET = np.full((PX, PX), 0.75, np.float32)


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("full", 1.0),
        ("learned-source", 0.5),
        ("learned-target", 0.75),
        ("learned-product", 0.375),
        ("learned-sum", 1.0),
    ],
)
def test_the_learned_masks_by_hand(kind, value):
    region = face_region(_swapped(0.5), LANDMARKS, MaskConfig(kind=kind), target_mask=TARGET)
    assert region == pytest.approx(value)
    assert needs_target_mask(kind) == (kind in ("learned-target", "learned-product", "learned-sum"))


def test_the_hull_cuts_a_learned_mask_where_asked_and_by_default():
    hull = face_region(_swapped(0.5), LANDMARKS, MaskConfig(kind="hull"))
    cut = MaskConfig(kind="learned-source", inside_hull=True)
    assert face_region(_swapped(0.5), LANDMARKS, cut) == pytest.approx(hull * 0.5)
    assert np.array_equal(face_region(_swapped(0.5), LANDMARKS), hull * 0.5)
    assert np.array_equal(face_region(_swapped(), LANDMARKS), hull)
    assert 0.2 < hull.mean() < 0.8
    nose = mean_in_crop(PX, "whole")[30].round().astype(int)
    assert hull[nose[1], nose[0]] == 1


def test_the_four_hulls_differ():
    sizes = {
        kind: face_region(_swapped(), LANDMARKS, MaskConfig(kind="hull", hull=kind)).mean()
        for kind in ("extended", "components", "facehull", "dfl")
    }
    assert sizes["facehull"] < sizes["dfl"] < sizes["extended"]
    hollow = LANDMARKS.copy()
    hollow[4:6, 0] += 8  # a cheek that the convex hull of all points spans
    parts, whole = (
        face_region(_swapped(), hollow, MaskConfig(kind="hull", hull=kind)) for kind in ("components", "facehull")
    )
    assert parts.sum() < whole.sum()
    assert (parts <= whole + 1e-6).all()


def test_a_learned_mask_of_a_swapper_without_one_is_refused():
    assert resolved(MaskConfig(), has_mask=False) == ("hull", False)
    with pytest.raises(UsageError, match="learned a mask"):
        face_region(_swapped(), LANDMARKS, MaskConfig(kind="learned-product"))
    with pytest.raises(ValueError, match="target's decoder"):
        face_region(_swapped(0.5), LANDMARKS, MaskConfig(kind="learned-sum"))


def _box(px: int = 40) -> np.ndarray:
    region = np.zeros((px, px), np.float32)
    region[10:30, 12:28] = 1
    return region


def _edges(region: np.ndarray) -> tuple[int, int, int, int]:
    rows, columns = np.nonzero(region)
    return int(rows.min()), int(rows.max()) + 1, int(columns.min()), int(columns.max()) + 1


@pytest.mark.parametrize(
    ("sides", "edges"),
    [
        ((0.1, 0, 0, 0), (14, 30, 12, 28)),
        ((0, 0.1, 0, 0), (10, 26, 12, 28)),
        ((0, 0, 0.1, 0), (10, 30, 16, 28)),
        ((0, 0, 0, 0.1), (10, 30, 12, 24)),
        ((-0.1, 0, 0, 0), (6, 30, 12, 28)),
        ((0, -0.1, 0, 0), (10, 34, 12, 28)),
        ((0, 0, -0.1, 0), (10, 30, 8, 28)),
        ((0, 0, 0, -0.1), (10, 30, 12, 32)),
        ((0.05, -0.05, 0.1, 0.1), (12, 32, 16, 24)),
        ((0, 0, 0, 0), (10, 30, 12, 28)),
    ],
)
def test_each_side_moves_alone(sides, edges):
    moved = erode_sides(_box(), sides)
    assert _edges(moved) == edges
    assert set(np.unique(moved)) == {0, 1}


def test_a_region_that_touches_the_crops_edge_is_drawn_in_there_too():
    assert _edges(erode_sides(np.ones((40, 40), np.float32), (0.1, 0, 0, 0.05))) == (4, 40, 0, 38)


def test_a_blur_reaches_both_ways_and_a_feather_only_inward():
    region = np.zeros((100, 100), np.float32)
    region[30:70, 30:70] = 1
    blurred = soften(region, MaskConfig(feather=0, blur=0.04))
    feathered = soften(region, MaskConfig(feather=0.04))
    assert blurred[50, 28] > 0.1
    assert blurred[50, 32] < 0.9
    assert (feathered[region == 0] == 0).all()
    assert blurred[50, 5] == 0  # the tails are cut
