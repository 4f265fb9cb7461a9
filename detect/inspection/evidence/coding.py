"""How the frames of a video are coded: types, sizes, quantisers; and what changes from frame to frame."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from av.error import FFmpegError
from av.video.frame import PictureType, VideoFrame

from shared.errors import MediaError
from shared.video import VideoLimits
from shared.video.clock import clock_origin
from shared.video.container import opened, video_stream

MOST_FRAMES = 6_000
_MOST_PIXELS = 4e9
_THUMBNAIL = (160, 96)
_HEAD = struct.Struct("<I4xQQIi")
"""AVVideoEncParams up to the frame's quantiser: blocks, their place and size, type, quantiser."""
_BLOCK = np.dtype([("place", "<i4", 4), ("delta", "<i4")])


@dataclass(frozen=True)
class CodingFacts:
    """Facts of successive frames in the order in which they are shown; all tuples have one entry a frame.

    Attributes:
        types: a letter a frame: I, P, B, or "?".
        seconds: presentation times; None where a frame has none.
        sizes: bytes of the packet that holds the frame; None where none has its time.
        qp: mean quantiser of its blocks; None where the decoder does not tell.
        change: mean difference to the frame before, in grey levels of a picture of 160 x 96; 0 for the first.
        stopped: why reading ended before the last frame; empty if it did not.
    """

    types: str
    seconds: tuple[float | None, ...]
    sizes: tuple[int | None, ...]
    qp: tuple[float | None, ...]
    change: tuple[float, ...]
    stopped: str = ""


def read_coding(path: Path) -> CodingFacts:
    """Decodes ``path`` once, at most 6,000 frames and 4 thousand million pixels.

    Raises:
        MediaError: not a readable video.
    """
    with opened(path) as container:
        stream = video_stream(container, path, VideoLimits())
        stream.codec_context.options = {"export_side_data": "venc_params"}
        origin = float(clock_origin(container))
        most = max(1, min(MOST_FRAMES, int(_MOST_PIXELS / max(1, stream.width * stream.height))))
        sizes: dict[int, int] = {}
        rows: list[tuple[str, int | None, float | None, float]] = []
        before: np.ndarray | None = None
        stopped = ""
        try:
            for packet in container.demux(stream):
                if packet.pts is not None and packet.size:
                    sizes[packet.pts] = packet.size
                for frame in packet.decode():
                    thumbnail = _thumbnail(frame)
                    change = 0.0 if before is None else float(np.abs(thumbnail - before).mean())
                    before = thumbnail
                    rows.append((_letter(frame), frame.pts, _quantiser(frame), change))
                if len(rows) >= most:
                    stopped = f"only the first {len(rows)} frames were read"
                    break
        except (FFmpegError, MediaError) as error:
            stopped = f"reading stopped after {len(rows)} frames ({type(error).__name__})"
        base = float(stream.time_base or 0)
    if not rows:
        raise MediaError(f"{path.name} has no frame that can be decoded", hint="check that the file is whole")
    return CodingFacts(
        "".join(row[0] for row in rows),
        tuple(None if row[1] is None else round(row[1] * base - origin, 6) for row in rows),
        tuple(None if row[1] is None else sizes.get(row[1]) for row in rows),
        tuple(row[2] for row in rows),
        tuple(round(row[3], 4) for row in rows),
        stopped,
    )


def _thumbnail(frame: VideoFrame) -> np.ndarray:
    width, height = _THUMBNAIL
    return frame.reformat(width=width, height=height, format="gray").to_ndarray().astype(np.int16)


def _letter(frame: VideoFrame) -> str:
    name = PictureType(frame.pict_type).name
    return name if name in ("I", "P", "B") else "?"


def _quantiser(frame: VideoFrame) -> float | None:
    """The mean quantiser over the blocks of a frame; None where the decoder does not export it."""
    data = frame.side_data.get("VIDEO_ENC_PARAMS")
    if data is None:
        return None
    raw = bytes(data)
    if len(raw) < _HEAD.size:
        return None
    count, place, size, _, base = _HEAD.unpack_from(raw)
    if not count or size != _BLOCK.itemsize or place + count * size > len(raw):
        return float(base)
    blocks = np.frombuffer(raw, _BLOCK, count, place)
    return round(base + float(blocks["delta"].mean()), 3)


def cuts(facts: CodingFacts, difference: float = 20.0) -> list[int]:
    """Frames at which the picture changes abruptly: by ``difference`` grey levels, or 12 times the usual change.

    The usual change is the median over the clip, at least 0.5 grey levels.
    """
    change = np.array(facts.change)
    if len(change) < 2:
        return []
    usual = max(0.5, float(np.median(change[1:])))
    return [int(at) for at in np.flatnonzero((change >= difference) | (change >= max(6.0, 12 * usual)))]
