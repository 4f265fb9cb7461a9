"""The two other families whose first person has a decoder of another kind: ``unbalanced`` and ``realface``."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from forge.models import build_swapper
from forge.models.realface import Base
from shared.errors import ConfigError

PEOPLE = ("ann", "bob", "eve")


def build(name, **options):
    torch.manual_seed(2)
    return build_swapper(name, PEOPLE, width=0.03, **options).eval()


def sizes(swapper):
    return [sum(p.numel() for p in decoder.parameters()) for decoder in swapper.decoders]


@pytest.mark.parametrize("name", ["unbalanced", "realface"])
def test_the_first_person_has_decoder_a_by_default(name):
    lopsided, even = sizes(build(name)), sizes(build(name, lopsided=False))
    assert lopsided[0] != lopsided[1] == lopsided[2]
    assert even == [lopsided[1]] * 3


@pytest.mark.parametrize("px", [64, 80, 144])
def test_unbalanced_gives_back_the_size_it_is_given(px):
    swapper = build("unbalanced", input_px=px)
    for person in PEOPLE[:2]:
        swap = swapper(torch.rand(1, 3, px, px), person)
        assert swap.rgb.shape[-2:] == swap.mask.shape[-2:] == (px, px)


def test_unbalanced_drops_channels_in_decoder_a_only_while_it_learns():
    swapper = build("unbalanced", input_px=64).train()
    kinds = [sum(isinstance(part, nn.Dropout2d) for part in decoder.modules()) for decoder in swapper.decoders]
    assert kinds == [2, 0, 0]
    latent = swapper.encode(torch.rand(1, 3, 64, 64))
    assert not torch.equal(swapper.decode(latent, "ann").rgb, swapper.decode(latent, "ann").rgb)
    assert torch.equal(swapper.decode(latent, "bob").rgb, swapper.decode(latent, "bob").rgb)


def test_unbalanced_obeys_the_channels_of_decoder_b():
    with torch.device("meta"):
        swapper = build_swapper("unbalanced", PEOPLE, decoder_b_channels=256)
    assert swapper.decoders[1].stages[0].conv.out_channels == 4 * 256
    assert swapper.decoders[1].face.in_channels == 64


@pytest.mark.parametrize(
    ("input_px", "output_px", "base"),
    [
        (64, 64, Base(4, 4, 1024)),
        (64, 128, Base(4, 5, 1024)),
        (128, 128, Base(8, 4, 768)),
        (64, 160, Base(5, 5, 960)),
        (96, 96, Base(6, 4, 896)),
        (128, 256, Base(8, 5, 768)),
    ],
)
def test_realface_begins_where_its_rule_says(input_px, output_px, base):
    assert Base.between(input_px, output_px) == base
    swapper = build("realface", input_px=input_px, output_px=output_px)
    swap = swapper(torch.rand(1, 3, input_px, input_px), "ann")
    assert swap.rgb.shape[-2:] == swap.mask.shape[-2:] == (output_px, output_px)


@pytest.mark.parametrize(
    ("name", "options", "nearest"),
    [
        ("unbalanced", {"input_px": 100}, "try 96"),
        ("unbalanced", {"input_px": 1024}, "try 512"),
        ("unbalanced", {"dense": 8}, "try 64"),
        ("unbalanced", {"encoder_channels": 2000}, "try 1024"),
        ("realface", {"input_px": 70}, "try 64"),
        ("realface", {"input_px": 256}, "try 128"),
        ("realface", {"output_px": 140}, "try 128"),
        ("realface", {"dense": 5000}, "try 4096"),
        ("realface", {"decoder_channels": 1}, "try 64"),
        ("realface", {"encoder_channels": 1}, "try 16"),
        ("villain", {"residuals": 0}, "try 1"),
        ("dfaker", {"output_px": 512}, "try 256"),
        ("deepfake-tf", {"output_px": 256}, "known names"),
    ],
)
def test_wrong_options_are_refused_with_the_nearest(name, options, nearest):
    with pytest.raises(ConfigError) as caught:
        build(name, **options)
    assert nearest in caught.value.hint
