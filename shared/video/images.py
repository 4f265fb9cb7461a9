"""Reads single pictures, upright and within limits, and folders of them in natural order; encodes PNG, JPEG, WebP."""

from __future__ import annotations

import re
import struct
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from fractions import Fraction
from functools import lru_cache
from io import BytesIO
from pathlib import Path
from types import TracebackType
from typing import Any, Literal

import cv2
import numpy as np
from PIL import Image, ImageCms, ImageOps, UnidentifiedImageError

from shared.errors import MediaError
from shared.types import ClockRestart, Frame, Timestamp, VideoInfo
from shared.video.container import need_file

SUFFIXES: tuple[str, ...] = (
    ".png", ".jpg", ".jpeg", ".jfif", ".bmp", ".webp", ".tif", ".tiff",
    ".heic", ".heif", ".hif", ".avif", ".jp2", ".j2k", ".jpf", ".jpx",
)  # fmt: skip
"""File suffixes of pictures, lower case. The format itself is detected by content."""

_FORMATS = ("PNG", "JPEG", "BMP", "WEBP", "TIFF", "HEIF", "AVIF", "JPEG2000")
_WITH_SEQUENCES = ("PNG", "WEBP", "HEIF", "AVIF")
_ORIENTATION = 0x0112
_TURNED = {3: 180, 4: 180, 5: 90, 6: 90, 7: 270, 8: 270}
"""Degrees clockwise of each EXIF orientation; 2, 4, 5 and 7 are mirrored as well."""
_RATE = Fraction(25)
_MOST_BYTES = 256 << 20
_MOST_PIXELS = 1 << 27
_SRGB_PRIMARIES = ((0.648, 0.331), (0.321, 0.598), (0.156, 0.066))  # x, y under D50, as ICC profiles state them
_SAME_PRIMARY = 0.01
_SAMPLING = {"422": cv2.IMWRITE_JPEG_SAMPLING_FACTOR_422, "444": cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444}
"""OpenCV's numbers of how JPEG samples chroma; 4:2:0 is what it does unless told."""


class PictureReader:
    """One picture as a clip of one frame, with the interface of :class:`shared.video.reader.VideoReader`.

    Raises:
        MediaError: it is no picture, damaged or too large; when it is read, or ``info`` is.
    """

    decode_failures = times_repaired = 0
    clock_restarts: tuple[ClockRestart, ...] = ()
    size_changes: tuple[tuple[int, int, int], ...] = ()
    stopped: str | None = None
    first_failure = ""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.frames_decoded = 0

    def __enter__(self) -> PictureReader:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        return None

    @property
    def info(self) -> VideoInfo:
        """See :func:`picture_info`."""
        return picture_info(self.path)

    def frames(self, *, start: int = 0, stop: int | None = None, step: int = 1) -> Iterator[Frame]:
        """The picture, once, if frame 0 is in the range."""
        if 0 in range(start, 1 if stop is None else stop, step):
            image = read_picture(self.path)
            self.frames_decoded = 1
            yield Frame(0, Timestamp(0, 1 / _RATE), image)

    def picked(self, indices: Collection[int]) -> Iterator[Frame]:
        """The picture, once, if ``indices`` hold 0."""
        return self.frames() if 0 in indices else iter(())

    def times(self) -> Iterator[Timestamp]:
        """The picture's time."""
        return (frame.time for frame in self.frames())


def is_still(path: Path) -> bool:
    """Whether the file's content is a single picture, whatever its name says.

    Raises:
        MediaError: it is an animation in a format that is not read as video.
    """
    try:
        with opened_picture(path) as image:
            frames, kind = _frames_in(image), image.format
    except MediaError:
        return False
    if frames > 1 and kind in ("PNG", "WEBP"):
        raise MediaError(
            f"{path} is an animation of {frames} pictures ({kind}), which is not read as a video",
            hint="convert it to .mp4 or .gif first",
        )
    return frames == 1 or kind == "HEIF"


def picture_info(path: Path) -> VideoInfo:
    """The header's facts as those of a video without a frame rate; an animation declares more than one frame.

    Raises:
        MediaError: it is no picture.
    """
    with opened_picture(path) as image:
        turned = int(image.getexif().get(_ORIENTATION, 1))
        sideways = turned in (5, 6, 7, 8) and image.format != "TIFF"  # whose size Pillow gives as displayed
        width, height = image.size[::-1] if sideways else image.size
        kind, mode, frames = (image.format or "unknown").lower(), image.mode, _frames_in(image)
    return VideoInfo(
        width=width,
        height=height,
        frame_rate=None,
        time_base=1 / _RATE,
        frames_declared=frames,
        frames_counted=1,
        duration_seconds=None,
        codec=kind,
        pixel_format=mode,
        bit_depth=16 if mode.startswith("I;16") else 8,
        rotation=_TURNED.get(turned, 0),
        container=kind,
        has_audio=False,
        has_alpha=mode in ("RGBA", "LA", "PA"),
    )


def _frames_in(image: Image.Image) -> int:
    """Frames of an animation; 1 for JPEG and TIFF, whose further pictures are previews and pages."""
    return int(getattr(image, "n_frames", 1)) if image.format in _WITH_SEQUENCES else 1


def is_picture(path: Path) -> bool:
    """Whether the file has the suffix of a picture."""
    return path.suffix.lower() in SUFFIXES and not path.name.startswith(".")


def pictures_in(folder: Path) -> list[Path]:
    """The pictures of ``folder`` in natural order: 2.png before 10.png.

    Raises:
        MediaError: there is none.
    """
    found = [path for path in folder.iterdir() if is_picture(path)]
    if not found:
        raise MediaError(f"{folder} holds no picture", hint=f"pictures end in {', '.join(SUFFIXES)}")
    return sorted(found, key=lambda path: _natural(path.name))


@contextmanager
def opened_picture(path: Path) -> Iterator[Image.Image]:
    """A picture file, opened by content, its pixels not decoded yet; closed at the end of the block.

    Pillow's errors inside the block become :class:`MediaError` too, so pixels may be decoded there.

    Raises:
        MediaError: not a regular file, no picture of a known format, damaged, larger than 256 MiB or 2^27 pixels.
    """
    need_file(path)
    if path.stat().st_size > _MOST_BYTES:
        raise MediaError(f"{path} is larger than 256 MiB", hint="make the picture smaller")
    _prepare_pillow()
    try:
        with Image.open(path, formats=_FORMATS) as image:
            if image.width * image.height > _MOST_PIXELS:
                raise MediaError(f"{path} claims {image.width}x{image.height} pixels", hint="make the picture smaller")
            yield image
    except UnidentifiedImageError as error:
        raise MediaError(f"{path} is no picture or damaged: its format is not known", hint="check the file") from error
    except (Image.DecompressionBombError, MemoryError) as error:
        raise MediaError(f"{path} claims more pixels than are read", hint="make the picture smaller") from error
    except (OSError, ValueError, SyntaxError, TypeError, LookupError, RuntimeError, struct.error) as error:
        raise MediaError(f"{path} is no picture or damaged: {error}", hint="copy or download it again") from error


def read_picture(path: Path) -> np.ndarray:
    """The (H, W, 3) uint8 sRGB picture in a file, upright; transparency is dropped, more than 8 bits are rounded down.

    Tiles of HEIC and AVIF are joined and rotated. Colours are converted if the file's profile has other primaries than
    sRGB. The size in the header is checked before pixels are decoded.

    Raises:
        MediaError: see :func:`opened_picture`.
    """
    with opened_picture(path) as image:
        upright = ImageOps.exif_transpose(image)
        return np.array(_rgb(upright, image.info.get("icc_profile")))


def _rgb(image: Image.Image, profile: bytes | None) -> Image.Image:
    """``image`` as 8-bit sRGB."""
    if image.mode in ("F", "I") or image.mode.startswith("I;16"):  # Pillow would clip these, not scale them
        deep = np.asarray(image).astype(np.float64)
        if image.mode == "F" or deep.max(initial=0) > 65_535:
            raise ValueError("it holds numbers, not a picture of 8 or 16 bits")
        return Image.fromarray((deep.astype(np.uint32) >> 8).astype(np.uint8)).convert("RGB")
    source = _wide_profile(profile) if profile and image.mode in ("RGB", "RGBA", "CMYK") else None
    if source is None:
        return image.convert("RGB")
    flat = image.convert("RGB") if image.mode == "RGBA" else image
    try:
        converted = ImageCms.profileToProfile(flat, source, ImageCms.createProfile("sRGB"), outputMode="RGB")
    except ImageCms.PyCMSError:  # a profile of another colour model than the picture's
        return image.convert("RGB")
    return image.convert("RGB") if converted is None else converted


def _wide_profile(data: bytes) -> ImageCms.ImageCmsProfile | None:
    """The colour profile, None for sRGB; None also for an unreadable one, which viewers ignore too."""
    try:
        profile = ImageCms.getOpenProfile(BytesIO(data))
    except (ImageCms.PyCMSError, OSError):
        return None
    core: Any = profile.profile
    stated = [core.red_primary, core.green_primary, core.blue_primary]
    near = [
        one is not None and max(abs(one[1][0] - x), abs(one[1][1] - y)) < _SAME_PRIMARY
        for one, (x, y) in zip(stated, _SRGB_PRIMARIES, strict=True)
    ]
    return None if all(near) or (core.xcolor_space.strip() == "RGB" and None in stated) else profile


@lru_cache(maxsize=1)
def _prepare_pillow() -> None:
    """Registers HEIC with Pillow, which reads AVIF and JPEG 2000 itself, and sets its limit on pixels."""
    import pillow_heif

    pillow_heif.register_heif_opener(thumbnails=False, depth_images=False, aux_images=False)
    Image.MAX_IMAGE_PIXELS = _MOST_PIXELS


def encode_png(image: np.ndarray) -> bytes:
    """(H, W, 3) RGB or (H, W) gray uint8 as a PNG file, compressed fast: about 2 ms and 90 kB at 256 px.

    Raises:
        MediaError: it is empty, of another shape or type, or too large for the format.
    """
    # OpenCV's default (run lengths, fixed filter) is the fastest; a higher level takes time and saves a tenth.
    return _encoded(".png", image, [])


def encode_jpeg(image: np.ndarray, quality: int = 90, chroma: Literal["420", "422", "444"] = "420") -> bytes:
    """(H, W, 3) RGB or (H, W) gray uint8 as a JPEG file; ``quality`` from 1 to 100, ``chroma`` as it is sampled.

    Raises:
        MediaError: it is empty, of another shape or type, or has more than 65,500 pixels on a side.
    """
    sampling = [cv2.IMWRITE_JPEG_SAMPLING_FACTOR, _SAMPLING[chroma]] if chroma != "420" else []
    return _encoded(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality, *sampling])


def encode_webp(image: np.ndarray, quality: int = 80) -> bytes:
    """(H, W, 3) RGB uint8 as a lossy WebP file; ``quality`` from 1 to 100.

    Raises:
        MediaError: it is empty, of another shape or type, or has more than 16,383 pixels on a side.
    """
    return _encoded(".webp", image, [cv2.IMWRITE_WEBP_QUALITY, quality])


def _encoded(suffix: str, image: np.ndarray, flags: list[int]) -> bytes:
    packed, data = False, np.empty(0, np.uint8)
    if image.size and image.dtype == np.uint8 and image.ndim > 1 and image.shape[2:] in ((), (3,)):
        packed, data = cv2.imencode(suffix, cv2.cvtColor(image, cv2.COLOR_RGB2BGR) if image.ndim == 3 else image, flags)
    if not packed:
        raise MediaError(
            f"a picture of shape {image.shape} and type {image.dtype} cannot be written as {suffix[1:]}",
            hint="it has to be RGB or gray of 8 bits, not empty, and with at most 65,500 pixels on a side",
        )
    return data.tobytes()


def _natural(name: str) -> list[tuple[bool, int, str]]:
    parts = re.split(r"(\d+)", name)
    return [(part.isdecimal(), int(part) if part.isdecimal() else 0, part) for part in parts if part]
