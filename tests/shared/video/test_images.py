from __future__ import annotations

import re
import struct
import zlib
from pathlib import Path

import cv2
import numpy as np
import pillow_heif
import pytest
from PIL import Image, ImageCms

from shared.errors import MediaError
from shared.video.images import (
    PictureReader,
    encode_jpeg,
    encode_png,
    is_picture,
    is_still,
    picture_info,
    pictures_in,
    read_picture,
)


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


def halves() -> Image.Image:
    """A picture of 96x64, left half red, right half blue."""
    image = np.zeros((64, 96, 3), np.uint8)
    image[:, :48], image[:, 48:] = (200, 30, 30), (30, 30, 200)
    return Image.fromarray(image)


@pytest.mark.parametrize(
    ("name", "turned"),
    [
        *((f"a.{kind}", 1) for kind in ("heic", "avif", "jp2", "jpg", "webp", "tif")),
        *((f"a.{kind}", 6) for kind in ("avif", "jpg", "webp", "tif")),
        ("heic named.jpg", 1),
    ],
)
def test_every_kind_of_picture_is_read_upright(tmp_path: Path, name: str, turned: int):
    path = tmp_path / name
    exif = Image.Exif()
    exif[0x0112] = turned
    pillow_heif.register_heif_opener()
    kind = "HEIF" if "heic" in name else None
    stored = halves() if turned == 1 else halves().transpose(Image.Transpose.ROTATE_90)  # undone by a turn clockwise
    stored.save(path, kind, **({} if name.endswith("jp2") else {"exif": exif}), quality=90)
    image = read_picture(path)
    assert image.shape == (64, 96, 3)
    assert np.abs(image.astype(int) - np.asarray(halves())).mean() < 6
    assert is_still(path)
    assert (picture_info(path).width, picture_info(path).height) == (96, 64)


def test_an_animation_is_read_as_its_first_picture_and_says_how_many_there_are(tmp_path: Path):
    frames = [Image.fromarray(np.full((32, 32, 3), value, np.uint8)) for value in (50, 120, 200)]
    path = tmp_path / "moving.webp"
    frames[0].save(path, save_all=True, append_images=frames[1:], lossless=True)
    assert int(read_picture(path).mean()) == 50
    assert picture_info(path).frames_declared == 3
    with pytest.raises(MediaError, match=r"an animation of 3 pictures \(WEBP\), which is not read as a video"):
        is_still(path)


def test_deep_gray_is_scaled_and_floating_point_is_refused(tmp_path: Path):
    cv2.imwrite(str(tmp_path / "deep.png"), np.full((9, 9), 0x8040, np.uint16))
    assert read_picture(tmp_path / "deep.png")[4, 4].tolist() == [128, 128, 128]
    cv2.imwrite(str(tmp_path / "float.tif"), np.full((9, 9), 0.5, np.float32))
    with pytest.raises(MediaError, match="not a picture of 8 or 16 bits"):
        read_picture(tmp_path / "float.tif")


def wide_profile() -> bytes:
    """The profile of sRGB with the primaries of Display P3."""
    data = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    primaries = {
        b"rXYZ": (0.5151, 0.2412, -0.0011),
        b"gXYZ": (0.2919, 0.6922, 0.0419),
        b"bXYZ": (0.1572, 0.0666, 0.7841),
    }
    for number in range(struct.unpack_from(">I", data, 128)[0]):
        name, at, _ = struct.unpack_from(">4sII", data, 132 + 12 * number)
        if name in primaries:
            struct.pack_into(">3i", data, at + 8, *(round(value * 65_536) for value in primaries[name]))
    return bytes(data)


def test_wide_colours_are_brought_to_srgb_and_srgb_is_left_as_it_is(tmp_path: Path):
    image = Image.fromarray(np.full((16, 16, 3), (200, 80, 60), np.uint8))
    plain = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    for name, profile in (("plain", plain), ("wide", wide_profile()), ("broken", b"no profile")):
        image.save(tmp_path / f"{name}.png", icc_profile=profile)
    assert read_picture(tmp_path / "plain.png")[0, 0].tolist() == [200, 80, 60]
    assert read_picture(tmp_path / "broken.png")[0, 0].tolist() == [200, 80, 60]
    red, green, blue = read_picture(tmp_path / "wide.png")[0, 0].tolist()
    assert red > 210
    assert green < 76
    assert blue < 58


def test_pictures_are_opened_in_one_place():
    root = Path(__file__).resolve().parents[3]
    places = {
        path.relative_to(root).as_posix()
        for package in ("shared", "forge", "detect")
        for path in (root / package).rglob("*.py")
        if "Image.open(" in path.read_text()
    }
    assert places == {"shared/video/images.py"}
