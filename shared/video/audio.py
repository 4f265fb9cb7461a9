"""Sound of a clip: its packets are copied without decoding, and compared by a digest."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from fractions import Fraction
from pathlib import Path
from types import TracebackType

from av.audio.stream import AudioStream
from av.bitstream import BitStreamFilterContext
from av.container import OutputContainer
from av.error import FFmpegError
from av.packet import Packet
from av.rational import AVRational
from av.stream import Stream

from shared.errors import MediaError, storage_errors
from shared.video.clock import packets_to_the_end
from shared.video.container import audio_stream, created, ffmpeg_line, logged_errors, opened

_CONTAINERS_BY_PREFERENCE = (".mp4", ".mov", ".mkv")
_TRIAL_PACKETS = 4
EXACT = {"fflags": "+bitexact", "avoid_negative_ts": "disabled"}
"""Options of every container that is written: equal content gives equal bytes, and no time is moved."""

_FORMAT_NAMES = {".mp4": "mp4", ".mov": "mov", ".mkv": "matroska", ".webm": "webm", ".avi": "avi"}


def audio_digest(path: Path) -> str | None:
    """SHA-256, in hex, over the bytes of the compressed audio packets in order; None when there is no sound.

    Two files with one digest hold the same sound to the last bit, whatever their containers: the framing that a
    transport stream puts around AAC (ADTS headers), which other containers leave out, is not counted.

    Raises:
        MediaError: the file cannot be read as media.
    """
    with opened(path) as container:
        stream = audio_stream(container)
        if stream is None:
            return None
        digest = hashlib.sha256()
        for packet in _unframed(stream, packets_to_the_end(container, stream)):
            digest.update(bytes(packet))
        return digest.hexdigest()


def audio_rate(path: Path) -> int | None:
    """Sample rate, in Hz, of the sound that would be copied; None without sound or without a stated rate.

    Raises:
        MediaError: the file cannot be read as media.
    """
    with opened(path) as container:
        stream = audio_stream(container)
        return None if stream is None or stream.codec_context is None else stream.rate or None


def container_for(audio_from: Path, preferred: str = ".mp4", able: Sequence[str] = _CONTAINERS_BY_PREFERENCE) -> str:
    """The file suffix of a container that can carry the sound of ``audio_from`` as it is.

    ``preferred`` if it can, else the first of ``able`` that can. Each is tested by writing the first packets.

    Raises:
        MediaError: the file cannot be read, or no container takes its sound.
    """
    refusals: list[str] = []
    for suffix in dict.fromkeys((preferred, *able)):
        refusal = _refusal(audio_from, suffix)
        if refusal is None:
            return suffix
        refusals.append(f"{suffix}: {refusal}")
    raise MediaError(
        f"the sound of {_named(audio_from)} cannot be copied ({'; '.join(refusals)})",
        hint="convert it to AAC first, or leave it out: --no-audio of forge swap and dataset add",
    )


def _refusal(audio_from: Path, suffix: str) -> str | None:
    """Why a container cannot hold the sound, as FFmpeg's message; None when it can."""
    with opened(audio_from) as container:
        stream = audio_stream(container)
        if stream is None:
            return None
        try:
            with logged_errors(), created(io.BytesIO(), _FORMAT_NAMES[suffix]) as trial:
                target = trial.add_stream_from_template(stream)
                trial.start_encoding()
                for packet, _ in zip(packets_to_the_end(container, stream), range(_TRIAL_PACKETS), strict=False):
                    _mux(packet, trial, target, None)
        except (FFmpegError, ValueError) as error:
            return ffmpeg_line(error)
    return None


def _named(path: Path) -> str:
    """The file's name with its audio codec: ``clip.avi (pcm_s16le)``."""
    with opened(path) as container:
        stream = audio_stream(container)
        context = stream.codec_context if stream is not None else None
        return f"{path} ({context.name if context is not None else 'unknown codec'})"


def cut_audio(source: Path, folder: Path, *, start: Fraction | None, stop: Fraction | None) -> Path | None:
    """Copies the audio packets between two times into an audio file in ``folder``; None without any.

    With a ``start`` they are shifted to start at 0. Packets are not split, so a cut is exact to about 20 ms.

    Raises:
        MediaError: the file cannot be read or its sound not copied.
        StorageError: writing failed.
    """
    out = folder / f"sound{container_for(source, '.mov')}"
    with storage_errors(out):
        return out if _copied(source, out, start, stop) else None


def _copied(source: Path, out: Path, start: Fraction | None, stop: Fraction | None) -> bool:
    kept = False
    last: tuple[int, int] | None = None
    try:
        with opened(source) as given, logged_errors(), created(out, options=EXACT) as taken:
            stream = audio_stream(given)
            target = None if stream is None else taken.add_stream_from_template(stream)
            for packet in () if stream is None else packets_to_the_end(given, stream):
                if target is not None and _moved(packet, start, stop):
                    taken.start_encoding()
                    last = _mux(packet, taken, target, last)
                    kept = True
    except (FFmpegError, ValueError) as error:
        raise MediaError(
            f"the sound of {_named(source)} cannot be copied: {ffmpeg_line(error)}", hint="convert it to AAC first"
        ) from error
    if not kept:
        out.unlink(missing_ok=True)
    return kept


def _moved(packet: Packet, start: Fraction | None, stop: Fraction | None) -> bool:
    """Whether the packet is between the times; it is then shifted so that ``start`` becomes 0."""
    if not packet.size or packet.pts is None:
        return False
    moment = packet.pts * packet.time_base
    if (start is not None and moment < start) or (stop is not None and moment >= stop):
        return False
    if start is not None:
        packet.pts -= round(start / packet.time_base)
        packet.dts = packet.pts
    return True


class AudioCopy:
    """Copies the audio packets of one file into a container that is being written, interleaved with the pictures.

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
        self._target: Stream | None = None
        self._last: tuple[int, int] | None = None

    def __enter__(self) -> AudioCopy:
        with ExitStack() as stack:
            container = stack.enter_context(opened(self._path))
            stream = audio_stream(container)
            if stream is not None:
                with self._sound_errors():
                    self._target = self._output.add_stream_from_template(stream)
                self._source = packets_to_the_end(container, stream)
                self._next = next(self._source, None)
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._stack.__exit__(kind, error, traceback)

    @contextmanager
    def _sound_errors(self) -> Iterator[None]:
        try:
            yield
        except (FFmpegError, ValueError) as error:
            if isinstance(error, OSError) and not isinstance(error, FFmpegError):
                raise
            raise MediaError(
                f"the sound of {_named(self._path)} cannot be written to a {self._suffix} file: {ffmpeg_line(error)}",
                hint="write to a .mov or .mkv file, which hold almost every kind, or leave it out with --no-audio",
            ) from error

    def up_to(self, seconds: Fraction) -> None:
        """Copies the packets that start before ``seconds``, so that sound and pictures are interleaved."""
        while self._next is not None and (self._next.pts or 0) * self._next.time_base <= seconds:
            self._copy()

    def rest(self) -> None:
        """Copies the remaining packets."""
        while self._next is not None:
            self._copy()

    def _copy(self) -> None:
        if self._next is not None and self._target is not None:
            with self._sound_errors():
                self._last = _mux(self._next, self._output, self._target, self._last)
            self._next = next(self._source, None)


def _mux(packet: Packet, output: OutputContainer, target: Stream, last: tuple[int, int] | None) -> tuple[int, int]:
    """Writes ``packet``, not before the one that ended at ``last``; its own time and end, in ticks of ``target``.

    A missing time follows from the packet before, and one that does not come after it is moved by a tick.
    """
    assert target.time_base is not None
    packet.rescale_ts(AVRational(target.time_base))
    before, expected = last if last is not None else (None, 0)
    dts = packet.dts if packet.dts is not None else packet.pts if packet.pts is not None else expected
    pts = packet.pts if packet.pts is not None else dts
    if before is not None and dts <= before:
        pts += before + 1 - dts
        dts = before + 1
    packet.dts, packet.pts, packet.stream = dts, pts, target
    output.mux_one(packet)
    return dts, dts + (packet.duration or 1)


def _unframed(stream: AudioStream, packets: Iterator[Packet]) -> Iterator[Packet]:
    """The packet's bytes, of AAC without the ADTS header."""
    context = stream.codec_context
    if context is None or context.name != "aac" or context.extradata:
        yield from packets
        return
    strip = BitStreamFilterContext("aac_adtstoasc", in_stream=stream)
    for packet in packets:
        yield from strip.filter(packet)
    yield from strip.filter(None)
