"""Opens untrusted media. No other module calls ``av.open``; a test checks that.

Every refusal is a :class:`MediaError` of one sentence with a hint. Only plain files are opened, and only with
demuxers of media containers, so that a playlist renamed to ``.mp4`` cannot make FFmpeg read other files or the network.
"""

from __future__ import annotations

import logging
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, NoReturn, TypeVar

import av
import av.logging
from av.audio.stream import AudioStream
from av.container import InputContainer, OutputContainer
from av.error import FFmpegError
from av.stream import Disposition
from av.video.stream import VideoStream

from shared.errors import MediaError
from shared.types import MAX_FRAMES, MAX_SIDE_PX

_DEMUXERS = (
    "aac,ac3,aiff,apng,asf,avi,caf,dv,eac3,flac,flv,gif,h264,hevc,ivf,m4v,matroska,webm,mjpeg,mov,mp4,m4a,3gp,3g2,mj2,"
    "mp3,mpeg,mpegts,mpegvideo,mxf,nut,obu,ogg,rm,swf,vc1,wav,w64,yuv4mpegpipe"
)

VIDEO_SUFFIXES = frozenset(
    {
        ".mp4", ".mov", ".m4v", ".qt", ".3gp", ".3g2", ".avi", ".mkv", ".webm", ".mpg", ".mpeg", ".vob", ".ts", ".mts",
        ".m2ts", ".wmv", ".asf", ".flv", ".ogv", ".mxf",
    }
)  # fmt: skip
"""File suffixes of videos; in a folder, other files are not read as videos."""

_SUFFIXES = {
    "mov,mp4,m4a,3gp,3g2,mj2": (".mp4", ".mov", ".m4v", ".m4a", ".3gp", ".3g2", ".mj2", ".qt"),
    "matroska,webm": (".mkv", ".webm", ".mka"),
    "avi": (".avi",),
    "mpegts": (".ts", ".mts", ".m2ts"),
    "mpeg": (".mpg", ".mpeg", ".vob"),
    "asf": (".wmv", ".asf", ".wma"),
    "flv": (".flv",),
}

_STILL_BRANDS = frozenset({"avif", "heic", "heix", "heim", "heis", "mif1", "mif2", "jpeg"})

# Without a handler, what FFmpeg logs while its lines are kept would reach standard error.
logging.getLogger("libav").addHandler(logging.NullHandler())

_S = TypeVar("_S", VideoStream, AudioStream)
_NEVER_TOO_LARGE = 1 << 22
"""A frame with at most this many pixels passes, however small its file."""


@dataclass(frozen=True)
class VideoLimits:
    """Limits on media; what exceeds them is refused before memory is allocated for it.

    Attributes:
        min_side_px: shortest side; smaller pictures show no usable face.
        max_side_px: longest side.
        max_pixels: width times height; the default holds 8K twice over.
        max_frames: frames read in one pass; the default is 22 hours at 50 a second.
        frame_pixels_per_byte: pixels of a frame for each byte of the whole file. A file of one blank 8K frame has
            11,000; a GIF of 1.2 kB can declare 56,000.
        pixels_per_byte: pixels of all frames read in one pass for each byte of the file, on top of ``free_pixels``. A
            still picture in full HD, in H.264 and without sound, has 70,000.
        free_pixels: pixels that may be read of any file; 130 frames of full HD.
    """

    min_side_px: int = 8
    max_side_px: int = MAX_SIDE_PX
    max_pixels: int = 1 << 26
    max_frames: int = MAX_FRAMES
    frame_pixels_per_byte: int = 1 << 14
    pixels_per_byte: int = 1 << 17
    free_pixels: int = 1 << 28


def need_file(path: Path) -> None:
    """Refuses anything but a readable, regular file that is not empty.

    Raises:
        MediaError: missing, a folder, a device or pipe, empty, or without permission to read.
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
    options = {"format_whitelist": _DEMUXERS, "protocol_whitelist": "file", "export_xmp": "1"}
    try:
        container = av.open(f"file:{path}", mode="r", options=options, metadata_errors="replace")
    except (FFmpegError, ValueError, OSError, MemoryError) as error:
        refuse_unreadable(path, error)
    with container:
        yield container


def created(
    target: Path | BinaryIO, format_name: str | None = None, options: Mapping[str, str] | None = None
) -> OutputContainer:
    """A new container to write to, in the format that ``format_name`` or the file's suffix names.

    Raises:
        ValueError: FFmpeg knows no such format.
        OSError: the file cannot be written.
    """
    place = f"file:{target}" if isinstance(target, Path) else target
    return av.open(place, mode="w", format=format_name, container_options=dict(options or {}))


@contextmanager
def logged_errors() -> Iterator[None]:
    """In the block, errors of FFmpeg keep the line that FFmpeg logged, for :func:`ffmpeg_line`."""
    before = av.logging.get_level()
    av.logging.set_level(av.logging.ERROR)
    try:
        with av.logging.Capture():
            yield
    finally:
        av.logging.set_level(before)


def ffmpeg_line(error: Exception) -> str:
    """FFmpeg's own message on an error, where it was kept; else the error's general text."""
    log = getattr(error, "log", None)
    if log:
        return f"{log[1]}: {log[2].strip()}"
    return getattr(error, "strerror", None) or str(error)


def refuse_unreadable(path: Path, error: Exception) -> NoReturn:
    """Refuses ``path`` as unreadable: without permission, no media file, damaged or truncated.

    Raises:
        MediaError: always.
    """
    if isinstance(error, PermissionError):
        raise MediaError(f"{path} may not be read", hint="check its owner and permissions") from error
    raise MediaError(
        f"{path} is not a video that can be read: it is another kind of file, damaged, or cut off",
        hint="check that it plays, or copy or download it again",
    ) from error


def suffix_of(path: Path) -> str:
    """The file suffix of the content's format; the file's own suffix if it is valid for that format.

    Raises:
        MediaError: not a file, or not media that can be read.
    """
    own = path.suffix.lower()
    with opened(path) as container:
        usual = _SUFFIXES.get(container.format.name, (own,))
    return own if own in usual else usual[0]


def video_stream(container: InputContainer, path: Path, limits: VideoLimits) -> VideoStream:
    """The video stream that players show, never a cover picture, set up to decode on all cores.

    Raises:
        MediaError: there is none, no decoder for it, its declared size is outside ``limits``, or the file is a still
            picture (HEIC, AVIF), of which the demuxer would give a single tile.
    """
    if container.metadata.get("major_brand", "").strip() in _STILL_BRANDS:
        raise MediaError(
            f"{path} is a still picture, not a video",
            hint="faces extract takes pictures, and forge swap --frames a folder of them",
        )
    streams = [s for s in container.streams.video if not s.disposition & Disposition.attached_pic]
    if not streams:
        found = "sound but no picture" if container.streams.audio else "no picture"
        raise MediaError(f"{path} has {found}", hint="choose a file that holds video")
    stream = _default(streams)
    context = stream.codec_context
    if context is None:
        raise MediaError(f"{path} holds video of a kind that cannot be decoded here", hint="convert it to H.264 first")
    if context.width or context.height:
        check_size(context.width, context.height, path, limits)
    # The decoder itself limits streams that state their size only inside the pictures.
    context.options = {"max_pixels": str(limits.max_pixels)}
    context.thread_type = "AUTO"  # type: ignore[assignment]
    return stream


def audio_stream(container: InputContainer) -> AudioStream | None:
    """The sound that players play: the track marked as default, else the first; None where there is none."""
    streams = list(container.streams.audio)
    return _default(streams) if streams else None


def _default(streams: list[_S]) -> _S:
    return next((stream for stream in streams if stream.disposition & Disposition.default), streams[0])


def check_size(width: int, height: int, path: Path, limits: VideoLimits) -> None:
    """Refuses pictures that are too small or too large.

    Raises:
        MediaError: ``width`` or ``height`` is outside ``limits``, or there are too many pixels for the file's size.
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
    for_each_byte = width * height // path.stat().st_size if width * height > _NEVER_TOO_LARGE else 0
    if for_each_byte > limits.frame_pixels_per_byte:
        raise MediaError(
            f"{path} unpacks to pictures of {width}x{height} pixels, {for_each_byte} for each byte of it",
            hint=f"no camera's file has more than {limits.frame_pixels_per_byte}; look at where it comes from",
        )
