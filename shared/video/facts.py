"""Metadata of a video file: its pictures, its other streams, how it was made. Any of it can be forged."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from pathlib import Path

import av
from av.container import InputContainer
from av.stream import Disposition, Stream
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from shared.console import console
from shared.types import StreamFacts, VideoInfo
from shared.video.clock import clock_origin
from shared.video.container import audio_stream
from shared.video.geometry import orientation_of, square_size

SOUND = "source_sound"
"""The note of a clip whose sound was left out."""

_MOST_TAGS = 64
_MOST_TAG_CHARACTERS = 1024
_MOST_STREAMS = 64
_MOST_XMP_CHARACTERS = 1 << 16

# Numbers of ITU-T H.273, by FFmpeg's names. 2 is "not stated".
_TRANSFERS = {
    1: "bt709", 4: "gamma22", 5: "gamma28", 6: "smpte170m", 7: "smpte240m", 8: "linear", 11: "iec61966-2-4",
    13: "iec61966-2-1", 14: "bt2020-10", 15: "bt2020-12", 16: "smpte2084", 17: "smpte428", 18: "arib-std-b67",
}  # fmt: skip
_PRIMARIES = {
    1: "bt709", 4: "bt470m", 5: "bt470bg", 6: "smpte170m", 7: "smpte240m", 8: "film", 9: "bt2020", 10: "smpte428",
    11: "smpte431", 12: "smpte432", 22: "ebu3213",
}  # fmt: skip
_MATRICES = {
    0: "gbr", 1: "bt709", 4: "fcc", 5: "bt470bg", 6: "smpte170m", 7: "smpte240m", 8: "ycgco", 9: "bt2020nc",
    10: "bt2020c", 11: "smpte2085", 14: "ictcp", 15: "ipt-c2",
}  # fmt: skip
_IPT = 15
_DOLBY_ONLY_TAGS = ("dvh1", "dvhe")  # a stream that plays elsewhere too is tagged as that codec
_RANGES = {1: "studio", 2: "full"}
_FIELD_ORDERS = {2: "top field first", 3: "bottom field first", 4: "top field first", 5: "bottom field first"}


def facts_of(container: InputContainer, stream: VideoStream, frame: VideoFrame) -> VideoInfo:
    """The facts that the container and the first decoded frame state."""
    context = stream.codec_context
    orientation = orientation_of(frame)
    aspect = _positive(stream.sample_aspect_ratio) or Fraction(1)
    width, height = orientation.size(*square_size(frame.width, frame.height, aspect))
    audio = audio_stream(container)
    tags = {name.lower(): text for name, text in {**container.metadata, **stream.metadata}.items()}
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
        pixel_aspect=1 / aspect if orientation.transpose else aspect,
        transfer=_TRANSFERS.get(int(frame.color_trc)),
        primaries=_PRIMARIES.get(int(frame.color_primaries)),
        matrix=_MATRICES.get(int(frame.colorspace)),
        color_range=_RANGES.get(int(frame.color_range)),
        field_order=_field_order(stream, frame),
        has_alpha=any(component.is_alpha for component in frame.format.components),
        dynamic_hdr=_dynamic_hdr(stream, frame),
        clock_origin=clock_origin(container),
        tags=_tags(container.metadata),
        streams=tuple(_stream_facts(one, (stream, audio)) for one in list(container.streams)[:_MOST_STREAMS]),
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


def _field_order(stream: VideoStream, frame: VideoFrame) -> str:
    if not frame.interlaced_frame:
        return "progressive"
    return _FIELD_ORDERS.get(int(stream.codec_context.field_order), "interlaced")


def _dynamic_hdr(stream: VideoStream, frame: VideoFrame) -> tuple[str, ...]:
    """Dynamic HDR metadata (brightness by scene), which are not applied in reading.

    Dolby Vision profile 5 stores colours as IPT, so without its metadata they are wrong.
    """
    data = frame.side_data
    found: list[str] = []
    if int(frame.colorspace) == _IPT or stream.codec_context.codec_tag in _DOLBY_ONLY_TAGS:
        found.append("Dolby Vision profile 5")
    elif any(data.get(kind) is not None for kind in ("DOVI_METADATA", "DOVI_RPU_BUFFER")):
        found.append("Dolby Vision")
    if data.get("DYNAMIC_HDR_PLUS") is not None:
        found.append("HDR10+")
    return tuple(found)


def _stream_facts(stream: Stream, read: tuple[Stream | None, ...]) -> StreamFacts:
    context = getattr(stream, "codec_context", None)
    return StreamFacts(
        kind=stream.type or "data",
        codec=context.codec.canonical_name if context is not None else "unknown",
        is_default=bool(stream.disposition & Disposition.default),
        is_read=any(one is not None and one.index == stream.index for one in read),
        tags=_tags(stream.metadata),
    )


def _tags(found: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    """At most 64 tags of at most 1,024 characters, by name; a packet of XMP may have 65,536."""
    most = _MOST_TAG_CHARACTERS
    limits = {"xmp": _MOST_XMP_CHARACTERS}
    return tuple((name[:most], found[name][: limits.get(name, most)]) for name in sorted(found)[:_MOST_TAGS])


def reading_notes(info: VideoInfo) -> dict[str, str]:
    """What reading changes or leaves out, by the name of a factor of the record; empty for an ordinary file."""
    notes: dict[str, str] = {}
    if info.transfer in ("smpte2084", "arib-std-b67"):
        notes["source_transfer"] = f"{info.transfer} tone mapped to bt709"
    elif info.primaries in ("bt2020", "smpte432"):
        notes["source_primaries"] = f"{info.primaries} converted to bt709"
    if info.dynamic_hdr:
        wrong = "; colours are not those of a player" if info.dynamic_hdr[0].endswith("5") else ""
        notes["source_dynamic_hdr"] = f"{', '.join(info.dynamic_hdr)} not applied{wrong}"
    if info.field_order != "progressive":
        notes["source_scan"] = f"{info.field_order}, deinterlaced"
    if info.has_alpha:
        notes["source_alpha"] = "transparency dropped"
    if info.pixel_aspect != 1:
        notes["source_pixel_aspect"] = f"pixels of {info.pixel_aspect} made square"
    if info.clock_origin:
        notes["source_clock"] = f"clock that begins at {float(info.clock_origin):.3f} s counted from 0"
    left = [described_stream(one) for one in info.streams if not one.is_read]
    if left:
        notes["source_streams_left_out"] = f"left out: {'; '.join(left)}"
    return notes


def read_with_notes(path: Path, info: VideoInfo, *, audio: bool) -> dict[str, str]:
    """:func:`reading_notes` for the record, with a note if ``audio`` is off; warns of losses on the console."""
    notes = reading_notes(info)
    if info.has_audio and not audio:
        notes[SOUND] = f"left out as asked: {info.audio_codec}"
    heard = losses(notes)
    if heard:
        console.warn(f"{path.name}: {heard}")
    return notes


def losses(notes: Mapping[str, str]) -> str:
    """The ``notes`` that report losses, in one line, to warn of before the work; empty without any."""
    return "; ".join(text for name, text in notes.items() if name not in ("source_pixel_aspect", "source_clock"))


def described_stream(one: StreamFacts) -> str:
    """A description of a stream: ``audio aac (fra, commentary)``."""
    tags = {name.lower(): text for name, text in one.tags}
    about = [tags[name] for name in ("language", "title", "name", "timecode") if tags.get(name, "und") != "und"]
    return f"{one.kind} {one.codec}" + (f" ({', '.join(about)})" if about else "")
