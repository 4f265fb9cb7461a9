from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest

from shared.faces.align import FRAMING_RATIO, MEAN_FACE, frame_to_crop, invert, map_points, scale_of
from shared.faces.pastes.config import MaskConfig, SquareConfig
from shared.faces.pastes.square import FACE_WIDTH, coverage, fitted, lay, redrawn, sampled, square_matrix
from shared.types import Framing

KEPT = MaskConfig("full", feather=0.0, keep_edge=True)


def _face(width: float = 100.0, roll: float = 0.0, centre: float = 150.0) -> np.ndarray:
    turn = np.radians(roll)
    rotation = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    return ((MEAN_FACE - 0.5) / FACE_WIDTH * width) @ rotation.T + centre


def test_the_square_by_hand():
    landmarks = _face(100)
    matrix = square_matrix(landmarks, SquareConfig(side=1.5, rise=0.1, px=75))
    assert matrix[:, :2] == pytest.approx(np.eye(2) * 0.5)  # 150 frame pixels in 75
    assert map_points(matrix, np.array([[150.0, 140.0]]))[0] == pytest.approx([37, 37])
    eyes = map_points(matrix, landmarks)[36:48].reshape(2, 6, 2).mean(1)
    assert np.hypot(*(eyes[1] - eyes[0])) / 75 == pytest.approx(1 / (2.2 * 1.5))


def test_arcface_s_template_is_the_usual_square():
    """Eyes .2753 of the side apart, at .40 of its height."""
    square = SquareConfig()
    eyes = (map_points(square_matrix(_face(), square), _face())[36:48].reshape(2, 6, 2).mean(1) + 0.5) / square.px
    assert eyes[1, 0] - eyes[0, 0] == pytest.approx(0.2753, abs=0.001)
    assert eyes[:, 1] == pytest.approx([0.40, 0.40], abs=0.02)


def test_an_upright_square_does_not_turn():
    upright = square_matrix(_face(roll=30), SquareConfig(upright=True))
    turned = square_matrix(_face(roll=30), SquareConfig())
    assert upright[0, 1] == upright[1, 0] == 0
    assert scale_of(upright) == pytest.approx(scale_of(turned))
    middle = np.full((1, 2), 63.5)
    assert map_points(invert(upright), middle) == pytest.approx(map_points(invert(turned), middle))
    assert abs(turned[1, 0]) == pytest.approx(np.sin(np.pi / 6) * scale_of(turned))


@pytest.mark.parametrize("framing", list(FRAMING_RATIO))
@pytest.mark.parametrize("side", [0.86, 1.65, 3.9])
def test_a_square_lies_within_the_swapper_s_crop(framing: Framing, side: float):
    landmarks = _face()
    square = fitted(SquareConfig(side=side), framing)
    assert square.side <= side
    whole = frame_to_crop(landmarks, px=64, framing=framing)
    assert coverage(64, whole, square_matrix(landmarks, square), square.px).min() == 1
    assert fitted(square, framing) == square


def test_what_an_upright_square_has_beyond_the_crop_is_known():
    landmarks = _face(roll=30)
    square = fitted(SquareConfig(side=1.7, upright=True), "whole")
    cover = coverage(64, frame_to_crop(landmarks, px=64, framing="whole"), square_matrix(landmarks, square), square.px)
    assert cover[0, 0] == cover[-1, -1] == 0
    assert cover[64, 64] == 1
    assert 0.8 < cover.mean() < 0.95


def test_a_plain_warp_aliases_and_an_averaging_one_does_not():
    stripes = np.tile(np.array([0, 255], np.uint8), (300, 150))[..., None].repeat(3, 2)
    matrix = np.array([[0.25, 0, 0.0], [0, 0.25, 0]])
    assert np.ptp(sampled(stripes, matrix, 60, SquareConfig())) == 0  # only even columns are seen
    averaged = sampled(stripes, matrix, 60, SquareConfig(antialias=True))
    assert averaged.mean() == pytest.approx(127.5, abs=3)


@pytest.mark.parametrize(("beyond", "corner"), [("zero", 0), ("replicate", 200)])
def test_beyond_the_frame_is_black_or_the_last_pixel(beyond, corner):
    frame = np.full((40, 40, 3), 200, np.uint8)
    crop = sampled(frame, np.array([[1.0, 0, 10], [0, 1, 10]]), 32, SquareConfig(beyond=beyond))
    assert crop[0, 0, 0] == corner
    assert crop[20, 20, 0] == 200


def test_a_crop_is_redrawn_where_it_lies():
    landmarks = _face(roll=12)
    generated = frame_to_crop(landmarks, px=128, framing="whole")
    matrix = square_matrix(landmarks, SquareConfig(side=1.2, px=96))
    ramp = np.linspace(0, 1, 128, dtype=np.float32)[None, :, None].repeat(128, 0).repeat(3, 2)
    drawn = redrawn(ramp, generated, matrix, 96)
    point = np.array([[150.0, 160.0]])
    x, y = map_points(matrix, point)[0].round().astype(int)
    back = map_points(invert(matrix), np.array([[x, y]], float))
    assert drawn[y, x, 0] == pytest.approx(map_points(generated, back)[0, 0] / 127, abs=0.01)


def _laid(square: SquareConfig, mask: MaskConfig = KEPT, centre: float = 150.0, roll: float = 0.0):
    rng = np.random.default_rng(4)
    crop = cv2.GaussianBlur(rng.random((square.px, square.px, 3), np.float32), (0, 0), 1.0)
    landmarks = _face(roll=roll, centre=centre)
    return lay(
        crop, np.ones((square.px, square.px), np.float32), square_matrix(landmarks, square), square, mask,
        width=300, height=300,
    )  # fmt: skip


def test_bounds_hold_all_of_alpha_and_alpha_ends_at_the_square():
    for out in ("linear", "cubic", "lanczos"):
        for roll in (0.0, 25.0):
            laid = _laid(SquareConfig(px=32, out=out), roll=roll)
            assert laid is not None
            assert max(laid.alpha[0].max(), laid.alpha[-1].max(), laid.alpha[:, 0].max(), laid.alpha[:, -1].max()) == 0
            assert laid.alpha.max() == 1
            assert laid.alpha.sum() == pytest.approx(165**2, rel=0.03)


def test_the_ways_out_differ_and_a_second_square_is_another_resampling():
    base = SquareConfig(px=64)
    plain = _laid(base)
    assert plain is not None
    others = [replace(base, out="cubic"), replace(base, out="lanczos"), replace(base, hop=256), replace(base, px=512)]
    pictures = [one.rgb for one in map(_laid, others) if one is not None]
    assert len(pictures) == 4
    assert all(not np.array_equal(plain.rgb, one) for one in pictures)
    # A hop places the face where it was.
    centre = slice(plain.rgb.shape[0] // 4, -plain.rgb.shape[0] // 4)
    hopped = _laid(replace(base, hop=256))
    assert hopped is not None
    shift = np.subtract(hopped.bounds, plain.bounds)
    assert np.abs(shift).max() <= 4
    blurred = cv2.GaussianBlur(plain.rgb, (0, 0), 3)[centre, centre].mean()
    assert cv2.GaussianBlur(hopped.rgb, (0, 0), 3)[centre, centre].mean() == pytest.approx(blurred, abs=2)


def test_finer_squares_are_averaged_only_where_asked():
    coarse = {antialias: _laid(SquareConfig(px=2048, antialias=antialias)) for antialias in (False, True)}
    spread = {antialias: float(one.rgb[60:100, 60:100].std()) for antialias, one in coarse.items() if one is not None}
    assert spread[True] < 0.6 * spread[False]


def test_a_square_outside_of_the_frame_is_none_and_one_across_its_edge_is_cut():
    assert _laid(SquareConfig(), centre=900) is None
    for mask in (KEPT, replace(KEPT, erode=0.05, blur=0.02, space="frame")):
        cut = _laid(SquareConfig(), mask, centre=290)
        assert cut is not None
        assert cut.bounds[2:] == (300, 300)
        assert cut.alpha[-1, -1] == pytest.approx(1)
