"""Pipeline stages in separate threads, with bounded queues.

Decoders, encoders, OpenCV, dlib and torch release Python's lock, so stages run in parallel; memory is bounded by the
queues.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import contextmanager
from typing import Generic, TypeVar

T = TypeVar("T")

_POLL_SECONDS = 0.1


class _End:
    """Marks the end of a stream."""


class _Line(Generic[T]):
    """A bounded queue that either end can close, so that the other end does not wait for ever."""

    def __init__(self, depth: int) -> None:
        self._queue: queue.Queue[T | _End] = queue.Queue(max(1, depth))
        self.closed = threading.Event()

    def put(self, item: T | _End) -> bool:
        """Waits for a free slot; returns False if the queue was closed."""
        while not self.closed.is_set():
            try:
                self._queue.put(item, timeout=_POLL_SECONDS)
            except queue.Full:
                continue
            return True
        return False

    def items(self) -> Iterator[T]:
        """Yields items until the end or until the queue is closed."""
        while not self.closed.is_set():
            try:
                item = self._queue.get(timeout=_POLL_SECONDS)
            except queue.Empty:
                continue
            if isinstance(item, _End):
                return
            yield item


def ahead(items: Iterable[T], *, depth: int, name: str) -> Generator[T, None, None]:
    """Yields ``items``, in order, produced in a thread called ``name`` that is up to ``depth`` items ahead.

    Exceptions of ``items`` are raised here. When the consumer stops early (``close``, an error, or garbage collection),
    the thread ends before this generator does, and ``items`` is closed in that thread.
    """
    line: _Line[T] = _Line(depth)
    failure: list[BaseException] = []

    def work() -> None:
        try:
            for item in items:
                if not line.put(item):
                    break
        except BaseException as caught:  # noqa: BLE001 - raised in the consumer
            failure.append(caught)
        finally:
            failure[:0] = _close(items)
        line.put(_End())

    thread = threading.Thread(target=work, name=name, daemon=True)
    thread.start()
    try:
        yield from line.items()
        thread.join()
        if failure:
            raise failure[0]
    finally:
        line.closed.set()
        thread.join()


def _close(items: object) -> list[BaseException]:
    """Closes a generator; returns the exception that this raised."""
    close = getattr(items, "close", None)
    if callable(close):
        try:
            close()
        except BaseException as caught:  # noqa: BLE001 - raised in the consumer
            return [caught]
    return []


@contextmanager
def consumed(consume: Callable[[T], None], *, depth: int, name: str) -> Iterator[Callable[[T], None]]:
    """Yields a function that passes its argument to ``consume`` in a thread, with a queue of ``depth`` items.

    At a normal end of the block all items have been consumed; after an error, waiting items are dropped. Exceptions of
    ``consume`` are raised by the next call or at the end of the block.
    """
    line: _Line[T] = _Line(depth)
    failure: list[BaseException] = []

    def work() -> None:
        try:
            for item in line.items():
                consume(item)
        except BaseException as caught:  # noqa: BLE001 - raised in the producer
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


def in_batches(items: Iterable[T], weight: Callable[[T], int], size: int, most: int) -> Iterator[list[T]]:
    """``items`` in lists that end when their weights sum to ``size`` or they have ``most`` items.

    A list of frames with one face each has ``size`` frames; frames without a face have no weight.
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
