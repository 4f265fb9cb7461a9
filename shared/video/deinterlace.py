"""Deinterlacing: one progressive frame for each interlaced frame, at the same time. Progressive ones pass unchanged."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from fractions import Fraction

from av.error import BlockingIOError, EOFError
from av.filter import Graph
from av.video.frame import VideoFrame

from shared.types import Timestamp

Timed = tuple[Timestamp, VideoFrame]


def deinterlaced(frames: Iterator[Timed]) -> Iterator[Timed]:
    """``frames``, those that the decoder marks as interlaced deinterlaced by FFmpeg's bwdif.

    The filter is made at the first interlaced frame. From then on every frame is delayed by one, because its fields
    are interpolated from both neighbours.
    """
    running: _Deinterlacer | None = None
    for time, frame in frames:
        if running is not None and not running.takes(frame):
            yield from running.rest()
            running = None
        if running is None and frame.interlaced_frame:
            running = _Deinterlacer(frame)
        if running is None:
            yield time, frame
        else:
            yield from running.next(time, frame)
    if running is not None:
        yield from running.rest()


class _Deinterlacer:
    """A filter graph for frames of one size and format."""

    def __init__(self, frame: VideoFrame) -> None:
        self._kind = _kind(frame)
        self._times: deque[Timestamp] = deque()
        self._given = 0
        self._graph = Graph()
        source = self._graph.add_buffer(
            width=frame.width, height=frame.height, format=frame.format, time_base=Fraction(1, 1_000)
        )
        filtering = self._graph.add("bwdif", "mode=send_frame:parity=auto:deint=interlaced")
        sink = self._graph.add("buffersink")
        source.link_to(filtering)
        filtering.link_to(sink)
        self._graph.configure()

    def takes(self, frame: VideoFrame) -> bool:
        return _kind(frame) == self._kind

    def next(self, time: Timestamp, frame: VideoFrame) -> Iterator[Timed]:
        self._times.append(time)
        # The filter gets evenly spaced times; the true ones are kept here.
        frame.pts, frame.time_base = self._given, Fraction(1, 1_000)
        self._given += 1
        self._graph.vpush(frame)
        yield from self._ready()

    def rest(self) -> Iterator[Timed]:
        self._graph.vpush(None)
        yield from self._ready()

    def _ready(self) -> Iterator[Timed]:
        while self._times:
            try:
                frame = self._graph.vpull()
            except (BlockingIOError, EOFError):
                return
            yield self._times.popleft(), frame


def _kind(frame: VideoFrame) -> tuple[int, int, str]:
    return frame.width, frame.height, frame.format.name
