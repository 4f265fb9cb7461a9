"""The sound of a file: whether it is there, and its energy over time."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np
from av.error import FFmpegError

from shared.errors import MediaError
from shared.video.clock import clock_origin
from shared.video.container import audio_stream, opened

STEP_SECONDS = 0.02
_RATE = 16_000
_MOST_SECONDS = 600


@dataclass(frozen=True)
class SoundFacts:
    """Facts of the sound track.

    Attributes:
        present: whether there is one that can be decoded.
        start_seconds: time of the first sample on the clock of the pictures.
        rate: samples a second as stored.
        channels: number of channels.
        level_db: energy of each step of 20 ms, in dB below full scale, of all channels together; at least -90.
        stopped: why reading ended early; empty if it did not.
    """

    present: bool
    start_seconds: float = 0.0
    rate: int = 0
    channels: int = 0
    level_db: tuple[float, ...] = ()
    stopped: str = ""


def read_sound(path: Path) -> SoundFacts:
    """Decodes at most ten minutes of the sound of ``path``.

    Raises:
        MediaError: the file cannot be read as media.
    """
    with opened(path) as container:
        stream = audio_stream(container)
        if stream is None or stream.codec_context is None:
            return SoundFacts(False)
        origin = float(clock_origin(container))
        resampler = av.AudioResampler(format="flt", layout="mono", rate=_RATE)
        parts: list[np.ndarray] = []
        start, count, stopped = None, 0, ""
        try:
            for frame in container.decode(stream):
                if start is None and frame.pts is not None and frame.time_base:
                    start = float(frame.pts * frame.time_base) - origin
                frame.pts = None
                for each in resampler.resample(frame):
                    parts.append(each.to_ndarray().ravel())
                    count += parts[-1].size
                if count > _MOST_SECONDS * _RATE:
                    stopped = f"only the first {_MOST_SECONDS} s were read"
                    break
        except (FFmpegError, MediaError, ValueError) as error:
            stopped = f"reading stopped after {count / _RATE:.1f} s ({type(error).__name__})"
        rate, channels = int(stream.rate or 0), int(stream.channels or 0)
    if not parts:
        return SoundFacts(False, stopped=stopped)
    samples = np.concatenate(parts)
    return SoundFacts(True, round(start or 0.0, 4), rate, channels, _levels(samples), stopped)


def _levels(samples: np.ndarray) -> tuple[float, ...]:
    step = int(STEP_SECONDS * _RATE)
    whole = samples[: len(samples) // step * step].reshape(-1, step).astype(np.float64)
    power = (whole**2).mean(1)
    return tuple(round(float(each), 2) for each in 10 * np.log10(np.maximum(power, 1e-9)))
