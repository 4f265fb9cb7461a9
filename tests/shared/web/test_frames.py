"""Frames by index are those that a whole pass gives, in any order, also of odd files."""

from __future__ import annotations

import time
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from shared.errors import MediaError
from shared.video import Encoding, VideoReader
from shared.video.container import created
from shared.video.images import encode_png
from shared.web.frames.clip import OpenClip
from shared.web.frames.shelf import ClipShelf
from tests.factories import write_clip
from tests.shared.web.conftest import FRAMES, SIDE, number_of_picture, picture


def decoded(data: bytes) -> np.ndarray:
    return cv2.cvtColor(cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB)


def whole(clip: OpenClip) -> OpenClip:
    until = time.monotonic() + 60
    while not clip.state().whole:
        assert time.monotonic() < until
        time.sleep(0.02)
    return clip


@pytest.fixture(scope="module")
def shelf(tmp_path_factory):
    opened = ClipShelf(tmp_path_factory.mktemp("indices"))
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def clip(tmp_path_factory, shelf) -> OpenClip:
    path = tmp_path_factory.mktemp("clips") / "clip.mp4"
    with created(path) as container:
        stream = container.add_stream("libx264", rate=25, options={"bf": "2"})
        stream.width, stream.height, stream.pix_fmt, stream.gop_size = SIDE, SIDE, "yuv420p", 8
        for index in range(FRAMES):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture(index))))
        container.mux(stream.encode(None))
    return whole(shelf.clip(path))


def test_frames_in_any_order_are_the_frames_of_a_pass(clip):
    order = [0, 1, 2, 29, 28, 27, 8, 7, 16, 3, 15, 0]
    assert [number_of_picture(decoded(clip.picture(index))) for index in order] == order


def test_an_exact_frame_equals_that_of_a_pass(clip):
    with VideoReader(clip.path) as reader:
        wanted = {frame.index: frame.image for frame in reader.frames() if frame.index in (0, 9, 23)}
    for index, image in wanted.items():
        np.testing.assert_array_equal(decoded(clip.exact(index)), image)


def test_a_frame_behind_the_end_is_refused_in_a_sentence(clip):
    with pytest.raises(MediaError, match="has no frame 30, as far as it was read: 30 frames"):
        clip.picture(30)


def test_the_index_is_kept_for_the_next_time(clip, shelf):
    again = OpenClip(clip.path, clip._index_file)
    try:
        assert again.state().whole
        assert again._index == clip._index
        assert clip._index is not None
        assert len(clip._index.keys) > 2
    finally:
        again.close()


def test_a_variable_rate_and_a_picture_and_masks(tmp_path, shelf):
    uneven = write_clip(tmp_path / "uneven.mkv", [picture(index) for index in range(6)], ticks=[0, 1, 5, 6, 30, 31])
    clip = whole(shelf.clip(uneven))
    assert [number_of_picture(decoded(clip.picture(index))) for index in (4, 5, 0)] == [4, 5, 0]
    assert clip.times(0, 6) == pytest.approx([0, 0.04, 0.2, 0.24, 1.2, 1.24])
    still = tmp_path / "still.png"
    still.write_bytes(encode_png(picture(3)))
    opened = shelf.clip(still)
    assert opened.still
    assert number_of_picture(decoded(opened.picture(0))) == 3
    np.testing.assert_array_equal(decoded(opened.exact(0)), picture(3))
    mask = np.zeros((48, 64), np.uint8)
    mask[10:20, 10:30] = 255
    masks = write_clip(tmp_path / "mask.mkv", [mask, 255 - mask], encoding=Encoding.lossless_mask())
    found = cv2.imdecode(np.frombuffer(shelf.clip(masks, gray=True).picture(1), np.uint8), cv2.IMREAD_UNCHANGED)
    np.testing.assert_array_equal(found, 255 - mask)


def test_a_file_that_is_no_media_is_refused_and_few_clips_stay_open(tmp_path: Path, shelf, monkeypatch):
    path = tmp_path / "no.mp4"
    path.write_bytes(b"no media" * 100)
    with pytest.raises(MediaError):
        shelf.clip(path)
    with pytest.raises(MediaError, match="not there any more"):
        shelf.clip(tmp_path / "gone.mp4")
    monkeypatch.setattr("shared.web.frames.shelf._MOST_OPEN", 2)
    last = shelf.clip(write_clip(tmp_path / "last.mp4", [picture(4)]))
    assert len(shelf._open) == 2
    assert number_of_picture(decoded(last.picture(0))) == 4
