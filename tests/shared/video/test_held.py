"""A photograph is shown at given times, at a bounded size, and is no animation."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from shared.errors import MediaError
from shared.types import Timestamp
from shared.video.held import HeldPicture, HeldReader
from shared.video.images import encode_png, read_picture

TIMES = tuple(Timestamp(tick, Fraction(1, 50)) for tick in (0, 3, 4))


def _png(path: Path, width: int, height: int) -> Path:
    rng = np.random.default_rng(0)
    path.write_bytes(encode_png(rng.integers(0, 255, (height, width, 3), dtype=np.uint8)))
    return path


def test_every_frame_is_the_picture_at_its_time(tmp_path):
    path = _png(tmp_path / "ann.png", 31, 20)
    held = HeldPicture.of(path, TIMES, None)
    with HeldReader(held) as reader:
        frames = list(reader)
        assert (reader.info.width, reader.info.height, reader.info.frames_declared) == (31, 20, 3)
    assert [(frame.index, frame.time) for frame in frames] == list(enumerate(TIMES))
    picture = read_picture(path)
    assert all(np.array_equal(frame.image, picture) for frame in frames)
    assert not held.is_reduced
    with pytest.raises(ValueError, match="read-only"):
        frames[0].image[:] = 0


@pytest.mark.parametrize(("size", "shown"), [((3000, 2001), (1920, 1280)), ((50, 4000), (24, 1920))])
def test_a_large_picture_is_reduced_to_the_stated_side(tmp_path, size, shown):
    held = HeldPicture.of(_png(tmp_path / "ann.png", *size), TIMES, Fraction(25))
    assert held.is_reduced
    assert held.frame().image.shape == (shown[1], shown[0], 3)
    assert (held.info.width, held.info.height, held.size) == (*shown, size)


def test_what_is_no_single_picture_is_refused(tmp_path):
    animation = tmp_path / "moving.png"
    pictures = [Image.new("RGB", (8, 8), (level, 0, 0)) for level in (0, 99)]
    pictures[0].save(animation, save_all=True, append_images=pictures[1:])
    with pytest.raises(MediaError, match="an animation of 2 pictures"):
        HeldPicture.of(animation, TIMES, None)
    (tmp_path / "text.jpg").write_text("no picture")
    with pytest.raises(MediaError, match="no picture"):
        HeldPicture.of(tmp_path / "text.jpg", TIMES, None)
