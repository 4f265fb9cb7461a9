"""Orientation, default colour matrices, and the refusal of files that are no video."""

from __future__ import annotations

import os
import struct

import numpy as np
import pytest
from av.video.reformatter import Colorspace

from shared.errors import MediaError
from shared.video.color import default_matrix
from shared.video.container import VideoLimits, check_size, need_file, opened
from shared.video.geometry import Orientation

ONE = 1 << 16
#     1 2 3
#     4 5 6
PICTURE = np.array([[1, 2, 3], [4, 5, 6]])


def matrix(a: int, b: int, c: int, d: int) -> bytes:
    return struct.pack("=9i", a * ONE, b * ONE, 0, c * ONE, d * ONE, 0, 0, 0, 1 << 30)


@pytest.mark.parametrize(
    ("data", "degrees", "shown"),
    [
        (matrix(1, 0, 0, 1), 0, [[1, 2, 3], [4, 5, 6]]),
        (matrix(0, 1, -1, 0), 90, [[4, 1], [5, 2], [6, 3]]),
        (matrix(-1, 0, 0, -1), 180, [[6, 5, 4], [3, 2, 1]]),
        (matrix(0, -1, 1, 0), 270, [[3, 6], [2, 5], [1, 4]]),
        (matrix(-1, 0, 0, 1), 0, [[3, 2, 1], [6, 5, 4]]),
        (matrix(1, 0, 0, -1), 180, [[4, 5, 6], [1, 2, 3]]),
        (matrix(0, 1, 1, 0), 90, [[1, 4], [2, 5], [3, 6]]),
        (b"too short", 0, [[1, 2, 3], [4, 5, 6]]),
    ],
)
def test_display_matrix_turns_the_picture(data, degrees, shown):
    orientation = Orientation.from_matrix(data)
    turned = orientation.apply(PICTURE)
    np.testing.assert_array_equal(turned, shown)
    assert turned.flags["C_CONTIGUOUS"]
    assert orientation.degrees_clockwise == degrees
    assert orientation.size(3, 2) == turned.shape[::-1]


def test_a_slanted_matrix_is_taken_for_the_nearest_quarter_turn():
    tilted = struct.pack("=9i", 6_000, 65_000, 0, -65_000, 6_000, 0, 0, 0, 1 << 30)
    assert Orientation.from_matrix(tilted) == Orientation.from_matrix(matrix(0, 1, -1, 0))


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        ((512, 512), Colorspace.ITU601),
        ((720, 576), Colorspace.ITU601),
        ((1280, 720), Colorspace.ITU709),
        ((720, 1280), Colorspace.ITU709),
        ((844, 844), Colorspace.ITU709),
    ],
)
def test_undeclared_matrix_goes_by_size(size, expected):
    assert default_matrix(*size) == expected


@pytest.mark.parametrize("size", [(7, 100), (100, 7), (16_385, 100), (16_000, 16_000)])
def test_absurd_sizes_are_refused(size, tmp_path):
    with pytest.raises(MediaError, match=f"{size[0]}x{size[1]}"):
        check_size(*size, tmp_path / "clip.mp4", VideoLimits())


@pytest.mark.parametrize("size", [(8, 8), (360, 288), (7_680, 4_320), (4_320, 7_680)])
def test_customary_sizes_are_refused_only_where_the_limit_is_lower(size, tmp_path):
    (tmp_path / "clip.mp4").write_bytes(bytes(3_000))  # a black picture in 8K
    assert check_size(*size, tmp_path / "clip.mp4", VideoLimits()) is None
    with pytest.raises(MediaError, match=f"{size[0]}x{size[1]}"):
        check_size(*size, tmp_path / "clip.mp4", VideoLimits(max_side_px=7))


def test_a_picture_of_far_more_pixels_than_the_file_has_bytes_is_refused(tmp_path):
    (tmp_path / "bomb.gif").write_bytes(bytes(1_189))
    with pytest.raises(MediaError, match="56427 for each byte"):
        check_size(8191, 8191, tmp_path / "bomb.gif", VideoLimits())


def test_not_files_are_refused_in_one_sentence(tmp_path):
    (tmp_path / "empty.mp4").touch()
    os.mkfifo(tmp_path / "pipe.mp4")
    cases = {
        "absent.mp4": "does not exist",
        "empty.mp4": "is empty",
        "pipe.mp4": "not a regular file",
        ".": "is a folder",
        "nul\0.mp4": "not a path",
        "a" * 300 + ".mp4": "cannot be reached",
    }
    for name, says in cases.items():
        with pytest.raises(MediaError, match=says) as caught:
            need_file(tmp_path / name)
        assert caught.value.hint


PLAYLIST = "#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:10,\nfile:/etc/hostname\n#EXT-X-ENDLIST\n"


@pytest.mark.parametrize(
    "content",
    [b"this is text, not a video\n" * 100, b"\0" * 5_000, PLAYLIST.encode(), b"ffconcat version 1.0\nfile x.mp4\n"],
    ids=["text", "zeros", "playlist", "concat"],
)
def test_other_things_renamed_are_refused(content, tmp_path):
    path = tmp_path / "clip.mp4"
    path.write_bytes(content)
    with pytest.raises(MediaError, match="not a video that can be read") as caught, opened(path):
        pass
    assert caught.value.hint


def test_random_bytes_are_refused(tmp_path, rng):
    path = tmp_path / "clip.mp4"
    path.write_bytes(rng.bytes(50_000))
    with pytest.raises(MediaError), opened(path):
        pass
