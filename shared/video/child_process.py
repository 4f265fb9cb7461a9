"""The child's side of :mod:`shared.video.child`: limits itself, then answers the parent's requests.

A message is a kind, a JSON value and a body of bytes, preceded by their lengths. Nothing is pickled, so that a decoder
compromised by a hostile file can send the parent data, but no code.
"""

from __future__ import annotations

import importlib
import os
import signal
import struct
import sys
from collections.abc import Generator, Iterator
from contextlib import closing, suppress
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import msgspec

from shared.errors import AssayError, MediaError
from shared.storage import decode_json
from shared.video.child_limits import Bounds, limit

if TYPE_CHECKING:
    from av.video.frame import VideoFrame

    from shared.types import Frame, Timestamp
    from shared.video.child import ClipReader
    from shared.video.images import PictureReader
    from shared.video.reader import VideoReader

MAX_VALUE_BYTES = 64 << 20
MAX_BODY_BYTES = 1 << 30

_LENGTHS = struct.Struct("<8sII")


@dataclass(frozen=True)
class Request:
    """A call of ``function`` ("module:name") with ``path`` and numbers; one that streams also gets the pipe."""

    function: str
    path: str
    arguments: tuple[str | int | None, ...] = ()
    stream: bool = False


@dataclass(frozen=True)
class Count:
    """Progress of a pass: frames decoded, decoding failures, times repaired."""

    frames: int = 0
    failures: int = 0
    repaired: int = 0


@dataclass(frozen=True)
class FrameHead:
    """The data of a frame except its picture, which is the message's body."""

    index: int
    pts: int
    time_base: Fraction
    height: int
    width: int


class Pipe:
    """The sending end."""

    def __init__(self, out: IO[bytes]) -> None:
        self._out = out

    def send(self, kind: str, value: object = None, body: Any = b"") -> None:
        """Sends one message.

        Raises:
            OSError: the parent has closed the pipe.
        """
        send(self._out, kind, value, body)


def path_text(path: Path) -> str:
    """The path as text that JSON can hold, also when its name is not UTF-8."""
    return os.fsencode(path).hex()


def path_of(text: str) -> Path:
    """The path that :func:`path_text` wrote."""
    return Path(os.fsdecode(bytes.fromhex(text)))


def send(out: IO[bytes], kind: str, value: object, body: Any = b"") -> None:
    """Writes one message; ``kind`` has at most eight letters."""
    data, body = msgspec.json.encode(value, enc_hook=_plain), memoryview(body).cast("B")
    out.write(_LENGTHS.pack(kind.encode(), len(data), len(body)))
    out.write(data)
    out.write(body)
    out.flush()


def receive(source: IO[bytes]) -> tuple[str, bytes, bytearray]:
    """Kind, JSON value and body of the next message.

    Raises:
        EOFError: the other side has ended.
        ValueError: the message is too long, or has no kind.
    """
    kind, value_bytes, body_bytes = _LENGTHS.unpack(_exactly(source, _LENGTHS.size))
    if value_bytes > MAX_VALUE_BYTES or body_bytes > MAX_BODY_BYTES:
        raise ValueError("it is too long")
    value = bytes(_exactly(source, value_bytes))
    return kind.rstrip(b"\0").decode("ascii"), value, _exactly(source, body_bytes)


def read_back(kind: Any, value: Any) -> Any:
    """Restores a value of a type that JSON lacks from the form that :func:`send` wrote.

    Raises:
        ValueError: it is not of that type.
    """
    if kind is Fraction and isinstance(value, list) and len(value) == 2 and all(isinstance(one, int) for one in value):
        return Fraction(*value) if value[1] else Fraction(0)
    raise ValueError(f"it holds no {kind}")


def _plain(value: object) -> object:
    if isinstance(value, Fraction):
        return [value.numerator, value.denominator]
    raise TypeError(f"{type(value)} has no place in a message")


def _exactly(source: IO[bytes], count: int) -> bytearray:
    data = bytearray(count)
    view, got = memoryview(data), 0
    while got < count:
        more = source.readinto(view[got:])  # type: ignore[attr-defined]
        if not more:
            raise EOFError
        got += more
    return data


def serve() -> None:
    """Main function of the child: sets limits, then answers requests until the parent closes the pipe."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent handles interrupts
    source = sys.stdin.buffer
    with os.fdopen(os.dup(1), "wb") as out:
        os.dup2(2, 1)  # keeps printed text out of the messages
        pipe = Pipe(out)
        with suppress(EOFError, BrokenPipeError):
            bounds = decode_json(receive(source)[1], Bounds, "the request", error=MediaError)
            readable = tuple(str(path_of(one)) for one in bounds.readable)
            pipe.send("ready", limit(replace(bounds, readable=readable)))
            while True:
                request = decode_json(receive(source)[1], Request, "the request", error=MediaError)
                if not _answer(pipe, request):
                    return


def _answer(pipe: Pipe, request: Request) -> bool:
    """Answers one request; whether another can follow."""
    try:
        module, _, name = request.function.partition(":")
        function = getattr(importlib.import_module(module), name)
        path = path_of(request.path)
        result = function(pipe, path, *request.arguments) if request.stream else function(path, *request.arguments)
        pipe.send("done", result)
    except BrokenPipeError:
        raise
    except AssayError as error:
        pipe.send("refused", (str(error).encode("utf-8", "backslashreplace").decode(), error.hint))
    except MemoryError:
        pipe.send("memory")
        return False
    except Exception as error:  # noqa: BLE001 - the parent reports it
        pipe.send("failed", f"{type(error).__name__}: {error}"[:500])
        return False
    return True


def frames(pipe: Pipe, path: Path, still: bool, start: int, stop: int | None, step: int) -> None:
    """Sends the frames whose index is in ``range(start, stop, step)``, pictures as bodies; then the final counters.

    The counters are also sent after every decoded frame, as a sign of progress.
    """
    with _counting(pipe, path, still) as reader:
        _send_frames(pipe, reader, reader.frames(start=start, stop=stop, step=step))


def picked(pipe: Pipe, path: Path, still: bool, indices: str) -> None:
    """As :func:`frames`, of the frames whose numbers ``indices`` lists with commas between."""
    with _counting(pipe, path, still) as reader:
        _send_frames(pipe, reader, reader.picked({int(each) for each in indices.split(",")}))


def _counting(pipe: Pipe, path: Path, still: bool) -> VideoReader | PictureReader:
    """A reader that sends its counters after every decoded frame."""
    from shared.video.images import PictureReader
    from shared.video.reader import VideoReader

    class Counting(VideoReader):
        def _stamped(self) -> Generator[tuple[Timestamp, VideoFrame], None, None]:
            with closing(super()._stamped()) as stamped:
                for each in stamped:
                    pipe.send("count", _count(self))
                    yield each

    return PictureReader(path) if still else Counting(path)


def _send_frames(pipe: Pipe, reader: ClipReader, wanted: Iterator[Frame]) -> None:
    for frame in wanted:
        height, width = frame.image.shape[:2]
        image = frame.image if frame.image.flags.c_contiguous else frame.image.copy()
        pipe.send("frame", FrameHead(frame.index, frame.time.pts, frame.time.time_base, height, width), image)
    _send_counters(pipe, reader)


def times(pipe: Pipe, path: Path) -> None:
    """Sends the time of every frame; then the final counters."""
    from shared.video.reader import VideoReader

    with VideoReader(path) as reader:
        for moment in reader.times():
            pipe.send("time", moment)
        _send_counters(pipe, reader)


def _count(reader: ClipReader) -> Count:
    return Count(reader.frames_decoded, reader.decode_failures, reader.times_repaired)


def _send_counters(pipe: Pipe, reader: ClipReader) -> None:
    pipe.send("count", _count(reader))
    pipe.send("jumps", (list(reader.clock_restarts), list(reader.size_changes)))
