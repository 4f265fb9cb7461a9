"""Any media file to samples: bounded, with exact times, one sentence for what cannot be used.

A file is hostile: its length, rate, channels and times are limited before memory is taken, compressed silence unpacks
to no more than the limit, and samples that are no numbers are refused.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import NoReturn

import numpy as np
from av.audio.frame import AudioFrame
from av.audio.resampler import AudioResampler
from av.audio.stream import AudioStream
from av.container import InputContainer
from av.error import FFmpegError

from shared.audio.sound import WORK_RATE, Sound, SoundSource, limited
from shared.errors import MediaError, UsageError
from shared.video.container import audio_stream, ffmpeg_line, opened

MOST_SECONDS = 3600.0
"""Seconds of one sound that are read unless the caller asks for others; longer sounds are refused, not cut."""

_MOST_SAMPLES = 1 << 28
_MOST_CHANNELS = 8
_RATES = (4_000, 768_000)
_GAP_SECONDS = Fraction(1, 20)


def read_sound(
    path: Path,
    *,
    rate: int | None = WORK_RATE,
    start_seconds: float = 0.0,
    seconds: float | None = None,
    most_seconds: float = MOST_SECONDS,
) -> Sound:
    """The sound that players play, mixed to one channel.

    Every run of samples stands where the file's own times put it: a gap of more than 1/20 s is filled with silence
    (``source.filled_seconds``). A file that is damaged behind its start gives what was decoded.

    Args:
        path: a sound or video file of any kind that FFmpeg reads; the file's suffix does not matter.
        rate: samples a second of the result, None for the file's own.
        start_seconds: what is left out at the start.
        seconds: how much is read, None for all.
        most_seconds: a longer sound is refused when ``seconds`` is None.

    Raises:
        UsageError: a negative start or length.
        MediaError: it cannot be read, has no sound, more than 8 channels, a rate outside 4,000 to 768,000 a second,
            samples that are no numbers, or is longer than ``most_seconds``.
    """
    if not start_seconds >= 0 or (seconds is not None and not seconds > 0):
        raise UsageError("a part of a sound starts at 0 or later and has a length", hint="name seconds above 0")
    with opened(path) as container:
        stream = _usable(container, str(path))
        runs = _Runs(stream, str(path), rate or stream.rate)
        return runs.collect(container, Fraction(start_seconds), seconds, most_seconds)


def decode_sound(source: Path, *, seconds: float | None = None) -> tuple[np.ndarray, int]:
    """(N, channels) float32, -1 to 1, of the first sound stream, and its rate; the file's times are not regarded.

    Args:
        source: a media file.
        seconds: of the start that are read; None for all.

    Raises:
        MediaError: the file cannot be read, has no sound, or more than 2^28 samples.
    """
    with opened(source) as container:
        stream = _stream(container, str(source))
        wanted = _MOST_SAMPLES if seconds is None else int(seconds * stream.rate)
        blocks, count = [], 0
        for block in _all_channels(container, stream, str(source)):
            if not np.isfinite(block).all():
                raise MediaError(f"{source} holds samples that are no numbers", hint="make the file again")
            blocks.append(block)
            count += len(block)
            if count * stream.channels > _MOST_SAMPLES:
                raise MediaError(f"{source} has too much sound to be read at once", hint="cut it into parts")
            if count >= wanted:
                break
        if not blocks:
            raise MediaError(f"{source} has no sound", hint="name a file with a sound stream")
        return np.concatenate(blocks)[:wanted], stream.rate


def has_sound(path: Path) -> bool:
    """Whether a media file has a sound stream.

    Raises:
        MediaError: the file cannot be read.
    """
    with opened(path) as container:
        return audio_stream(container) is not None


def _stream(container: InputContainer, name: str) -> AudioStream:
    stream = audio_stream(container)
    if stream is None:
        raise MediaError(f"{name} has no sound", hint="name a file with a sound stream")
    if stream.codec_context is None:
        raise MediaError(f"{name} has sound of a kind that cannot be decoded here", hint="convert it to FLAC first")
    if not 0 < stream.channels <= _MOST_CHANNELS or stream.rate < 1:
        raise MediaError(f"{name} has {stream.channels} channels", hint=f"at most {_MOST_CHANNELS} are read")
    return stream


def _usable(container: InputContainer, name: str) -> AudioStream:
    stream = _stream(container, name)
    low, high = _RATES
    if not low <= stream.rate <= high:
        raise MediaError(
            f"{name} has {stream.rate} samples a second", hint=f"speech is read with {low:,} to {high:,} a second"
        )
    return stream


def _all_channels(container: InputContainer, stream: AudioStream, name: str) -> Iterator[np.ndarray]:
    resampler = AudioResampler("flt", stream.layout.name, stream.rate)
    for frame in _decoded(container, stream, name):
        for piece in resampler.resample(frame):
            yield piece.to_ndarray().reshape(-1, stream.channels)


def _decoded(
    container: InputContainer, stream: AudioStream, name: str, stopped: Callable[[str], object] = lambda _why: None
) -> Iterator[AudioFrame]:
    """The frames up to the first that cannot be decoded: ``stopped`` is told why; an error if there is none before."""
    started = False
    try:
        for frame in container.decode(stream):
            yield frame
            started = True
    except (FFmpegError, ValueError) as error:  # a layout that changes on the way is a ValueError
        why = ffmpeg_line(error)
        if not started:
            raise MediaError(f"the sound of {name} cannot be decoded: {why}", hint="check the file") from error
        stopped(why)


@dataclass
class _Run:
    """Samples that follow one another, and where they begin."""

    start: Fraction
    blocks: list[np.ndarray]


class _Runs:
    """Mixes, resamples and places the runs of one stream."""

    def __init__(self, stream: AudioStream, name: str, rate: int) -> None:
        self._stream, self._name, self._rate = stream, name, rate
        self._runs: list[_Run] = []
        self._mixer: AudioResampler | None = None
        self._expected: Fraction | None = None
        self._formats = (stream.rate, stream.layout.name)
        self._stopped = ""

    def collect(self, container: InputContainer, skip: Fraction, seconds: float | None, most: float) -> Sound:
        """Reads ``seconds`` from ``skip`` seconds after the first sample on."""
        limit = skip + Fraction(most if seconds is None else seconds)
        source = self._source()
        stated = self._stated_seconds(container)
        if seconds is None and stated is not None and stated > limit:
            self._refuse_length(most)
        for frame in _decoded(container, self._stream, self._name, self._stop):
            self._add(frame)
            origin = self._runs[0].start
            if self._expected is not None and self._expected - origin > limit:
                if seconds is None:
                    self._refuse_length(most)
                break
        self._flush()
        if not self._runs:
            raise MediaError(f"{self._name} has no sound", hint="name a file with a sound stream")
        return self._placed(source, skip, limit)

    def _stop(self, why: str) -> None:
        self._stopped = why

    def _stated_seconds(self, container: InputContainer) -> float | None:
        if self._stream.duration and self._stream.time_base:
            return float(self._stream.duration * self._stream.time_base)
        return container.duration / 1e6 if container.duration else None

    def _refuse_length(self, most: float) -> NoReturn:
        raise MediaError(f"{self._name} is longer than {most / 60:.0f} minutes", hint="cut it, or name a part of it")

    def _source(self) -> SoundSource:
        context = self._stream.codec_context
        return SoundSource(self._stream.rate, self._stream.channels, context.name, self._stream.format.name)

    def _add(self, frame: AudioFrame) -> None:
        length = Fraction(frame.samples, frame.sample_rate)
        time = None if frame.pts is None or frame.time_base is None else frame.pts * Fraction(frame.time_base)
        if self._expected is None:
            self._begin(time if time is not None else Fraction(0))
        elif time is not None and time - self._expected > _GAP_SECONDS:
            self._flush()
            self._begin(time)
        assert self._mixer is not None
        assert self._expected is not None
        try:
            self._keep(self._mixer.resample(frame))
        except (FFmpegError, ValueError) as error:
            raise MediaError(
                f"the sound of {self._name} changes its channels or rate on the way", hint="convert it to FLAC first"
            ) from error
        self._expected += length

    def _begin(self, time: Fraction) -> None:
        self._runs.append(_Run(time, []))
        self._mixer = AudioResampler("flt", "mono", self._rate)
        self._expected = time

    def _flush(self) -> None:
        if self._mixer is not None:
            self._keep(self._mixer.resample(None))
            self._mixer = None

    def _keep(self, pieces: list[AudioFrame]) -> None:
        for piece in pieces:
            block = piece.to_ndarray().reshape(-1)
            if not np.isfinite(block).all():
                raise MediaError(f"{self._name} holds samples that are no numbers", hint="make the file again")
            self._runs[-1].blocks.append(limited(block))

    def _placed(self, source: SoundSource, skip: Fraction, limit: Fraction) -> Sound:
        origin = self._runs[0].start
        first, stop = round(skip * self._rate), round(limit * self._rate)
        parts: list[np.ndarray] = []
        at, filled = 0, 0
        for run in self._runs:
            gap = max(0, round((run.start - origin) * self._rate) - at)
            gap = min(gap, max(0, stop - at))
            parts += [np.zeros(gap, np.float32), *run.blocks]
            at += gap + sum(map(len, run.blocks))
            filled += gap
        samples = np.concatenate(parts)[first:stop]
        if not len(samples):
            raise MediaError(f"{self._name} ends before the part that was asked for", hint="name an earlier part")
        start = origin + Fraction(first, self._rate)
        told = f"after {(first + len(samples)) / self._rate:.1f} s: {self._stopped}" if self._stopped else ""
        return Sound(samples, self._rate, start, replace(source, filled_seconds=filled / self._rate, stopped=told))
