"""The first-order motion model: right motion before it learned anything, and nothing painted beyond lips and eyes."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from forge.reenacting.networks.warp import WarpReenactor, paintable, reenact_warp
from shared.errors import ConfigError
from shared.faces.align import cut, map_points, mean_in_crop, similarity
from tests.forge.reenacting.networks.conftest import PX as PAINTED_PX
from tests.forge.reenacting.networks.conftest import painted

PX = 64


@pytest.fixture
def net() -> WarpReenactor:
    torch.manual_seed(0)
    made = reenact_warp(px=PX, channels=4)
    assert isinstance(made, WarpReenactor)
    return made.eval()


def moment(net: WarpReenactor, frame: int) -> tuple[Tensor, Tensor]:
    """A painted face as the network crops it, (1, 3, S, S), and its landmarks (1, 68, 2)."""
    picture, points = painted(0, frame)
    matrix = similarity(mean_in_crop(PAINTED_PX, "whole"), net.spec.mean)
    crop = torch.from_numpy(cut(picture, matrix, PX)).permute(2, 0, 1)[None].float() / 255
    return crop, torch.from_numpy(map_points(matrix, points)).float()[None]


@torch.inference_mode()
def test_where_nothing_moves_no_pixel_does(net):
    crop, points = moment(net, 3)
    made = net(crop, points, points)
    assert made.flow.abs().max() < 1e-4
    assert torch.allclose(made.moved, crop, atol=1e-4)


@torch.inference_mode()
def test_an_untrained_network_already_moves_the_chin_to_where_it_is_to_be(net):
    (shut, shut_points), (wide, wide_points) = moment(net, 0), moment(net, 9)
    made = net(shut, shut_points, wide_points)
    x, y = (int(value) for value in wide_points[0, 57].round())
    assert made.flow[0, y, x, 1] < -0.5 * (wide_points - shut_points)[0, 57, 1]
    chin = (slice(None), slice(None), slice(PX * 2 // 3, None), slice(None))
    assert (made.moved - wide)[chin].abs().mean() < 0.8 * (shut - wide)[chin].abs().mean()


@torch.inference_mode()
def test_nothing_is_painted_beyond_lips_and_eyes(net):
    crop, points = moment(net, 6)
    made = net(crop, points, points)
    beyond = paintable(points, PX) == 0
    assert 0.5 < beyond.float().mean() < 0.95
    assert made.share[beyond].max() == 0
    assert torch.equal(made.picture[beyond.expand(-1, 3, -1, -1)], made.moved[beyond.expand(-1, 3, -1, -1)])
    x, y = (int(value) for value in points[0, 66].round())
    assert made.share[0, 0, y, x] > 0.05


@pytest.mark.parametrize("options", [{"px": 100}, {"channels": 2}, {"channels": 500}])
def test_options_out_of_bounds_are_refused(options):
    with pytest.raises(ConfigError):
        reenact_warp(**options)
