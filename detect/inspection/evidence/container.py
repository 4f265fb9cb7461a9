"""Facts of the container and its streams: declared and counted frames, GOP structure, timing, encoder traces."""

from __future__ import annotations

import itertools
import os
import statistics
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from itertools import islice
from pathlib import Path

from av.container import InputContainer
from av.error import FFmpegError
from av.video.stream import VideoStream

from shared.audio.isolated import SoundFileFacts
from shared.console import counted as number_of
from shared.errors import MediaError
from shared.results.scores import Evidence
from shared.types import StreamFacts, VideoInfo
from shared.video import VideoLimits, reading_notes
from shared.video.child import Child, ChildError, ClipReader, NoChild
from shared.video.clock import PacketClock, packets_on_one_clock
from shared.video.container import opened, video_stream
from shared.video.facts import described_stream
from shared.video.images import picture_info
from shared.video.picture_facts import picture_tags
from shared.video.reader import with_counts

_MAX_PACKETS = 5_000_000
_MOST_BESIDE = 1_000
_NAMED = 6
_AT_WILL = "Every one of these fields can be written at will; they describe the last program that wrote the file."
_TELLING: dict[str, tuple[str, ...]] = {
    "make": ("make", "manufacturer"),
    "model": ("model",),
    "software": ("software", "encoder", "writing_application"),
    "date": ("creationdate", "creation_time", "date", "datetimeoriginal", "datetime"),
    "location": ("iso6709", "location", "location-eng", "gpslatitude"),
    "handler": ("handler_name",),
}


@dataclass(frozen=True)
class PacketFacts:
    """Facts of the video packets, found without decoding.

    Attributes:
        packets: number of video packets.
        keyframes: how many of them start a group of pictures.
        gop_lengths: packets from each keyframe to the next.
        intervals: number of occurrences of each presentation interval, exact, in seconds.
        bytes: total size of the packets.
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
    """Demuxes ``path`` once, without keeping packets.

    Raises:
        MediaError: not a readable video, or more packets than the limit.
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


def container_evidence(source: Child | NoChild, reader: ClipReader) -> tuple[VideoInfo, list[Evidence]]:
    """Evidence from the container and packets of a video; if reading stops early, from the part before.

    Raises:
        MediaError: not a readable video.
    """
    info = with_counts(reader)
    found = [_streams(info), _statements(info)]
    stops = (
        [_stop(f"stopped after {number_of(info.frames_counted or 0, 'frame')}, because {reader.stopped}")]
        if reader.stopped
        else []
    )
    try:
        packets = source.call(read_packets)
    except MediaError as error:
        cause = error.cause if isinstance(error, ChildError) else str(error)
        stops.append(_stop(f"packets, timing and structure could not be read, because {cause}"))
    else:
        found += [_counts(info, packets), _timing(packets), _structure(packets)]
    return info, [*stops, *found, *_splices(info)]


def still_evidence(path: Path) -> list[Evidence]:
    """Evidence from a still picture: format, EXIF and XMP.

    Raises:
        MediaError: the file is no picture.
    """
    tags, info = picture_tags(path), picture_info(path)
    facts: dict[str, str | int | float | bool | None] = {
        "format": info.container,
        "pixel format": info.pixel_format,
        "size as shown": f"{info.width}x{info.height}",
        "rotation (degrees)": info.rotation,
    }
    finding = f"{info.container}, {info.width}x{info.height}"
    return [
        Evidence("still picture", finding, facts, limits=_AT_WILL),
        Evidence("what the file says of its making", _made_by(tags), dict(sorted(tags.items())), limits=_AT_WILL),
    ]


def sound_statements(facts: SoundFileFacts) -> list[Evidence]:
    """Evidence from what a file of sound alone states of itself: its stream and its tags."""
    stream: dict[str, str | int | float | bool | None] = {
        "container": facts.container,
        "codec": facts.codec,
        "rate (Hz)": facts.rate,
        "channels": facts.channels,
        "seconds, as stated": facts.seconds,
        "bits a second": facts.bit_rate,
    }
    finding = (
        f"{facts.codec} in {facts.container}, {facts.rate} samples a second, {number_of(facts.channels, 'channel')}"
    )
    tags = dict(facts.tags)
    return [
        Evidence("sound file", finding, stream, limits=_AT_WILL),
        Evidence("what the file says of its making", _made_by(tags), {**tags}, limits=_AT_WILL),
    ]


def files_beside(path: Path) -> list[Evidence]:
    """Evidence of files beside ``path`` with its name, such as labels and manifests; empty without any."""
    try:
        with os.scandir(path.parent) as entries:
            close = islice((entry.name for entry in entries if entry.name.startswith(f"{path.stem}.")), _MOST_BESIDE)
            names = sorted(name for name in close if name != path.name)
    except OSError as error:
        finding = f"the folder cannot be listed: {error.strerror}"
        return [Evidence("files beside it", finding, {}, limits="There may be labels or manifests in it.")]
    if not names:
        return []
    finding = f"{len(names)} go by its name: {', '.join(names[:_NAMED])}{' and more' if len(names) > _NAMED else ''}"
    limits = (
        "Anybody may have put them there. Only two kinds are ever read: a manifest (.c2pa) of a container that cannot "
        "hold one, and landmarks where --finder sidecar asks for them."
    )
    return [Evidence("files beside it", finding, dict.fromkeys(names, "not part of the file"), limits=limits)]


def _stop(finding: str) -> Evidence:
    limits = "Damage and attack look alike here. Whatever lies behind that place was not looked at."
    return Evidence("reading", finding, {}, limits=limits)


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
            "shape of a pixel": str(info.pixel_aspect),
            "transfer": info.transfer,
            "primaries": info.primaries,
            "matrix": info.matrix,
            "range": info.color_range,
            "field order": info.field_order,
            "transparency": info.has_alpha,
            "bit rate (bit/s)": info.bit_rate,
            "audio codec": info.audio_codec or "none",
            "encoder string": info.encoder or "none",
            **{f"stream {number}": _stream_words(one) for number, one in enumerate(info.streams)},
            **{f"in reading ({name.removeprefix('source_')})": text for name, text in reading_notes(info).items()},
        },
        limits=_AT_WILL,
    )


def _stream_words(one: StreamFacts) -> str:
    states = [word for word, holds in (("default", one.is_default), ("read here", one.is_read)) if holds]
    return described_stream(one) + (f", {', '.join(states)}" if states else "")


def _statements(info: VideoInfo) -> Evidence:
    """Every tag of the container and its streams; the finding lists those on device, program, date and place."""
    details = {f"container: {name}": text for name, text in info.tags}
    for number, stream in enumerate(info.streams):
        details |= {f"stream {number}: {name}": text for name, text in stream.tags}
    tags = {name.lower(): text for stream in reversed(info.streams) for name, text in stream.tags}
    tags |= {name.lower(): text for name, text in info.tags}
    return Evidence("what the file says of its making", _made_by(tags), dict(details), limits=_AT_WILL)


def _made_by(tags: Mapping[str, str]) -> str:
    facts = {
        what: next((text for name, text in tags.items() if name.rpartition(".")[2] in names), None)
        for what, names in _TELLING.items()
    }
    said = [f"{what} {text}" for what, text in facts.items() if text]
    return "; ".join(said) if said else "it names no device, program, date or place"


def _splices(info: VideoInfo) -> list[Evidence]:
    """Places where recordings may have been joined: clock restarts and changes of size; empty without any."""
    found: list[Evidence] = []
    if info.clock_restarts:
        places: dict[str, str | int | float | bool | None] = {
            f"at {one.seconds:.3f} s ({one.kind})": f"from {one.before:.3f} s to {one.after:.3f} s"
            for one in info.clock_restarts
        }
        first = info.clock_restarts[0]
        finding = f"the clock restarts {_times(len(places))}, first at {first.seconds:.3f} s"
        limits = "Recordings that were joined leave this, and so do broadcast receivers that lost their signal."
        found.append(Evidence("restarts of the clock", finding, places, limits=limits, odd=True))
    if info.size_changes:
        sizes: dict[str, str | int | float | bool | None] = {
            f"frame {index}": f"{width}x{height}" for index, width, height in info.size_changes
        }
        index, width, height = info.size_changes[0]
        finding = f"the stored size changes {_times(len(sizes))}, first to {width}x{height} at frame {index}"
        limits = "Joined recordings leave this, and so do broadcasts and calls that adapt to their line."
        found.append(Evidence("changes of size", finding, sizes, limits=limits, odd=True))
    return found


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count} times"


def _counts(info: VideoInfo, packets: PacketFacts) -> Evidence:
    declared = info.frames_declared
    if declared is None:
        finding = f"the container declares no frame count; {info.frames_counted} frames were counted"
    elif declared == info.frames_counted:
        finding = f"{number_of(declared, 'frame')} declared and counted"
    else:
        finding = f"{number_of(declared, 'frame')} declared, {info.frames_counted or 0:,} counted"
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
        value=None if declared is None else float((info.frames_counted or 0) - declared),
        reference="as many frames as the container declares",
        odd=None if declared is None else declared != info.frames_counted,
    )


def _timing(packets: PacketFacts) -> Evidence:
    if not packets.intervals:
        return Evidence("timing", "too few frames with a time to speak of intervals", {}, limits="")
    usual, number = packets.intervals[0]
    others = sum(count for _, count in packets.intervals[1:])
    uneven = sum(count for each, count in packets.intervals[1:] if abs(each - usual) > usual / 5)
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
        "timing",
        finding,
        details,
        limits="Phones and screen recorders write uneven intervals as a matter of course.",
        value=round(uneven / (others + number), 4),
        reference="intervals of one length, give or take a fifth for clocks of whole milliseconds",
        odd=uneven > 0,
    )


def _structure(packets: PacketFacts) -> Evidence:
    lengths = packets.gop_lengths
    if not lengths:
        finding = f"{number_of(packets.keyframes, 'keyframe')} in {number_of(packets.packets, 'frame')}"
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
