"""The sound of a clip, carried over as it is: packets are copied, never decoded, and their bytes can be compared."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from contextlib import ExitStack
from fractions import Fraction
from pathlib import Path
from types import TracebackType

import av
from av.audio.stream import AudioStream
from av.bitstream import BitStreamFilterContext
from av.container import OutputContainer
from av.error import FFmpegError
from av.packet import Packet

from shared.errors import MediaError
from shared.video.container import opened

_CONTAINERS_BY_PREFERENCE = (".mp4", ".mov", ".mkv")
_FORMAT_NAMES = {".mp4": "mp4", ".mov": "mov", ".mkv": "matroska", ".webm": "webm", ".avi": "avi"}


def audio_digest(path: Path) -> str | None:
    """SHA-256, in hex, over the bytes of the compressed audio packets in order; None when there is no sound.

    Two files with one digest hold the same sound to the last bit, whatever their containers: the framing that a
    transport stream puts around AAC (ADTS headers), which other containers leave out, is not counted.

    Raises:
        MediaError: the file cannot be read as media.
    """
    with opened(path) as container:
        if not container.streams.audio:
            return None
        stream = container.streams.audio[0]
        digest = hashlib.sha256()
        for packet in _unframed(stream, _packets(stream)):
            digest.update(bytes(packet))
        return digest.hexdigest()


def audio_rate(path: Path) -> int | None:
    """Samples a second of the sound that would be copied; None when there is no sound or it states no rate.

    Raises:
        MediaError: the file cannot be read as media.
    """
    with opened(path) as container:
        if not container.streams.audio or container.streams.audio[0].codec_context is None:
            return None
        return container.streams.audio[0].rate or None


def container_for(audio_from: Path, preferred: str = ".mp4") -> str:
    """The file suffix of a container that can carry the sound of ``audio_from`` as it is.

    That is ``preferred`` where it can, else the first of .mp4, .mov and .mkv that does.

    Raises:
        MediaError: the file cannot be read, or no container takes its sound.
    """
    with opened(audio_from) as container:
        if not container.streams.audio:
            return preferred
        stream = container.streams.audio[0]
        for suffix in dict.fromkeys((preferred, *_CONTAINERS_BY_PREFERENCE)):
            # Nothing is written: the muxer is only asked what it takes.
            with av.open(os.devnull, "w", format=_FORMAT_NAMES[suffix]) as trial:
                if _added(trial, stream) is not None:
                    return suffix
    raise MediaError(f"the sound of {audio_from} cannot be copied", hint="convert its sound to AAC first")


class AudioCopy:
    """Copies the audio packets of one file into a container that is being written, in step with the pictures.

    Args:
        path: the file whose sound is copied. Without sound, nothing happens.
        output: the container being written.
        suffix: its file suffix, for messages.

    Raises:
        MediaError: the file cannot be read, or ``output`` cannot hold this kind of sound.
    """

    def __init__(self, path: Path, output: OutputContainer, suffix: str) -> None:
        self._path = path
        self._output = output
        self._suffix = suffix
        self._stack = ExitStack()
        self._source: Iterator[Packet] = iter(())
        self._next: Packet | None = None

    def __enter__(self) -> AudioCopy:
        with ExitStack() as stack:
            container = stack.enter_context(opened(self._path))
            if container.streams.audio:
                self._open(container.streams.audio[0])
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._stack.__exit__(kind, error, traceback)

    def _open(self, stream: AudioStream) -> None:
        target = _added(self._output, stream)
        if target is None:
            name = stream.codec_context.name if stream.codec_context else "unknown"
            raise MediaError(
                f"a {self._suffix} file cannot hold the sound of {self._path} ({name})",
                hint="write to a .mov or .mkv file, which hold almost every kind",
            )
        self._source = _timed(stream, target)
        self._next = next(self._source, None)

    def up_to(self, seconds: Fraction) -> None:
        """Copies what starts before ``seconds``, so that sound and pictures lie side by side in the file."""
        while self._next is not None and (self._next.pts or 0) * self._next.time_base <= seconds:
            self._copy()

    def rest(self) -> None:
        """Copies what is left."""
        while self._next is not None:
            self._copy()

    def _copy(self) -> None:
        if self._next is not None:
            # Muxing moves a packet onto the clock of its new stream, so it comes after all reading of its time.
            self._output.mux_one(self._next)
            self._next = next(self._source, None)


def _packets(stream: AudioStream) -> Iterator[Packet]:
    """The packets with content; reading ends quietly where a damaged file does."""
    packets = stream.container.demux(stream)  # type: ignore[attr-defined]
    while True:
        try:
            packet = next(packets, None)
        except FFmpegError:
            return
        if packet is None:
            return
        if packet.size:
            yield packet


def _timed(stream: AudioStream, target: object) -> Iterator[Packet]:
    """The packets bound to ``target``, each with a time: a missing one follows from the packet before."""
    expected = 0
    for packet in _packets(stream):
        if packet.dts is None:
            packet.dts = packet.pts if packet.pts is not None else expected
        if packet.pts is None:
            packet.pts = packet.dts
        expected = packet.dts + (packet.duration or 1)
        packet.stream = target
        yield packet


def _unframed(stream: AudioStream, packets: Iterator[Packet]) -> Iterator[Packet]:
    """AAC without its ADTS headers; anything else as it is."""
    context = stream.codec_context
    if context is None or context.name != "aac" or context.extradata:
        yield from packets
        return
    strip = BitStreamFilterContext("aac_adtstoasc", in_stream=stream)
    for packet in packets:
        yield from strip.filter(packet)
    yield from strip.filter(None)


def _added(output: OutputContainer, stream: AudioStream) -> object | None:
    """A stream of ``output`` that takes the packets of ``stream``; None when the container has no place for them."""
    try:
        return output.add_stream_from_template(stream)
    except (ValueError, FFmpegError):
        return None
