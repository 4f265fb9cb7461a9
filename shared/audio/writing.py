"""Samples to sound files: WAV, FLAC, MP3, M4A and Opus."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import av
import numpy as np
from av.audio.stream import AudioStream
from av.error import FFmpegError

from shared.audio.sound import Sound
from shared.errors import MediaError, UsageError
from shared.storage import replacing
from shared.video.container import created, ffmpeg_line

WRITTEN: dict[str, str] = {".wav": "pcm_s16le", ".flac": "flac"}
"""File suffixes of lossless sound that is written, with the codec."""

ENCODED: dict[str, str] = {**WRITTEN, ".mp3": "libmp3lame", ".m4a": "aac", ".opus": "libopus"}
"""File suffixes of all sound that is written, with the codec."""

BIT_RATE = 96_000
"""Bits a second of lossy files, for one channel."""

_FORMATS = {".m4a": "mp4", ".opus": "ogg"}
_OPUS_RATE = 48_000
_BLOCK = 1024


def write_sound(
    path: Path,
    sound: Sound,
    *,
    codec: str | None = None,
    bit_rate: int = BIT_RATE,
    tags: Mapping[str, str] | None = None,
) -> None:
    """Writes one channel; the suffix names the container. The file is complete or absent.

    WAV and FLAC hold 16 bits, rounded; Opus always holds 48,000 samples a second.

    Args:
        path: the file, with one of the suffixes in :data:`ENCODED`.
        sound: what is written.
        codec: FFmpeg's name of another codec that the container can hold: ``pcm_mulaw``, ``pcm_u8``.
        bit_rate: of lossy codecs.
        tags: of the file: ``title``, ``comment``.

    Raises:
        UsageError: another suffix.
        MediaError: it cannot be encoded: an MP3 knows only some rates.
        StorageError: writing failed.
    """
    need_sound_suffix(path)
    with replacing(path) as draft:
        _encode(draft, sound, codec or ENCODED[path.suffix.lower()], bit_rate, dict(tags or {}))


def need_sound_suffix(path: Path) -> None:
    """Refuses a file name that no sound is written to.

    Raises:
        UsageError: its suffix is not one of :data:`ENCODED`.
    """
    if path.suffix.lower() not in ENCODED:
        raise UsageError(
            f"sound is not written as {path.suffix or 'a file without a suffix'}", hint=f"use {', '.join(ENCODED)}"
        )


def _encode(path: Path, sound: Sound, codec: str, bit_rate: int, tags: dict[str, str]) -> None:
    suffix = path.suffix.lower()
    rate = _OPUS_RATE if codec == "libopus" else sound.rate
    options = {"fflags": "+bitexact", **({"movflags": "use_metadata_tags"} if suffix == ".m4a" else {})}
    try:
        with created(path, _FORMATS.get(suffix), options) as container:
            container.metadata.update(tags)
            stream = container.add_stream(codec, rate=rate)
            assert isinstance(stream, AudioStream)
            stream.codec_context.layout = "mono"
            if not codec.startswith("pcm_") and codec != "flac":
                stream.bit_rate = bit_rate
            if codec == "flac":
                stream.codec_context.format = "s16"
            fed = av.AudioResampler(
                stream.codec_context.format.name, "mono", rate, stream.codec_context.frame_size or _BLOCK
            )
            for start in range(0, len(sound), sound.rate):
                for piece in fed.resample(_frame(sound, start)):
                    container.mux(stream.encode(piece))
            for piece in fed.resample(None):
                container.mux(stream.encode(piece))
            container.mux(stream.encode(None))
    except (FFmpegError, ValueError) as error:
        hint = "use .wav" if suffix != ".wav" else "look at its rate and length"
        raise MediaError(f"the sound cannot be written to {path}: {ffmpeg_line(error)}", hint=hint) from error


def _frame(sound: Sound, start: int) -> av.AudioFrame:
    piece = sound.samples[start : start + sound.rate]
    rounded = np.clip(np.round(piece * 32767), -32768, 32767).astype(np.int16)
    frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(rounded[None]), "s16", "mono")
    frame.sample_rate, frame.pts = sound.rate, start
    return frame


def write_channels(path: Path, sound: np.ndarray, rate: int) -> None:
    """Writes (N, channels) float32 as 16-bit samples; the suffix is one of :data:`WRITTEN`.

    Raises:
        MediaError: it cannot be encoded.
    """
    layout = {1: "mono", 2: "stereo"}.get(sound.shape[1], f"{sound.shape[1]}c")
    try:
        with created(path, options={"fflags": "+bitexact"}) as container:
            stream = container.add_stream(WRITTEN[path.suffix.lower()], rate=rate)
            assert isinstance(stream, AudioStream)
            stream.codec_context.layout = layout
            samples = np.ascontiguousarray(np.round(sound * 32767).astype(np.int16).reshape(1, -1))
            for start in range(0, len(sound), rate):
                piece = samples[:, start * sound.shape[1] : (start + rate) * sound.shape[1]]
                frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(piece), "s16", layout)
                frame.sample_rate, frame.pts = rate, start
                container.mux(stream.encode(frame))
            container.mux(stream.encode(None))
    except (FFmpegError, ValueError) as error:
        raise MediaError(f"the sound cannot be written to {path}: {ffmpeg_line(error)}", hint="use .wav") from error
