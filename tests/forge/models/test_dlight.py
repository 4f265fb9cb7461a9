from __future__ import annotations

import pytest
import torch
from torch import nn

from forge.models import build_swapper
from forge.models.dlight import HybridUp, PooledDown
from shared.errors import ConfigError

PEOPLE = ("ann", "bob", "eve")


def build(**options):
    torch.manual_seed(2)
    return build_swapper("dlight", PEOPLE, width=0.03, **options).eval()


@pytest.mark.parametrize("output_px", [128, 256, 384])
@pytest.mark.parametrize("details", ["fast", "good"])
def test_every_size_and_detail_is_drawn(output_px, details):
    swapper = build(output_px=output_px, details=details, features="lowmem")
    assert swapper.spec.input_px == 128
    faces = torch.rand(1, 3, 128, 128)
    for person in PEOPLE[:2]:
        swap = swapper(faces, person)
        assert swap.rgb.shape == (1, 3, output_px, output_px)
        assert swap.mask.shape == (1, 1, output_px, output_px)


@pytest.mark.parametrize(("features", "narrow"), [("lowmem", 640), ("fair", 1152), ("best", 1664)])
def test_features_set_the_narrow_layer(features, narrow):
    with torch.device("meta"):
        swapper = build_swapper("dlight", PEOPLE, features=features)
    assert swapper.encoder.narrow.out_features == narrow
    assert swapper.encoder.stages[0].conv.conv.out_channels == (24 if features == "lowmem" else 32)


def test_the_first_person_has_the_thin_decoder_by_default():
    sizes = [sum(p.numel() for p in decoder.parameters()) for decoder in build(output_px=128).decoders]
    assert sizes[0] < sizes[1] == sizes[2]
    even = [sum(p.numel() for p in decoder.parameters()) for decoder in build(output_px=128, lopsided=False).decoders]
    assert even == [sizes[1]] * 3


def test_a_stage_keeps_the_averaged_input_beside_its_convolution():
    stage = PooledDown(3, 8)
    faces = torch.rand(1, 3, 4, 4)
    out = stage(faces)
    assert out.shape == (1, 11, 2, 2)
    assert torch.allclose(out[:, 8:], nn.functional.avg_pool2d(faces, 2))


def test_half_of_a_doubling_stage_is_enlarged_bilinearly_or_all_of_it_is_summed():
    x = torch.rand(1, 8, 4, 4)
    beside, summed = HybridUp(8, 16), HybridUp(8, 16, fast=True)
    assert beside(x).shape == summed(x).shape == (1, 16, 8, 8)
    light = nn.functional.interpolate(beside.light(x), scale_factor=2, mode="bilinear", align_corners=False)
    assert torch.allclose(beside(x)[:, 8:], light, atol=1e-6)
    with torch.no_grad():
        summed.detail.conv.weight.zero_()
        summed.detail.conv.bias.zero_()
    light = nn.functional.interpolate(summed.light(x), scale_factor=2, mode="bilinear", align_corners=False)
    assert torch.allclose(summed(x), light, atol=1e-6)


@pytest.mark.parametrize(
    ("options", "nearest"),
    [({"output_px": 512}, "try 384"), ({"features": "bets"}, "best"), ({"details": "god"}, "good")],
)
def test_wrong_options_are_refused_with_the_nearest(options, nearest):
    with pytest.raises(ConfigError) as caught:
        build(**options)
    assert nearest in caught.value.hint
