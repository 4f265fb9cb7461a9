from __future__ import annotations

import pytest
import torch

from forge.models import build_swapper
from forge.models.blocks import Residual, Up, initialise, scaled


def test_widths_are_multiples_of_eight_and_at_least_eight():
    assert [scaled(128, width) for width in (1.0, 0.5, 0.3, 0.001)] == [128, 64, 40, 8]


@pytest.mark.parametrize(("factor", "kernel"), [(2, 3), (2, 5), (4, 3), (6, 3)])
def test_an_untrained_up_draws_no_checkerboard(factor, kernel):
    torch.manual_seed(0)
    up = Up(8, 8, factor=factor, kernel=kernel)
    initialise(up)
    out = up(torch.rand(1, 8, 5, 5))
    assert out.shape == (1, 8, 5 * factor, 5 * factor)
    blocks = out.unfold(2, factor, factor).unfold(3, factor, factor)
    assert torch.allclose(blocks, blocks[..., :1, :1].expand_as(blocks))
    assert not torch.allclose(out[:, 0], out[:, 1])


def test_an_up_has_the_slope_it_is_given():
    up = Up(1, 1, slope=0.2)
    with torch.no_grad():
        up.conv.weight.zero_()
        up.conv.bias.fill_(-1.0)
    assert torch.allclose(up(torch.zeros(1, 1, 1, 1)), torch.full((1, 1, 2, 2), -0.2))


def test_a_residual_without_weights_is_a_leaky_relu():
    block = Residual(2, bias=False)
    assert block.first.bias is None
    with torch.no_grad():
        block.first.weight.zero_()
        block.second.weight.zero_()
    x = torch.tensor([-1.0, 2.0]).view(1, 2, 1, 1)
    assert torch.allclose(block(x).flatten(), torch.tensor([-0.2, 2.0]))


def test_dfaker_has_residual_blocks_after_all_stages_but_the_last():
    swapper = build_swapper("dfaker", ("a", "b"), width=0.03)
    kinds = [type(part).__name__ for part in swapper.faces[0].stages]
    assert kinds == ["Up", "Residual", "Up", "Residual", "Up", "Residual", "Up"]


@pytest.mark.parametrize(("name", "options"), [("dfaker", {"output_px": 256}), ("villain", {"residuals": 1})])
def test_the_larger_ones_draw_their_size(name, options):
    swapper = build_swapper(name, ("a", "b"), width=0.03, mask=False, **options)
    side = swapper.spec.input_px
    assert side == 128
    swap = swapper(torch.rand(1, 3, side, side), "b")
    assert swap.mask is None
    assert swap.rgb.shape[-1] == swapper.spec.output_px


def test_deepfake_tf_is_dfaker_under_its_own_name():
    one, other = (build_swapper(name, ("a", "b"), width=0.03) for name in ("deepfake-tf", "dfaker"))
    assert one.spec.name == "deepfake-tf"
    assert [(k, v.shape) for k, v in one.state_dict().items()] == [(k, v.shape) for k, v in other.state_dict().items()]
