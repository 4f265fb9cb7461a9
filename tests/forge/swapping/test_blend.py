from __future__ import annotations

from typing import get_args

import numpy as np
import pytest

from forge.swapping.blend import Patch, can_clone, multiband, paste, place, scaled
from forge.swapping.config import BlendMethod, MaskConfig
from forge.swapping.region import face_region
from shared.faces.align import MEAN_FACE, cut, frame_to_crop, map_points
from shared.faces.pastes.mask import soften
from shared.types import SwappedFace

PX, WIDTH, HEIGHT = 32, 120, 96


def _landmarks(scale: float = 40.0, x: float = 40.0, y: float = 28.0) -> np.ndarray:
    return (MEAN_FACE * scale + [x, y]).astype(np.float32)


def _swapped(colour: float = 1.0, *, landmarks: np.ndarray | None = None, px: int = PX, mask: bool = False):
    landmarks = _landmarks() if landmarks is None else landmarks
    return SwappedFace(
        crop=np.full((px, px, 3), colour, np.float32),
        mask=np.full((px, px), 0.5, np.float32) if mask else None,
        frame_to_crop=frame_to_crop(landmarks, px=px, framing="whole"),
    )


def _placed(swapped: SwappedFace, choice="full", landmarks: np.ndarray | None = None, **soft) -> Patch:
    mask = MaskConfig(kind=choice, **{"feather": 0.035, **soft})
    region = face_region(swapped, _landmarks() if landmarks is None else landmarks, mask)
    patch = place(swapped, soften(region, mask), region, width=WIDTH, height=HEIGHT)
    assert patch is not None
    return patch


@pytest.fixture
def frame(rng) -> np.ndarray:
    ramp = np.linspace(40, 160, WIDTH)[None, :, None] + np.linspace(0, 40, HEIGHT)[:, None, None]
    return np.clip(ramp + rng.normal(0, 4, (HEIGHT, WIDTH, 3)), 0, 255).astype(np.uint8)


def test_a_crop_of_the_frame_itself_pastes_back_to_the_frame(frame):
    landmarks = _landmarks(scale=24.0, x=48, y=36)
    matrix = frame_to_crop(landmarks, px=128, framing="whole")
    swapped = SwappedFace(cut(frame, matrix, 128).astype(np.float32) / 255, None, matrix)
    result = paste(frame, _placed(swapped, landmarks=landmarks))
    # A shift of half a pixel would show as the noise's own difference, some 4 grey levels.
    assert np.abs(result.astype(int) - frame).mean() < 0.35


def test_a_dot_in_the_crop_lands_where_the_matrix_says():
    landmarks = _landmarks()
    matrix = frame_to_crop(landmarks, px=PX, framing="whole")
    crop = np.zeros((PX, PX, 3), np.float32)
    crop[14, 19] = 1
    patch = _placed(SwappedFace(crop, None, matrix), feather=0.0)
    y, x = np.unravel_index(patch.rgb[..., 0].argmax(), patch.rgb.shape[:2])
    in_frame = np.array([x + patch.bounds[0], y + patch.bounds[1], 1.0])
    assert matrix @ in_frame == pytest.approx([19, 14], abs=0.3)


METHODS = get_args(BlendMethod)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("choice", ["full", "hull"])
def test_pixels_outside_the_mask_keep_their_bytes(frame, method, choice):
    patch = _placed(_swapped(0.9), choice)
    result = paste(frame, patch, method)
    alpha = np.zeros((HEIGHT, WIDTH), np.float32)
    x0, y0, x1, y1 = patch.bounds
    alpha[y0:y1, x0:x1] = patch.alpha
    assert np.array_equal(result[alpha == 0], frame[alpha == 0])
    assert (alpha == 0).any()
    assert not np.array_equal(result, frame)


def test_alpha_mixes_by_the_stated_share():
    frame = np.full((HEIGHT, WIDTH, 3), 100, np.uint8)
    alpha = np.zeros((10, 10), np.float32)
    alpha[5, 5], alpha[6, 6] = 0.25, 1.0
    patch = Patch((20, 30, 30, 40), np.full((10, 10, 3), 200, np.float32), alpha, alpha)
    result = paste(frame, patch)
    assert result[35, 25].tolist() == [125] * 3
    assert result[36, 26].tolist() == [200] * 3
    assert int((result != 100).any(-1).sum()) == 2


def test_poisson_takes_the_frames_light(frame):
    bright = paste(frame, _placed(_swapped(0.95), "hull"), "poisson").astype(float)
    dark = paste(frame, _placed(_swapped(0.05), "hull"), "poisson").astype(float)
    pasted = paste(frame, _placed(_swapped(0.95), "hull")).astype(float)
    assert np.abs(bright - dark).max() <= 3  # a flat face has no gradients: its own brightness is gone
    assert np.abs(pasted - frame).max() > 60


@pytest.mark.parametrize("shift", [0.0, 0.25, 0.5, 0.75])
def test_poisson_does_not_shift_the_face_as_the_mask_changes_size(frame, shift):
    landmarks = _landmarks(scale=24.0, x=44 + shift, y=34 - shift)
    matrix = frame_to_crop(landmarks, px=128, framing="whole")
    swapped = SwappedFace(cut(frame, matrix, 128).astype(np.float32) / 255, None, matrix)
    result = paste(frame, _placed(swapped, "hull", landmarks=landmarks), "poisson")
    assert np.abs(result.astype(int) - frame).mean() < 0.35


@pytest.mark.parametrize("method", METHODS)
def test_a_face_that_leaves_the_frame_is_cut_at_its_edge(frame, method):
    landmarks = _landmarks(x=-25.0, y=-20.0)
    patch = _placed(_swapped(0.9, landmarks=landmarks), "hull", landmarks=landmarks)
    assert patch.bounds[:2] == (0, 0)
    result = paste(frame, patch, method)
    assert result.shape == frame.shape
    assert not np.array_equal(result, frame)


def test_a_face_wholly_outside_gives_no_patch():
    landmarks = _landmarks(x=1000.0)
    swapped = _swapped(landmarks=landmarks)
    region = face_region(swapped, landmarks)
    assert place(swapped, soften(region), region, width=WIDTH, height=HEIGHT) is None


def test_a_mask_too_small_for_poisson_falls_back_to_alpha():
    frame = np.full((HEIGHT, WIDTH, 3), 100, np.uint8)
    alpha = np.zeros((10, 10), np.float32)
    alpha[4:7, 4:7] = 1.0
    patch = Patch((20, 30, 30, 40), np.full((10, 10, 3), 200, np.float32), alpha, alpha)
    assert not can_clone(patch)
    assert np.array_equal(paste(frame, patch, "poisson"), paste(frame, patch, "alpha"))


def test_a_crop_finer_than_the_frame_does_not_alias():
    landmarks = _landmarks(scale=16.0, x=52, y=40)
    matrix = frame_to_crop(landmarks, px=256, framing="whole")
    crop = np.zeros((256, 256, 3), np.float32)
    crop[:, ::2] = 1  # stripes far finer than a frame pixel must become an even grey
    patch = _placed(SwappedFace(crop, None, matrix), landmarks=landmarks)
    inside = patch.rgb[patch.alpha == 1]
    assert inside.mean() == pytest.approx(127.5, abs=3)
    assert inside.std() < 12


def test_mixed_poisson_keeps_the_stronger_gradient():
    frame = np.full((HEIGHT, WIDTH, 3), 100, np.uint8)
    frame[:, 60:64] = 180  # a stripe of the frame under a flat face
    patch = _placed(_swapped(0.5), "hull")
    plain, mixed = (paste(frame, patch, method).astype(int) for method in ("poisson", "poisson-mixed"))
    y = int(_landmarks()[30, 1])
    assert np.ptp(mixed[y, 56:68]) > 60
    assert np.ptp(plain[y, 56:68]) < 30


def _half_mask(side: int = 64) -> np.ndarray:
    alpha = np.zeros((side, side), np.float32)
    alpha[:, : side // 2] = 1
    return alpha


def test_one_level_of_the_pyramid_is_alpha_blending(rng):
    front, back = (rng.uniform(0, 255, (64, 64, 3)).astype(np.float32) for _ in range(2))
    alpha = rng.uniform(0, 1, (64, 64)).astype(np.float32)
    assert multiband(front, back, alpha, 1) == pytest.approx(back + alpha[..., None] * (front - back), abs=1e-3)


def test_the_pyramid_of_a_picture_with_itself_is_the_picture(rng):
    picture = rng.uniform(0, 255, (61, 47, 3)).astype(np.float32)
    assert multiband(picture, picture, _half_mask(61)[:, :47], 5) == pytest.approx(picture, abs=1e-2)


def test_the_pyramid_mixes_broad_shades_wide_and_fine_detail_narrow():
    alpha = _half_mask()
    light, dark = np.full((64, 64, 3), 200, np.float32), np.full((64, 64, 3), 100, np.float32)
    row = multiband(light, dark, alpha, 5)[32, :, 0]
    assert (np.diff(row) <= 1e-3).all()
    assert ((row > 105) & (row < 195)).sum() > 12  # the hard mask makes a wide ramp of an even shade
    checks = np.where((np.add.outer(np.arange(64), np.arange(64)) % 2)[..., None], 160, 140).astype(np.float32)
    grey = np.full((64, 64, 3), 150, np.float32)
    fine = multiband(np.repeat(checks, 3, 2), grey, alpha, 5)[32, :, 0]
    assert np.abs(fine[:30] - 150).min() > 7  # and keeps single pixels up to two from its edge
    assert np.abs(fine[34:] - 150).max() < 3


def test_overlay_by_hand():
    frame = np.full((HEIGHT, WIDTH, 3), 51, np.uint8)  # 0.2
    frame[:, 60:] = 204  # 0.8
    alpha = np.ones((4, 4), np.float32)
    patch = Patch((58, 30, 62, 34), np.full((4, 4, 3), 127.5, np.float32), alpha, alpha)
    result = paste(frame, patch, "overlay")
    assert result[31, 58, 0] == round(255 * 2 * 0.2 * 0.5)
    assert result[31, 61, 0] == round(255 * (1 - 2 * 0.2 * 0.5))


def test_scaling_keeps_the_centre_and_moves_the_rest_away_from_it():
    matrix = frame_to_crop(_landmarks(), px=PX, framing="whole")
    larger = scaled(matrix, PX, 2.0)
    centre = np.array([[(PX - 1) / 2] * 2])
    point = np.linalg.solve(matrix[:, :2], (centre[0] - matrix[:, 2]))[None]
    assert map_points(larger, point) == pytest.approx(centre)
    away = point + np.array([[10.0, -4.0]])
    assert map_points(larger, away) - centre == pytest.approx((map_points(matrix, away) - centre) / 2)
    assert scaled(matrix, PX, 1.0) == pytest.approx(matrix)
