"""The local engine: tasks in processes of this machine, or in this process."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from multiprocessing.connection import wait as wait_for
from pathlib import Path
from typing import Any

from typing_extensions import override

from shared.console import console
from shared.engine.tasks import Done, Engine, Task, TaskGraph, run_task
from shared.errors import RunError, UsageError


class LocalEngine(Engine):
    """Runs tasks in processes of this machine; with one job, in this process.

    Args:
        jobs: number of parallel tasks; None for one per core.

    Raises:
        UsageError: fewer than one job.
    """

    def __init__(self, jobs: int | None = None) -> None:
        self.jobs = available_cores() if jobs is None else jobs
        if self.jobs < 1:
            raise UsageError(f"jobs must be 1 or more, got {jobs}", hint="leave it out for one per core")

    def need(self, folders: Sequence[Path], files: Sequence[Path] = ()) -> None:
        """Checks nothing: all processes share one file system."""

    @override
    def run(self, tasks: Sequence[Task]) -> Iterator[Done]:
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
                "a worker process died: it was killed, perhaps for memory",
                hint="run the same command again with fewer --jobs; what was finished is kept",
            ) from error
        finally:
            pool.shutdown(wait=finished, cancel_futures=True)
            if not finished:
                _end_children()


def available_cores() -> int:
    """Number of processor cores available to this process."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


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
    """Initialises a worker: quiet, ignores Ctrl-C (its parent handles it), and exits with its parent."""
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
    """Asks running workers to end; a training then saves its state first."""
    for child in multiprocessing.active_children():
        with contextlib.suppress(OSError, ValueError):
            child.terminate()
