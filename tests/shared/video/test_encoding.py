"""Encodings refuse invalid values, have distinct names, and survive a settings file."""

from __future__ import annotations

from itertools import combinations

import pytest

from shared.config import from_mapping, to_mapping
from shared.errors import ConfigError
from shared.types import check_name
from shared.video.encoding import CODECS, Encoding

ENCODINGS = [
    Encoding(),
    Encoding(crf=23),
    Encoding(preset="veryfast"),
    Encoding("libx265", 28, "yuv420p10le"),
    Encoding("libvpx-vp9", 33, container=".webm"),
    Encoding("libsvtav1", 35),
    Encoding("mjpeg", 2, container=".mov"),
    Encoding("ffv1"),
    Encoding.lossless_mask(),
    Encoding.lossless_rgb(),
]


def test_names_say_codec_and_quality():
    assert Encoding().name == "h264-crf18"
    assert Encoding("libx265", 28, "yuv420p10le", "slow").name == "hevc-crf28-yuv420p10le-slow"
    assert Encoding.lossless_mask().name == "ffv1-gray"


def test_names_differ_where_settings_differ_and_are_safe_in_paths():
    assert all(a.name != b.name for a, b in combinations(ENCODINGS, 2))
    assert [check_name(encoding.name) for encoding in ENCODINGS] == [encoding.name for encoding in ENCODINGS]


@pytest.mark.parametrize("encoding", ENCODINGS, ids=lambda encoding: encoding.name)
def test_settings_survive_a_file(encoding):
    assert from_mapping(Encoding, to_mapping(encoding)) == encoding


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"codec": "libx246"}, "libx246"),
        ({"crf": 52}, "52"),
        ({"crf": -1}, "-1"),
        ({"crf": None}, "None"),
        ({"codec": "ffv1", "crf": 20}, "lossless"),
        ({"pixel_format": "yuv421p"}, "yuv421p"),
        ({"preset": "mediun"}, "mediun"),
        ({"container": "mp4"}, "mp4"),
        ({"pixel_format": "bgr0"}, "bgr0"),
    ],
)
def test_refuses_what_cannot_be(settings, says):
    with pytest.raises(ConfigError, match=says) as caught:
        Encoding(**settings)
    assert caught.value.hint


@pytest.mark.parametrize(
    ("encoding", "size", "expected"),
    [
        (Encoding(), (64, 48), "yuv420p"),
        (Encoding(), (65, 48), "yuv444p"),
        (Encoding(), (64, 47), "yuv444p"),
        (Encoding(pixel_format="yuv420p10le"), (65, 47), "yuv444p10le"),
        (Encoding(pixel_format="yuv444p"), (65, 47), "yuv444p"),
        (Encoding("libvpx-vp9", 30), (65, 47), "yuv420p"),
        (Encoding.lossless_mask(), (65, 47), "gray"),
    ],
)
def test_odd_sizes_get_full_chroma_only_where_the_codec_cannot_store_them(encoding, size, expected):
    assert encoding.pixel_format_for(*size) == expected


def test_each_codec_has_its_usual_quality_and_containers():
    assert Encoding.usual("libx264") == Encoding()
    assert (Encoding.usual("libsvtav1").crf, Encoding.usual("ffv1").crf) == (24, None)
    assert Encoding.usual("ffv1", "bgr0") == Encoding.lossless_rgb()
    for codec in CODECS:
        usual = Encoding.usual(codec)
        assert usual.container == usual.containers[0]
