"""Opening a video that nobody vouches for, and the facts of it: size, orientation, colour, rates.

Every refusal is a :class:`MediaError` of one sentence with a hint. Only plain files are opened, and only with
demuxers of media containers: a playlist renamed to ``.mp4`` must not make FFmpeg read other files or a network.
"""

from __future__ import annotations

import stat
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import NoReturn

import av
import numpy as np
from av.container import InputContainer
from av.error import FFmpegError
from av.stream import Disposition
from av.video.frame import VideoFrame
from av.video.reformatter import ColorRange, Colorspace, Interpolation, VideoReformatter
from av.video.stream import VideoStream

from shared.errors import MediaError
from shared.types import VideoInfo

_DEMUXERS = (
    "aac,ac3,aiff,apng,asf,avi,caf,dv,eac3,flac,flv,gif,h264,hevc,ivf,m4v,matroska,webm,mjpeg,mov,mp4,m4a,3gp,3g2,mj2,"
    "mp3,mpeg,mpegts,mpegvideo,mxf,nut,obu,ogg,rm,swf,vc1,wav,w64,yuv4mpegpipe"
)

VIDEO_SUFFIXES = frozenset({".mp4", ".mov", ".m4v", ".avi", ".mkv", ".webm", ".mpg", ".mpeg", ".wmv", ".flv"})
"""Suffixes by which a folder's videos are told from its other files."""

# The default conversion of FFmpeg darkens a picture by more than one level each time it is read and written again.
# These flags keep the mean within a few hundredths of a level, and give the same bytes on every processor.
EXACT_CHROMA = Interpolation.ACCURATE_RND | Interpolation.FULL_CHR_H_INT | Interpolation.BITEXACT

_COLORSPACE_RGB, _COLORSPACE_UNSTATED, _COLORSPACE_RESERVED = 0, 2, 3
_MATRICES: dict[int, Colorspace] = {
    1: Colorspace.ITU709,
    4: Colorspace.FCC,
    5: Colorspace.ITU601,
    6: Colorspace.ITU601,
    7: Colorspace.SMPTE240M,
    9: Colorspace.BT2020,
    10: Colorspace.BT2020,
}


@dataclass(frozen=True)
class VideoLimits:
    """What is refused before memory is spent on it.

    Attributes:
        min_side_px: smaller pictures show nothing that could be looked for.
        max_side_px: longest side.
        max_pixels: width times height; the default holds 8K twice over.
        max_frames: frames read in one pass; the default is 22 hours at 50 a second.
    """

    min_side_px: int = 8
    max_side_px: int = 16_384
    max_pixels: int = 1 << 26
    max_frames: int = 4_000_000


@dataclass(frozen=True)
class Orientation:
    """The quarter turn and mirroring that a display matrix asks for: transpose first, then the flips."""

    transpose: bool = False
    flip_x: bool = False
    flip_y: bool = False

    @classmethod
    def from_matrix(cls, data: bytes) -> Orientation:
        """From a display matrix (nine 32-bit integers, row vectors: ``x' = a x + c y``, ``y' = b x + d y``, y down).

        A matrix that turns by something other than quarter turns is taken for the nearest of them.
        """
        if len(data) < 36:
            return cls()
        a, b, _, c, d, *_ = struct.unpack("=9i", data[:36])
        if abs(a) + abs(d) >= abs(b) + abs(c):
            return cls(transpose=False, flip_x=a < 0, flip_y=d < 0)
        return cls(transpose=True, flip_x=c < 0, flip_y=b < 0)

    @property
    def degrees_clockwise(self) -> int:
        """The turn alone, 0, 90, 180 or 270, as if a mirrored picture had been mirrored left to right afterwards."""
        if self.transpose:
            return 270 if self.flip_y else 90
        return 180 if self.flip_y else 0

    def size(self, width: int, height: int) -> tuple[int, int]:
        """Width and height as shown."""
        return (height, width) if self.transpose else (width, height)

    def apply(self, image: np.ndarray) -> np.ndarray:
        """``image`` (H, W, ...) as shown, contiguous."""
        if self.transpose:
            image = image.swapaxes(0, 1)
        rows, columns = slice(None, None, -1 if self.flip_y else 1), slice(None, None, -1 if self.flip_x else 1)
        return np.ascontiguousarray(image[rows, columns])


def need_file(path: Path) -> None:
    """Refuses what is not a readable file with something in it.

    Raises:
        MediaError: missing, a folder, a device or pipe, empty, or not permitted.
    """
    try:
        status = path.stat()
    except FileNotFoundError as error:
        raise MediaError(f"{path} does not exist", hint="check the path") from error
    except OSError as error:
        raise MediaError(f"{path} cannot be reached: {error.strerror}", hint="check the path and its owner") from error
    except ValueError as error:
        raise MediaError(f"{str(path)!r} is not a path", hint="check the path") from error
    if stat.S_ISDIR(status.st_mode):
        raise MediaError(f"{path} is a folder, not a video", hint="name a file in it")
    if not stat.S_ISREG(status.st_mode):
        raise MediaError(f"{path} is not a regular file", hint="copy its content to a file first")
    if status.st_size == 0:
        raise MediaError(f"{path} is empty", hint="copy or download it again")


@contextmanager
def opened(path: Path) -> Iterator[InputContainer]:
    """The container of a media file, closed at the end of the block.

    Raises:
        MediaError: not a file, or not media that can be read.
    """
    need_file(path)
    options = {"format_whitelist": _DEMUXERS, "protocol_whitelist": "file"}
    try:
        container = av.open(f"file:{path}", mode="r", options=options, metadata_errors="replace")
    except (FFmpegError, ValueError, OSError, MemoryError) as error:
        refuse_unreadable(path, error)
    with container:
        yield container


def refuse_unreadable(path: Path, error: Exception) -> NoReturn:
    """Says that ``path`` is not media, or was cut off before the part that describes it.

    Raises:
        MediaError: always.
    """
    if isinstance(error, PermissionError):
        raise MediaError(f"{path} may not be read", hint="check its owner and permissions") from error
    raise MediaError(
        f"{path} is not a video that can be read: it is another kind of file, damaged, or cut off",
        hint="check that it plays, or copy or download it again",
    ) from error


def video_stream(container: InputContainer, path: Path, limits: VideoLimits) -> VideoStream:
    """The first real video stream (cover pictures are none), ready to decode on all cores.

    Raises:
        MediaError: there is none, no decoder for it, or its declared size is outside ``limits``.
    """
    streams = [s for s in container.streams.video if not s.disposition & Disposition.attached_pic]
    if not streams:
        found = "sound but no picture" if container.streams.audio else "no picture"
        raise MediaError(f"{path} has {found}", hint="choose a file that holds video")
    stream = streams[0]
    context = stream.codec_context
    if context is None:
        raise MediaError(f"{path} holds video of a kind that cannot be decoded here", hint="convert it to H.264 first")
    if context.width or context.height:
        check_size(context.width, context.height, path, limits)
    # Streams that state their size only inside the pictures are stopped by the decoder itself.
    context.options = {"max_pixels": str(limits.max_pixels)}
    context.thread_type = "AUTO"  # type: ignore[assignment]
    return stream


def check_size(width: int, height: int, path: Path, limits: VideoLimits) -> None:
    """Refuses pictures too small to show anything or too large to be meant.

    Raises:
        MediaError: ``width`` or ``height`` is outside ``limits``.
    """
    if min(width, height) < limits.min_side_px:
        raise MediaError(
            f"{path} has pictures of {width}x{height} pixels, too small to show anything",
            hint=f"a side has at least {limits.min_side_px} pixels",
        )
    if max(width, height) > limits.max_side_px or width * height > limits.max_pixels:
        raise MediaError(
            f"{path} declares pictures of {width}x{height} pixels, more than is read here",
            hint=f"at most {limits.max_side_px} a side and {limits.max_pixels / 1e6:.0f} million in all; scale it down",
        )


def orientation_of(frame: VideoFrame) -> Orientation:
    """How a decoded frame is to be turned for showing; upright when it does not say."""
    matrix = frame.side_data.get("DISPLAYMATRIX")
    return Orientation() if matrix is None else Orientation.from_matrix(bytes(matrix))


def default_matrix(width: int, height: int) -> Colorspace:
    """The colour matrix of a video that declares none: BT.709 from 720p on, BT.601 below, as players assume."""
    return Colorspace.ITU709 if max(width, height) >= 1280 or min(width, height) > 576 else Colorspace.ITU601


def matrix_of(frame: VideoFrame, path: Path) -> Colorspace | None:
    """The colour matrix a frame declares, the customary one when it declares none, None for RGB.

    Raises:
        MediaError: it declares one that is not known here; guessing would shift every colour.
    """
    declared = int(frame.colorspace)
    if declared == _COLORSPACE_RGB:
        return None
    if declared in (_COLORSPACE_UNSTATED, _COLORSPACE_RESERVED):
        return default_matrix(frame.width, frame.height)
    if declared not in _MATRICES:
        raise MediaError(f"{path} uses a colour matrix (number {declared}) not known here", hint="convert it to BT.709")
    return _MATRICES[declared]


class FrameConverter:
    """Decoded frames to pictures, keeping FFmpeg's tables between frames. Belongs to one pass over one file."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._reformatter = VideoReformatter()

    def rgb(self, frame: VideoFrame) -> np.ndarray:
        """(H, W, 3) uint8 RGB, by the declared matrix and range, not yet turned.

        Raises:
            MediaError: the frame's format cannot be converted.
        """
        matrix = matrix_of(frame, self._path)
        return self._convert(frame, "rgb24", matrix)

    def gray(self, frame: VideoFrame) -> np.ndarray:
        """(H, W) uint8: the luma samples over the full range; those of a gray video as they are.

        Raises:
            MediaError: the frame's format cannot be converted.
        """
        if frame.format.name == "gray":
            return frame.to_ndarray()
        return self._convert(frame, "gray", matrix_of(frame, self._path))

    def _convert(self, frame: VideoFrame, format_name: str, matrix: Colorspace | None) -> np.ndarray:
        try:
            converted = self._reformatter.reformat(
                frame,
                format=format_name,
                src_colorspace=matrix,
                dst_colorspace=matrix,
                dst_color_range=ColorRange.JPEG,
                interpolation=Interpolation.BILINEAR | EXACT_CHROMA,
            )
        except (FFmpegError, ValueError) as error:
            raise MediaError(
                f"{self._path} holds pictures in a format ({frame.format.name}) that cannot be converted",
                hint="convert it to H.264 first",
            ) from error
        return converted.to_ndarray()


def facts_of(container: InputContainer, stream: VideoStream, frame: VideoFrame) -> VideoInfo:
    """What the container and the first decoded frame say."""
    context = stream.codec_context
    orientation = orientation_of(frame)
    width, height = orientation.size(frame.width, frame.height)
    audio = container.streams.audio[0] if container.streams.audio else None
    tags = {**container.metadata, **stream.metadata}
    return VideoInfo(
        width=width,
        height=height,
        frame_rate=_positive(stream.average_rate) or _positive(stream.guessed_rate),
        time_base=stream.time_base or Fraction(1, 1_000_000),
        frames_declared=stream.frames or _declared_in_tags(stream.metadata),
        frames_counted=None,
        duration_seconds=_duration_seconds(container, stream),
        codec=context.codec.canonical_name,
        pixel_format=frame.format.name,
        bit_depth=max(component.bits for component in frame.format.components),
        rotation=orientation.degrees_clockwise,
        container=container.format.name,
        has_audio=audio is not None,
        audio_codec=audio.codec_context.codec.canonical_name if audio and audio.codec_context else None,
        bit_rate=stream.bit_rate or container.bit_rate or None,
        profile=context.profile or None,
        encoder=tags.get("encoder"),
        pixel_aspect=_pixel_aspect(stream, turned=orientation.transpose),
    )


def _positive(rate: Fraction | None) -> Fraction | None:
    return rate if rate is not None and rate > 0 else None


def _declared_in_tags(tags: dict[str, str]) -> int | None:
    """Matroska has no frame count in its header; some writers leave one in the track's tags."""
    count = tags.get("NUMBER_OF_FRAMES", "")
    return int(count) if count.isascii() and count.isdigit() and len(count) < 12 else None


def _duration_seconds(container: InputContainer, stream: VideoStream) -> float | None:
    if stream.duration is not None and stream.time_base is not None:
        return float(stream.duration * stream.time_base)
    return container.duration / av.time_base if container.duration else None


def _pixel_aspect(stream: VideoStream, *, turned: bool) -> Fraction:
    aspect = _positive(stream.sample_aspect_ratio) or Fraction(1)
    return 1 / aspect if turned else aspect
