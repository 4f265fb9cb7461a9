from __future__ import annotations

import pytest
import torch

from forge.models.saehd import Architecture, quick96, saehd
from shared.errors import ConfigError

PEOPLE = ("ann", "bob")


def millions(module):
    return sum(parameter.numel() for parameter in module.parameters()) / 1e6


@pytest.mark.parametrize(
    ("architecture", "resolution", "published"),
    [
        ("df", 128, 57.5),
        ("df-ud", 128, 54.5),
        ("df-ud", 256, 82.8),
        ("liae-ud", 128, 82.4),
        ("liae-ud", 256, 145.3),
        ("liae-udt", 224, 94.9),
        ("liae-udt", 320, 121.7),
    ],
)
def test_parameters_are_the_published_ones(architecture, resolution, published):
    with torch.device("meta"):
        swapper = saehd(PEOPLE, resolution=resolution, architecture=architecture)
    assert millions(swapper) == pytest.approx(published, rel=0.01)


def test_quick96_has_its_published_parameters():
    with torch.device("meta"):
        assert millions(quick96(PEOPLE)) == pytest.approx(38.3, rel=0.01)


@pytest.mark.parametrize("architecture", ["df", "liae", "df-t", "liae-udt", "df-udc", "liae-dt"])
def test_every_option_draws_face_and_mask_at_the_resolution(architecture):
    swapper = saehd((*PEOPLE, "eve"), resolution=64, architecture=architecture, width=0.1)
    swap = swapper(torch.rand(2, 3, 64, 64), "eve")
    assert swap.rgb.shape == (2, 3, 64, 64)
    assert swap.mask.shape == (2, 1, 64, 64)
    assert 0 <= swap.rgb.min() <= swap.rgb.max() <= 1


def test_liae_gives_every_identity_but_the_first_an_inter_of_its_own():
    swapper = saehd((*PEOPLE, "eve"), resolution=64, architecture="liae", width=0.1)
    assert len(swapper.inters) == 3
    assert len(swapper.decoders) == 1
    code = swapper.encode(torch.rand(1, 3, 64, 64))
    before = {name: swapper.decode(code, name).rgb for name in swapper.spec.identities}
    with torch.no_grad():
        swapper.inters[2].widen.weight.add_(0.1)
    after = {name: swapper.decode(code, name).rgb for name in swapper.spec.identities}
    assert [torch.equal(before[name], after[name]) for name in swapper.spec.identities] == [True, True, False]


def test_the_code_has_unit_size_with_u():
    swapper = saehd(PEOPLE, resolution=64, architecture="df-u", width=0.1)
    code = swapper.encode(torch.rand(3, 3, 64, 64) * 5)
    assert torch.allclose(code.square().mean(1).sqrt(), torch.ones(3), atol=1e-3)


def test_the_four_output_convolutions_interleave():
    decoder = saehd(PEOPLE, resolution=64, architecture="df-d", width=0.1).decoders[0]
    with torch.no_grad():
        for number, out in enumerate(decoder.outs):
            out.weight.zero_()
            out.bias.fill_(float(number))
    drawn = decoder(torch.rand(1, decoder.body[0].conv.in_channels, 4, 4)).rgb[0, 0, :2, :2]
    wanted = torch.sigmoid(torch.tensor([[0.0, 1.0], [2.0, 3.0]]))
    assert torch.allclose(drawn, wanted, atol=1e-6)


@pytest.mark.parametrize(
    ("name", "nearest"),
    [("dfl", "df-ud"), ("df-x", "df-ud"), ("liae-uu", "liae-u"), ("", "liae-ud"), ("df-tu!", "df-ut")],
)
def test_a_wrong_architecture_is_refused_with_the_nearest(name, nearest):
    with pytest.raises(ConfigError) as caught:
        Architecture.parse(name)
    assert caught.value.hint.endswith(nearest)
    Architecture.parse(nearest)


@pytest.mark.parametrize(
    ("option", "value", "nearest"),
    [("ae_dims", 16, "32"), ("encoder_dims", 300, "256"), ("decoder_dims", 8, "16"), ("mask_dims", 0, "16")],
)
def test_dims_out_of_range_are_refused_with_the_nearest(option, value, nearest):
    with pytest.raises(ConfigError) as caught:
        saehd(PEOPLE, **{option: value})
    assert option in str(caught.value)
    assert nearest in caught.value.hint


def test_an_unknown_framing_is_refused():
    with pytest.raises(ConfigError, match="framing"):
        saehd(PEOPLE, framing="nose")


def test_parts_of_df_and_liae():
    df = saehd(PEOPLE, resolution=64, architecture="df", width=0.1)
    assert set(df.parts()) == {"encoder", "inter", "decoder.ann", "decoder.bob"}
    liae = saehd((*PEOPLE, "eve"), resolution=64, architecture="liae", width=0.1)
    assert set(liae.parts()) == {"encoder", "inter", "inter.bob", "inter.eve", "decoder"}
    assert liae.parts()["inter.eve"] is liae.inters[2]


def test_sub_pixel_filters_start_in_equal_fours():
    up = saehd(PEOPLE, resolution=64, architecture="df", width=0.1).decoders[0].body[0].conv.weight
    groups = up.view(-1, 4, *up.shape[1:])
    assert torch.equal(groups[:, 0], groups[:, 3])
    assert not torch.equal(groups[0], groups[1])


@pytest.mark.parametrize(
    ("resolution", "architecture", "nearest"), [(100, "df", "96"), (144, "df-d", "128"), (32, "df", "64")]
)
def test_a_wrong_resolution_is_refused_with_the_nearest(resolution, architecture, nearest):
    with pytest.raises(ConfigError) as caught:
        saehd(PEOPLE, resolution=resolution, architecture=architecture)
    assert nearest in caught.value.hint
