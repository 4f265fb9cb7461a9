"""Sound of media files as samples, and samples as lossless sound files."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
from av.audio.resampler import AudioResampler
from av.audio.stream import AudioStream
from av.container import InputContainer
from av.error import FFmpegError

from shared.errors import MediaError
from shared.video.container import audio_stream, created, ffmpeg_line, opened

WRITTEN: dict[str, str] = {".wav": "pcm_s16le", ".flac": "flac"}
"""File suffixes of sound that is written, with the codec."""

_MOST_SAMPLES = 1 << 28
_MOST_CHANNELS = 8


def decode_sound(source: Path, *, seconds: float | None = None) -> tuple[np.ndarray, int]:
    """(N, channels) float32, -1 to 1, of the first sound stream, and its rate.

    Args:
        source: a media file.
        seconds: of the start that are read; None for all.

    Raises:
        MediaError: the file cannot be read, has no sound, or more than 2^28 samples.
    """
    with opened(source) as container:
        return _samples(container, str(source), seconds)


def has_sound(path: Path) -> bool:
    """Whether a media file has a sound stream.

    Raises:
        MediaError: the file cannot be read.
    """
    with opened(path) as container:
        return audio_stream(container) is not None


def write_sound(path: Path, sound: np.ndarray, rate: int) -> None:
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


def _samples(container: InputContainer, name: str, seconds: float | None) -> tuple[np.ndarray, int]:
    stream = audio_stream(container)
    if stream is None:
        raise MediaError(f"{name} has no sound", hint="name a file with a sound stream")
    rate, channels = stream.rate, stream.channels
    if not 0 < channels <= _MOST_CHANNELS or rate < 1:
        raise MediaError(f"{name} has {channels} channels", hint=f"at most {_MOST_CHANNELS} are read")
    wanted = _MOST_SAMPLES if seconds is None else int(seconds * rate)
    resampler, blocks, count = AudioResampler("flt", stream.layout.name, rate), [], 0
    try:
        for frame in container.decode(stream):
            for piece in resampler.resample(frame):
                blocks.append(piece.to_ndarray().reshape(-1, channels))
                count += len(blocks[-1])
            if count * channels > _MOST_SAMPLES:
                raise MediaError(f"{name} has too much sound to be read at once", hint="cut it into parts")
            if count >= wanted:
                break
    except (FFmpegError, ValueError) as error:  # a layout that changes on the way is a ValueError
        if not blocks:
            why = ffmpeg_line(error)
            raise MediaError(f"the sound of {name} cannot be decoded: {why}", hint="check the file") from error
    if not blocks:
        raise MediaError(f"{name} has no sound", hint="name a file with a sound stream")
    return np.concatenate(blocks)[:wanted], rate
