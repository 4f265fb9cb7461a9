"""How large every family is: as published, or as the published layers add up when counted by hand."""

from __future__ import annotations

import itertools

import pytest
import torch

from forge.models import build_swapper


def conv(kernel: int, before: int, after: int, *, bias: bool = True) -> int:
    return kernel * kernel * before * after + (after if bias else 0)


def dense(before: int, after: int) -> int:
    return before * after + after


def up(before: int, after: int, kernel: int = 3, factor: int = 2) -> int:
    return conv(kernel, before, factor * factor * after)


def residual(channels: int, *, bias: bool = True) -> int:
    return 2 * conv(3, channels, channels, bias=bias)


def chain(step, channels: list[int]) -> int:
    return sum(step(before, after) for before, after in itertools.pairwise(channels))


def villain() -> int:
    stem = conv(5, 3, 128) + 16 * residual(128)
    mixing = conv(5, 128, 128) + 2 * conv(5, 32, 128)
    narrowing = 25 * 128 + conv(1, 128, 256) + conv(5, 256, 512) + 25 * 512 + conv(1, 512, 1024)
    encoder = stem + mixing + narrowing + dense(16 * 1024, 1024) + dense(1024, 64 * 1024) + up(1024, 512)
    decoder = up(512, 512) + residual(512) + up(512, 256) + residual(256) + up(256, 128) + residual(128)
    return encoder + 2 * (decoder + conv(5, 128, 3))


def unbalanced() -> int:
    encoder = chain(lambda a, b: conv(5, a, b), [3, 128, 256, 512, 768, 1024]) + 2 * (128 + 256)
    encoder += dense(16 * 1024, 1024) + dense(1024, 64 * 512)
    thin = chain(lambda a, b: up(a, b, 5), [512, 384, 384, 192, 96]) + conv(5, 96, 3)
    strong = chain(lambda a, b: up(a, b, 5), [512, 512, 512, 256, 128]) + conv(5, 128, 3)
    return encoder + thin + strong + 2 * residual(512) + residual(256)


def realface() -> int:
    encoder = chain(lambda a, b: conv(5, a, b), [3, 128, 256, 512, 1024])
    encoder += 2 * (residual(128) + residual(256) + residual(512))
    strong = dense(16 * 1024, 1536) + dense(1536, 16 * 1024) + up(1024, 1024) + residual(1024, bias=False)
    for before, after in ((1024, 512), (512, 256), (256, 128)):
        strong += up(before, after) + residual(after) + residual(after, bias=False)
    strong += up(128, 64) + conv(5, 64, 3)
    thin = dense(16 * 1024, 1024) + dense(1024, 16 * 682) + up(682, 682) + residual(682, bias=False)
    thin += chain(up, [682, 341, 170, 85, 42]) + conv(5, 42, 3)
    return encoder + strong + thin


def hybrid(before: int, after: int, factor: int = 2) -> int:
    return up(before, after // 2, factor=factor) + conv(3, before, after // 2)


def dlight_encoder(narrow: int) -> int:
    stages = conv(5, 3, 32) + conv(5, 35, 64) + conv(5, 99, 128) + conv(5, 227, 256) + conv(5, 483, 512)
    return stages + dense(995 * 16, narrow) + dense(narrow, 16 * 1024)


def dlight_thin() -> int:
    return chain(hybrid, [1024, 256, 128, 64, 32]) + conv(5, 32, 3)


def dlight() -> int:
    strong = hybrid(1024, 512, 4) + chain(hybrid, [512, 512, 256, 128, 64]) + conv(5, 64, 3)
    strong += 2 * residual(512) + 3 * residual(512, bias=False) + residual(256) + residual(128, bias=False)
    return dlight_encoder(1664) + dlight_thin() + strong + 2 * (512 + 128)


def dlight_fast() -> int:
    strong = up(1024, 512, factor=4) + conv(5, 64, 3)
    strong += chain(lambda a, b: up(a, b) + conv(3, a, b), [512, 512, 256, 128, 64])
    return dlight_encoder(1152) + dlight_thin() + strong


def dfaker_256() -> int:
    encoder = chain(lambda a, b: conv(5, a, b), [3, 128, 256, 512, 1024])
    encoder += dense(64 * 1024, 1024) + dense(1024, 16 * 1024) + up(1024, 512)
    ups = chain(up, [512, 1024, 512, 256, 128, 64])
    blocks = residual(1024) + residual(512) + residual(256) + residual(128)
    return encoder + 2 * (2 * ups + blocks + conv(5, 64, 3) + conv(5, 64, 1))


def timm_b4() -> int:
    # timm counts 17.55 M without the classifier; its last 1x1 convolution and norm are not part of the last map.
    encoder = 17_548_616 - 448 * 1792 - 2 * 1792
    bottleneck = dense(448 * 49, 512) + dense(512, 16 * 1024) + up(1024, 512)
    decoder = chain(up, [512, 512, 256, 128, 64, 32]) + residual(512) + residual(256) + residual(128) + conv(5, 32, 3)
    return encoder + bottleneck + 2 * decoder


def compact_pair() -> int:
    def residual(channels: int) -> int:
        return 2 * conv(3, channels, channels)

    down = conv(3, 3, 32) + conv(3, 32, 64) + conv(3, 64, 128) + conv(3, 128, 192) + conv(3, 192, 256)
    blocks = residual(64) + residual(128) + residual(192) + residual(256)
    narrow = dense(4096, 256) + dense(256, 4096) + conv(3, 256, 4 * 192)
    ups = conv(3, 192, 4 * 128) + conv(3, 128, 4 * 96) + conv(3, 96, 4 * 64)
    decoder = ups + residual(128) + residual(96) + residual(64) + conv(3, 64, 16) + conv(3, 4, 16) + conv(3, 16, 4)
    return down + blocks + narrow + 2 * decoder


# For two identities; published figures in millions are deepfakes/faceswap's and dfaker's networks, layer by layer.
COUNTS = [
    ("original", {"mask": False}, 82.1e6),
    ("lightweight", {"mask": False}, 51.1e6),
    ("iae", {"mask": False}, 117.8e6),
    ("dfaker", {"mask_width": 1.0}, 144.6e6),
    ("dfaker", {"mask_width": 1.0, "output_px": 256}, dfaker_256()),
    ("deepfake-tf", {"mask_width": 1.0}, 144.6e6),
    ("dfl-h128", {"mask": False}, 107.7e6),
    ("dfl-h128", {"mask_width": 1.0}, 138.4e6),
    ("dlight", {"mask": False}, dlight()),
    ("dlight", {"mask": False, "features": "fair", "details": "fast"}, dlight_fast()),
    ("unbalanced", {"mask": False}, unbalanced()),
    ("villain", {"mask": False}, villain()),
    ("realface", {"mask": False}, realface()),
    ("timm", {"mask": False}, timm_b4()),
    ("compact", {"width": 0.5}, compact_pair()),
]


@pytest.mark.parametrize(("name", "options", "count"), COUNTS)
def test_the_parameter_count_is_the_published_one(name, options, count):
    with torch.device("meta"):
        swapper = build_swapper(name, ("a", "b"), **options)
    assert sum(parameter.numel() for parameter in swapper.parameters()) == pytest.approx(count, rel=0.01)


def test_a_third_person_is_a_third_decoder():
    with torch.device("meta"):
        two, three = (build_swapper("original", people, mask=False) for people in (("a", "b"), ("a", "b", "c")))
    more = sum(p.numel() for p in three.parameters()) - sum(p.numel() for p in two.parameters())
    assert more == chain(up, [512, 256, 128, 64]) + conv(5, 64, 3)
