from __future__ import annotations

import pytest
import torch

from forge.models.gan import GanLayout, NearestUp, SelfAttention, gan
from shared.errors import ConfigError

PEOPLE = ("ann", "bob")


@pytest.mark.parametrize(("resolution", "coarser"), [(64, []), (128, [64]), (256, [128, 64])])
def test_octaves_above_64_px_are_drawn_too_the_finest_first(resolution, coarser):
    swap = gan(PEOPLE, resolution=resolution, width=0.06)(torch.rand(1, 3, resolution, resolution), "bob")
    assert swap.rgb.shape == (1, 3, resolution, resolution)
    assert swap.mask.shape == (1, 1, resolution, resolution)
    assert [each.rgb.shape[-1] for each in swap.smaller] == coarser
    assert all(each.mask is None and 0 <= each.rgb.min() <= each.rgb.max() <= 1 for each in swap.smaller)


@pytest.mark.parametrize(
    "options", [{"capacity": "lite"}, {"attention": False}, {"norm": "group"}, {"norm": "none"}, {"width": 0.3}]
)
def test_every_option_draws_a_face(options):
    swap = gan(PEOPLE, **{"width": 0.06, **options})(torch.rand(1, 3, 64, 64), "ann")
    assert swap.rgb.isfinite().all()
    assert swap.rgb.std() > 0


def test_attention_is_what_the_paper_says():
    torch.manual_seed(1)
    layer = SelfAttention(16)
    x = torch.randn(2, 16, 3, 5)
    assert torch.equal(layer(x), x)
    with torch.no_grad():
        layer.gain.fill_(0.5)
    places = x.flatten(2)
    key, query, value = (
        torch.einsum("oc,bcn->bon", part.weight[:, :, 0, 0], places)
        + (0 if part.bias is None else part.bias[None, :, None])
        for part in (layer.key, layer.query, layer.value)
    )
    share = torch.softmax(torch.einsum("bcn,bcm->bnm", query, key), 2)
    wanted = x + 0.5 * torch.einsum("bnm,bcm->bcn", share, value).view_as(x)
    assert torch.allclose(layer(x), wanted, atol=1e-5)


def test_the_instance_norm_is_over_all_of_a_face():
    norm = GanLayout(64, False, True, "instance", 1.0).normalise(8)
    x = torch.randn(2, 8, 4, 4) * 3 + 5
    normed = norm(x).detach()
    assert normed.mean((1, 2, 3)).abs().max() < 1e-5
    assert normed.std((1, 2, 3)).tolist() == pytest.approx([1.0, 1.0], abs=0.01)
    assert normed.mean((2, 3)).abs().max() > 0.01


def test_the_lite_stage_doubles_every_pixel():
    stage = NearestUp(1, 1, torch.nn.Identity())
    with torch.no_grad():
        stage.conv.weight.zero_()
        stage.conv.weight[0, 0, 1, 1] = 1
        stage.conv.bias.zero_()
    x = torch.tensor([[[[1.0, 2.0], [3.0, 4.0]]]])
    assert stage(x)[0, 0].tolist() == [[1, 1, 2, 2], [1, 1, 2, 2], [3, 3, 4, 4], [3, 3, 4, 4]]


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"resolution": 96}, "64"),
        ({"resolution": 512}, "256"),
        ({"capacity": "light"}, "lite"),
        ({"norm": "instancenorm"}, "instance"),
        ({"width": 0.0}, "1.0"),
    ],
)
def test_what_cannot_be_built_is_refused_with_the_nearest(options, told):
    with pytest.raises(ConfigError) as caught:
        gan(PEOPLE, **options)
    assert told in caught.value.hint
