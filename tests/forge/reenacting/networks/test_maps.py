"""Maps of landmarks, and the regions that a drive changes."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from forge.reenacting.networks.landmark import erased, soft_edge
from forge.reenacting.networks.maps import EYE_PARTS, MAPS, MOUTH_PART, drive_maps, region_masks
from shared.faces.align import mean_in_square

PX = 64


def mean(open_px: float = 0.0) -> torch.Tensor:
    points = torch.from_numpy(mean_in_square(PX, 1.75, -0.12)).float()
    points[[61, 62, 63], 1] = points[[65, 66, 67], 1] - open_px
    return points[None]


def test_each_part_has_a_map_and_an_opening_mouth_fills_its_map_by_what_it_opens():
    maps = drive_maps(mean(4.0), PX)
    assert maps.shape == (1, MAPS, PX, PX)
    assert (maps.flatten(2).max(2).values > 0.8).all()
    left, right = maps[0, 4], maps[0, 5]
    assert left[:, : PX // 2].sum() > 10 * left[:, PX // 2 :].sum()
    assert right[:, PX // 2 :].sum() > 10 * right[:, : PX // 2].sum()
    areas = [float(drive_maps(mean(opening), PX)[0, 7].sum()) for opening in (2.0, 2.5, 3.0)]
    assert areas[1] - areas[0] == pytest.approx(areas[2] - areas[1], rel=0.3)
    assert areas[0] < areas[1] < areas[2]


def test_a_region_holds_where_points_are_and_where_they_are_to_be():
    shut, wide = mean(), mean()
    wide[:, 6:11, 1] += 5
    alone, both = (region_masks(list(points), PX, [MOUTH_PART], [1.0]) for points in ([shut], [shut, wide]))
    assert (both >= alone - 0.2).all()
    chin = wide[0, 8].round().long()
    assert (alone[0, 0, chin[1] - 1, chin[0]], both[0, 0, chin[1] - 1, chin[0]]) == (0, 1)
    larger = region_masks([shut], PX, [MOUTH_PART], [1.2])
    assert 1.2 < float(larger.sum() / alone.sum()) < 1.6
    eyes = region_masks([shut], PX, EYE_PARTS, [1.0])
    assert (eyes * region_masks([shut], PX, [MOUTH_PART], [1.0])).sum() == 0


def test_what_is_erased_leaves_no_trace_of_what_was_there():
    region = region_masks([mean()], PX, [MOUTH_PART], [1.1])
    one, other = torch.rand(2, 1, 3, PX, PX, generator=torch.Generator().manual_seed(0))
    inside = region[0, 0] == 1
    assert torch.equal(erased(one, region)[0, :3][:, inside], erased(other, region)[0, :3][:, inside])
    outside = region[0, 0] == 0
    assert torch.equal(erased(one, region)[0, :3][:, outside], one[0][:, outside])
    assert torch.equal(erased(one, region)[:, 3:], region)


def test_an_edge_is_soft_inside_and_nothing_outside_nor_at_the_edge_of_the_crop():
    region = torch.zeros(1, 1, PX, PX)
    region[..., 20:, 10:50] = 1
    soft = soft_edge(region)[0, 0]
    assert soft[region[0, 0] == 0].max() == 0
    assert soft[40, 30] == 1
    assert 0 < float(soft[21, 30]) < 1
    assert float(soft[PX - 1, 30]) < 0.5
    np.testing.assert_array_less(np.diff(soft[20:26, 30].numpy()), 0.5)
