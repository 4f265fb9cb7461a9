"""Stages of a pipeline in threads of their own, behind bounded queues.

Decoders, encoders, OpenCV, dlib and torch leave Python's lock while they work, so stages run side by side; the queues
are bounded, so memory does not grow with the clip.
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
    """A bounded queue that either end can close: nobody waits for ever when the other end is gone."""

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

    def items(self) -> Iterator[T]:
        """What comes, until the end or until the line is closed."""
        while not self.closed.is_set():
            try:
                item = self._queue.get(timeout=_POLL_SECONDS)
            except queue.Empty:
                continue
            if isinstance(item, _End):
                return
            yield item


def ahead(items: Iterable[T], *, depth: int, name: str) -> Generator[T, None, None]:
    """``items`` again, in order, made in a thread called ``name`` that runs up to ``depth`` of them ahead.

    What ``items`` raises is raised here. When the reader stops early (``close``, an error, or simply letting go), the
    thread is stopped and has ended before this generator has, and ``items`` is closed in the thread that ran it.
    """
    line: _Line[T] = _Line(depth)
    failure: list[BaseException] = []

    def work() -> None:
        try:
            for item in items:
                if not line.put(item):
                    break
        except BaseException as caught:  # noqa: BLE001 - handed to the reader, who raises it
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
    """Closes a generator; gives what that raised."""
    close = getattr(items, "close", None)
    if callable(close):
        try:
            close()
        except BaseException as caught:  # noqa: BLE001 - handed to the reader, who raises it
            return [caught]
    return []


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
            for item in line.items():
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
