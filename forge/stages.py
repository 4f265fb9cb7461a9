"""Threads for the stages of a pipeline: bounded, and ended by whoever fails first.

Decoding, inference and encoding all leave Python's lock while they work, so threads use the cores; queues are bounded,
so memory does not grow with the clip. A stage that raises wakes its neighbours: nobody waits for ever on a queue
whose other end is gone.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Generic, TypeVar

T = TypeVar("T")

_POLL_SECONDS = 0.1


class _End:
    """Marks the end of a stream; carries the error that ended it, if one did."""

    def __init__(self, error: BaseException | None = None) -> None:
        self.error = error


class _Line(Generic[T]):
    """A bounded queue that either end can close."""

    def __init__(self, depth: int) -> None:
        self._queue: queue.Queue[T | _End] = queue.Queue(max(1, depth))
        self.closed = threading.Event()

    def put(self, item: T | _End) -> bool:
        """Waits for room; False when the line was closed instead."""
        while not self.closed.is_set():
            try:
                self._queue.put(item, timeout=_POLL_SECONDS)
            except queue.Full:
                continue
            return True
        return False

    def get(self) -> T | _End:
        """Waits for an item; an end when the line was closed."""
        while not self.closed.is_set():
            try:
                return self._queue.get(timeout=_POLL_SECONDS)
            except queue.Empty:
                continue
        return _End()


@contextmanager
def produced(items: Iterable[T], *, depth: int, name: str) -> Iterator[Iterator[T]]:
    """``items``, made ahead in a thread, at most ``depth`` of them waiting.

    Yields an iterator. What the producer raises is raised to the reader. When the block ends, however it ends, the
    producer is stopped and has ended.
    """
    line: _Line[T] = _Line(depth)

    def produce() -> None:
        error: BaseException | None = None
        try:
            for item in items:
                if not line.put(item):
                    break
        except BaseException as caught:  # noqa: BLE001 - handed to the reader, who raises it
            error = caught
        finally:
            _close(items)
        line.put(_End(error))

    thread = threading.Thread(target=produce, name=name, daemon=True)
    thread.start()
    try:
        yield _read(line)
    finally:
        line.closed.set()
        thread.join()


@contextmanager
def consumed(consume: Callable[[T], None], *, depth: int, name: str) -> Iterator[Callable[[T], None]]:
    """A function that hands its argument to ``consume`` in a thread, at most ``depth`` of them waiting.

    When the block ends well, everything handed over has been consumed; when it ends with an error, what waits is
    dropped. What ``consume`` raises is raised by the next hand-over or at the end of the block.
    """
    line: _Line[T] = _Line(depth)
    failure: list[BaseException] = []

    def work() -> None:
        try:
            for item in _read(line):
                consume(item)
        except BaseException as caught:  # noqa: BLE001 - handed to the producer, who raises it
            failure.append(caught)
            line.closed.set()

    def hand_over(item: T) -> None:
        if not line.put(item) and failure:
            raise failure[0]

    thread = threading.Thread(target=work, name=name, daemon=True)
    thread.start()
    try:
        yield hand_over
        line.put(_End())
        thread.join()
    finally:
        line.closed.set()
        thread.join()
    if failure:
        raise failure[0]


def _read(line: _Line[T]) -> Iterator[T]:
    while True:
        item = line.get()
        if isinstance(item, _End):
            if item.error is not None:
                raise item.error
            return
        yield item


def _close(items: object) -> None:
    """Ends a generator now, so that the files it holds are closed by the thread that opened them."""
    close = getattr(items, "close", None)
    if callable(close):
        close()


def in_batches(items: Iterable[T], weight: Callable[[T], int], size: int, most: int) -> Iterator[list[T]]:
    """``items`` in lists whose weights sum to ``size`` or just over, and of at most ``most`` items.

    A list of frames with one face each holds ``size`` frames; frames without a face fill it up to ``most``.
    """
    batch: list[T] = []
    total = 0
    for item in items:
        batch.append(item)
        total += weight(item)
        if total >= size or len(batch) >= most:
            yield batch
            batch, total = [], 0
    if batch:
        yield batch
