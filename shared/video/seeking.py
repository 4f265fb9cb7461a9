"""Single frames of a video by their index, without decoding everything before them.

One pass over the file makes a :class:`FrameIndex`; its numbers are those of :class:`shared.video.reader.VideoReader`.
Decoding then starts at the last keyframe before a frame, and the time of every frame that comes out is compared with
the index. A file whose times are damaged, restart or repeat, or that is interlaced, is decoded from its beginning, so
that frame 100 is always the hundred-and-first decoded frame.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from av.error import FFmpegError
from typing_extensions import override

from shared.errors import MediaError
from shared.types import Timestamp
from shared.video.clock import PacketClock, packets_on_one_clock
from shared.video.container import VideoLimits, opened, video_stream
from shared.video.images import encode_jpeg, encode_png, read_picture
from shared.video.reader import VideoReader

if TYPE_CHECKING:
    from av.video.frame import VideoFrame

    from shared.video.child_process import Pipe

MOST_FRAMES = 64
"""Frames of one request, at most."""
_BATCH = 100
_SKIPPED = 12
"""A decoder that stands at most this many frames before a wanted one goes on instead of starting anew."""
_JPEG_QUALITY = 92


@dataclass(frozen=True)
class FrameIndex:
    """Times and keyframes of the decoded frames of a video.

    Attributes:
        time_base: seconds of a tick.
        pts: ticks of every frame, by index.
        keys: indices of the keyframes, ascending.
        seekable: whether decoding may start at a keyframe.
    """

    time_base: Fraction
    pts: tuple[int, ...]
    keys: tuple[int, ...]
    seekable: bool

    def seconds(self, index: int) -> float:
        """Time of a frame."""
        return float(self.pts[index] * self.time_base)

    def key_before(self, index: int) -> int | None:
        """The last keyframe that is shown at or before frame ``index``; None where decoding starts at frame 0."""
        place = bisect_right(self.keys, index) - 1
        return self.keys[place] if self.seekable and place >= 0 else None


Decoded = tuple[int, Callable[[], np.ndarray]]
"""Ticks of a decoded frame, and what converts it to a picture."""


class _IndexReader(VideoReader):
    """A reader that notes which frames are keyframes, and whether one is interlaced or has no time of its own."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.keys: list[int] = []
        self.regular = True

    @override
    def _stamped(self) -> Generator[tuple[Timestamp, VideoFrame], None, None]:
        with closing(super()._stamped()) as stamped:
            for index, (time, frame) in enumerate(stamped):
                if frame.key_frame:
                    self.keys.append(index)
                self.regular &= frame.pts is not None and not frame.interlaced_frame
                yield time, frame


def send_index(pipe: Pipe, path: Path) -> None:
    """Sends the index of a video in the making: "part", (pts, keys), a hundred frames each; then "whole", seekable."""
    reader = _IndexReader(path)
    with reader:
        pts: list[int] = []
        told = 0
        for moment in reader.times():
            pts.append(moment.pts)
            if len(pts) == _BATCH:
                pipe.send("part", (pts, reader.keys[told:]))
                pts, told = [], len(reader.keys)
        pipe.send("part", (pts, reader.keys[told:]))
        broken = reader.decode_failures or reader.times_repaired or reader.clock_restarts or reader.size_changes
        pipe.send("whole", reader.regular and not broken)


class FrameSeeker(VideoReader):
    """Reads frames of a video from a keyframe on."""

    def from_key(self, pts: int, *, gray: bool) -> Iterator[Decoded]:
        """The frames from the keyframe with ``pts`` ticks on, as (H, W, 3) RGB or, of a video of masks, (H, W) gray.

        Raises:
            MediaError: the file cannot be read.
        """
        convert = self._conversion(gray)
        with closing(self._frames_from(pts)) as frames:
            for frame in frames:
                yield frame.pts or 0, partial(convert, frame)

    def from_start(self, *, gray: bool) -> Iterator[Decoded]:
        """As :meth:`from_key`, from frame 0 on, with the times of :meth:`frames`."""
        convert = self._conversion(gray)
        with closing(self.decoded()) as frames:
            for time, frame in frames:
                yield time.pts, partial(convert, frame)

    def _conversion(self, gray: bool) -> Callable[[VideoFrame], np.ndarray]:
        converter = self._converter()
        pixels = converter.gray if gray else converter.rgb
        return lambda frame: self._orientation.apply(pixels(frame))

    def _frames_from(self, pts: int) -> Generator[VideoFrame, None, None]:
        with opened(self.path) as container:
            stream = video_stream(container, self.path, VideoLimits())
            clock = PacketClock.of(container)
            ticks = round(clock.origin / self.info.time_base)
            container.seek(pts + ticks, stream=stream, backward=True)
            with suppress(FFmpegError):  # the index found no damage, so the file has changed: frames are missing
                for packet in packets_on_one_clock(container, stream, clock):
                    for frame in packet.decode():
                        if frame.pts is not None and frame.pts >= pts:
                            yield frame


@dataclass
class _Cursor:
    """A decoder in the middle of a file: the frames that follow, and the index of the next."""

    following: int
    frames: Iterator[Decoded]


_cursors: dict[tuple[str, bool], _Cursor] = {}


def send_frames(
    pipe: Pipe, path: Path, first: int, ticks: str, key: int | None, key_pts: int | None, gray: int, exact: int
) -> None:
    """Sends pictures of frames from ``first`` on: "picture" with its index, and JPEG, or PNG of gray or ``exact`` ones.

    Args:
        pipe: to the parent.
        path: of the video, or of a still picture, for which ``ticks`` is "0".
        first: index of the first frame.
        ticks: the times of the wanted frames in the index, separated by commas.
        key: the keyframe to start at; None starts at the beginning.
        key_pts: its ticks.
        gray: 1 for a video of masks.
        exact: 1 for PNG, without loss.

    A frame whose time is another than in the index ends the answer with "lost".
    """
    wanted = [int(text) for text in ticks.split(",")][:MOST_FRAMES]
    place = (str(path), bool(gray))
    cursor = _cursors.get(place)
    start = 0 if key is None else key
    near = cursor is not None and cursor.following <= first <= cursor.following + _SKIPPED
    if cursor is None or not (near or (cursor.following <= first and start <= cursor.following)):
        seeker = FrameSeeker(path)
        sequence = seeker.from_start(gray=bool(gray)) if key_pts is None else seeker.from_key(key_pts, gray=bool(gray))
        cursor = _cursors[place] = _Cursor(start, iter(sequence))
    try:
        for index, pts, picture in _next_frames(cursor, first, len(wanted)):
            if pts != wanted[index - first]:
                raise _LostError
            data = encode_png(picture) if gray or exact else encode_jpeg(picture, _JPEG_QUALITY)
            pipe.send("picture", index, data)
    except _LostError:
        del _cursors[place]
        pipe.send("lost")
    except BaseException:
        _cursors.pop(place, None)
        raise


def send_still(pipe: Pipe, path: Path, exact: int) -> None:
    """Sends a still picture as :func:`send_frames` sends a frame."""
    picture = read_picture(path)
    pipe.send("picture", 0, encode_png(picture) if exact else encode_jpeg(picture, _JPEG_QUALITY))


class _LostError(Exception):
    """A frame is another than the index says."""


def _next_frames(cursor: _Cursor, first: int, count: int) -> Iterator[tuple[int, int, np.ndarray]]:
    """Index, ticks and picture of ``count`` frames from ``first`` on; frames before are decoded and dropped."""
    while cursor.following < first + count:
        found = next(cursor.frames, None)
        if found is None:
            return
        cursor.following += 1
        if cursor.following > first:
            yield cursor.following - 1, found[0], found[1]()


def read_index(parts: Sequence[tuple[list[int], list[int]]], time_base: Fraction, *, seekable: bool) -> FrameIndex:
    """The index of all ``parts`` that :func:`send_index` sent.

    Raises:
        MediaError: they contradict themselves.
    """
    pts = tuple(tick for ticks, _ in parts for tick in ticks)
    keys = tuple(key for _, found in parts for key in found)
    ordered = all(a < b for a, b in pairwise(keys))
    if not pts or not ordered or (keys and not 0 <= keys[0] <= keys[-1] < len(pts)):
        raise MediaError("the index of the frames contradicts itself", hint="open the file again")
    return FrameIndex(time_base, pts, keys, seekable)
