from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

from forge.models.contract import SwapSpec
from forge.training.augment_config import AugmentConfig
from forge.training.data import FaceBank, face_planes, need_enough, split_by_time, stored_side_px, yaw_weights
from shared.errors import FacesetError
from shared.faces.align import mean_in_crop

STILL = AugmentConfig(rotate_degrees=0, zoom=0, shift=0, flip=0, warp=0, lightness=0, tint=0)
INNER = 64


def spec(input_px: int = 32, output_px: int = 32) -> SwapSpec:
    return SwapSpec("test", input_px, output_px, "full", ("a", "b"), True)


def position_crop() -> np.ndarray:
    """256 px whose red is x and whose green is y, so that a moved pixel says where it came from."""
    axis = np.arange(256, dtype=np.uint8)
    return np.dstack([np.tile(axis, (256, 1)), np.tile(axis[:, None], (1, 256)), np.full((256, 256), 9, np.uint8)])


@pytest.fixture(scope="module")
def planes() -> np.ndarray:
    return face_planes(position_crop(), mean_in_crop(256, "whole").astype(np.float32), INNER, spec())


def bank_of(planes: np.ndarray, count: int = 3) -> FaceBank:
    stacked = torch.from_numpy(np.stack([planes] * count))
    return FaceBank("a", stacked, INNER / planes.shape[-1])


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


class TestFacePlanes:
    def test_the_margin_is_a_quarter_and_even(self, planes):
        assert stored_side_px(64) == 80
        assert stored_side_px(63) == 79
        assert planes.shape == (6, 80, 80)
        assert planes.dtype == np.uint8

    def test_the_face_is_reframed(self, planes):
        before, after = mean_in_crop(256, "whole"), mean_in_crop(INNER, "full") + 8
        for point in (8, 30, 36, 45, 48, 54):
            x, y = np.rint(after[point]).astype(int)
            # Between pixel centres and the point lie at most half a pixel, 1.5 times 192/64 source pixels wide.
            assert planes[0, y, x] == pytest.approx(before[point, 0], abs=2.5)
            assert planes[1, y, x] == pytest.approx(before[point, 1], abs=2.5)
        assert (planes[2] == 9).all()

    def test_the_regions_are_where_the_landmarks_are(self, planes):
        points = mean_in_crop(INNER, "full") + 8

        def at(plane: int, where: np.ndarray) -> int:
            x, y = np.rint(where).astype(int)
            return int(planes[plane, y, x])

        nose, left, right, mouth = points[30], points[36:42].mean(0), points[42:48].mean(0), points[48:60].mean(0)
        assert [at(3, place) for place in (nose, left, right, mouth)] == [255] * 4
        assert [at(4, place) > 250 for place in (nose, left, right, mouth)] == [False, True, True, False]
        assert [at(5, place) > 250 for place in (nose, left, right, mouth)] == [False, False, False, True]
        assert planes[3:, 0, 0].tolist() == [0, 0, 0]

    def test_eyes_and_mouth_are_a_small_part_of_the_face(self, planes):
        face, eyes, mouth = (planes[plane].sum(dtype=float) for plane in (3, 4, 5))
        assert 0.02 < eyes / face < 0.15
        assert 0.02 < mouth / face < 0.15


class TestBatch:
    def test_a_still_face_is_the_middle_of_what_is_stored(self, planes):
        still = bank_of(planes).still([0, 2], spec())
        inner = torch.from_numpy(planes[:, 8:72, 8:72]).float()[None] / 255
        expected = torch.nn.functional.avg_pool2d(inner, 2)
        assert torch.allclose(still.target[1:], expected[:, :3], atol=1e-5)
        assert torch.allclose(still.mask[1:], expected[:, 3:4], atol=1e-5)
        assert torch.equal(still.input, still.target)

    def test_shapes_where_input_and_output_differ(self, planes):
        batch = bank_of(planes).batch(4, spec(32, 48), AugmentConfig(), generator())
        assert batch.input.shape == (4, 3, 32, 32)
        assert batch.target.shape == (4, 3, 48, 48)
        assert batch.mask.shape == batch.eyes.shape == batch.mouth.shape == (4, 1, 48, 48)
        for values in batch:
            assert values.dtype == torch.float32
            assert 0 <= values.min() <= values.max() <= 1

    def test_face_and_regions_move_together(self, planes):
        marked = planes.copy()
        marked[0], marked[1], marked[2] = planes[3], planes[4], planes[5]
        config = AugmentConfig(rotate_degrees=25, zoom=0.2, shift=0.1, lightness=0, tint=0)
        batch = bank_of(marked).batch(6, spec(), config, generator())
        regions = torch.cat([batch.mask, batch.eyes, batch.mouth], 1)
        assert torch.allclose(batch.target, regions, atol=0.02)
        assert (batch.target[0] - batch.target[1]).abs().max() > 0.2

    def test_the_input_is_warped_and_the_target_is_not(self, planes):
        config = AugmentConfig(rotate_degrees=0, zoom=0, shift=0, flip=0, warp=5 / 256, lightness=0, tint=0)
        bank = bank_of(planes)
        still = bank.still([0], spec())
        batch = bank.batch(2, spec(), config, generator())
        assert torch.allclose(batch.target[:1], still.target, atol=1e-3)
        assert (batch.input[0] - batch.target[0]).abs().max() > 0.02
        calm = bank.batch(2, spec(), config, generator(), warp=0.0)
        assert torch.allclose(calm.input, calm.target, atol=1e-3)

    def test_a_morph_bends_input_and_target_alike(self, planes):
        config = AugmentConfig(rotate_degrees=0, zoom=0, shift=0, flip=0, warp=0, lightness=0, tint=0, morph=0.03)
        bank = bank_of(planes)
        batch = bank.batch(2, spec(32, 64), config, generator())
        still = bank.still([0], spec(32, 64))
        small = torch.nn.functional.avg_pool2d(batch.target, 2)
        assert (batch.target[0] - still.target[0]).abs().max() > 0.03
        assert (batch.input - small)[..., 2:-2, 2:-2].abs().max() < 0.02
        assert (batch.mask[0] - still.mask[0]).abs().max() > 0.3

    def test_input_and_target_share_their_colours(self, planes):
        config = AugmentConfig(rotate_degrees=0, zoom=0, shift=0, flip=0, warp=0, lightness=0.3, tint=0.08)
        batch = bank_of(planes).batch(4, spec(), config, generator())
        assert torch.equal(batch.input, batch.target)
        assert (batch.target[0] - batch.target[1]).abs().mean() > 0.01

    def test_a_seed_is_a_batch(self, planes):
        bank = bank_of(planes)
        one, two, other = (bank.batch(3, spec(), AugmentConfig(), generator(seed)) for seed in (1, 1, 2))
        assert all(torch.equal(a, b) for a, b in zip(one, two, strict=True))
        assert not torch.equal(one.target, other.target)

    def test_all_faces_are_drawn(self, planes):
        numbered = np.stack([np.full_like(planes, 20 * number) for number in range(10)])
        bank = FaceBank("a", torch.from_numpy(numbered), INNER / 80)
        batch = bank.batch(200, spec(), STILL, generator())
        assert len(torch.unique((batch.target[:, 0, 0, 0] * 255 / 20).round())) == 10


class TestSplit:
    def test_the_last_of_every_clip_is_held_out(self):
        clips = [0, 0, 0, 0, 0, 1, 1, 1, 1, 1]
        rows = [3, 4, 5, 6, 7, 10, 11, 12, 13, 14]
        assert split_by_time(clips, rows, 0.2) == ([3, 4, 5, 6, 10, 11, 12, 13], [7, 14])

    def test_nothing_held_out(self):
        assert split_by_time([0, 0], [5, 6], 0.0) == ([5, 6], [])

    def test_a_clip_too_short_to_split_is_all_for_training(self):
        assert split_by_time([0, 0, 1], [0, 1, 2], 0.3) == ([0, 1, 2], [])


@pytest.mark.parametrize(("faces", "said"), [(0, "0 usable faces"), (1, "1 usable face,"), (7, "7 usable faces")])
def test_too_few_faces_are_refused_with_a_hint(faces, said):
    with pytest.raises(FacesetError, match=said) as caught:
        need_enough("ann", faces)
    assert "clip" in (caught.value.hint or "")
    need_enough("ann", 8)


class TestBorrowed:
    def banks(self, planes: np.ndarray) -> tuple[FaceBank, FaceBank]:
        dark, light = planes.copy(), planes.copy()
        chance = np.random.default_rng(0)
        noise = chance.integers(0, 60, planes[:3].shape)
        dark[:3], light[:3] = 40 + noise, 120 + noise * 2
        dark[3], light[3] = 255, 255
        return bank_of(dark), bank_of(light)

    def test_colours_of_another_face_have_its_mean_and_spread(self, planes):
        dark, light = self.banks(planes)
        config = dataclasses.replace(STILL, color_transfer=1.0)
        given = dark.batch(4, spec(64, 64), config, generator(), other=light)
        plain = dark.batch(4, spec(64, 64), STILL, generator())
        goal = light.batch(4, spec(64, 64), STILL, generator())
        assert given.target.mean().item() == pytest.approx(goal.target.mean().item(), abs=0.03)
        assert given.target.mean() > plain.target.mean() + 0.2
        assert torch.equal(given.input, given.target)
        half = dark.batch(40, spec(), dataclasses.replace(STILL, color_transfer=0.5), generator(), other=light)
        changed = (half.target.mean((1, 2, 3)) > plain.target.mean() + 0.1).float().mean().item()
        assert 0.3 < changed < 0.7

    def test_every_direction_is_drawn_as_often(self, planes):
        numbered = np.stack([np.full_like(planes, 20 * number) for number in range(10)])
        yaw = torch.tensor([1.0] * 8 + [22.0, 41.0])
        bank = FaceBank("a", torch.from_numpy(numbered), INNER / 80, yaw_degrees=yaw)
        config = dataclasses.replace(STILL, uniform_yaw=True)
        drawn = (bank.batch(600, spec(), config, generator()).target[:, 0, 0, 0] * 255 / 20).round()
        for number in (8, 9):
            assert (drawn == number).float().mean().item() == pytest.approx(1 / 3, abs=0.06)
        assert yaw_weights(yaw).tolist() == pytest.approx([1 / 24] * 8 + [1 / 3] * 2)

    def test_a_face_is_warped_towards_another_shape_and_its_target_is_not(self, planes):
        points = torch.from_numpy(mean_in_crop(64, "full")).float()
        inside = (2 * (points + 8) + 1) / 80 - 1
        wide = inside.clone()
        wide[48:, 0] *= 1.4
        own = FaceBank("a", torch.from_numpy(np.stack([planes] * 3)), INNER / 80, inside.expand(3, -1, -1))
        other = FaceBank("b", own.planes, own.extent, wide.expand(3, -1, -1))
        config = dataclasses.replace(STILL, warp_kind="landmarks", warp=0.0)
        batch = own.batch(2, spec(64, 64), config, generator(), other=other)
        # Red is x: where the other's mouth corner is, the own one is seen, nearer the middle.
        corner = ((through_still(wide[54]) + 1) * 32 - 0.5).round().long()
        seen = batch.input[0, 0, corner[1], corner[0]]
        assert seen < batch.target[0, 0, corner[1], corner[0]] - 0.01
        assert (batch.input - batch.target).abs().max() > 0.02
        assert torch.allclose(own.batch(2, spec(64, 64), config, generator()).input, batch.target, atol=1e-3)


def through_still(point: torch.Tensor) -> torch.Tensor:
    """A point of the stored plane in the plane of what is shown."""
    return point / (INNER / 80)
