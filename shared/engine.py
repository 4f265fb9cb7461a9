"""Runs many tasks that wait for one another: the one seam between what is to be done and the machines that do it.

A task is a plain function of picklable arguments that names its files by path and writes only whole files, so that it
may run in another process or on another machine that sees the same folders, and may run twice.
"""

from __future__ import annotations

import contextlib
import heapq
import multiprocessing
import os
import signal
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import wait as wait_for
from pathlib import Path
from typing import Any, Protocol

from shared.console import console
from shared.errors import RunError, UsageError


@dataclass(frozen=True)
class Task:
    """One piece of work.

    Attributes:
        key: names it among the tasks of a run.
        function: of a module, so that another process can import it; called with ``arguments``.
        arguments: picklable.
        after: keys of the tasks that come before it; those that are not in the run count as done.
        device: where its networks run; an engine of many machines gives it a GPU of its own where it needs one.
    """

    key: str
    function: Callable[..., Any]
    arguments: tuple[Any, ...] = ()
    after: tuple[str, ...] = ()
    device: str = "cpu"


@dataclass(frozen=True)
class Done:
    """A finished task: what its function gave, and the processor time it took, in seconds of one core."""

    key: str
    result: Any
    seconds: float


class Engine(Protocol):
    """Runs tasks in an order that respects :attr:`Task.after`."""

    def need(self, folders: Sequence[Path], files: Sequence[Path] = ()) -> None:
        """Says where tasks will write and what they read: :meth:`run` refuses machines that do not see it."""
        ...

    def run(self, tasks: Sequence[Task]) -> Iterator[Done]:
        """Each task as it finishes, those that come first in ``tasks`` begun first.

        Raises:
            AssayError: a task failed; what it raised. Tasks under way are ended, none is begun.
        """
        ...


class LocalEngine:
    """Runs tasks in processes of this machine; with one job, in this very process.

    Args:
        jobs: how many at a time; None for one a core.

    Raises:
        UsageError: fewer than one job.
    """

    def __init__(self, jobs: int | None = None) -> None:
        self.jobs = available_cores() if jobs is None else jobs
        if self.jobs < 1:
            raise UsageError(f"jobs must be 1 or more, got {jobs}", hint="leave it out for one a core")

    def need(self, folders: Sequence[Path], files: Sequence[Path] = ()) -> None:
        """Nothing to check: the processes of one machine see what it sees."""

    def run(self, tasks: Sequence[Task]) -> Iterator[Done]:
        """See :class:`Engine`."""
        graph = TaskGraph(tasks)
        if self.jobs == 1 or len(graph) < 2:
            yield from _in_turn(graph)
            return
        # Spawned, not forked: a fork would copy locks that threads of this process hold.
        pool = ProcessPoolExecutor(
            min(self.jobs, len(graph)), multiprocessing.get_context("spawn"), initializer=_start_worker
        )
        finished = False
        try:
            yield from _side_by_side(pool, graph)
            finished = True
        except BrokenProcessPool as error:
            raise RunError(
                "a worker process died: killed for memory, or by hand",
                hint="run the same command again with fewer --jobs; what was finished is kept",
            ) from error
        finally:
            pool.shutdown(wait=finished, cancel_futures=True)
            if not finished:
                _end_children()


def make_engine(name: str = "local", *, jobs: int | None = None, address: str | None = None) -> Engine:
    """The engine called ``name``; ``address`` is where an engine of many machines is reached.

    Raises:
        UsageError: there is none of that name, it takes no address, or what it needs is not installed.
    """
    if name == "local":
        if address is not None:
            raise UsageError("the local engine has no address", hint="leave --address out")
        return LocalEngine(jobs)
    if name == "ray":
        from shared.engine_ray import RayEngine

        return RayEngine(address, jobs=jobs)
    raise UsageError(f"no engine is named {name!r}", hint="local or ray")


def available_cores() -> int:
    """How many processor cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class TaskGraph:
    """Which tasks can begin: those whose predecessors are finished, earlier ones first.

    Raises:
        ValueError: two tasks have one key, or some wait for one another in a circle.
    """

    def __init__(self, tasks: Sequence[Task]) -> None:
        self._tasks = list(tasks)
        place = {task.key: index for index, task in enumerate(tasks)}
        if len(place) != len(tasks):
            raise ValueError("two tasks have one key")
        self._place = place
        self._missing = [len({key for key in task.after if key in place}) for task in tasks]
        self._followers: dict[str, list[int]] = defaultdict(list)
        for index, task in enumerate(tasks):
            for key in {key for key in task.after if key in place}:
                self._followers[key].append(index)
        self._ready = [index for index, missing in enumerate(self._missing) if not missing]
        self.unfinished = len(tasks)
        self._refuse_circles()

    def __len__(self) -> int:
        return len(self._tasks)

    def take(self) -> Task | None:
        """The next task that can begin; None when there is none for now."""
        return self._tasks[heapq.heappop(self._ready)] if self._ready else None

    def finish(self, key: str) -> None:
        """Notes that a task is finished."""
        self.unfinished -= 1
        for index in self._followers[key]:
            self._missing[index] -= 1
            if not self._missing[index]:
                heapq.heappush(self._ready, index)

    def _refuse_circles(self) -> None:
        missing, free, reached = list(self._missing), list(self._ready), 0
        while free:
            reached += 1
            for index in self._followers[self._tasks[free.pop()].key]:
                missing[index] -= 1
                if not missing[index]:
                    free.append(index)
        if reached != len(self._tasks):
            circle = sorted(task.key for task, count in zip(self._tasks, missing, strict=True) if count)
            raise ValueError(f"tasks wait for one another: {', '.join(circle[:4])}")


def run_task(function: Callable[..., Any], arguments: tuple[Any, ...]) -> tuple[Any, float]:
    """What the function gives, and the seconds of processor time that this process, all its threads, spent meanwhile.

    Quiet: bars of many tasks at once could not be read.
    """
    began = time.process_time()
    with _quiet():
        result = function(*arguments)
    return result, time.process_time() - began


def _in_turn(graph: TaskGraph) -> Iterator[Done]:
    while (task := graph.take()) is not None:
        result, seconds = run_task(task.function, task.arguments)
        graph.finish(task.key)
        yield Done(task.key, result, seconds)


def _side_by_side(pool: ProcessPoolExecutor, graph: TaskGraph) -> Iterator[Done]:
    running: dict[Future[tuple[Any, float]], str] = {}
    while graph.unfinished:
        while (task := graph.take()) is not None:
            running[pool.submit(run_task, task.function, task.arguments)] = task.key
        for future in wait(running, return_when=FIRST_COMPLETED).done:
            key = running.pop(future)
            result, seconds = future.result()
            graph.finish(key)
            yield Done(key, result, seconds)


def _start_worker() -> None:
    """Set-up of a worker: quiet, deaf to Ctrl-C (its parent hears it), and gone as soon as its parent is."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    console.configure(quiet=True)
    threading.Thread(target=_end_with_parent, name="assay-parent-watch", daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is None:
        return
    wait_for([parent.sentinel])
    os._exit(1)


def _end_children() -> None:
    """Asks workers under way to end; a training then saves its state first."""
    for child in multiprocessing.active_children():
        with contextlib.suppress(OSError, ValueError):
            child.terminate()


@contextmanager
def _quiet() -> Iterator[None]:
    before = console.quiet
    console.quiet = True
    try:
        yield
    finally:
        console.quiet = before
