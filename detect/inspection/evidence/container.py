"""Facts of the container and its streams: claims beside counts, GOP structure, timing, encoder traces."""

from __future__ import annotations

import itertools
import statistics
from collections import Counter
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from av.container import InputContainer
from av.error import FFmpegError
from av.video.stream import VideoStream

from shared.errors import MediaError
from shared.results.scores import Evidence
from shared.types import VideoInfo
from shared.video import VideoLimits, probe
from shared.video.clock import PacketClock, packets_on_one_clock
from shared.video.container import opened, video_stream

_MAX_PACKETS = 5_000_000


@dataclass(frozen=True)
class PacketFacts:
    """What the video packets say without decoding a picture.

    Attributes:
        packets: number of video packets.
        keyframes: how many of them start a group of pictures.
        gop_lengths: packets from each keyframe to the next.
        intervals: how often each presentation interval occurs, in seconds, exact.
        bytes: sum of the packets' sizes.
        corrupt: packets that the demuxer marks as damaged.
        missing_times: packets without a presentation time.
    """

    packets: int
    keyframes: int
    gop_lengths: tuple[int, ...]
    intervals: tuple[tuple[Fraction, int], ...]
    bytes: int
    corrupt: int
    missing_times: int


def read_packets(path: Path) -> PacketFacts:
    """Demuxes ``path`` once, in constant memory a packet.

    Raises:
        MediaError: not a readable video, or more packets than any honest file has.
    """
    try:
        with opened(path) as container:
            return _walk(container, video_stream(container, path, VideoLimits()), path)
    except FFmpegError as error:
        raise MediaError(
            f"{path.name} cannot be demuxed: {error.strerror}", hint="check that the file is whole"
        ) from error


def _walk(container: InputContainer, stream: VideoStream, path: Path) -> PacketFacts:
    times: list[int] = []
    keyframe_at: list[int] = []
    size = corrupt = missing = count = 0
    clock = PacketClock.of(container)
    for packet in packets_on_one_clock(container, stream, clock):
        if packet.size == 0:
            continue
        if count >= _MAX_PACKETS:
            raise MediaError(f"{path.name} has more than {_MAX_PACKETS} video packets", hint="cut the file into parts")
        if packet.is_keyframe:
            keyframe_at.append(count)
        if packet.pts is None:
            missing += 1
        else:
            times.append(packet.pts)
        size += packet.size
        corrupt += int(packet.is_corrupt)
        count += 1
    times.sort()
    base = stream.time_base or Fraction(1, 1)
    gaps = Counter(after - before for before, after in itertools.pairwise(times))
    return PacketFacts(
        packets=count,
        keyframes=len(keyframe_at),
        gop_lengths=tuple(after - before for before, after in itertools.pairwise(keyframe_at)),
        intervals=tuple((gap * base, number) for gap, number in gaps.most_common(8)),
        bytes=size,
        corrupt=corrupt,
        missing_times=missing,
    )


def container_evidence(path: Path) -> tuple[VideoInfo, list[Evidence]]:
    """The file's claims and counts, as values for a report.

    Raises:
        MediaError: not a readable video.
    """
    info = probe(path, count=True)
    packets = read_packets(path)
    return info, [_streams(info), _counts(info, packets), _timing(packets), _structure(packets)]


def _streams(info: VideoInfo) -> Evidence:
    rate = "not stated" if info.frame_rate is None else f"{float(info.frame_rate):.3f} frames/s ({info.frame_rate})"
    return Evidence(
        "container and streams",
        f"{info.container}, {info.codec} {info.width}x{info.height}, {rate}",
        {
            "container": info.container,
            "video codec": info.codec,
            "profile": info.profile,
            "pixel format": info.pixel_format,
            "bit depth": info.bit_depth,
            "size as shown": f"{info.width}x{info.height}",
            "rotation (degrees)": info.rotation,
            "bit rate (bit/s)": info.bit_rate,
            "audio codec": info.audio_codec or "none",
            "encoder string": info.encoder or "none",
        },
        limits="Every one of these fields can be written at will; they describe the last program that wrote the file.",
    )


def _counts(info: VideoInfo, packets: PacketFacts) -> Evidence:
    declared = info.frames_declared
    if declared is None:
        finding = f"the container declares no frame count; {info.frames_counted} frames were counted"
    elif declared == info.frames_counted:
        finding = f"{declared} frames declared and counted"
    else:
        finding = f"{declared} frames declared, {info.frames_counted} counted"
    return Evidence(
        "frame counts",
        finding,
        {
            "declared": declared,
            "counted": info.frames_counted,
            "packets": packets.packets,
            "damaged packets": packets.corrupt,
        },
        limits="A difference is common in cut, streamed or repaired files; alone it says nothing of forgery.",
    )


def _timing(packets: PacketFacts) -> Evidence:
    if not packets.intervals:
        return Evidence("timing", "too few frames with a time to speak of intervals", {}, limits="")
    usual, number = packets.intervals[0]
    others = sum(count for _, count in packets.intervals[1:])
    finding = (
        f"all {number} intervals are {float(usual) * 1000:.3f} ms"
        if not others
        else f"{number} intervals of {float(usual) * 1000:.3f} ms and {others} of other lengths"
    )
    details: dict[str, str | int | float | bool | None] = {
        f"{float(interval) * 1000:.3f} ms": count for interval, count in packets.intervals
    }
    details["frames without a time"] = packets.missing_times
    return Evidence(
        "timing", finding, details, limits="Phones and screen recorders write uneven intervals as a matter of course."
    )


def _structure(packets: PacketFacts) -> Evidence:
    lengths = packets.gop_lengths
    if not lengths:
        finding = f"{packets.keyframes} keyframe in {packets.packets} frames"
    else:
        finding = (
            f"{packets.keyframes} keyframes, groups of {min(lengths)} to {max(lengths)} frames "
            f"(median {statistics.median(lengths):g})"
        )
    return Evidence(
        "group-of-pictures structure",
        finding,
        {"keyframes": packets.keyframes, "frames": packets.packets, "video bytes": packets.bytes},
        limits="A re-encoded copy has the structure of the last encoder, whatever was done before.",
    )
