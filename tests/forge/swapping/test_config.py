from __future__ import annotations

import pytest

from forge.swapping.config import (
    BlendConfig,
    ColorConfig,
    DegradeConfig,
    MaskConfig,
    OutputConfig,
    SwapConfig,
    TemporalConfig,
    setting_factors,
)
from shared.config import from_mapping, to_mapping
from shared.errors import ConfigError


def test_settings_go_to_a_file_and_come_back():
    config = SwapConfig(
        segments=((0, 4), (9, 12)),
        color=ColorConfig("manual", gain=(1.0, 0.9, 0.8)),
        mask=MaskConfig("learned-product", erode_top=0.1),
        degrade=DegradeConfig(noise=3.0, to="frame"),
        output=OutputConfig("libsvtav1", crf=30),
    )
    assert from_mapping(SwapConfig, to_mapping(config)) == config


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: ColorConfig(gamma=0), "color.gamma"),
        (lambda: ColorConfig(gain=(5, 1, 1)), "color.gain"),
        (lambda: MaskConfig(erode_left=0.5), "mask.erode_left"),
        (lambda: MaskConfig(border=0), "mask.border"),
        (lambda: BlendConfig(scale=3), "blend.scale"),
        (lambda: BlendConfig(levels=0), "blend.levels"),
        (lambda: DegradeConfig(color_steps=1), "degrade.color_steps"),
        (lambda: DegradeConfig(resample=0.5), "degrade.resample"),
        (lambda: TemporalConfig(cutoff_hz=0), "temporal.cutoff_hz"),
        (lambda: OutputConfig("ffv1", crf=3), "lossless"),
        (lambda: OutputConfig("libx264", pixel_format="bgr0"), "bgr0"),
        (lambda: SwapConfig(segments=((5, 3),)), "segments"),
        (lambda: SwapConfig(segments=((0, 3), (2, 5))), "segments"),
        (lambda: SwapConfig(segments=((-2, 3),)), "segments"),
        (lambda: SwapConfig(morph=1.5), "morph"),
        (lambda: SwapConfig(face="0,left"), "face is main"),
    ],
)
def test_settings_that_cannot_be_are_refused(make, message):
    with pytest.raises(ConfigError, match=message):
        make()


def test_each_codec_has_its_own_usual_quality_and_container():
    usual = {codec: OutputConfig(codec).encoding for codec in ("libx264", "libvpx-vp9", "ffv1", "mjpeg")}
    assert [one.crf for one in usual.values()] == [18, 24, None, 3]
    assert [one.container for one in usual.values()] == [".mp4", ".mp4", ".mkv", ".mov"]
    assert OutputConfig("libx265", crf=30).encoding.crf == 30


def test_factors_name_what_is_not_the_default_and_no_place_on_this_disk():
    config = SwapConfig(
        blend=BlendConfig("pyramid", sharpen=0.5, enlarge="python:/home/ann/mine.py"), mask=MaskConfig("hull")
    )
    assert setting_factors(config) == {
        "face": "main",
        "color": "mean-std",
        "mask": "hull",
        "blend": "pyramid",
        "blend.sharpen": "0.5",
        "blend.enlarge": "python",
    }
