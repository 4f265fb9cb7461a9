"""Local motions of landmark groups: exact for shifts and affine maps, still where nothing moves."""

from __future__ import annotations

import torch

from forge.reenacting.networks.motion import GROUPS, local_motions, moved_places, nearness, places, sampled
from forge.reenacting.networks.warp import reenact_warp

PX = 64
MEAN = torch.from_numpy(reenact_warp(px=PX, channels=4).spec.mean).float()[None]
LOWER_LIP = GROUPS.index((55, 56, 57, 58, 59, 65, 66, 67))


def test_every_landmark_belongs_to_a_group():
    assert {point for group in GROUPS for point in group} == set(range(68))


def test_a_shift_is_met_exactly_by_every_group_and_the_background_stays():
    shift = torch.tensor([3.0, -2.0])
    motions = local_motions(MEAN + shift, MEAN, PX)
    at = places(PX, 4)
    there = moved_places(motions, at)
    assert there.shape == (1, 1 + len(GROUPS), PX // 4, PX // 4, 2)
    assert torch.equal(there[0, 0], at)
    assert torch.allclose(there[0, 1:], (at - shift).expand(len(GROUPS), -1, -1, -1), atol=1e-3)


def test_a_group_that_is_larger_than_the_ridge_follows_its_own_map():
    """The lower lip of the mean face, made six times as wide, so that its spread is five times the ridge."""
    px = 4096
    source = MEAN * px / PX
    driving = source.clone()
    lip = list(GROUPS[LOWER_LIP])
    centre = source[:, lip].mean(1, keepdim=True)
    driving[:, lip] = centre + (source[:, lip] - centre) * torch.tensor([6.0, 1.0])
    linear = local_motions(driving, source, px)[0, LOWER_LIP, :, :2]
    ridge = len(lip) * (0.15 * px) ** 2
    spread = ((driving[:, lip] - centre)[..., 0] ** 2).sum().item()
    assert abs(linear[0, 0].item() - (spread / 6 + ridge) / (spread + ridge)) < 1e-3
    assert linear[0, 0].item() < 0.7
    assert abs(linear[1, 1].item() - 1) < 1e-3


def test_points_on_one_line_give_a_shift_rather_than_no_map():
    driving = MEAN.clone()
    driving[:, list(GROUPS[5]), 1] = 20.0
    motions = local_motions(driving, driving + 1.5, PX)
    assert torch.isfinite(motions).all()
    assert torch.allclose(motions[0, 5, :, :2], torch.eye(2), atol=1e-5)


def test_the_nearest_group_counts_and_far_away_the_background():
    at = places(PX, 1)
    near = nearness(MEAN, at, PX)
    chosen = near.argmax(1)[0]
    x, y = (int(value) for value in MEAN[0, 57].round())
    assert chosen[y, x] == 1 + LOWER_LIP
    assert chosen[0, 0] == 0


def test_sampling_at_the_centres_gives_the_picture_itself():
    picture = torch.rand(1, 3, PX, PX, generator=torch.Generator().manual_seed(0))
    assert torch.allclose(sampled(picture, places(PX, 1)[None], PX), picture, atol=1e-5)
    half = sampled(picture, places(PX, 2)[None], PX)
    assert torch.allclose(half, torch.nn.functional.avg_pool2d(picture, 2), atol=1e-5)
