from __future__ import annotations

import cv2
import numpy as np
import pytest

from detect.config.data import SelfBlendConfig
from detect.data.selfblend import change_look, self_blend, soften
from shared.errors import ConfigError, UnknownNameError
from shared.faces.align import mean_in_crop
from shared.faces.mask import hull_mask
from shared.faces.pastes.presets import paste_names


@pytest.fixture
def face(rng):
    noise = rng.integers(0, 255, (24, 24, 3), dtype=np.uint8)
    crop = cv2.resize(noise, (128, 128), interpolation=cv2.INTER_CUBIC)
    return crop, mean_in_crop(128, "whole").astype(np.float32)


def test_the_same_seed_gives_the_same_pair(face):
    one, two = (self_blend(*face, np.random.default_rng(3)) for _ in range(2))
    assert np.array_equal(one.fake, two.fake)
    assert np.array_equal(one.mask, two.mask)


def test_outside_the_mask_fake_and_real_agree(face, rng):
    for _ in range(12):
        pair = self_blend(*face, rng)
        outside = pair.mask < 1e-6
        assert outside.any()
        assert np.array_equal(pair.fake[outside], pair.real[outside])


def test_inside_the_mask_they_differ(face, rng):
    changed = [np.abs(pair.fake.astype(int) - pair.real)[pair.mask > 0.2].mean() for pair in
               (self_blend(*face, rng) for _ in range(12))]  # fmt: skip
    assert min(changed) > 0.5


def test_the_mask_lies_in_range_and_its_peak_is_a_ratio(face, rng):
    config = SelfBlendConfig(ratios=(0.5,))
    for _ in range(6):
        mask = self_blend(*face, rng, config).mask
        assert mask.min() >= 0
        assert mask.max() == pytest.approx(0.5, abs=1e-5)


def test_the_real_half_is_the_crop_in_half_of_the_cases(face, rng):
    untouched = sum(np.array_equal(self_blend(*face, rng).real, face[0]) for _ in range(60))
    assert 18 <= untouched <= 42


def test_softening_stays_near_the_hull(face, rng):
    hull = hull_mask(face[1], 128, "facehull")
    grown = cv2.dilate(hull, np.ones((41, 41)))
    for _ in range(10):
        soft = soften(hull, rng)
        assert soft.max() == pytest.approx(1.0)
        assert (soft[grown == 0] < 0.05).all()


def test_an_empty_mask_stays_empty(rng):
    assert soften(np.zeros((64, 64), np.float32), rng).max() == 0


def test_a_change_of_look_keeps_the_picture_recognisable(face, rng):
    for _ in range(8):
        changed = change_look(face[0], rng, SelfBlendConfig())
        assert changed.dtype == np.uint8
        assert np.corrcoef(changed.ravel(), face[0].ravel())[0, 1] > 0.6


def test_ratios_are_checked():
    with pytest.raises(ConfigError):
        SelfBlendConfig(ratios=(0.0, 1.0))


@pytest.mark.parametrize("name", paste_names())
def test_a_blend_in_the_shape_of_a_paste_changes_nothing_outside_of_its_mask(face, name):
    config = SelfBlendConfig(pastes=(name,), ratios=(1.0,))
    for seed in range(3):
        pair = self_blend(*face, np.random.default_rng(seed), config)
        again = self_blend(*face, np.random.default_rng(seed), config)
        assert np.array_equal(pair.fake, again.fake)
        assert np.array_equal(pair.mask, again.mask)
        assert np.array_equal(pair.fake[pair.mask == 0], pair.real[pair.mask == 0])
        assert (pair.fake != pair.real).any(2)[pair.mask > 0.5].mean() > 0.5


def test_a_box_reaches_beside_the_face_and_a_rewritten_square_is_all_mask(face, rng):
    crop, landmarks = face
    box = self_blend(crop, landmarks, rng, SelfBlendConfig(pastes=("box:visomaster",), ratios=(1.0,))).mask
    beside = (landmarks[0] - [10, 0]).round().astype(int)  # a fifth of the face beyond the cheek
    assert box[beside[1], beside[0]] > 0.9
    assert self_blend(crop, landmarks, rng).mask[beside[1], beside[0]] < 0.2
    square = self_blend(crop, landmarks, rng, SelfBlendConfig(pastes=("segment-square:fsgan",), ratios=(1.0,))).mask
    assert set(np.unique(square[4:-4].round(2)[:, 64])) <= {0.0, 1.0}
    half = self_blend(crop, landmarks, rng, SelfBlendConfig(pastes=("box",), ratios=(0.5,))).mask
    assert half.max() == pytest.approx(0.5, abs=1e-5)


def test_a_paste_that_does_not_exist_is_refused():
    with pytest.raises(UnknownNameError, match="no paste is named 'bax'"):
        SelfBlendConfig(pastes=("box", "bax"))
