"""DeepFaceLab's old families: routing, masks, framings, coarser pictures, refusals."""

from __future__ import annotations

import pytest
import torch

from forge.models import build_swapper
from forge.models.sae import SaeSwapper
from shared.errors import ConfigError

PEOPLE = ("ann", "bob", "eve")


@pytest.mark.parametrize(
    ("name", "px", "framing"),
    [("h64", 64, "half"), ("h128", 128, "half"), ("df", 128, "full"), ("liaef128", 128, "full"), ("sae", 128, "full")],
)
def test_sizes_and_framings_are_the_originals(name, px, framing):
    with torch.device("meta"):
        spec = build_swapper(name, PEOPLE).spec
    assert (spec.input_px, spec.output_px, spec.framing, spec.has_mask) == (px, px, framing, True)


@pytest.mark.parametrize("name", ["h64", "h128"])
def test_the_lighter_form_decodes_and_is_in_the_spec(name):
    swapper = build_swapper(name, PEOPLE, lighter=True, width=0.03)
    assert dict(swapper.spec.options) == {"lighter": True, "mask": True, "framing": "half"}
    side = swapper.spec.input_px
    assert swapper(torch.rand(1, 3, side, side), "eve").rgb.shape[-1] == side


@pytest.mark.parametrize("name", ["liaef128", "sae"])
def test_the_first_inter_is_everybodys_and_the_others_are_each_ones_own(name):
    options = {"architecture": "liae", "resolution": 64} if name == "sae" else {}
    swapper = build_swapper(name, PEOPLE, width=0.05, **options)
    assert set(swapper.parts()) == {"encoder", "inter", "inter.bob", "inter.eve", "decoder"}
    side = swapper.spec.input_px
    code = swapper.encode(torch.rand(1, 3, side, side))

    def drawn() -> list[torch.Tensor]:
        return [swapper.decode(code, who).rgb.detach() for who in PEOPLE]

    def same_after(part: str) -> list[bool]:
        before = drawn()
        with torch.no_grad():
            swapper.parts()[part].widen.bias.add_(1.0)
        return [torch.equal(one, other) for one, other in zip(before, drawn(), strict=True)]

    assert same_after("inter.eve") == [True, True, False]
    assert same_after("inter") == [False, False, False]


@pytest.mark.parametrize("architecture", ["df", "liae"])
def test_multiscale_draws_half_and_quarter_too(architecture):
    swapper = SaeSwapper(PEOPLE, resolution=64, architecture=architecture, multiscale=True, width=0.05)
    swap = swapper(torch.rand(2, 3, 64, 64), "bob")
    assert [each.rgb.shape for each in swap.smaller] == [(2, 3, 32, 32), (2, 3, 16, 16)]
    plain = SaeSwapper(PEOPLE, resolution=64, architecture=architecture, width=0.05)
    assert plain(torch.rand(2, 3, 64, 64), "bob").smaller == ()


def test_the_usual_narrow_layer_follows_the_architecture():
    with torch.device("meta"):
        found = [dict(SaeSwapper(PEOPLE, architecture=name).spec.options)["ae_dims"] for name in ("df", "liae")]
    assert found == [512, 256]


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"resolution": 320}, "256"),
        ({"resolution": 100}, "96"),
        ({"architecture": "liaef"}, "liae"),
        ({"ae_dims": 2000}, "1024"),
        ({"encoder_dims": 20}, "21"),
        ({"decoder_dims": 90}, "85"),
        ({"width": 5.0}, "1.0"),
        ({"framing": "ful"}, "full"),
    ],
)
def test_what_sae_cannot_be_is_refused_with_the_nearest(options, told):
    with pytest.raises(ConfigError) as caught:
        SaeSwapper(PEOPLE, **options)
    assert told in caught.value.hint
