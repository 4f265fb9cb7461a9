"""The sound of a video with a mark in it, as a file from which a video writer copies it."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.audio.resampler import AudioResampler
from av.audio.stream import AudioStream
from av.error import FFmpegError

from shared.audio.reading import decode_sound
from shared.errors import MediaError, UsageError
from shared.marking.payload import Payload
from shared.marking.sound import LEAST_RATE, mark_sound
from shared.video.audio import EXACT, audio_rate
from shared.video.container import audio_stream, created, ffmpeg_line, opened

_CODECS = {".webm": "libopus", ".avi": "libmp3lame"}
_USUAL = "aac"
_BITS_A_CHANNEL = 96_000


def need_markable_sound(path: Path) -> None:
    """Refuses a video whose sound cannot be marked.

    Raises:
        UsageError: it has no sound, or one of too few samples a second.
        MediaError: it cannot be read.
    """
    rate = audio_rate(path)
    if rate is None:
        raise UsageError(f"{path} has no sound that could be marked", hint="leave the mark of the sound out")
    if rate < LEAST_RATE:
        raise UsageError(f"{path} has {rate} samples a second", hint=f"sound is marked from {LEAST_RATE:,} on")


@contextmanager
def marked_sound(source: Path, payload: Payload, suffix: str) -> Iterator[Path]:
    """A file with the marked sound of ``source``, there for the length of the block.

    The sound is decoded, marked and encoded once more: AAC, in .webm Opus, in .avi MP3, at 96 kbit/s a channel. It
    begins at the time at which it began.

    Args:
        source: a file with sound.
        payload: what the mark says.
        suffix: of the video file into which the sound will be copied.

    Raises:
        MediaError: the sound cannot be decoded or encoded.
    """
    sound, rate = decode_sound(source)
    start = _start(source)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "sound.mkv"
        try:
            _write(path, mark_sound(sound, rate, payload), rate, start, _CODECS.get(suffix, _USUAL))
        except (FFmpegError, ValueError) as error:
            raise MediaError(
                f"the marked sound of {source} cannot be encoded: {ffmpeg_line(error)}",
                hint="leave the mark of the sound out",
            ) from error
        yield path


def _start(path: Path) -> Fraction:
    """Time of the first sample, in seconds."""
    with opened(path) as container:
        stream = audio_stream(container)
        for frame in () if stream is None else container.decode(stream):
            if frame.pts is not None and frame.time_base is not None:
                return frame.pts * Fraction(frame.time_base)
            break
    return Fraction(0)


def _write(path: Path, sound: np.ndarray, rate: int, start: Fraction, codec: str) -> None:
    layout = {1: "mono", 2: "stereo"}.get(sound.shape[1], f"{sound.shape[1]}c")
    rates = av.Codec(codec, "w").audio_rates
    out_rate = rate if rates is None or rate in rates else 48_000
    with created(path, options=EXACT) as container:
        stream = container.add_stream(codec, rate=out_rate)
        assert isinstance(stream, AudioStream)
        stream.codec_context.layout = layout
        stream.codec_context.bit_rate = _BITS_A_CHANNEL * sound.shape[1]
        size = stream.codec_context.frame_size or 1024
        shaped = AudioResampler(stream.format.name, layout, out_rate, size)
        for at in range(0, len(sound), rate):
            piece = np.ascontiguousarray(sound[at : at + rate].astype(np.float32).reshape(1, -1))
            frame = av.AudioFrame.from_ndarray(piece, "flt", layout)
            frame.sample_rate, frame.time_base = rate, Fraction(1, rate)
            frame.pts = at + round(start * rate)
            for one in shaped.resample(frame):
                container.mux(stream.encode(one))
        for one in shaped.resample(None):
            container.mux(stream.encode(one))
        container.mux(stream.encode(None))
