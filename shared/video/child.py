"""Reads an untrusted file in a separate process, so that a crash of a decoder ends only that process.

Its memory, processor time and time between answers are limited by :class:`ChildLimits`. The child writes no file, reads
only this file and the manifest beside it, has no network, and gets neither the arguments nor the environment of this
process. It sends plain data of bounded size. Limits that the system does not support are listed in ``Child.missing``.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Collection, Generator, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import IO, Any, TypeVar, get_type_hints

import numpy as np

from shared.errors import MediaError
from shared.storage import decode_json
from shared.types import ClockRestart, Frame, Timestamp, VideoInfo
from shared.video import child_process
from shared.video.child_limits import Bounds
from shared.video.child_process import Count, FrameHead, Request, path_text, read_back, receive, send
from shared.video.images import PictureReader, picture_info
from shared.video.reader import VideoReader, probe

T = TypeVar("T")
Message = tuple[str, bytes, Any]
"""A message: kind, JSON value and body."""

# Isolated: neither the working directory nor PYTHONPATH names modules; the parent's own path does.
_BOOT = "import sys; sys.path[:] = sys.argv[1:]; from shared.video.child_process import serve; serve()"
_KEPT = ("SYSTEMROOT", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "LANG")
_ONE_THREAD = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "MALLOC_ARENA_MAX": "2"}
_PIPE_BYTES = 1 << 20
_BYTES_A_SECOND = 10e6
_START_SECONDS = 120.0
_WAIT_FACTOR = 10
"""Longest time that a child is waited for, over its processor time: one that idles between messages ends too."""
_HINT = "what was read so far is kept; inspect a copy, or one that was converted by another program"


@dataclass(frozen=True)
class ChildLimits:
    """Limits on the process that reads one file."""

    memory_gb: float = 8.0
    """Address space of the child, where the system can limit it (not macOS, Windows)."""
    silence_seconds: float = 60.0
    """Longest time between two frames; before the first, and for other answers, 120 s or more, by the file's size."""
    cpu_seconds: float = 600.0
    """Processor time of all threads together; more for larger files, see ``cpu_seconds_per_mb``."""
    cpu_seconds_per_mb: float = 100.0
    """Processor time on top of that for each megabyte of the file."""


class ChildError(MediaError):
    """The child ended before it answered; ``cause`` is the reason, worded to follow "because"."""

    def __init__(self, path: Path, cause: str, hint: str = _HINT) -> None:
        super().__init__(f"{path} could not be read: {cause}", hint=hint)
        self.cause = cause


class Child:
    """Runs functions on one file in child processes, one request at a time in each. A context manager.

    Attributes:
        missing: limits that this system does not support; known once a child has run.
    """

    def __init__(self, path: Path, limits: ChildLimits = ChildLimits()) -> None:
        self.path = path
        self.limits = limits
        self.missing: tuple[str, ...] = ()
        self._all: list[_Process] = []

    def __enter__(self) -> Child:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        while self._all:
            self._all.pop().end()

    def reader(self, *, still: bool = False) -> ClipReader:
        """A reader of the frames of a video, or of a still picture.

        Raises:
            MediaError: the first frame cannot be decoded.
        """
        return ChildReader(self, still=still)

    def call(self, function: Callable[..., T], *arguments: str | int | None) -> T:
        """Runs ``function(path, *arguments)``, defined at module level, in the child; its result.

        Raises:
            MediaError: the function raised it, or the child died.
        """
        patience = self.limits.silence_seconds + self.path.stat().st_size / _BYTES_A_SECOND
        request = Request(f"{function.__module__}:{function.__name__}", path_text(self.path.absolute()), arguments)
        kind = get_type_hints(function)["return"]
        with closing(self._answers(request, patience)) as answers:
            what, value, _ = next(answers)
            if what != "done":
                raise ChildError(self.path, "the decoder does not do what it is asked")
            return decoded(value, kind, self.path)

    def stream(self, function: Callable[..., None], *arguments: str | int | None) -> Generator[Message]:
        """The messages of ``function(pipe, path, *arguments)``: kind, value as JSON, body.

        Raises:
            MediaError: as for :meth:`call`, after the messages received before it.
        """
        name = f"{function.__module__}:{function.__name__}"
        request = Request(name, path_text(self.path.absolute()), arguments, stream=True)
        with closing(self._answers(request, self.limits.silence_seconds)) as answers:
            yield from (each for each in answers if each[0] != "done")

    def _answers(self, request: Request, patience: float) -> Generator[Message]:
        with self._process() as process:
            process.ask(request)
            allowed = max(patience, _START_SECONDS)  # the child may have to import libraries first
            while True:
                kind, value, body = process.answer(allowed)
                allowed = patience
                if kind == "refused":
                    message, hint = decoded(value, tuple[str, str | None], self.path)
                    process.free = True
                    raise MediaError(message, hint=hint)
                process.free = kind == "done"
                yield kind, value, body
                if process.free:
                    return

    @contextmanager
    def _process(self) -> Iterator[_Process]:
        process = next((one for one in self._all if one.free), None) or _Process(self.path, self.limits)
        process.free, self.missing = False, process.missing
        self._all = [*(one for one in self._all if one is not process), process]
        try:
            yield process
        finally:
            if not process.free:
                process.end()
                self._all = [one for one in self._all if one is not process]


class NoChild:
    """Replaces :class:`Child` without a child process: everything runs in this one."""

    missing = ("separate process",)

    def __init__(self, path: Path) -> None:
        self.path = path

    def __enter__(self) -> NoChild:
        return self

    def __exit__(self, *ended: object) -> None:
        return None

    def reader(self, *, still: bool = False) -> ClipReader:
        """As :meth:`Child.reader`."""
        return PictureReader(self.path) if still else VideoReader(self.path)

    def call(self, function: Callable[..., T], *arguments: str | int | None) -> T:
        """As :meth:`Child.call`."""
        return function(self.path, *arguments)


class ChildReader:
    """Frames of one file that a child decodes, read as those of :class:`shared.video.reader.VideoReader`.

    If the child fails after the first frame, the pass ends there and ``stopped`` says why.

    Raises:
        MediaError: the first frame cannot be decoded.
    """

    def __init__(self, child: Child, *, still: bool = False) -> None:
        self._child, self._still = child, still
        self.path = child.path
        self.info: VideoInfo = child.call(picture_info if still else probe)
        self.stopped: str | None = None
        self.clock_restarts: tuple[ClockRestart, ...] = ()
        self.size_changes: tuple[tuple[int, int, int], ...] = ()
        self._count = Count()

    @property
    def frames_decoded(self) -> int:
        """Frames of the latest pass, so far."""
        return self._count.frames

    @property
    def decode_failures(self) -> int:
        """Damaged packets and frames of the latest pass, so far."""
        return self._count.failures

    @property
    def times_repaired(self) -> int:
        """Frames of the latest pass, so far, without a usable time of their own."""
        return self._count.repaired

    def __enter__(self) -> ChildReader:
        return self

    def __exit__(self, *ended: object) -> None:
        return None

    def frames(self, *, start: int = 0, stop: int | None = None, step: int = 1) -> Iterator[Frame]:
        """As :meth:`shared.video.reader.VideoReader.frames`."""
        yield from self._pictures(child_process.frames, start, stop, step)

    def picked(self, indices: Collection[int]) -> Iterator[Frame]:
        """As :meth:`shared.video.reader.VideoReader.picked`."""
        if indices:
            yield from self._pictures(child_process.picked, ",".join(map(str, sorted(indices))))

    def _pictures(self, function: Callable[..., None], *arguments: str | int | None) -> Iterator[Frame]:
        for value, body in self._pass("frame", function, int(self._still), *arguments):
            head = decoded(value, FrameHead, self.path)
            try:
                image = np.frombuffer(body, np.uint8).reshape(head.height, head.width, 3)
                yield Frame(head.index, Timestamp(head.pts, head.time_base), image)
            except (ArithmeticError, ValueError) as error:
                raise ChildError(self.path, "the decoder sent an invalid frame") from error

    def times(self) -> Iterator[Timestamp]:
        """As :meth:`shared.video.reader.VideoReader.times`."""
        for value, _ in self._pass("time", child_process.times):
            self._count = Count(self._count.frames + 1, self._count.failures, self._count.repaired)
            yield decoded(value, Timestamp, self.path)

    def _pass(
        self, wanted: str, function: Callable[..., None], *arguments: str | int | None
    ) -> Iterator[tuple[bytes, Any]]:
        self._count, self.stopped = Count(), None
        self.clock_restarts, self.size_changes = (), ()
        given = 0
        try:
            with closing(self._child.stream(function, *arguments)) as messages:
                for kind, value, body in messages:
                    if kind == wanted:
                        given += 1
                        yield value, body
                    elif kind == "count":
                        self._count = decoded(value, Count, self.path)
                    elif kind == "jumps":
                        jumps = tuple[tuple[ClockRestart, ...], tuple[tuple[int, int, int], ...]]
                        self.clock_restarts, self.size_changes = decoded(value, jumps, self.path)
        except MediaError as error:
            if not given:
                raise
            self.stopped = error.cause if isinstance(error, ChildError) else str(error)


ClipReader = VideoReader | PictureReader | ChildReader
"""A reader of the frames of one file."""


class _Process:
    """One child process and its supervision."""

    def __init__(self, path: Path, limits: ChildLimits) -> None:
        self.free = False
        self._path, self._limits = path, limits
        self._until, self._silent, self._waited = float("inf"), False, 0.0
        self._cpu_seconds = int(limits.cpu_seconds + limits.cpu_seconds_per_mb * path.stat().st_size / 1e6)
        try:
            self._running = subprocess.Popen(
                [sys.executable, "-IB", "-c", _BOOT, *(entry for entry in sys.path if entry)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env={name: os.environ[name] for name in _KEPT if name in os.environ} | _ONE_THREAD,
            )
        except OSError as error:
            raise MediaError(
                f"{path} cannot be read in a process of its own: {sys.executable} does not start: {error.strerror}",
                hint="isolated = false in a --config file reads it in this one",
            ) from error
        _widen(self._running.stdout)
        self._ended = threading.Event()
        threading.Thread(target=self._watch, daemon=True).start()
        try:
            files = tuple(path_text(one) for one in (path.absolute(), path.absolute().with_suffix(".c2pa")))
            self.ask(Bounds(int(limits.memory_gb * 2**30), self._cpu_seconds, files))
            kind, value, _ = self.answer(_START_SECONDS)
            if kind != "ready":
                raise self._died("the decoder does not answer requests")
            self.missing = decoded(value, tuple[str, ...], path)
        except BaseException:
            self.end()
            raise

    def ask(self, request: object) -> None:
        """Sends a request. If the child is dead, :meth:`answer` raises the error."""
        assert self._running.stdin is not None
        try:
            send(self._running.stdin, "request", request)
        except OSError:
            return

    def answer(self, patience: float) -> Message:
        """The next message that is not a report of a failure.

        Raises:
            ChildError: none within ``patience`` seconds, or the child reports a failure.
        """
        assert self._running.stdout is not None
        began = time.monotonic()
        left = _WAIT_FACTOR * self._cpu_seconds - self._waited
        self._until = began + min(patience, max(left, 0.0))
        try:
            kind, value, body = receive(self._running.stdout)
        except (EOFError, OSError) as error:
            self._waited += time.monotonic() - began
            raise self._died(self._cause(patience)) from error
        except ValueError as error:
            raise self._died(f"the decoder sent an invalid message: {error}") from error
        finally:
            self._until = float("inf")
        self._waited += time.monotonic() - began
        if kind == "memory":
            raise self._died(f"the decoder needed more than its {self._limits.memory_gb:g} GB of memory")
        if kind == "failed":
            raise self._died(f"the decoder failed ({decoded(value, str, self._path)})")
        return kind, value, body

    def end(self) -> None:
        """Kills the child."""
        self._ended.set()
        self._running.kill()
        self._running.wait()
        for pipe in (self._running.stdin, self._running.stdout):
            assert pipe is not None
            try:
                pipe.close()
            except OSError:
                continue  # unsent requests have no reader any more

    def _watch(self) -> None:
        while not self._ended.wait(0.1):
            if time.monotonic() > self._until:
                self._silent = True
                self._running.kill()
                return

    def _cause(self, patience: float) -> str:
        try:
            code = self._running.wait(timeout=5)
        except subprocess.TimeoutExpired:
            return "the decoder closed its pipe"
        if self._silent and self._waited >= _WAIT_FACTOR * self._cpu_seconds:
            return f"the decoder kept this process waiting for more than {_WAIT_FACTOR * self._cpu_seconds} s"
        if self._silent:
            return f"the decoder sent nothing for {patience:.0f} s and was ended"
        if code >= 0:
            return f"the decoder ended with status {code}"
        if -code == getattr(signal, "SIGXCPU", None):
            return f"the decoder used more than its {self._cpu_seconds} s of processor time"
        if -code == getattr(signal, "SIGKILL", None):
            return "the decoder was killed, as the system does where memory runs short"
        return f"the decoder died with signal {-code}"

    def _died(self, cause: str) -> ChildError:
        return ChildError(self._path, cause)


def _widen(pipe: IO[bytes] | None) -> None:
    """Makes room for whole frames in a pipe, if the system allows it: on Linux a user's pipes share a quota."""
    if sys.platform != "linux":
        return
    import fcntl

    with suppress(AttributeError, OSError):
        fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)  # type: ignore[arg-type]


def decoded(data: bytes, kind: type[T], path: Path) -> T:
    """A value of ``kind`` from what the child sent.

    Raises:
        ChildError: the value is of another type.
    """
    try:
        return decode_json(data, kind, "a message", error=MediaError, hook=read_back)
    except (MediaError, ArithmeticError, TypeError, ValueError) as error:
        raise ChildError(path, f"the decoder sent an invalid value ({error})") from error
