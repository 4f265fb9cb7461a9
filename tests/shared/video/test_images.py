from __future__ import annotations

import struct
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest

from shared.errors import MediaError
from shared.video.images import PictureReader, is_picture, pictures_in, read_picture


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
