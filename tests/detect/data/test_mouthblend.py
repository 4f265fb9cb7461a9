from __future__ import annotations

import numpy as np
import pytest

from detect.config.data import SelfBlendConfig
from detect.data.mouthblend import REGIONS, mouth_blend, mouth_region, moved_mouth
from detect.data.pairs import BlendedPairs
from detect.data.real_faces import FaceStack, RealFaces
from shared.faces.align import mean_in_crop

PX = 96
POINTS = mean_in_crop(PX, "whole").astype(np.float32)


def textured() -> np.ndarray:
    return np.random.default_rng(5).integers(0, 255, (PX, PX, 3)).astype(np.uint8)


def pairs(**settings: float) -> BlendedPairs:
    crops = np.stack([textured()])
    stack = FaceStack("one", crops, POINTS[None], np.zeros(1, np.int32), ((np.full_like(crops[0], 90),),))
    return BlendedPairs(RealFaces([stack]), SelfBlendConfig(), mask_px=24, **settings)


class TestMouthRegion:
    @pytest.mark.parametrize("kind", REGIONS)
    def test_it_covers_the_lips_and_not_the_eyes(self, kind):
        region = mouth_region(POINTS, PX, kind, np.random.default_rng(0))
        assert region.shape == (PX, PX)
        assert region.min() >= 0
        assert region.max() <= 1
        x, y = np.rint(POINTS[66]).astype(int)
        assert region[y, x] > 0.9
        for eye in (37, 44):
            x, y = np.rint(POINTS[eye]).astype(int)
            assert region[y, x] == 0


class TestMovedMouth:
    def test_pixels_of_the_eyes_stay(self):
        rows = slice(0, int(POINTS[36:48, 1].max()) - 2)
        moved = moved_mouth(textured(), POINTS, np.random.default_rng(1))
        assert np.abs(moved[rows].astype(int) - textured()[rows]).max() <= 1
        assert (moved != textured()).any()


class TestMouthBlend:
    def test_outside_the_region_not_one_level_changes(self):
        fake, region = mouth_blend(textured(), POINTS, np.random.default_rng(2))
        assert np.array_equal(fake[region == 0], textured()[region == 0])
        assert (fake[region == 1] != textured()[region == 1]).any()

    def test_a_twin_is_laid_over_the_mouth(self):
        twin = np.full((PX, PX, 3), 90, np.uint8)
        fake, region = mouth_blend(textured(), POINTS, np.random.default_rng(3), copy=twin)
        assert (fake[region == 1] == 90).all()

    def test_equal_draws_give_equal_fakes(self):
        one, other = (mouth_blend(textured(), POINTS, np.random.default_rng(4)) for _ in range(2))
        assert np.array_equal(one[0], other[0])
        assert np.array_equal(one[1], other[1])


class TestPairs:
    def test_all_of_them_when_asked(self):
        for seed in range(5):
            pair = pairs(mouths=1.0, twins=0.0).sample(np.random.default_rng(seed))
            assert pair.one_face
            assert np.array_equal(pair.real.crop, textured())
            assert pair.fake.mask is not None
            assert pair.fake.mask[:8].max() == 0 < pair.fake.mask.max()

    def test_none_by_default_as_before(self):
        one, other = (pairs(**given).sample(np.random.default_rng(9)) for given in ({}, {"mouths": 0.0}))
        assert np.array_equal(one.fake.crop, other.fake.crop)
