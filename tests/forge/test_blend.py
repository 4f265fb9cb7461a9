from __future__ import annotations

import numpy as np
import pytest

from forge.blend import Patch, border_fade, can_clone, face_region, paste, place, resolve_mask, sharpened, soften
from shared.errors import UsageError
from shared.faces.align import MEAN_FACE, cut, frame_to_crop, mean_in_crop
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
    region = face_region(swapped, _landmarks() if landmarks is None else landmarks, choice=choice)
    patch = place(swapped, soften(region, **soft), region, width=WIDTH, height=HEIGHT)
    assert patch is not None
    return patch


@pytest.fixture
def frame(rng) -> np.ndarray:
    ramp = np.linspace(40, 160, WIDTH)[None, :, None] + np.linspace(0, 40, HEIGHT)[:, None, None]
    return np.clip(ramp + rng.normal(0, 4, (HEIGHT, WIDTH, 3)), 0, 255).astype(np.uint8)


@pytest.mark.parametrize("px", [8, 32, 65])
def test_border_fade_is_zero_on_the_outermost_pixels_and_one_inside(px):
    fade = border_fade(px, 0.1)
    edge = np.concatenate([fade[0], fade[-1], fade[:, 0], fade[:, -1]])
    assert (edge == 0).all()
    assert fade[px // 2, px // 2] == 1
    assert (np.diff(fade[px // 2, : px // 2]) >= 0).all()


@pytest.mark.parametrize(("erode", "feather"), [(0.0, 0.035), (0.1, 0.0), (-0.2, 0.0), (0.0, 0.0)])
def test_even_a_full_mask_fades_to_nothing_at_the_edge_of_the_crop(erode, feather):
    alpha = soften(np.ones((64, 64), np.float32), erode=erode, feather=feather)
    assert alpha[0].max() == alpha[-1].max() == alpha[:, 0].max() == alpha[:, -1].max() == 0
    assert alpha[32, 32] == 1


def test_the_feather_runs_inward():
    region = np.zeros((64, 64), np.float32)
    region[16:48, 16:48] = 1
    alpha = soften(region, feather=0.035, border=0.05)
    assert (alpha[region == 0] == 0).all()
    assert alpha[32, 32] == 1
    assert 0.2 < alpha[32, 20] < 0.8  # half way two sigma (4.5 px) inside the edge
    assert np.unique(alpha[32, 16:32]).size > 4


def test_erosion_is_a_fraction_of_the_side_at_any_resolution():
    for px in (64, 256):
        region = np.zeros((px, px), np.float32)
        region[px // 4 : -px // 4, px // 4 : -px // 4] = 1
        alpha = soften(region, erode=1 / 16, feather=0.0, border=0.02)
        assert int(alpha[px // 2].sum()) == px // 2 - 2 * px // 16


def test_the_mask_choices_combine_learned_and_hull():
    swapped, landmarks = _swapped(mask=True), _landmarks()
    hull = face_region(swapped, landmarks, choice="hull")
    assert face_region(swapped, landmarks, choice="learned") == pytest.approx(0.5)
    assert face_region(swapped, landmarks, choice="product") == pytest.approx(hull * 0.5)
    assert np.array_equal(face_region(swapped, landmarks), face_region(swapped, landmarks, choice="product"))
    assert face_region(swapped, landmarks, choice="full").min() == 1
    assert 0.2 < hull.mean() < 0.8
    nose = mean_in_crop(PX, "whole")[30].round().astype(int)
    assert hull[nose[1], nose[0]] == 1


def test_a_learned_mask_of_a_swapper_without_one_is_refused():
    assert resolve_mask("auto", has_mask=False) == "hull"
    with pytest.raises(UsageError, match="learned a mask"):
        face_region(_swapped(), _landmarks(), choice="product")


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


@pytest.mark.parametrize("method", ["alpha", "poisson"])
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


@pytest.mark.parametrize("method", ["alpha", "poisson"])
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
