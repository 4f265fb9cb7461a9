"""One continuous clock for all streams of a file, and strictly increasing times of frames.

Timestamps of broadcast recordings start at any value and jump where recordings were joined. Players start at 0 and play
on. Jumps are reported as :class:`ClockRestart`, because they may be splices.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from fractions import Fraction

from av.audio.stream import AudioStream
from av.container import InputContainer
from av.error import FFmpegError
from av.packet import Packet
from av.video.stream import VideoStream

from shared.types import ClockRestart, Timestamp

_MAY_JUMP = 0x0200  # AVFMT_TS_DISCONT of FFmpeg: a format whose clock may start anywhere and jump
_BACK_SECONDS = Fraction(1, 10)
_AHEAD_SECONDS = Fraction(10)
_MOST_RESTARTS = 1_000


def clock_origin(container: InputContainer) -> Fraction:
    """The timestamp, in seconds, that becomes time 0; 0 when the file's own clock begins near 0.

    It is the earliest start of a stream, in formats with arbitrary timestamps and wherever it is 10 s or more. If one
    stream starts later than another, that delay is kept.
    """
    starts = [
        stream.start_time * stream.time_base
        for stream in (*container.streams.video, *container.streams.audio)
        if stream.start_time is not None and stream.time_base is not None
    ]
    first = min(starts, default=Fraction(0))
    return first if first > 0 and (may_jump(container) or first >= _AHEAD_SECONDS) else Fraction(0)


def may_jump(container: InputContainer) -> bool:
    """Whether the clock may restart in files of this format."""
    return bool(container.format.flags & _MAY_JUMP)


@dataclass
class _Track:
    """State of one stream: its part of the timeline, and the end of its latest packet, in seconds."""

    part: int = 0
    last: Fraction | None = None
    length: Fraction = Fraction(0)


@dataclass
class PacketClock:
    """Moves packets, in file order, onto one clock that begins at 0 and never jumps.

    All streams of a file share one list of parts, so that sound and picture stay together across a restart, though
    each crosses it at a packet of its own.

    Attributes:
        restarts: the jumps so far, at most 1,000.
    """

    origin: Fraction
    joins: bool
    restarts: list[ClockRestart] = field(default_factory=list)
    _shifts: list[Fraction] = field(default_factory=list)
    _begins: list[Fraction] = field(default_factory=list)
    _tracks: dict[int, _Track] = field(default_factory=dict)

    @classmethod
    def of(cls, container: InputContainer) -> PacketClock:
        """A clock for the packets of an opened file."""
        return cls(clock_origin(container), may_jump(container))

    def move(self, packet: Packet) -> None:
        """Corrects the timestamps of ``packet`` in place."""
        base, stated = packet.time_base, packet.dts if packet.dts is not None else packet.pts
        if base is None or not (self.origin or self.joins) or stated is None:
            return
        if not self._shifts:
            self._shifts, self._begins = [-self.origin], [self.origin]
        track = self._tracks.setdefault(packet.stream.index, _Track())
        time = stated * base
        if self.joins and track.last is not None and _jumps(track.last, time):
            self._cross(track, time, "video" if packet.stream.type == "video" else "audio")
        track.last, track.length = time, (packet.duration or 0) * base
        ticks = round(self._shifts[track.part] / base)
        packet.dts = None if packet.dts is None else packet.dts + ticks
        packet.pts = None if packet.pts is None else packet.pts + ticks

    def _cross(self, track: _Track, time: Fraction, kind: str) -> None:
        assert track.last is not None
        later = range(track.part + 1, len(self._begins))
        known = next((part for part in later if abs(time - self._begins[part]) < _AHEAD_SECONDS), None)
        if known is None:
            ends = track.last + track.length + self._shifts[track.part]
            self._shifts.append(ends - time)
            self._begins.append(time)
            known = len(self._begins) - 1
            if len(self.restarts) < _MOST_RESTARTS:
                self.restarts.append(ClockRestart(kind, float(ends), float(track.last), float(time)))
        track.part = known


def _jumps(last: Fraction, time: Fraction) -> bool:
    return time < last - _BACK_SECONDS or time > last + _AHEAD_SECONDS


def packets_on_one_clock(
    container: InputContainer, stream: VideoStream | AudioStream, clock: PacketClock | None = None
) -> Iterator[Packet]:
    """The packets of ``stream``, including the empty last one, on the clock of the whole file.

    Raises:
        FFmpegError: demuxing failed.
    """
    clock = clock or PacketClock.of(container)
    others = [*container.streams.video, *container.streams.audio] if clock.joins else [stream]
    for packet in container.demux(others):
        clock.move(packet)
        if packet.stream.index == stream.index:
            yield packet


def packets_to_the_end(container: InputContainer, stream: AudioStream) -> Iterator[Packet]:
    """As :func:`packets_on_one_clock`, without empty packets; of a damaged file those before the damage."""
    packets = packets_on_one_clock(container, stream)
    while True:
        try:
            packet = next(packets, None)
        except FFmpegError:
            return
        if packet is None:
            return
        if packet.size:
            yield packet


class FrameClock:
    """Gives frames strictly increasing times: the stated time if it is valid, else one by the frame rate."""

    def __init__(self, time_base: Fraction, frame_rate: Fraction | None) -> None:
        self.repaired = 0
        self._time_base = time_base
        self._ticks_per_frame = max(Fraction(1), 1 / (frame_rate * time_base)) if frame_rate else Fraction(1)
        self._anchor = 0
        self._since_anchor = 0
        self._last: int | None = None

    def stamp(self, pts: int | None) -> Timestamp:
        """The time of the next frame. Expected times are counted from the last stated one, so no rounding adds up."""
        if pts is not None and (self._last is None or pts > self._last):
            self._anchor, self._since_anchor = pts, 0
        else:
            self.repaired += 1
            self._since_anchor += self._last is not None
            pts = self._anchor + round(self._since_anchor * self._ticks_per_frame)
        self._last = pts
        return Timestamp(pts, self._time_base)
