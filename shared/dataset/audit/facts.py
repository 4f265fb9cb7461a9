"""Features of a file without its pictures: container, codec, packets, times, size, sound.

The C2PA manifest is left out of every size: it states the label, is longer for a fake, and has to be removed for
detectors that read bytes. Whether there is one is a feature: every clip of a set should have one.
"""

from __future__ import annotations

import mmap
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.error import FFmpegError
from av.stream import Stream

from shared.errors import MediaError
from shared.video.container import VideoLimits, opened, video_stream

Facts = dict[str, float | str]

_MAX_PACKETS = 200_000
_MAX_TEXT = 300
# Description box of a C2PA manifest store (ISO 19566-5; C2PA 2.x, 11.1.4.2); its parent box starts 12 bytes earlier.
_STORE_MARK = b"jumdc2pa\x00\x11\x00\x10"
_ENCODER_NOTE = re.compile(rb"x26[45][ -][\x20-\x7e]{4,2000}")
_BANDS = 16
_SPEECH_HZ = 16_000
_MAX_SOUND_SECONDS = 20


@dataclass(frozen=True, eq=False)
class FileFacts:
    """Features of one file, by probe. ``audio`` is empty without sound; ``mark`` is added by who reads the frames.

    The last five are of stills (:mod:`shared.dataset.audit.still_facts`), which have no packets, length or sound.
    """

    container: Facts
    rate: Facts
    size: Facts
    audio: Facts
    mark: Facts = field(default_factory=dict)
    tables: Facts = field(default_factory=dict)
    dimensions: Facts = field(default_factory=dict)
    chroma: Facts = field(default_factory=dict)
    amount: Facts = field(default_factory=dict)
    metadata: Facts = field(default_factory=dict)

    @property
    def is_still(self) -> bool:
        """Whether the file is a picture."""
        return bool(self.dimensions)


@dataclass(frozen=True, eq=False)
class _Packets:
    """Packets of one stream in file order: bytes, times in seconds (NaN where missing) and key flags."""

    sizes: np.ndarray
    shown: np.ndarray
    decoded: np.ndarray
    keys: np.ndarray
    first: bytes


def read_facts(path: Path) -> FileFacts:
    """The features of a clip.

    Raises:
        MediaError: the file cannot be read as video.
    """
    manifest = manifest_bytes(path)
    with opened(path) as container:
        video = video_stream(container, path, VideoLimits())
        audio = container.streams.audio[0] if container.streams.audio else None
        packets = _read_packets(container, [stream for stream in (video, audio) if stream is not None])
        pictures = packets[video.index]
        if not pictures.sizes.size:
            raise MediaError(f"{path} holds no picture", hint="copy or download it again")
        facts = _container_facts(container, video, pictures) | {"signed": float(manifest > 0)}
        rate = _packet_sizes(pictures)
        size = _size_facts(path.stat().st_size - manifest, video, pictures)
        sound = _audio_facts(audio, packets[audio.index], pictures) if audio is not None else {}
    if sound:
        sound |= _spectrum(path)
    return FileFacts(facts, rate, size, sound)


def manifest_bytes(path: Path) -> int:
    """Bytes of the C2PA manifest store inside the file; 0 where there is none."""
    if path.stat().st_size == 0:
        return 0
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        at = data.find(_STORE_MARK)
        return int.from_bytes(data[at - 12 : at - 8], "big") if at >= 12 else 0


def _read_packets(container: Any, streams: Sequence[Stream]) -> dict[int, _Packets]:
    rows: dict[int, list[tuple[int, float, float, bool]]] = {stream.index: [] for stream in streams}
    first: dict[int, bytes] = {}
    packets = container.demux(*streams)
    for _ in range(_MAX_PACKETS):
        try:
            packet = next(packets, None)
        except FFmpegError:
            break
        if packet is None:
            break
        if not packet.size:
            continue
        index = packet.stream.index
        first.setdefault(index, bytes(packet)[:4096])
        base = float(packet.time_base or 0)
        shown, decoded = (np.nan if tick is None else tick * base for tick in (packet.pts, packet.dts))
        rows[index].append((packet.size, shown, decoded, packet.is_keyframe))
    return {index: _packets(listed, first.get(index, b"")) for index, listed in rows.items()}


def _packets(rows: Sequence[tuple[int, float, float, bool]], first: bytes) -> _Packets:
    table = np.asarray(rows, dtype=np.float64).reshape(-1, 4)
    return _Packets(table[:, 0], table[:, 1], table[:, 2], table[:, 3] > 0, first)


def _container_facts(container: Any, video: Any, packets: _Packets) -> Facts:
    context = video.codec_context
    note = _ENCODER_NOTE.search(packets.first)
    tags = {**container.metadata, **video.metadata}
    facts: Facts = {
        "format": container.format.name,
        "codec": context.codec.canonical_name,
        "profile": str(context.profile or "-"),
        "level": float(getattr(context, "level", 0) or 0),
        "pixel_format": str(context.pix_fmt or "-"),
        "reordering": float(context.has_b_frames),
        "time_base": str(video.time_base),
        "frame_rate": str(video.average_rate),
        "streams": float(len(container.streams)),
        "header_bytes": float(len(context.extradata or b"")),
        "encoder_note": note.group().decode("ascii")[:_MAX_TEXT] if note else "-",
        "has_creation_time": float("creation_time" in tags),
    }
    for name in ("encoder", "major_brand", "compatible_brands", "handler_name", "writing_application"):
        facts[name] = _text(tags, name)
    return facts | _rhythm(packets)


def _text(tags: Mapping[str, str], name: str) -> str:
    return str(tags.get(name, "-"))[:_MAX_TEXT]


def _rhythm(packets: _Packets) -> Facts:
    """Features of presentation and decoding times, and of key frames."""
    shown = np.sort(packets.shown[np.isfinite(packets.shown)])
    steps = np.diff(shown)
    delay = (packets.shown - packets.decoded)[np.isfinite(packets.shown - packets.decoded)]
    keys = np.flatnonzero(packets.keys)
    gaps = np.diff(keys)
    return {
        "first_time": float(shown[0]) if shown.size else -1.0,
        "step_mean": float(steps.mean()) if steps.size else 0.0,
        "step_spread": float(steps.std()) if steps.size else 0.0,
        "delay_first": float(delay[0]) if delay.size else 0.0,
        "delay_mean": float(delay.mean()) if delay.size else 0.0,
        "keys": float(keys.size),
        "key_distance": float(gaps.mean()) if gaps.size else float(packets.sizes.size),
        "key_distance_spread": float(gaps.std()) if gaps.size else 0.0,
    }


def _packet_sizes(packets: _Packets) -> Facts:
    sizes = np.log(packets.sizes)
    inter = sizes[~packets.keys] if (~packets.keys).any() else sizes
    low, middle, high = np.percentile(inter, (10, 50, 90))
    seconds = _duration(packets)
    return {
        "bit_rate_log": float(np.log(packets.sizes.sum() / max(seconds, 1e-3))),
        "key_size_log": float(sizes[packets.keys].mean()) if packets.keys.any() else 0.0,
        "size_low": float(low),
        "size_middle": float(middle),
        "size_high": float(high),
        "size_spread": float(inter.std()),
        "key_over_inter": float(sizes[packets.keys].mean() - middle) if packets.keys.any() else 0.0,
    }


def _duration(packets: _Packets) -> float:
    shown = packets.shown[np.isfinite(packets.shown)]
    return float(shown.max() - shown.min()) * (1 + 1 / max(1, shown.size - 1)) if shown.size > 1 else 0.04


def _size_facts(bytes_: int, video: Any, packets: _Packets) -> Facts:
    width, height = video.codec_context.width, video.codec_context.height
    return {
        "bytes_log": float(np.log(max(1, bytes_))),
        "overhead_log": float(np.log(max(1.0, bytes_ - packets.sizes.sum()))),
        "frames": float(packets.sizes.size),
        "seconds": _duration(packets),
        "width": float(width),
        "height": float(height),
        "bits_per_pixel_log": float(np.log(packets.sizes.sum() / max(1, width * height * packets.sizes.size))),
    }


def _audio_facts(stream: Any, packets: _Packets, pictures: _Packets) -> Facts:
    context = stream.codec_context
    facts: Facts = {
        "codec": context.codec.canonical_name if context else "-",
        "rate": float(stream.rate or 0) if context else 0.0,
        "channels": float(context.channels) if context else 0.0,
        "time_base": str(stream.time_base),
        "encoder": _text(stream.metadata, "encoder"),
        "handler": _text(stream.metadata, "handler_name"),
        "packets": float(packets.sizes.size),
    }
    if packets.sizes.size:
        shown = packets.shown[np.isfinite(packets.shown)]
        facts["size_mean"] = float(packets.sizes.mean())
        facts["size_spread"] = float(packets.sizes.std())
        facts["first_time"] = float(shown.min()) if shown.size else -1.0
        facts["longer_than_picture"] = _duration(packets) - _duration(pictures)
    return facts


def _spectrum(path: Path) -> Facts:
    """Mean and standard deviation of log energy in 16 bands up to 8 kHz, and the share of silence; empty if damaged."""
    samples = _decode_sound(path)
    if samples.size < 1024:
        return {}
    windows = np.lib.stride_tricks.sliding_window_view(samples, 512)[::256]
    power = np.abs(np.fft.rfft(windows * np.hanning(512), axis=1)) ** 2
    edges = np.unique(np.geomspace(2, 257, _BANDS + 1).astype(int))
    bands = np.log(np.add.reduceat(power, edges[:-1], axis=1) + 1e-6)
    facts: Facts = {"silence": float((np.abs(samples) < 1e-4).mean()), "peak": float(np.abs(samples).max())}
    for number, (mean, spread) in enumerate(zip(bands.mean(axis=0), bands.std(axis=0), strict=True)):
        facts[f"band{number}_mean"], facts[f"band{number}_spread"] = float(mean), float(spread)
    return facts


def _decode_sound(path: Path) -> np.ndarray:
    """Mono samples in [-1, 1] at 16 kHz, at most 20 seconds."""
    pieces: list[np.ndarray] = []
    total = 0
    with opened(path) as container:
        resampler = av.AudioResampler(format="flt", layout="mono", rate=_SPEECH_HZ)
        try:
            for frame in container.decode(audio=0):
                for piece in resampler.resample(frame):
                    pieces.append(piece.to_ndarray()[0])
                    total += pieces[-1].size
                if total >= _SPEECH_HZ * _MAX_SOUND_SECONDS:
                    break
        except (FFmpegError, ValueError):
            return np.zeros(0, dtype=np.float32)
    return np.concatenate(pieces) if pieces else np.zeros(0, dtype=np.float32)
