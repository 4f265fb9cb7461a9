"""Runs waiting jobs as child processes, few at a time, and ends those that exceed their limits.

One thread starts and watches all of them: on Linux a process that is told when its parent ends is told when the thread
that started it ends.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from shared.console import PROGRESS_FILE
from shared.errors import AssayError
from shared.web.jobs.limits import BOOT
from shared.web.jobs.record import OUTPUT, PROGRESS, Job, JobRecord, JobState, records

LONG = "train"
_TICK_SECONDS = 0.2
_MAX_OUTPUT_BYTES = 32 << 20
_STOP_SECONDS = 30.0
"""How long a job may take to save its work once it is told to stop."""
_KILL_SECONDS = 5.0
_ERROR_LINE = re.compile(r"^error: (.*)$", re.MULTILINE)


@dataclass
class _Running:
    record: JobRecord
    job: Job
    process: subprocess.Popen[bytes]
    began: float
    stop_at: float | None = None
    why: str = ""
    by_user: bool = False


@dataclass
class JobQueue:
    """The queue of one server. Call :meth:`start`, and :meth:`close` at the end.

    Attributes:
        jobs: folder of the records.
        at_once: jobs that run at a time, trainings not counted; of trainings one.
    """

    jobs: Path
    at_once: int = 1
    _running: dict[str, _Running] = field(default_factory=dict)
    _stops: set[str] = field(default_factory=set)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _ended: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

    def start(self) -> None:
        """Marks jobs that an earlier server left unfinished, and begins to run those that wait."""
        for one in records(self.jobs):
            with suppress(AssayError):
                if one.state().state == "running":
                    one.change(state="stopped", ended=time.time(), why="the server ended while it ran")
        self._thread = threading.Thread(target=self._loop, name="jobs", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Tells all jobs to stop, waits until they saved their work, and ends those that do not."""
        self._ended.set()
        if self._thread is not None:
            self._thread.join(_STOP_SECONDS + 10)

    def add(self, job: Job) -> JobRecord:
        """Puts a job at the end of the queue.

        Raises:
            StorageError: writing failed.
        """
        return JobRecord.create(self.jobs, job)

    def stop(self, key: str) -> None:
        """Stops a job that runs, or takes one that waits out of the queue."""
        with self._lock:
            self._stops.add(key)

    def _loop(self) -> None:
        while not self._ended.wait(_TICK_SECONDS):
            self._watch()
            self._obey_stops()
            with suppress(AssayError, OSError):
                self._start_waiting()
        for one in self._running.values():
            self._tell(one, "the server was stopped")
        until = time.monotonic() + _STOP_SECONDS
        while self._running and time.monotonic() < until:
            self._watch()
            time.sleep(_TICK_SECONDS / 2)
        for one in list(self._running.values()):
            _kill(one.process.pid)
            with suppress(subprocess.TimeoutExpired):
                one.process.wait(_KILL_SECONDS)
        self._watch()

    def _obey_stops(self) -> None:
        with self._lock:
            keys, self._stops = self._stops, set()
        for key in keys:
            one = self._running.get(key)
            if one is not None:
                one.by_user = True
                self._tell(one, "stopped from the page")
                continue
            with suppress(AssayError):
                found = next((each for each in records(self.jobs) if each.key == key), None)
                if found is not None and found.state().state == "waiting":
                    found.change(state="stopped", ended=time.time(), why="taken out of the queue")

    def _start_waiting(self) -> None:
        for one in records(self.jobs):
            if one.key in self._running:
                continue
            with suppress(AssayError):
                if one.state().state == "waiting" and self._has_room(one.job()):
                    self._launch(one, one.job())

    def _has_room(self, job: Job) -> bool:
        kinds = [each.job.kind for each in self._running.values()]
        longs = kinds.count(LONG)
        return longs < 1 if job.kind == LONG else len(kinds) - longs < self.at_once

    def _launch(self, one: JobRecord, job: Job) -> None:
        environment = {
            **os.environ,
            PROGRESS_FILE: str(one.folder / PROGRESS),
            "PYTHONPATH": os.pathsep.join(entry for entry in sys.path if entry),
            "PYTHONUNBUFFERED": "1",
            "NO_COLOR": "1",
            "COLUMNS": "100",
        }
        words = [sys.executable, "-c", BOOT, str(os.getpid()), str(job.memory_bytes), *job.words]
        began = time.time()
        try:
            with (one.folder / OUTPUT).open("ab") as output:
                process = subprocess.Popen(
                    words, stdin=subprocess.DEVNULL, stdout=output, stderr=output, env=environment,
                    start_new_session=True, cwd=self.jobs.parent.parent,
                )  # fmt: skip
        except OSError as error:
            one.change(state="failed", began=began, ended=began, why=f"it could not be started: {error.strerror}")
            return
        self._running[one.key] = _Running(one, job, process, began)
        one.change(state="running", pid=process.pid, began=began, why="")

    def _watch(self) -> None:
        for key, one in list(self._running.items()):
            code = one.process.poll()
            if code is not None:
                del self._running[key]
                with suppress(AssayError):  # a full disk: the next server marks it as stopped
                    one.record.change(**_end_of(one, code))
                continue
            if one.stop_at is not None:
                if time.monotonic() > one.stop_at:
                    _kill(one.process.pid)
                continue
            fault = _exceeded(one)
            if fault:
                self._tell(one, fault)

    def _tell(self, one: _Running, why: str) -> None:
        """Interrupts a job as Ctrl-C does, so that it saves its work; it is killed if that takes too long."""
        if one.stop_at is None:
            one.why, one.stop_at = why, time.monotonic() + _STOP_SECONDS
            with suppress(OSError):
                one.process.send_signal(signal.SIGINT)


def _exceeded(one: _Running) -> str:
    """Why a job has to end; empty while it keeps its limits."""
    if time.time() - one.began > one.job.seconds:
        return f"it took longer than its {one.job.seconds / 60:.0f} minutes"
    with suppress(OSError):
        if (one.record.folder / OUTPUT).stat().st_size > _MAX_OUTPUT_BYTES:
            return "it printed more than 32 MiB"
    if _memory_bytes(one.process.pid) > one.job.memory_bytes:
        return f"it needed more than its {one.job.memory_bytes / 1e9:.3g} GB of memory"
    return ""


def _memory_bytes(pid: int) -> int:
    """Resident memory of a process and its children."""
    total = 0
    with suppress(psutil.Error):
        parent = psutil.Process(pid)
        for each in (parent, *parent.children(recursive=True)):
            with suppress(psutil.Error):
                total += each.memory_info().rss
    return total


def _kill(pid: int) -> None:
    """Kills a process and its children."""
    with suppress(psutil.Error):
        parent = psutil.Process(pid)
        for each in (*parent.children(recursive=True), parent):
            with suppress(psutil.Error):
                each.kill()


def _end_of(one: _Running, code: int) -> dict[str, object]:
    ended = {"ended": time.time(), "code": code, "pid": 0}
    if code == 0:
        return {**ended, "state": "done", "why": ""}
    if one.why:
        ours = one.by_user or one.why == "the server was stopped"
        return {**ended, "state": "stopped" if ours else "failed", "why": one.why}
    said = _ERROR_LINE.findall(one.record.output())
    if said:
        return {**ended, "state": "failed", "why": said[-1][:500]}
    died = f"it died with signal {-code}" if code < 0 else f"it ended with status {code}"
    return {**ended, "state": "failed", "why": died}


__all__ = ["JobQueue", "JobState"]
