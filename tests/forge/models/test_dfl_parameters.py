"""DeepFaceLab's and faceswap-GAN's families: as large as published, or as their layers add up when counted by hand."""

from __future__ import annotations

import itertools

import pytest
import torch

from forge.models import build_swapper


def conv(kernel: int, before: int, after: int, *, bias: bool = True) -> int:
    return kernel * kernel * before * after + (after if bias else 0)


def dense(before: int, after: int) -> int:
    return before * after + after


def ups(*channels: int) -> int:
    return sum(conv(3, before, 4 * after) for before, after in itertools.pairwise(channels))


def downs(*channels: int) -> int:
    return sum(conv(5, before, after) for before, after in itertools.pairwise(channels))


def residuals(*channels: int) -> int:
    return sum(2 * conv(3, each, each) for each in channels)


def h64_lighter() -> int:
    encoder = downs(3, 128, 256, 512, 768) + dense(16 * 768, 512) + dense(512, 16 * 512) + ups(512, 256)
    return encoder + 2 * (2 * ups(256, 256, 128, 64) + conv(5, 64, 3) + conv(5, 64, 1))


def h128_lighter() -> int:
    encoder = downs(3, 128, 256, 512, 1024) + dense(64 * 1024, 256) + dense(256, 64 * 256) + ups(256, 256)
    return encoder + 2 * (2 * ups(256, 256, 128, 64) + conv(5, 64, 3) + conv(5, 64, 1))


def sae_decoder(latent: int) -> int:
    picture = ups(latent, 504, 252, 126) + 2 * residuals(504, 252, 126) + conv(5, 126, 3)
    return picture + ups(latent, 168, 84, 42) + conv(5, 42, 1)


def sae_df() -> int:
    encoder = downs(3, 126, 252, 504, 1008) + dense(64 * 1008, 512) + dense(512, 64 * 512) + ups(512, 512)
    return encoder + 2 * sae_decoder(512)


def sae_liae() -> int:
    inter = dense(64 * 1008, 256) + dense(256, 64 * 512) + ups(512, 512)
    return downs(3, 126, 252, 504, 1008) + 2 * inter + sae_decoder(1024)


def sae_multiscale() -> int:
    return sae_df() + 2 * (conv(5, 504, 3) + conv(5, 252, 3))


def attention(channels: int) -> int:
    # The keys have no bias here: softmax takes it out again.
    squeezed = channels // 8
    return conv(1, channels, squeezed, bias=False) + conv(1, channels, squeezed) + conv(1, channels, channels) + 1


def gan_octave() -> int:
    drawn_and_doubled = conv(5, 64, 3) + ups(64, 64) + 2 * 256
    return drawn_and_doubled + conv(3, 64, 64, bias=False)


def gan(octaves: int) -> int:
    pairs = [(64, 128), (128, 256), (256, 512), (512, 1024)] + [(1024, 1024)] * octaves
    encoder = conv(5, 3, 64, bias=False) + sum(conv(3, *pair, bias=False) for pair in pairs)
    encoder += 2 * sum(after for _, after in pairs[1:]) + attention(256) + attention(512)
    encoder += dense(16 * 1024, 1024) + dense(1024, 16 * 1024) + ups(1024, 512) + 2 * 2048
    decoder = ups(512, 256, 128, 64) + 2 * (1024 + 512 + 256) + attention(128) + attention(64)
    decoder += 2 * conv(3, 64, 64, bias=False) + conv(5, 64, 4) + octaves * gan_octave()
    return encoder + 2 * decoder


def gan_lite() -> int:
    pairs = [(32, 64), (64, 128), (128, 256), (256, 256)]
    encoder = conv(5, 3, 32, bias=False) + sum(conv(3, *pair, bias=False) for pair in pairs)
    encoder += 2 * (128 + 256 + 256) + attention(128) + attention(256)
    encoder += dense(16 * 256, 1024) + dense(1024, 16 * 256) + conv(3, 256, 256) + 2 * 256
    decoder = conv(3, 256, 128) + conv(3, 128, 64) + conv(3, 64, 32) + 2 * (128 + 64 + 32)
    decoder += attention(64) + attention(32) + 2 * conv(3, 32, 32, bias=False) + conv(5, 32, 4)
    return encoder + 2 * decoder


PUBLISHED = [
    ("h64", {}, 112.8e6),
    ("h128", {}, 138.4e6),
    ("df", {}, 138.4e6),
    ("liaef128", {}, 136.1e6),
    ("amp", {}, 101.3e6),
    ("gan", {}, 71.7e6),
]

COUNTED = [
    ("h64", {"lighter": True}, h64_lighter()),
    ("h128", {"lighter": True}, h128_lighter()),
    ("sae", {}, sae_df()),
    ("sae", {"architecture": "liae"}, sae_liae()),
    ("sae", {"multiscale": True}, sae_multiscale()),
    ("gan", {}, gan(0)),
    ("gan", {"resolution": 128}, gan(1)),
    ("gan", {"resolution": 256}, gan(2)),
    ("gan", {"capacity": "lite"}, gan_lite()),
]


def parameters(name: str, people: tuple[str, ...] = ("a", "b"), **options: str | int | bool) -> int:
    with torch.device("meta"):
        return sum(parameter.numel() for parameter in build_swapper(name, people, **options).parameters())


@pytest.mark.parametrize(("name", "options", "count"), PUBLISHED)
def test_the_parameter_count_is_the_published_one(name, options, count):
    assert parameters(name, **options) == pytest.approx(count, rel=0.01)


@pytest.mark.parametrize(("name", "options", "count"), COUNTED)
def test_the_parameter_count_is_what_the_layers_add_up_to(name, options, count):
    assert parameters(name, **options) == count


@pytest.mark.parametrize(
    ("name", "more"),
    [
        ("liaef128", dense(64 * 1024, 256) + dense(256, 64 * 512) + ups(512, 512)),
        ("amp", dense(256, 49 * 1024)),
        ("sae", sae_decoder(512)),
    ],
)
def test_a_third_person_is_a_third_inter_or_decoder(name, more):
    assert parameters(name, ("a", "b", "c")) - parameters(name) == more
