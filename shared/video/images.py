"""Single pictures in, upright, bounded and in the order in which a person would count them; and out, as file bytes."""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from types import TracebackType

import cv2
import numpy as np
from PIL import Image, UnidentifiedImageError

from shared.errors import MediaError
from shared.types import ClockRestart, Frame, Timestamp, VideoInfo

SUFFIXES: tuple[str, ...] = (".png", ".jpg", ".jpeg", ".bmp", ".webp", ".tif", ".tiff")
"""How the names of pictures end, in small letters."""

_RATE = Fraction(25)
_STILLS = frozenset({"JPEG", "MPO", "PNG", "WEBP", "BMP", "TIFF"})
_ANIMATED = frozenset({"PNG", "WEBP"})
_ORIENTATION = 0x0112
_NO_PICTURE = (OSError, ValueError, SyntaxError, TypeError, LookupError, struct.error, Image.DecompressionBombError)
"""What Pillow raises of files that are none, or damaged."""
_MOST_BYTES = 256 << 20
_MOST_PIXELS = 1 << 27


class PictureReader:
    """One picture as a clip of one frame, read as those of :class:`shared.video.reader.VideoReader`.

    Raises:
        MediaError: it is no picture, damaged or too large; while reading, or when ``info`` is asked for.
    """

    decode_failures = times_repaired = 0
    clock_restarts: tuple[ClockRestart, ...] = ()
    size_changes: tuple[tuple[int, int, int], ...] = ()
    stopped: str | None = None

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
        """The picture, once, where it is asked for."""
        if 0 in range(start, 1 if stop is None else stop, step):
            image = read_picture(self.path)
            self.frames_decoded = 1
            yield Frame(0, Timestamp(0, 1 / _RATE), image)

    def times(self) -> Iterator[Timestamp]:
        """That of the picture."""
        return (frame.time for frame in self.frames())


def is_still(path: Path) -> bool:
    """Whether the file's content is a single picture, whatever its name says; an animation is none."""
    try:
        with Image.open(path) as image:
            return image.format in _STILLS and not (image.format in _ANIMATED and getattr(image, "is_animated", False))
    except _NO_PICTURE:
        return False


def picture_info(path: Path) -> VideoInfo:
    """What a still picture's header says, as of a video of one frame without a rate.

    Raises:
        MediaError: it is no picture.
    """
    try:
        with Image.open(path) as image:
            turned = int(image.getexif().get(_ORIENTATION, 1))
            width, height = image.size[::-1] if turned in (5, 6, 7, 8) else image.size
            kind, mode = (image.format or "unknown").lower(), image.mode
    except _NO_PICTURE as error:
        raise MediaError(f"{path} is no picture or damaged", hint="check the file") from error
    return VideoInfo(
        width=width,
        height=height,
        frame_rate=None,
        time_base=1 / _RATE,
        frames_declared=1,
        frames_counted=1,
        duration_seconds=None,
        codec=kind,
        pixel_format=mode,
        bit_depth=16 if mode.startswith("I;16") else 8,
        rotation={3: 180, 6: 90, 8: 270}.get(turned, 0),
        container=kind,
        has_audio=False,
        has_alpha=mode in ("RGBA", "LA", "PA"),
    )


def is_picture(path: Path) -> bool:
    """Whether the file's name is that of a picture."""
    return path.suffix.lower() in SUFFIXES and not path.name.startswith(".")


def pictures_in(folder: Path) -> list[Path]:
    """The pictures of ``folder``, 2.png before 10.png.

    Raises:
        MediaError: there is none.
    """
    found = [path for path in folder.iterdir() if is_picture(path)]
    if not found:
        raise MediaError(f"{folder} holds no picture", hint=f"pictures end in {', '.join(SUFFIXES)}")
    return sorted(found, key=lambda path: _natural(path.name))


def read_picture(path: Path) -> np.ndarray:
    """The (H, W, 3) uint8 RGB picture in a file, upright; transparency is dropped.

    What the header says is checked before a pixel is unpacked.

    Raises:
        MediaError: it is no picture, damaged, larger than 256 MiB or than 2^27 pixels.
    """
    try:
        if path.stat().st_size > _MOST_BYTES:
            raise MediaError(f"{path} is larger than 256 MiB", hint="make the picture smaller")
        with Image.open(path) as header:
            width, height = header.size
        if width * height > _MOST_PIXELS:
            raise MediaError(f"{path} claims {width}x{height} pixels", hint="make the picture smaller")
        image = cv2.imdecode(np.fromfile(path, np.uint8), cv2.IMREAD_COLOR)
    except (OSError, ValueError, UnidentifiedImageError, Image.DecompressionBombError, cv2.error) as error:
        raise MediaError(f"{path} is no picture or damaged", hint="check the file") from error
    if image is None:
        raise MediaError(f"{path} is no picture or damaged", hint="check the file")
    return cv2.cvtColor(image, cv2.COLOR_BGR2RGB)


def encode_png(image: np.ndarray) -> bytes:
    """(H, W, 3) RGB or (H, W) gray uint8 as a PNG file, packed lightly: about 2 ms and 90 kB at 256 px.

    Raises:
        MediaError: it is empty, of another kind, or too large for the format.
    """
    # OpenCV's own setting (run lengths, fixed filter) packs fastest; a higher level costs time and saves a tenth.
    return _encoded(".png", image, [])


def encode_jpeg(image: np.ndarray, quality: int = 90) -> bytes:
    """(H, W, 3) RGB or (H, W) gray uint8 as a JPEG file; ``quality`` from 1 to 100.

    Raises:
        MediaError: it is empty, of another kind, or has more than 65,500 pixels on a side.
    """
    return _encoded(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])


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
