from __future__ import annotations

import numpy as np
import pytest

from detect.config.data import SelfBlendConfig
from detect.data.crossblend import nearest_landmarks, other_face, warped_to
from detect.data.pairs import BlendedPairs
from detect.data.real_faces import FaceStack, RealFaces
from shared.faces.align import mean_in_crop

PX = 96
POINTS = mean_in_crop(PX, "whole").astype(np.float32)


def gradient() -> np.ndarray:
    y, x = np.mgrid[0:PX, 0:PX]
    return np.stack((x * 2, y * 2, (x + y)), axis=-1).astype(np.uint8)


class TestWarp:
    def test_equal_landmarks_change_nothing(self):
        assert np.abs(warped_to(gradient(), POINTS, POINTS) - gradient()).max() < 1e-2

    def test_a_landmark_s_pixel_moves_to_its_new_place(self):
        wanted = POINTS + np.float32([3, -2])
        image = gradient().astype(np.float32)
        found = warped_to(gradient(), POINTS, wanted)
        for point in (30, 48, 45):
            x, y = np.rint(wanted[point]).astype(int)
            assert np.abs(found[y, x] - image[y + 2, x - 3]).max() <= 1.0
        assert np.abs(found[0, 0] - image[0, 0]).max() < 1e-2  # the border stays

    def test_the_nearest_candidate_is_chosen(self):
        assert nearest_landmarks(POINTS, [POINTS + 5, POINTS + 1, POINTS - 3]) == 1


class TestOtherFace:
    def test_it_changes_the_face_alone(self):
        other = np.full((PX, PX, 3), 40, np.uint8)
        made = other_face(gradient(), POINTS, other, POINTS, np.random.default_rng(0))
        assert made.dtype == np.uint8
        np.testing.assert_array_equal(made[:8], gradient()[:8])
        assert np.abs(made[PX // 2, PX // 2].astype(int) - gradient()[PX // 2, PX // 2]).max() > 5

    def test_colours_are_those_of_the_target_in_most_cases(self):
        rng = np.random.default_rng(1)
        target = np.full((PX, PX, 3), (150, 100, 90), np.uint8)
        other = np.clip(rng.normal(60, 5, (PX, PX, 3)), 0, 255).astype(np.uint8)
        made = [other_face(target, POINTS, other, POINTS, rng)[PX // 2, PX // 2] for _ in range(20)]
        near = sum(np.abs(each.astype(int) - (150, 100, 90)).max() <= 3 for each in made)
        assert 12 <= near < 20


class TestPairs:
    def faces(self, groups: list[int]) -> RealFaces:
        crops = np.stack([np.full((PX, PX, 3), 60 * number + 40, np.uint8) for number in range(len(groups))])
        points = np.stack([POINTS] * len(groups))
        return RealFaces([FaceStack("some", crops, points, np.array(groups, np.int32))])

    def test_the_copy_is_of_another_group(self):
        faces = self.faces([0, 0, 1])
        rng = np.random.default_rng(0)
        for _ in range(10):
            found = faces.other((0, 0), rng)
            assert found is not None
            assert found[0][0, 0, 0] == 160

    def test_a_single_person_has_no_other(self):
        assert self.faces([0, 0]).other((0, 1), np.random.default_rng(0)) is None

    @pytest.mark.parametrize("others", [0.0, 1.0])
    def test_pairs_of_one_face_show_the_other_only_when_asked(self, others):
        plain = SelfBlendConfig(rgb_shift=0, hue_shift=0, saturation=0, brightness=0, contrast=0, ratios=(1.0,))
        pairs = BlendedPairs(self.faces([0, 1]), plain, twins=0, others=others)
        rng = np.random.default_rng(3)
        changes = []
        for _ in range(12):
            pair = pairs.sample(rng)
            assert pair.one_face
            changes.append(int(np.abs(pair.fake.crop.astype(int) - pair.real.crop).max()))
        assert (max(changes) > 30) == bool(others)
