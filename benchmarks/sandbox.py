"""Runs command lines one after another, each in a process that was forked from one with all libraries loaded.

A run has limits of time and memory, can be sent a signal at a moment, and is watched: connections, and files opened
outside the folders that it may use. Python's own doings are seen by an audit hook; what libraries written in C do is
seen from outside, by a folder of decoys whose files nobody may open and a port to which nobody may connect.

Linux only: it forks, and watches by inotify.
"""

from __future__ import annotations

import atexit
import ctypes
import gc
import importlib
import json
import multiprocessing
import os
import resource
import shutil
import signal
import socket
import sys
import threading
import time
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Literal, NoReturn, cast

from shared.errors import RunError
from shared.storage import decode_json

TRACEBACK = 70
"""Exit code of a run that ended in an exception that nobody had translated."""
RUNAWAY_MB = 6144
"""Address space a run may take beyond what its parent has, so that it cannot harm the machine."""

Event = Literal["connection", "outside"]

_PRELOAD = (
    "shared.cli", "shared.commands.demo", "shared.faces.facesets.extract", "shared.dataset.formats.importing",
    "forge.building.build", "forge.swapping.clip", "forge.swapping.images", "forge.training.train",
    "detect.inspection.inspect", "detect.evaluation.evaluate", "detect.training.train", "detect.scoreboard.board",
    "tensorboard.compat.proto", "torch.utils.tensorboard", "c2pa", "timm", "shared.weights", "filelock",
)  # fmt: skip
_POLL_SECONDS = 0.004
_PATIENCE = 4
_SYSTEM = ("/usr", "/lib", "/lib64", "/etc", "/proc", "/sys", "/dev", "/bin", "/run/systemd", "<")
_IN_OPEN = 0x20


@dataclass(frozen=True)
class Job:
    """One run.

    Attributes:
        words: the command line, without ``assay``.
        folder: working and temporary folder.
        readable, writable: folders that the run may use, beside ``folder`` and the system's own.
        seconds: it is killed after that much processor time, or four times as much on the clock.
        stop_after: a moment in seconds and the signal that is sent then.
        home: the user's folder of keys; by default the sandbox's own, where what one run writes is met by the next.
        log: folder that receives ``stdout``, ``stderr`` and ``events``; by default the working folder.
        prepare: ``module:function`` called in the new process before the command, with ``prepare_with``.
    """

    words: tuple[str, ...]
    folder: Path
    readable: tuple[Path, ...] = ()
    writable: tuple[Path, ...] = ()
    seconds: float = 60.0
    stop_after: tuple[float, int] | None = None
    home: Path | None = None
    log: Path | None = None
    prepare: str = ""
    prepare_with: tuple[Any, ...] = ()

    @property
    def notes(self) -> Path:
        """Where what it said and what was seen is written."""
        return self.log or self.folder


@dataclass(frozen=True)
class Ended:
    """How a run ended: its exit code, or minus the signal; seconds, peak memory, what was seen, and what it said."""

    code: int
    timed_out: bool
    signalled: bool
    seconds: float
    cpu_seconds: float
    peak_mb: float
    events: tuple[tuple[Event, str], ...] = ()
    said: str = ""


class Sandbox:
    """A context manager; :meth:`run` runs one job at a time.

    Args:
        home: the user's folder of keys for all of them.
        number: of several side by side, which have decoys of their own.
    """

    def __init__(self, home: Path, number: int = 0) -> None:
        self.home = home
        self._decoys = _Decoys(home.parent / f"decoys-{number}")

    def __enter__(self) -> Sandbox:
        context = multiprocessing.get_context("spawn")
        self._line, theirs = context.Pipe()
        self._server = context.Process(target=_serve, args=(theirs, str(self.home)))
        self._server.start()
        theirs.close()
        return self

    def __exit__(self, *_: object) -> None:
        self._line.close()
        self._server.join(20)
        self._server.kill()
        self._decoys.close()

    @property
    def decoy(self) -> Path:
        """A file that nobody may open: what hostile files point at."""
        return self._decoys.file

    @property
    def port(self) -> int:
        """A port of this machine to which nobody may connect."""
        return self._decoys.port

    def run(self, job: Job) -> Ended:
        """Runs ``job`` and waits for its end."""
        self._line.send(job)
        ended: Ended = self._line.recv()
        return Ended(**{**vars(ended), "events": (*ended.events, *self._decoys.touched())})


class _Decoys:
    """A file and a port that nobody may touch, and who did so since it was last asked."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True)
        self.file = folder / "decoy.mp4"
        self.file.write_bytes(b"decoy")
        self._socket = socket.create_server(("127.0.0.1", 0))
        self._socket.setblocking(False)
        self.port: int = self._socket.getsockname()[1]
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._watch = self._libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
        self._libc.inotify_add_watch(self._watch, os.fsencode(folder), _IN_OPEN)

    def touched(self) -> Iterator[tuple[Event, str]]:
        """What has happened since."""
        try:
            while True:
                connection, who = self._socket.accept()
                connection.close()
                yield "connection", f"from {who[0]}"
        except BlockingIOError:
            pass
        try:
            if os.read(self._watch, 1 << 16):
                yield "outside", f"{self.file} was opened"
        except BlockingIOError:
            pass

    def close(self) -> None:
        self._socket.close()
        os.close(self._watch)


def _serve(line: Connection, home: str) -> None:
    """The parent of all runs: loads the libraries, starts no thread, forks."""
    os.environ["ASSAY_HOME"] = home
    os.environ["OMP_NUM_THREADS"] = "1"
    _load()
    while True:
        try:
            job: Job = line.recv()
        except EOFError:
            return
        started = time.monotonic()
        pid = os.fork()
        if pid == 0:
            line.close()
            _leave(_run(job))
        ended = _await(pid, job, started)
        try:
            line.send(ended)
        except BrokenPipeError:  # who asked is gone
            return


def _leave(code: int) -> NoReturn:
    """The usual end of a process, which waits for threads, but does not take everything apart first."""
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    os._exit(code)


def _load() -> None:
    """Imports what commands import, and keeps models that never change, as a process that runs several files would."""
    for name in _PRELOAD:
        importlib.import_module(name)
    import cv2
    import numpy as np
    import torch

    cv2.setNumThreads(0)
    torch.set_num_threads(1)
    from shared.cli import command_tree
    from shared.faces.finders.finder import make_finder

    command_tree()
    make_finder("dlib").find([np.zeros((64, 64, 3), np.uint8)])  # its models stay with the process
    gc.freeze()  # so that no run copies all pages to count what nobody changes


def _await(pid: int, job: Job, started: float) -> Ended:
    timed_out = signalled = False
    while True:
        found, status, usage = os.wait4(pid, os.WNOHANG)
        if found:
            break
        passed = time.monotonic() - started
        if job.stop_after is not None and not signalled and passed >= job.stop_after[0]:
            _signal(pid, job.stop_after[1])
            signalled = True
        if not timed_out and passed >= _PATIENCE * job.seconds:
            timed_out = True
            _signal(pid, signal.SIGKILL)
        time.sleep(_POLL_SECONDS)
    _signal(pid, signal.SIGKILL)  # what it may have started
    seconds = time.monotonic() - started
    code = os.waitstatus_to_exitcode(status)
    timed_out = timed_out or code == -signal.SIGXCPU
    return Ended(
        code, timed_out, signalled, seconds, usage.ru_utime + usage.ru_stime,
        usage.ru_maxrss / 1024,
        tuple(_events(job.notes)), _said(job.notes),
    )  # fmt: skip


def _signal(pid: int, number: int) -> None:
    """To the run and all that it started; as long as it has no group of its own yet, to it alone."""
    try:
        os.killpg(pid, number)
    except ProcessLookupError:
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            return


def _said(folder: Path) -> str:
    return "".join(
        (folder / name).read_text("utf-8", "replace") for name in ("stdout", "stderr") if (folder / name).exists()
    )


def _events(folder: Path) -> Iterator[tuple[Event, str]]:
    try:
        lines = (folder / "events").read_text("utf-8", "replace").splitlines()
    except FileNotFoundError:
        return
    for line in dict.fromkeys(lines):
        kind, what = decode_json(line, list[str], "events", error=RunError)
        yield cast(Event, kind), what


def _run(job: Job) -> int:
    """In the new process: limits, the watch, the command."""
    os.setsid()

    signal.signal(signal.SIGINT, signal.default_int_handler)
    for folder in (job.folder, job.notes):
        folder.mkdir(parents=True, exist_ok=True)
    os.chdir(job.folder)
    for number, name in ((1, "stdout"), (2, "stderr")):
        os.dup2(os.open(job.notes / name, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600), number)
    most = _address_space() + (RUNAWAY_MB << 20)
    resource.setrlimit(resource.RLIMIT_AS, (most, most))
    resource.setrlimit(resource.RLIMIT_CPU, (int(job.seconds), int(job.seconds) + 1))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    os.environ["ASSAY_HOME"] = str(job.home or os.environ["ASSAY_HOME"])
    os.environ["TMPDIR"] = str(job.folder)
    os.environ["COLUMNS"] = "200"
    import tempfile

    tempfile.tempdir = str(job.folder)
    sys.addaudithook(_Watch(job))
    try:
        if job.prepare:
            module, _, name = job.prepare.partition(":")
            getattr(importlib.import_module(module), name)(*job.prepare_with)
        from shared.cli import run

        return run(list(job.words))
    except BaseException:  # noqa: BLE001 - that there is one is the finding
        traceback.print_exc()
        return TRACEBACK
    finally:
        sys.stdout.flush()
        sys.stderr.flush()


def _address_space() -> int:
    return int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()


@dataclass
class _Watch:
    """The audit hook: notes connections, and files opened outside what the job may use."""

    job: Job
    _readable: tuple[str, ...] = field(init=False)
    _writable: tuple[str, ...] = field(init=False)
    _file: int = field(init=False)

    def __post_init__(self) -> None:
        own = [self.job.folder, self.job.notes, *self.job.writable, Path(os.environ["ASSAY_HOME"])]
        program = [Path(sys.prefix), Path(sys.base_prefix), Path(__file__).parent.parent, *map(Path, sys.path)]
        caches = [Path("~/.cache/matplotlib").expanduser(), Path("~/.config/matplotlib").expanduser()]
        self._writable = _prefixes([*own, *caches, Path("/dev")])
        self._readable = (
            *self._writable,
            *_prefixes([*self.job.readable, *filter(Path.is_absolute, program)]),
            *_SYSTEM,
        )
        self._file = os.open(self.job.notes / "events", os.O_CREAT | os.O_WRONLY | os.O_APPEND | os.O_TRUNC, 0o600)

    def __call__(self, event: str, arguments: tuple[Any, ...]) -> None:
        if event in ("socket.connect", "socket.getaddrinfo", "socket.sendto"):
            self._note("connection", f"{event} {arguments[1:]!r}"[:200])
        elif event == "open" and isinstance(arguments[0], str | bytes):
            path = os.path.abspath(os.fsdecode(arguments[0]))  # noqa: PTH100 - it must not look at the disk
            flags = arguments[2] if isinstance(arguments[2], int) else 0
            writes = bool(flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT))
            if not path.startswith(self._writable if writes else self._readable):
                self._note("outside", f"{'wrote' if writes else 'read'} {path}"[:300])

    def _note(self, kind: Event, what: str) -> None:
        os.write(self._file, json.dumps([kind, what]).encode() + b"\n")


def _prefixes(folders: Sequence[Path]) -> tuple[str, ...]:
    return tuple({text for folder in folders for text in (str(folder), str(folder.resolve()))})


def copied_home(home: Path, folder: Path) -> Path:
    """The keys of ``home`` in ``folder/home``, where a run may use them without another's traces; left if it is there.

    Without it, a copy of a dataset that an earlier run had written to would be refused: its seal is an older one.
    """
    if not (folder / "home").exists():
        shutil.copytree(home / "config", folder / "home" / "config")
    return folder / "home"


@contextmanager
def quiet_home(folder: Path) -> Iterator[Path]:
    """The user's folder of keys moved to ``folder`` while the block runs, in this process."""
    before = os.environ.get("ASSAY_HOME")
    os.environ["ASSAY_HOME"] = str(folder)
    try:
        yield folder
    finally:
        if before is None:
            del os.environ["ASSAY_HOME"]
        else:
            os.environ["ASSAY_HOME"] = before
