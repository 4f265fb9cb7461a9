"""The sound of an untrusted file, decoded in the process that reads it (:mod:`shared.video.child`)."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from av.stream import Disposition
from av.video.stream import VideoStream

from shared.audio.reading import read_sound
from shared.errors import MediaError
from shared.video.child import Child, NoChild, decoded
from shared.video.child_process import Pipe
from shared.video.clock import clock_origin
from shared.video.container import audio_stream, opened


@dataclass(frozen=True)
class SoundHead:
    """Facts of a sound that was read: its samples are the message's body, (count,) float32.

    Attributes:
        begins: time of the first sample on the clock of the pictures, in seconds.
        count: number of samples.
        rest: what was not read, in words; empty if all was.
    """

    begins: float
    count: int
    rest: str = ""


@dataclass(frozen=True)
class SoundFileFacts:
    """What a file that holds only sound states of itself."""

    container: str
    codec: str
    rate: int
    channels: int
    seconds: float | None
    bit_rate: int | None
    tags: tuple[tuple[str, str], ...] = ()


def holds_only_sound(path: Path) -> bool:
    """Whether a file is media with sound and without pictures, but for a cover; False if it cannot be read."""
    try:
        with opened(path) as container:
            pictures = all(map(_is_cover, container.streams.video))
            return audio_stream(container) is not None and pictures
    except MediaError:
        return False


def _is_cover(stream: VideoStream) -> bool:
    """Whether it is one picture of a cover: chapters' pictures are flagged like one, and may be a whole film."""
    flags = stream.disposition
    return bool(flags & Disposition.attached_pic) and not flags & Disposition.timed_thumbnails and stream.frames <= 1


def sound_file_facts(path: Path) -> SoundFileFacts:
    """The facts of a sound file.

    Raises:
        MediaError: it cannot be read, or has no sound that can be decoded.
    """
    with opened(path) as container:
        stream = audio_stream(container)
        if stream is None or stream.codec_context is None:
            raise MediaError(f"{path} has no sound that can be decoded", hint="convert it to FLAC first")
        tags = {name.lower(): text for name, text in {**container.metadata, **stream.metadata}.items()}
        return SoundFileFacts(
            container.format.name,
            stream.codec_context.name,
            int(stream.rate or 0),
            int(stream.channels or 0),
            container.duration / 1e6 if container.duration else None,
            container.bit_rate or None,
            tuple(sorted(tags.items())),
        )


def isolated_samples(source: Child | NoChild, most_seconds: int, *, rate: int = 16_000) -> tuple[SoundHead, np.ndarray]:
    """The first ``most_seconds`` of the sound of a file: (N,) float32 with their facts.

    Raises:
        MediaError: it has no sound, or cannot be read.
    """
    if isinstance(source, NoChild):
        return _samples(source.path, most_seconds, rate)
    with closing(source.stream(send_samples, most_seconds, rate)) as messages:
        for kind, value, body in messages:
            if kind == "sound":
                head = decoded(value, SoundHead, source.path)
                samples = np.frombuffer(body, np.float32)
                if len(samples) != head.count or not np.isfinite(samples).all():
                    raise MediaError(f"the decoder of {source.path} sent an invalid sound", hint="inspect a copy")
                return head, samples
    raise MediaError(f"the decoder of {source.path} sent no sound", hint="inspect a copy")


def send_samples(pipe: Pipe, path: Path, most_seconds: int, rate: int) -> None:
    """Sends the sound of ``path`` as one message; runs in the child."""
    head, samples = _samples(path, most_seconds, rate)
    pipe.send("sound", head, samples)


def _samples(path: Path, most_seconds: int, rate: int) -> tuple[SoundHead, np.ndarray]:
    with opened(path) as container:
        origin = clock_origin(container) if container.streams.video else None
    sound = read_sound(path, rate=rate, seconds=most_seconds)
    samples = np.ascontiguousarray(sound.samples, np.float32)
    rest = f"what comes behind the first {most_seconds} s" if len(samples) >= most_seconds * rate else ""
    if sound.source is not None and sound.source.stopped:
        rest = f"what could not be decoded {sound.source.stopped}"
    begins = 0.0 if origin is None else float(sound.start - origin)
    return SoundHead(round(begins, 4), len(samples), rest), samples
