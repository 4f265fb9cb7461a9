from __future__ import annotations

from typing import get_args

import numpy as np
import pytest

from forge.swapping.color import AFFINE, COLOR_METHODS, ColorMap, adjusted, fit_color, mean_map, transfer_color
from forge.swapping.config import ColorConfig, ColorMethod
from shared.errors import UsageError

PX = 24


def _noise(rng: np.random.Generator, mean: float, spread: float) -> np.ndarray:
    return np.clip(rng.normal(mean, spread, (PX, PX, 3)), 0, 1).astype(np.float32)


@pytest.fixture
def whole() -> np.ndarray:
    return np.ones((PX, PX), np.float32)


def test_the_methods_are_those_that_settings_know():
    assert set(COLOR_METHODS) == set(get_args(ColorMethod))


@pytest.mark.parametrize("method", COLOR_METHODS)
def test_a_crop_matched_to_itself_stays(method, rng, whole):
    crop = _noise(rng, 0.5, 0.1)
    assert transfer_color(method, crop, crop, whole) == pytest.approx(crop, abs=3e-3)


@pytest.mark.parametrize("method", [name for name in COLOR_METHODS if name not in ("none", "average", "manual")])
def test_a_flat_crop_gains_the_contrast_of_a_contrasty_target(method, rng, whole):
    # The popular reciprocal of Reinhard's formula would flatten it to about a quarter instead.
    crop, target = _noise(rng, 0.4, 0.05), _noise(rng, 0.6, 0.1)
    result = transfer_color(method, crop, target, whole)
    assert result.mean() == pytest.approx(target.mean(), abs=0.02)
    assert result.std() == pytest.approx(target.std(), rel=0.15)


def test_mean_std_gain_in_lab_is_target_over_crop_on_a_grey_ramp(whole):
    ramp = np.linspace(0, 1, PX, dtype=np.float32)
    grey = np.broadcast_to(ramp[None, :, None], (PX, PX, 3))
    crop, target = 0.4 + 0.1 * grey, 0.3 + 0.3 * grey
    fitted = fit_color("mean-std", np.ascontiguousarray(crop), np.ascontiguousarray(target), whole)
    # L* is nearly linear in gamma-encoded grey: three times the span is about three times the spread of L*.
    assert fitted.space == "lab"
    assert fitted.matrix[0, 0] == pytest.approx(3.0, rel=0.04)
    assert fitted.apply(crop.astype(np.float32)).mean() == pytest.approx(target.mean(), abs=0.02)


def test_average_moves_the_mean_by_the_hand_computed_amount(whole):
    crop = np.full((PX, PX, 3), 0.25, np.float32)
    target = np.stack([np.full((PX, PX), v, np.float32) for v in (0.5, 0.25, 0.125)], axis=-1)
    fitted = fit_color("average", crop, target, whole)
    assert fitted.offset == pytest.approx([0.25, 0.0, -0.125], abs=1e-6)
    assert fitted.apply(crop) == pytest.approx(target, abs=1e-6)


@pytest.mark.parametrize("method", [name for name in COLOR_METHODS if name != "none"])
def test_only_pixels_inside_the_mask_are_measured(method, rng):
    mask = np.zeros((PX, PX), np.float32)
    mask[6:18, 6:18] = 1
    crop, target = _noise(rng, 0.4, 0.05), _noise(rng, 0.6, 0.05)
    wild_crop, wild_target = crop.copy(), target.copy()
    wild_crop[mask == 0], wild_target[mask == 0] = 1.0, 0.0
    plain = transfer_color(method, crop, target, mask)
    assert transfer_color(method, wild_crop, wild_target, mask)[mask > 0] == pytest.approx(plain[mask > 0], abs=1e-5)


def test_crop_and_target_may_have_different_masks(rng):
    left, right = np.zeros((PX, PX), np.float32), np.zeros((PX, PX), np.float32)
    left[:, : PX // 2], right[:, PX // 2 :] = 1, 1
    crop, target = np.full((PX, PX, 3), 0.3, np.float32), np.full((PX, PX, 3), 0.1, np.float32)
    target[:, PX // 2 :] = 0.7
    assert transfer_color("average", crop, target, left, right) == pytest.approx(np.full_like(crop, 0.7), abs=1e-6)


@pytest.mark.parametrize("method", ["lct", "mkl"])
def test_full_affine_maps_take_the_covariance_over(method, rng, whole):
    mixing = np.array([[0.08, 0, 0], [0.05, 0.03, 0], [0.0, 0.04, 0.05]])
    crop = (0.5 + 0.05 * rng.normal(size=(PX, PX, 3))).astype(np.float32)
    target = (0.5 + rng.normal(size=(PX, PX, 3)) @ mixing.T).astype(np.float32)
    fitted = fit_color(method, crop, target, whole)
    mapped = crop.reshape(-1, 3) @ fitted.matrix.T + fitted.offset
    assert np.cov(mapped.T) == pytest.approx(np.cov(target.reshape(-1, 3).T), abs=2e-4)
    assert mapped.mean(0) == pytest.approx(target.reshape(-1, 3).mean(0), abs=1e-5)


def test_mkl_map_is_symmetric_so_it_moves_colours_least(rng, whole):
    crop, target = _noise(rng, 0.4, 0.06), _noise(rng, 0.5, 0.1)
    matrix = fit_color("mkl", crop, target @ np.array([[1, 0.2, 0], [0, 1, 0], [0, 0, 1]], np.float32), whole).matrix
    assert matrix == pytest.approx(matrix.T, abs=1e-9)


def test_histogram_takes_two_levels_to_two_levels(whole):
    crop = np.zeros((PX, PX, 3), np.float32)
    crop[: PX // 2] = 0.2
    crop[PX // 2 :] = 0.4
    target = np.where(crop > 0.3, 0.9, 0.5).astype(np.float32)
    assert transfer_color("histogram", crop, target, whole) == pytest.approx(target, abs=1e-6)


def test_a_flat_crop_is_not_stretched_without_bound(rng, whole):
    crop, target = _noise(rng, 0.5, 0.001), _noise(rng, 0.5, 0.2)
    for method in AFFINE:
        assert np.linalg.norm(fit_color(method, crop, target, whole).matrix, 2) <= 3.0 + 1e-9


def test_without_a_face_in_the_mask_nothing_changes(rng):
    crop, target, nothing = _noise(rng, 0.3, 0.1), _noise(rng, 0.7, 0.1), np.zeros((PX, PX), np.float32)
    for method in COLOR_METHODS:
        assert transfer_color(method, crop, target, nothing) == pytest.approx(
            crop, abs=5e-3
        )  # the log space lifts black by a grey level


def test_random_directions_are_the_same_at_every_call_unless_a_generator_is_given(rng, whole):
    crop, target = _noise(rng, 0.4, 0.05), _noise(rng, 0.6, 0.1)
    for method in ("idt", "sot"):
        assert np.array_equal(transfer_color(method, crop, target, whole), transfer_color(method, crop, target, whole))
        other = transfer_color(method, crop, target, whole, rng=np.random.default_rng(5))
        assert not np.array_equal(transfer_color(method, crop, target, whole), other)


def test_mean_map_weighs_its_maps():
    one, two = ColorMap.identity("rgb"), ColorMap("rgb", 3 * np.eye(3), np.array([4.0, 0, 0]))
    mean = mean_map([one, two], [3, 1])
    assert mean.matrix == pytest.approx(1.5 * np.eye(3))
    assert mean.offset == pytest.approx([1.0, 0, 0])


def test_mean_map_refuses_maps_of_different_spaces():
    with pytest.raises(ValueError, match="different spaces"):
        mean_map([ColorMap.identity("rgb"), ColorMap.identity("lab")], [1, 1])
    with pytest.raises(ValueError, match="positive weights"):
        mean_map([], [])


def test_unknown_methods_are_refused_with_the_nearest_name(rng, whole):
    crop = _noise(rng, 0.5, 0.1)
    with pytest.raises(UsageError) as caught:
        transfer_color("mean-sd", crop, crop, whole)
    assert "mean-std" in str(caught.value.hint)
    with pytest.raises(UsageError):
        fit_color("histogram", crop, crop, whole)


GREY = np.full((4, 4, 3), 0.4, np.float32)
COLOURED = np.broadcast_to(np.array([0.6, 0.4, 0.2], np.float32), (4, 4, 3))


@pytest.mark.parametrize(
    ("crop", "settings", "expected"),
    [
        (GREY, {"brightness": 0.2}, 0.6),
        (GREY, {"contrast": 2.0}, 0.3),
        (GREY, {"gamma": 2.0}, 0.4**0.5),
        (GREY, {"saturation": 0.0}, 0.4),
        (GREY, {"gain": (2.0, 1.0, 0.5)}, (0.8, 0.4, 0.2)),
        (GREY, {"offset": (0.1, 0.0, -0.1)}, (0.5, 0.4, 0.3)),
        (GREY, {"brightness": 0.1, "contrast": 2.0, "gamma": 2.0}, 0.5**0.5),
        (GREY, {"brightness": 1.0}, 1.0),
        (COLOURED, {"saturation": 0.0}, 0.6 * 0.299 + 0.4 * 0.587 + 0.2 * 0.114),
        (COLOURED, {"saturation": 2.0}, tuple(2 * x - 0.437 for x in (0.6, 0.4, 0.2))),
    ],
)
def test_what_is_turned_by_hand(crop, settings, expected):
    result = adjusted(crop, ColorConfig("manual", **settings))
    wanted = np.clip(np.broadcast_to(np.float32(expected), crop.shape), 0, 1)
    assert result == pytest.approx(wanted, abs=1e-5)
    assert result.dtype == np.float32


def test_nothing_turned_changes_nothing():
    assert adjusted(GREY, ColorConfig("manual")) is GREY
    assert transfer_color("manual", GREY, COLOURED, np.ones((4, 4), np.float32)) is GREY
