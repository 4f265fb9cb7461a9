from __future__ import annotations

import pytest
import torch

from forge.training.augment import render, still_affine
from forge.training.lab import lab_to_rgb, rgb_to_lab
from forge.training.warp import jittered, landmark_field, nearest_shapes, random_field, through
from shared.faces.align import mean_in_crop

CPU = torch.device("cpu")


def generator(seed: int = 3) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def face() -> torch.Tensor:
    """(1, 68, 2): the mean face in the plane."""
    points = torch.from_numpy(mean_in_crop(64, "full")).float()
    return ((2 * points + 1) / 64 - 1)[None]


class TestGrids:
    def test_the_rim_stays_and_the_middle_moves(self):
        field = random_field(200, 65, 0.03, generator(), CPU, kind="grids")
        assert field.shape == (200, 65, 65, 2)
        assert field[:, 0].abs().max() == field[:, :, -1].abs().max() == 0
        assert field[:, 32, 32].abs().max() > 0.03

    def test_each_face_has_a_grid_of_three_five_or_nine_and_coarse_cells_move_far(self):
        field = random_field(600, 65, 0.03, generator(), CPU, kind="grids")[..., 0]
        # With align_corners a node of the 9x9 grid is every eighth pixel; bends are where a grid has nodes.
        nodes = field[:, ::8, ::8]
        row = nodes[:, 4]
        bends = (row[:, 2:] - 2 * row[:, 1:-1] + row[:, :-2]).abs() > 1e-5
        three = ~bends[:, [0, 1, 2, 4, 5, 6]].any(1)
        five = ~three & ~bends[:, [0, 2, 4, 6]].any(1)
        nine = ~three & ~five
        for chosen in (three, five, nine):
            assert 0.25 < chosen.float().mean().item() < 0.42
        # 0.06 of the plane at 5x5 is DeepFaceLab's 0.24 of a cell at sigma 0.06; a 3x3 cell is twice as long.
        spread = [nodes[chosen, 4, 4].std().item() for chosen in (three, five, nine)]
        assert spread == pytest.approx([0.12, 0.06, 0.03], rel=0.15)


class TestLandmarks:
    def test_landmarks_arrive_and_the_border_stays(self):
        points = face()
        goals = points.clone()
        goals[:, 48:] += torch.tensor([0.05, 0.08])
        field = landmark_field(points, goals, 64)
        assert field.shape == (1, 64, 64, 2)
        at = goals[:, None]
        read = torch.nn.functional.grid_sample(field.permute(0, 3, 1, 2), at, align_corners=False)[0, :, 0].T
        # What is looked up at a goal is the landmark itself; a little give and a coarse grid cost a little.
        assert (goals[0] + read - points[0])[17:].norm(dim=1).mean().item() < 0.015
        assert read[48:].mean(0).tolist() == pytest.approx([-0.05, -0.08], abs=0.012)
        assert field[0, [0, 0, -1, -1], [0, -1, 0, -1]].abs().max() < 0.02

    def test_a_marked_point_is_carried_to_its_goal(self):
        points = face()
        goals = points.clone()
        goals[:, 27:36] += torch.tensor([0.0, 0.1])
        picture = torch.zeros(1, 1, 64, 64)
        x, y = ((points[0, 30] + 1) * 32 - 0.5).round().long().tolist()
        picture[0, 0, y - 1 : y + 2, x - 1 : x + 2] = 1
        seen = render(picture, still_affine(1, 1.0), 64, field=landmark_field(points, goals, 64))
        rows = seen[0, 0].sum(1)
        centre = (rows * torch.arange(64)).sum() / rows.sum()
        assert centre.item() == pytest.approx(y + 0.1 * 32, abs=1.0)

    def test_no_way_to_go_is_no_warp_and_half_the_strength_half_the_way(self):
        points = face()
        assert landmark_field(points, points, 32).abs().max() < 1e-5
        goals = points + 0.05 * torch.randn(1, 68, 2, generator=generator())
        whole, half = landmark_field(points, goals, 32), landmark_field(points, goals, 32, strength=0.5)
        shifted = landmark_field(points, points + (goals - points), 32)
        assert torch.allclose(whole, shifted)
        assert half.abs().mean().item() == pytest.approx(whole.abs().mean().item() / 2, rel=1e-3)

    def test_jitter_is_two_pixels_of_256(self):
        moved = jittered(torch.zeros(500, 68, 2), 5 / 256, generator())
        assert moved.std().item() * 128 == pytest.approx(2.0, rel=0.03)

    def test_the_most_similar_shapes_are_drawn(self):
        shape = face()
        candidates = torch.cat([shape + shift for shift in torch.linspace(0, 1, 40).view(40, 1, 1)])
        picks = torch.tensor([0.0, 0.45, 0.999])
        found = nearest_shapes(shape.expand(3, -1, -1), candidates, picks)
        shifts = (found - shape)[:, 0, 0]
        assert shifts.tolist() == pytest.approx([0, 4 / 39, 9 / 39], abs=1e-5)
        assert nearest_shapes(shape, candidates[:2], torch.tensor([0.9])).shape == (1, 68, 2)

    def test_points_go_back_through_the_map(self):
        theta = torch.tensor([[[0.0, -0.8, 0.1], [-0.8, 0.3, -0.2]]])
        there = torch.rand(1, 68, 2, generator=generator())
        stored = there @ theta[:, :, :2].mT + theta[:, None, :, 2]
        assert torch.allclose(through(stored, theta), there, atol=1e-5)


class TestLab:
    def test_it_is_what_kornia_says(self):
        from kornia.color import rgb_to_lab as reference

        pictures = torch.rand(2, 3, 16, 16, generator=generator())
        pictures[0, :, :4] *= 0.01
        lab = rgb_to_lab(pictures)
        assert torch.allclose(lab, reference(pictures), atol=2e-3)
        assert torch.allclose(lab_to_rgb(lab), pictures, atol=2e-5)

    def test_colours_by_hand(self):
        white, red = torch.ones(1, 3, 1, 1), torch.tensor([1.0, 0, 0]).view(1, 3, 1, 1)
        assert rgb_to_lab(white).flatten().tolist() == pytest.approx([100, 0, 0], abs=0.02)
        assert rgb_to_lab(red).flatten().tolist() == pytest.approx([53.24, 80.09, 67.20], abs=0.05)
        assert lab_to_rgb(torch.tensor([150.0, 0, 0]).view(1, 3, 1, 1)).flatten().tolist() == pytest.approx([1, 1, 1])
