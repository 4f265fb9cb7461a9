"""Writes video: frames at exact times, sound copied, colours tagged, equal bytes for equal pictures."""

from __future__ import annotations

import math
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from fractions import Fraction
from pathlib import Path
from types import TracebackType

import av
import numpy as np
from av.container import OutputContainer
from av.error import FFmpegError
from av.video.frame import VideoFrame
from av.video.reformatter import ColorPrimaries, ColorRange, Colorspace, ColorTrc, Interpolation, VideoReformatter
from av.video.stream import VideoStream

from shared.errors import MediaError, UsageError
from shared.storage import replacing
from shared.types import Timestamp, VideoInfo
from shared.video.audio import EXACT, AudioCopy, audio_rate
from shared.video.color import EXACT_CHROMA, default_matrix
from shared.video.container import created, ffmpeg_line, logged_errors
from shared.video.encoding import CODECS, CONTAINERS, ENCODER_THREADS, Encoding
from shared.video.reader import VideoReader

__all__ = ["Encoding", "VideoWriter", "encoders_here", "need_encodable", "reencode"]

_MAX_TICKS_A_SECOND = 2**31 - 1
_MIN_TIMESCALE = 10_000
_MATRIX_TAGS = {Colorspace.ITU709: 1, Colorspace.ITU601: 6}
_X265_DELAY_FRAMES = 2


class VideoWriter:
    """Writes one video; a context manager. The file appears, complete, when the block ends without an error.

    Convention:
        pictures: (H, W, 3) uint8 RGB, or (H, W) uint8 for a gray encoding
        times: strictly increasing; in seconds. .mp4 and .mov preserve them exactly, variable frame rates and a late
            start included; Matroska and WebM round them to milliseconds.
        colour: BT.709 matrix from 720p on, BT.601 below, studio range, tagged; primaries and transfer are tagged
            BT.709. (Motion JPEG: BT.601, full range, as JPEG defines.)

    Equal pictures, times and settings give equal bytes: no dates, no random identifiers, a fixed number of threads.

    Args:
        path: where the video goes; its suffix chooses the container.
        width: of the pictures.
        height: of the pictures. Odd sizes are kept (see :meth:`Encoding.pixel_format_for`).
        time_base: seconds per tick of the timestamps; usually the target's.
        frame_rate: stored for players; None when the rate varies.
        encoding: codec, quality and pixel format.
        audio_from: a file whose sound is copied packet for packet; a file without sound is allowed.
        pixel_aspect: displayed width of a pixel over its height.

    Raises:
        UsageError: the suffix names no known container.
        MediaError: the encoder refuses size or format, the container cannot hold the codec or the sound, or no
            frame was written.
        StorageError: writing failed.
        ValueError: a picture or a time breaks the convention.
    """

    def __init__(
        self,
        path: Path,
        *,
        width: int,
        height: int,
        time_base: Fraction,
        frame_rate: Fraction | None,
        encoding: Encoding = Encoding(),  # noqa: B008 - frozen
        audio_from: Path | None = None,
        pixel_aspect: Fraction = Fraction(1),
    ) -> None:
        if width < 1 or height < 1:
            raise ValueError(f"a video has a size, got {width}x{height}")
        if time_base <= 0 or max(time_base.numerator, time_base.denominator) > _MAX_TICKS_A_SECOND:
            raise ValueError(f"time_base must be positive with terms below 2**31, got {time_base}")
        if path.suffix.lower() not in CONTAINERS:
            raise UsageError(f"{path}: video is not written as {path.suffix!r}", hint=f"use {', '.join(CONTAINERS)}")
        self.path = path
        self.encoding = encoding
        self.pixel_format = encoding.pixel_format_for(width, height)
        self.frames_written = 0
        self._size = (width, height)
        self._time_base = time_base
        self._frame_rate = frame_rate
        self._pixel_aspect = pixel_aspect
        self._audio_from = audio_from
        self._matrix = Colorspace.ITU601 if encoding.codec == "mjpeg" else default_matrix(width, height)
        self._last_pts: int | None = None
        self._reformatter = VideoReformatter()
        self._stack = ExitStack()
        self._container: OutputContainer
        self._stream: VideoStream
        self._audio: AudioCopy | None = None

    @classmethod
    def like(
        cls,
        info: VideoInfo,
        path: Path,
        *,
        encoding: Encoding = Encoding(),  # noqa: B008 - frozen
        audio_from: Path | None = None,
    ) -> VideoWriter:
        """A writer for a clip with the size, clock and rate of ``info``, in square pixels."""
        return cls(
            path,
            width=info.width,
            height=info.height,
            time_base=info.time_base,
            frame_rate=info.frame_rate,
            encoding=encoding,
            audio_from=audio_from,
        )

    def __enter__(self) -> VideoWriter:
        with ExitStack() as stack:
            draft = stack.enter_context(replacing(self.path))
            with logged_errors(), self._encoder_errors():
                self._container = self._open_container(draft)
                stack.push(self._close)
                self._stream = self._add_video()
            if self._audio_from is not None:
                self._audio = stack.enter_context(AudioCopy(self._audio_from, self._container, self.path.suffix))
            with logged_errors(), self._encoder_errors():
                self._container.start_encoding()
            stack.push(self._drain)
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> bool | None:
        return self._stack.__exit__(kind, error, traceback)

    def write(self, image: np.ndarray, time: Timestamp) -> None:
        """Adds one picture, shown from ``time`` on.

        Raises:
            ValueError: the picture has another size or type, or the time does not come after the one before, or is
                no whole number of ticks.
            MediaError: the encoder failed.
            OSError: writing failed; the ``with`` block turns it into a :class:`StorageError`.
        """
        frame = self._converted(image)
        frame.pts = self._ticks(time)
        frame.time_base = self._time_base
        with self._encoder_errors():
            self._container.mux(self._stream.encode(frame))
            if self._audio is not None:
                self._audio.up_to(time.exact_seconds)
        self.frames_written += 1

    def _ticks(self, time: Timestamp) -> int:
        exact = time.exact_seconds / self._time_base
        if exact.denominator != 1:
            raise ValueError(f"{time} is not a whole number of ticks of {self._time_base} s")
        if self._last_pts is not None and exact <= self._last_pts:
            raise ValueError(f"times must increase, got tick {exact} after {self._last_pts}")
        self._last_pts = int(exact)
        return self._last_pts

    def _converted(self, image: np.ndarray) -> VideoFrame:
        width, height = self._size
        wanted = (height, width) if self.encoding.is_gray else (height, width, 3)
        if image.shape != wanted or image.dtype != np.uint8:
            raise ValueError(f"a picture of this video is {wanted} uint8, got {image.shape} {image.dtype}")
        image = np.ascontiguousarray(image)
        if self.encoding.is_gray:
            return VideoFrame.from_ndarray(image, format="gray")
        return self._reformatter.reformat(
            VideoFrame.from_ndarray(image, format="rgb24"),
            format=self.pixel_format,
            src_color_range=ColorRange.JPEG,
            dst_color_range=ColorRange.JPEG if self.encoding.full_range else ColorRange.MPEG,
            dst_colorspace=self._matrix,
            # Averages the pixels that share a chroma sample.
            interpolation=Interpolation.AREA | EXACT_CHROMA,
        )

    def _open_container(self, draft: Path) -> OutputContainer:
        options = dict(EXACT)
        if self.path.suffix.lower() in (".mp4", ".mov"):
            options |= {"movflags": "+faststart", **self._clocks()}
        return created(draft, options=options)

    def _clocks(self) -> dict[str, str]:
        """The clocks of an .mp4 or .mov file, fine enough that no time is rounded.

        A late start of a track is stored in ticks of the movie's clock, by default milliseconds. A common multiple of
        the rates of video and sound keeps both starts exact.
        """
        pictures = _timescale(self._time_base)
        sound = audio_rate(self._audio_from) if self._audio_from is not None else None
        movie = math.lcm(pictures, sound) if sound else pictures
        movie = movie if movie <= _MAX_TICKS_A_SECOND else pictures
        return {"video_track_timescale": str(pictures), "movie_timescale": str(movie)}

    def _add_video(self) -> VideoStream:
        width, height = self._size
        self._check_encoder()
        try:
            stream = self._container.add_stream(
                self.encoding.codec,
                rate=self._frame_rate,
                width=width,
                height=height,
                time_base=self._time_base,
                options=self.encoding.options(),
            )
        except ValueError as error:
            raise MediaError(
                f"a {self.path.suffix} file cannot hold {self.encoding.codec} video",
                hint=f"write to a {self.encoding.container} or .mkv file",
            ) from error
        context = stream.codec_context
        context.pix_fmt = self.pixel_format
        # A mask is so little work that handing its slices to threads costs more; the bytes are the same.
        is_mask = self.encoding.codec == "ffv1" and self.encoding.is_gray
        context.thread_count = 1 if is_mask else ENCODER_THREADS
        context.sample_aspect_ratio = self._pixel_aspect
        self._tag_colour(stream)
        with self._encoder_errors():
            context.open()
        return stream

    def _check_encoder(self) -> None:
        codec = self.encoding.codec
        if codec == "libsvtav1":
            # This encoder prints its settings to standard error unless this option is set.
            os.environ.setdefault("SVT_LOG", "1")
        try:
            formats = {known.name for known in av.Codec(codec, "w").video_formats or ()}
        except (FFmpegError, ValueError) as error:
            here = ", ".join(encoders_here()) or "none of those that Assay knows"
            raise MediaError(f"the encoder {codec} is not available", hint=f"this build of PyAV has {here}") from error
        if self.pixel_format not in formats and f"{self.pixel_format[:3]}j{self.pixel_format[3:]}" not in formats:
            raise MediaError(
                f"the encoder {codec} does not take {self.pixel_format} here", hint="choose yuv420p or libx264"
            )
        if min(self._size) < self.encoding.min_side_px:
            raise MediaError(
                f"the encoder {codec} takes no pictures of {self._size[0]}x{self._size[1]} pixels",
                hint=f"a side needs {self.encoding.min_side_px}; choose libx264 for smaller ones",
            )

    def _tag_colour(self, stream: VideoStream) -> None:
        context = stream.codec_context
        context.color_range = ColorRange.JPEG if self.encoding.full_range else ColorRange.MPEG
        context.color_primaries = ColorPrimaries.BT709
        context.color_trc = ColorTrc.BT709
        if self.pixel_format != "bgr0" and not self.encoding.is_gray:
            context.colorspace = _MATRIX_TAGS[self._matrix]

    def _drain(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if kind is not None:
            return
        if not self.frames_written:
            raise MediaError(f"no frame was written to {self.path}", hint="check that its source holds frames")
        with self._encoder_errors():
            packets = self._stream.encode(None)
            if self.encoding.codec == "libx265" and self.frames_written <= _X265_DELAY_FRAMES:
                # libx265 learns its delay from the picture with that index. Of a shorter clip it subtracts memory that
                # nothing wrote from the decode times, and the muxer then refuses or shifts the clip by chance. One or
                # two pictures are never reordered, so each is decoded when it is shown.
                for packet in packets:
                    packet.dts = packet.pts
            self._container.mux(packets)
            if self._audio is not None:
                self._audio.rest()

    def _close(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if kind is None:
            with self._encoder_errors():
                self._container.close()
        else:
            # The first error is the one to report; the draft is removed in any case.
            with suppress(FFmpegError, ValueError, OSError):
                self._container.close()

    @contextmanager
    def _encoder_errors(self) -> Iterator[None]:
        try:
            yield
        except FFmpegError as error:
            if isinstance(error, OSError):
                raise
            width, height = self._size
            raise MediaError(
                f"the video encoder {self.encoding.codec} failed to write {width}x{height} {self.pixel_format} to "
                f"{self.path}: {ffmpeg_line(error)}",
                hint="choose another encoding",
            ) from error


class _EnoughError(Exception):
    """Ends a trial before it writes a file."""


def need_encodable(info: VideoInfo, suffix: str, encoding: Encoding, *, audio_from: Path | None) -> None:
    """Begins a video as :meth:`VideoWriter.like` does and discards it, to refuse impossible settings before any work.

    Raises:
        MediaError: the encoder refuses size or format, or the container the codec or the sound.
    """
    with (
        tempfile.TemporaryDirectory(prefix="assay-trial-") as folder,
        suppress(_EnoughError),
        VideoWriter.like(info, Path(folder) / f"trial{suffix}", encoding=encoding, audio_from=audio_from),
    ):
        raise _EnoughError


def encoders_here() -> list[str]:
    """Those of the encoders (:data:`shared.video.encoding.CODECS`) that this build of PyAV has."""
    found: list[str] = []
    for codec in CODECS:
        with suppress(FFmpegError, ValueError):
            av.Codec(codec, "w")
            found.append(codec)
    return found


def reencode(
    src: Path,
    dst: Path,
    encoding: Encoding = Encoding(),  # noqa: B008 - frozen
    *,
    tick: Callable[[int], object] | None = None,
) -> int:
    """Decodes ``src`` to RGB and encodes it to ``dst`` with its sound copied; returns the number of frames.

    A forged clip passes through the same conversions, so that they do not separate real from fake. One frame is in
    memory at a time. ``tick`` is called with 1 after each.

    Raises:
        MediaError: ``src`` cannot be read or ``dst`` cannot hold it.
        StorageError: writing failed.
    """
    with VideoReader(src) as reader, VideoWriter.like(reader.info, dst, encoding=encoding, audio_from=src) as writer:
        for frame in reader:
            writer.write(frame.image, frame.time)
            if tick is not None:
                tick(1)
        return writer.frames_written


def _timescale(time_base: Fraction) -> int:
    """Ticks per second in which every multiple of ``time_base`` is whole, fine enough for players."""
    scale = time_base.denominator
    while scale < _MIN_TIMESCALE:
        scale *= 2
    return scale
