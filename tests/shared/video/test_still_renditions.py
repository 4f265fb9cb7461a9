"""Stills as clips of one frame: their encodes, and one opener for pictures and videos."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, JpegImagePlugin

from shared.errors import ConfigError, MediaError, UsageError
from shared.video.media import clip_info, clip_reader
from shared.video.still_renditions import KNOWN, StillEncoding, StillRendition, known_still
from tests.factories import write_clip


@pytest.fixture
def noise() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (64, 48, 3), np.uint8)


def opened(data: bytes) -> Image.Image:
    return Image.open(BytesIO(data))


@pytest.mark.parametrize(("chroma", "sampling"), [("444", 0), ("422", 1), ("420", 2)])
def test_jpeg_has_the_quality_chroma_and_size_that_are_asked(noise, chroma, sampling):
    image = opened(StillRendition("a", quality=75, chroma=chroma, size=24).encoded(noise))
    assert image.size == (24, 32)
    assert JpegImagePlugin.get_sampling(image) == sampling
    assert image.quantization[0][0] == 8  # 16, the first value of Annex K's table, at quality 75


def test_png_keeps_every_pixel_and_takes_no_quality(noise):
    one = StillRendition("png", "png")
    assert np.array_equal(np.array(opened(one.encoded(noise))), noise)
    assert one.moved_by(5) == one
    assert one.text == "png"


def test_a_chain_goes_through_its_encodes_one_by_one(noise):
    chain = StillRendition("again", quality=90, size=64, through=(StillEncoding(quality=60, size=32),))
    first = np.array(opened(StillEncoding(quality=60, size=32).encoded(noise)))
    assert np.array_equal(np.array(opened(chain.encoded(noise))), np.array(opened(chain.last.encoded(first))))
    assert chain.text == "32-jpg-q60-420 > 64-jpg-q90-420"
    assert chain.moved_by(20).quality == 100


def test_what_cannot_be_is_refused():
    with pytest.raises(UsageError, match="no rendition of stills is named 'jpeg90'"):
        known_still("jpeg90")
    assert known_still("jpg90") is KNOWN["jpg90"]
    with pytest.raises(ConfigError, match="quality must be 1 to 100"):
        StillRendition("a", quality=0)
    with pytest.raises(ConfigError, match="size 8"):
        StillEncoding(size=8)
    with pytest.raises(UsageError, match="rendition"):
        StillRendition("a/b")


def test_a_picture_and_a_video_are_opened_alike(noise, tmp_path: Path):
    still = tmp_path / "one.jpg"
    still.write_bytes(StillRendition("a").encoded(noise))
    video = write_clip(tmp_path / "two.mp4", [noise, noise])
    for path, frames in ((still, 1), (video, 2)):
        with clip_reader(path) as reader:
            assert [frame.image.shape for frame in reader.frames()] == [noise.shape] * frames
        assert clip_info(path, count=True).frames_counted == frames
        assert (clip_info(path).width, clip_info(path).height) == (48, 64)
    still.write_bytes(still.read_bytes()[:400])
    with pytest.raises(MediaError):
        clip_info(still, count=True)
