"""Tasks, their dependencies, and the interface of engines.

A task is a plain function of picklable arguments that names its files by path and writes files atomically, so that it
may run in another process or on another machine that sees the same folders, and may run twice.
"""

from __future__ import annotations

import heapq
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import Any, Protocol

from shared.console import console


@dataclass(frozen=True)
class Task:
    """One task.

    Attributes:
        key: its unique name in a run.
        function: a module-level function, so that another process can import it; called with ``arguments``.
        arguments: picklable.
        after: keys of the tasks it depends on; those that are not in the run count as done.
        device: where its networks run; a cluster engine assigns it its own GPU if needed.
    """

    key: str
    function: Callable[..., Any]
    arguments: tuple[Any, ...] = ()
    after: tuple[str, ...] = ()
    device: str = "cpu"


@dataclass(frozen=True)
class Done:
    """A finished task: the function's result, and its processor time in seconds of one core."""

    key: str
    result: Any
    seconds: float


class Engine(Protocol):
    """Runs tasks in an order that respects :attr:`Task.after`."""

    def need(self, folders: Sequence[Path], files: Sequence[Path] = ()) -> None:
        """Declares folders written and files read by tasks; :meth:`run` refuses machines without them."""
        ...

    def run(self, tasks: Sequence[Task]) -> Iterator[Done]:
        """Yields each task as it finishes; earlier ones of ``tasks`` start first.

        Raises:
            AssayError: that of a failed task. Running tasks are ended, no others are started.
        """
        ...


class TaskGraph:
    """The dependency graph of tasks; gives tasks whose dependencies are finished, earlier ones first.

    Raises:
        ValueError: two tasks have one key, or there is a cycle.
    """

    def __init__(self, tasks: Sequence[Task]) -> None:
        self._tasks = list(tasks)
        self._place = {task.key: index for index, task in enumerate(tasks)}
        if len(self._place) != len(tasks):
            raise ValueError("two tasks have one key")
        self._order = TopologicalSorter({task.key: [key for key in task.after if key in self._place] for task in tasks})
        try:
            self._order.prepare()
        except CycleError as error:
            raise ValueError(f"tasks wait for one another: {', '.join(sorted(set(error.args[1]))[:4])}") from error
        self._ready: list[int] = []
        self.unfinished = len(tasks)

    def __len__(self) -> int:
        return len(self._tasks)

    def take(self) -> Task | None:
        """The next ready task; None if there is none now."""
        for key in self._order.get_ready():
            heapq.heappush(self._ready, self._place[key])
        return self._tasks[heapq.heappop(self._ready)] if self._ready else None

    def finish(self, key: str) -> None:
        """Marks a task as finished."""
        self.unfinished -= 1
        self._order.done(key)


def run_task(function: Callable[..., Any], arguments: tuple[Any, ...]) -> tuple[Any, float]:
    """The function's result, and the processor time of this process, over all threads, in seconds.

    Quiet: progress bars of many parallel tasks would be unreadable.
    """
    began = time.process_time()
    with _quiet():
        result = function(*arguments)
    return result, time.process_time() - began


@contextmanager
def _quiet() -> Iterator[None]:
    before = console.quiet
    console.quiet = True
    try:
        yield
    finally:
        console.quiet = before
