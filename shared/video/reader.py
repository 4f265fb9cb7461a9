"""Reads video: upright frames with exact times and correct colours, and the file's metadata."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Collection, Generator, Iterator
from contextlib import closing, suppress
from dataclasses import dataclass
from fractions import Fraction
from itertools import islice
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

import numpy as np
from av.container import InputContainer
from av.error import FFmpegError
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from shared.errors import MediaError
from shared.types import ClockRestart, Frame, Timestamp, VideoInfo
from shared.video.clock import FrameClock, PacketClock, packets_on_one_clock
from shared.video.color import FrameConverter
from shared.video.container import VideoLimits, check_size, ffmpeg_line, opened, video_stream
from shared.video.deinterlace import deinterlaced
from shared.video.facts import facts_of
from shared.video.geometry import orientation_of

if TYPE_CHECKING:
    from shared.video.child import ClipReader

_MOST_SIZE_CHANGES = 1_000


class VideoReader:
    """The frames of one video file in display order. A context manager; frames can be read more than once.

    Convention:
        frames: (H, W, 3) uint8 RGB, upright, in square pixels, deinterlaced, by the colour matrix and range that the
            file declares; without a declared matrix, BT.709 from 720p on, BT.601 below. PQ, HLG, BT.2020 and P3
            are converted to BT.709 as players do. If the stored size changes, pictures are fitted into the first size.
        times: seconds as the file states them, edit lists applied, strictly increasing; counted from 0 if the file's
            clock begins at an arbitrary value, and continuous if it restarts. A missing or repeated time is replaced
            by the one that the frame rate predicts, and counted in ``times_repaired``.

    Each pass opens the file anew, so several may run at a time; the counters are those of the latest pass.

    Attributes:
        path: the file.
        info: size, rates, codec; ``frames_counted`` is None (see :func:`probe`).
        frames_decoded: frames of this pass, so far, including those not requested.
        decode_failures: packets and frames of this pass, so far, that were damaged.
        first_failure: the first decoding failure: its place and FFmpeg's message; empty without one.
        times_repaired: frames of this pass, so far, without a usable time of their own.
        clock_restarts, size_changes: of this pass, so far; see :class:`~shared.types.VideoInfo`.
        stopped: why a pass ended early; always None here, see :class:`shared.video.child.ChildReader`.

    Raises:
        MediaError: missing, empty, no video, no frame that can be decoded, or a size outside ``limits``.
    """

    stopped: str | None = None

    def __init__(self, path: Path, *, limits: VideoLimits = VideoLimits()) -> None:  # noqa: B008 - frozen
        self.path = path
        self.frames_decoded = 0
        self.decode_failures = 0
        self.first_failure = ""
        self.times_repaired = 0
        self.size_changes: list[tuple[int, int, int]] = []
        self._limits = limits
        self._closed = False
        with opened(path) as container:
            stream = video_stream(container, path, limits)
            self._clock = PacketClock.of(container)
            first = next(self._decoded(container, stream, _Tally()), None)
            if first is None:
                said = f" ({self.first_failure})" if self.first_failure else ""
                raise MediaError(
                    f"{path} holds not one frame that can be decoded{said}", hint="copy or download it again"
                )
            self.info = facts_of(container, stream, first)
            self._orientation = orientation_of(first)
            self._stored_size = (first.width, first.height)
            self._stored_aspect = 1 / self.info.pixel_aspect if self._orientation.transpose else self.info.pixel_aspect
        self.decode_failures = 0
        self.first_failure = ""

    def __enter__(self) -> VideoReader:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Ends every running pass at its next frame."""
        self._closed = True

    def __iter__(self) -> Iterator[Frame]:
        return self.frames()

    def frames(self, *, start: int = 0, stop: int | None = None, step: int = 1) -> Iterator[Frame]:
        """The frames whose index is in ``range(start, stop, step)``; to the end when ``stop`` is None.

        Frames in between are decoded, since others depend on them, but not converted to RGB.

        Raises:
            ValueError: ``start`` is negative or ``step`` less than one.
            MediaError: there are more frames than the limit, or the pixel format is unknown.
        """
        if start < 0 or step < 1:
            raise ValueError(f"need start >= 0 and step >= 1, got {start=} and {step=}")
        if stop is not None and stop <= start:
            return iter(())
        return self._selected(lambda index: index >= start and (index - start) % step == 0, stop)

    def picked(self, indices: Collection[int]) -> Iterator[Frame]:
        """The frames with these indices, as far as they exist, in order of display.

        Raises:
            MediaError: as for :meth:`frames`.
        """
        return self._selected(lambda index: index in indices, max(indices) + 1) if indices else iter(())

    def _selected(self, is_wanted: Callable[[int], bool], stop: int | None) -> Iterator[Frame]:
        converter = self._converter()
        with closing(self.decoded()) as frames:
            for index, (time, frame) in enumerate(frames):
                if is_wanted(index):
                    yield Frame(index, time, self._orientation.apply(converter.rgb(frame)))
                if index + 1 == stop:
                    return

    def times(self) -> Iterator[Timestamp]:
        """The time of every frame, in seconds; faster than :meth:`frames`, as no picture is converted."""
        with closing(self._stamped()) as frames:
            for time, _ in frames:
                yield time

    def gray_frames(self) -> Iterator[np.ndarray]:
        """(H, W) uint8 for every frame: luma over the full range; of a gray video, its samples unchanged."""
        converter = self._converter()
        with closing(self.decoded()) as frames:
            for _, frame in frames:
                yield self._orientation.apply(converter.gray(frame))

    def decoded(self) -> Generator[tuple[Timestamp, VideoFrame], None, None]:
        """One pass: every decoded frame with its time, deinterlaced but not converted to RGB.

        Raises:
            MediaError: there are more frames than the limit.
        """
        with closing(self._stamped()) as frames:
            yield from deinterlaced(frames)

    def _converter(self) -> FrameConverter:
        return FrameConverter(self.path, self._stored_size, self._stored_aspect, self.info.codec)

    def _stamped(self) -> Generator[tuple[Timestamp, VideoFrame], None, None]:
        self.frames_decoded = 0
        self.decode_failures = 0
        self.first_failure = ""
        self.times_repaired = 0
        self.size_changes = []
        clock = FrameClock(self.info.time_base, self.info.frame_rate)
        left = self._limits.free_pixels + self._limits.pixels_per_byte * self.path.stat().st_size
        with closing(self._all_frames()) as frames:
            for index, frame in enumerate(frames):
                if self._closed:
                    return
                left -= frame.width * frame.height
                self._check_frame(index, frame, left)
                time = clock.stamp(frame.pts)
                self.times_repaired = clock.repaired
                self.frames_decoded = index + 1
                yield time, frame

    def _all_frames(self) -> Generator[VideoFrame, None, None]:
        """Every frame that can be decoded, on all cores where that is safe.

        Decoding several frames at a time hides damage: an error raised while other frames are returned is lost, and
        near the end so are the frames after it. So when some packets gave neither a frame nor an error, the file is
        decoded again one frame at a time; frames already returned are skipped, and the hidden errors are counted.
        """
        shown = 0
        tally = _Tally()
        with opened(self.path) as container:
            self._clock = PacketClock.of(container)
            for frame in self._decoded(container, video_stream(container, self.path, self._limits), tally):
                shown += 1
                yield frame
        if tally.unaccounted <= 0:
            return
        self.decode_failures = 0
        with opened(self.path) as container:
            self._clock = PacketClock.of(container)
            stream = video_stream(container, self.path, self._limits)
            stream.codec_context.thread_type = "NONE"  # type: ignore[assignment]
            yield from islice(self._decoded(container, stream, _Tally()), shown, None)

    def _check_frame(self, index: int, frame: VideoFrame, pixels_left: int) -> None:
        if pixels_left < 0:
            raise MediaError(
                f"{self.path} unpacks to more pixels than its size explains: after {index} frames of "
                f"{frame.width}x{frame.height} it was given up",
                hint="cut out the part that you need, or look at where it comes from",
            )
        if index >= self._limits.max_frames:
            raise MediaError(
                f"{self.path} has more than {self._limits.max_frames} frames", hint="cut it into shorter clips"
            )
        size = (frame.width, frame.height)
        if size != (self.size_changes[-1][1:] if self.size_changes else self._stored_size):
            self.size_changes = [*self.size_changes[-_MOST_SIZE_CHANGES + 1 :], (index, *size)]

    @property
    def clock_restarts(self) -> list[ClockRestart]:
        """Jumps of the file's clock in this pass, so far."""
        return self._clock.restarts

    def _decoded(self, container: InputContainer, stream: VideoStream, tally: _Tally) -> Iterator[VideoFrame]:
        """Frames of a stream. Damaged ones are counted and skipped, as players do."""
        packets = packets_on_one_clock(container, stream, self._clock)
        time: Fraction | None = None
        while True:
            try:
                packet = next(packets, None)
            except FFmpegError as error:
                # The demuxer cannot continue: the rest of the file is lost.
                self._note_failure(stream, time, error)
                packet = None
            if packet is None:
                return
            tally.unaccounted += packet.size > 0 and not packet.is_discard
            time = time if packet.pts is None else packet.pts * packet.time_base
            try:
                frames = packet.decode()
            except FFmpegError as error:
                self._note_failure(stream, time, error)
                tally.unaccounted -= 1
                continue
            tally.unaccounted -= len(frames)
            for frame in frames:
                self.decode_failures += frame.is_corrupt
                check_size(frame.width, frame.height, self.path, self._limits)
                yield frame

    def _note_failure(self, stream: VideoStream, time: Fraction | None, error: FFmpegError) -> None:
        self.decode_failures += 1
        if not self.first_failure:
            near = "" if time is None else f" near {float(time):.3f} s"
            self.first_failure = f"video {stream.codec_context.codec.canonical_name}{near}: {ffmpeg_line(error)}"


@dataclass
class _Tally:
    """Packets that went into a decoder, less the frames and errors that came out."""

    unaccounted: int = 0


def probe(path: Path, *, count: bool = False) -> VideoInfo:
    """The video's facts; with ``count``, also how many frames can be decoded (reads the whole file).

    Raises:
        MediaError: as for :class:`VideoReader`.
    """
    with VideoReader(path) as reader:
        return with_counts(reader) if count else reader.info


def with_counts(reader: ClipReader) -> VideoInfo:
    """The video's facts with the counts of a pass over the whole file, or its readable part.

    Raises:
        MediaError: as for :class:`VideoReader`.
    """
    count = sum(1 for _ in reader.times())
    restarts, sizes = tuple(reader.clock_restarts), tuple(reader.size_changes)
    return dataclasses.replace(reader.info, frames_counted=count, clock_restarts=restarts, size_changes=sizes)


def packets_in(path: Path) -> int:
    """The number of readable video packets, without decoding; of a damaged file those before the damage.

    Raises:
        MediaError: as for :class:`VideoReader`.
    """
    count = 0
    with opened(path) as container, suppress(FFmpegError):
        for packet in container.demux(video_stream(container, path, VideoLimits())):
            count += packet.size > 0
    return count


def frame_times(path: Path) -> list[Timestamp]:
    """The time of every frame, in seconds, as :class:`VideoReader` gives it.

    Raises:
        MediaError: as for :class:`VideoReader`.
    """
    with VideoReader(path) as reader:
        return list(reader.times())


def read_mask_frames(path: Path) -> Iterator[np.ndarray]:
    """(H, W) uint8 for every frame of a mask video; of a gray one, the samples as they were written.

    Raises:
        MediaError: as for :class:`VideoReader`.
    """
    with VideoReader(path) as reader:
        yield from reader.gray_frames()
