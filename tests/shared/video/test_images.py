from __future__ import annotations

import re
import struct
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest

from shared.errors import MediaError
from shared.video.images import PictureReader, encode_jpeg, encode_png, is_picture, pictures_in, read_picture


def write(path: Path, value: int = 90) -> Path:
    cv2.imwrite(str(path), np.full((6, 8, 3), (value, 20, 10), np.uint8))
    return path


def test_colours_are_red_green_blue_and_a_picture_is_one_frame(tmp_path: Path):
    path = write(tmp_path / "a.png")
    assert read_picture(path)[0, 0].tolist() == [10, 20, 90]
    with PictureReader(path) as reader:
        frames = list(reader.frames(step=7))
    assert [(frame.index, frame.time.seconds) for frame in frames] == [(0, 0.0)]


def test_pictures_come_in_the_order_of_their_numbers(tmp_path: Path):
    for name in ("f10.png", "f9.JPG", "f1.png", ".hidden.png", "notes.txt"):
        write(tmp_path / "x.png").rename(tmp_path / name)
    assert [path.name for path in pictures_in(tmp_path)] == ["f1.png", "f9.JPG", "f10.png"]
    assert not is_picture(Path("clip.mp4"))


def test_what_is_no_picture_is_said(tmp_path: Path):
    (tmp_path / "a.png").write_bytes(b"no picture at all")
    with pytest.raises(MediaError, match="no picture or damaged"):
        read_picture(tmp_path / "a.png")
    (tmp_path / "empty").mkdir()
    with pytest.raises(MediaError, match="holds no picture"):
        pictures_in(tmp_path / "empty")
    with pytest.raises(MediaError):
        read_picture(tmp_path / "missing.png")


def test_a_header_that_claims_too_much_is_refused_before_it_is_unpacked(tmp_path: Path):
    header = struct.pack(">IIBBBBB", 100_000, 100_000, 8, 2, 0, 0, 0)
    chunk = b"IHDR" + header
    data = b"\x89PNG\r\n\x1a\n" + struct.pack(">I", len(header)) + chunk + struct.pack(">I", zlib.crc32(chunk))
    (tmp_path / "bomb.png").write_bytes(data + b"\0" * 64)
    with pytest.raises(MediaError):
        read_picture(tmp_path / "bomb.png")


SOME = np.random.default_rng(0).integers(0, 256, (9, 14, 3), np.uint8)


@pytest.mark.parametrize("picture", [SOME, SOME[..., 0], SOME[::2, ::-1]], ids=["color", "gray", "strided"])
def test_a_picture_comes_back_from_its_png_as_it_was(picture, tmp_path):
    path = tmp_path / "p.png"
    path.write_bytes(encode_png(picture))
    assert np.array_equal(read_picture(path) if picture.ndim == 3 else read_picture(path)[..., 1], picture)
    assert encode_png(picture) == encode_png(picture.copy())


def test_a_jpeg_keeps_the_order_of_the_colors_and_its_quality_counts():
    red = np.zeros((16, 16, 3), np.uint8)
    red[..., 0] = 200
    decoded = cv2.imdecode(np.frombuffer(encode_jpeg(red), np.uint8), cv2.IMREAD_COLOR_RGB)
    assert decoded.reshape(-1, 3).mean(0) == pytest.approx([200, 0, 0], abs=4)
    assert len(encode_jpeg(SOME, 20)) < len(encode_jpeg(SOME, 90)) < len(encode_jpeg(SOME, 99))
    assert encode_jpeg(SOME) == encode_jpeg(SOME, 90)


@pytest.mark.parametrize(
    "picture",
    [
        np.empty((0, 0, 3), np.uint8),
        np.empty((4, 0), np.uint8),
        np.zeros(4, np.uint8),
        np.zeros((4, 4, 4), np.uint8),
        np.zeros((4, 4, 3), np.float32),
        np.zeros((4, 4), np.bool_),
        np.zeros((2, 4, 4, 3), np.uint8),
    ],
    ids=lambda picture: f"{picture.shape} {picture.dtype}",
)
@pytest.mark.parametrize("encode", [encode_png, encode_jpeg])
def test_what_is_no_picture_is_not_encoded(encode, picture):
    with pytest.raises(MediaError, match=re.escape(f"{picture.shape} and type {picture.dtype}")) as caught:
        encode(picture)
    assert caught.value.hint


def test_a_picture_too_large_for_jpeg_is_refused_and_is_a_png():
    tall = np.zeros((65_501, 1), np.uint8)
    with pytest.raises(MediaError, match="written as jpg"):
        encode_jpeg(tall)
    assert encode_png(tall)
