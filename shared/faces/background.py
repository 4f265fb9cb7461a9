"""One stage of a pipeline in its own thread, behind a bounded queue."""

from __future__ import annotations

import queue
import threading
from collections.abc import Generator, Iterable
from dataclasses import dataclass
from typing import Generic, TypeVar

T = TypeVar("T")


@dataclass(frozen=True)
class _Item(Generic[T]):
    value: T


@dataclass(frozen=True)
class _End:
    error: BaseException | None


def ahead(items: Iterable[T], *, depth: int, name: str) -> Generator[T, None, None]:
    """``items`` again, in order, made in a thread called ``name`` that runs up to ``depth`` of them ahead.

    What ``items`` raises is raised here. When the reader stops early (``close``, an error, or simply letting go), the
    thread is stopped and has ended before this generator has, and ``items`` is closed in the thread that ran it.
    Decoders, OpenCV, dlib and torch leave Python's lock while they work, so stages run side by side.
    """
    line: queue.Queue[_Item[T] | _End] = queue.Queue(max(1, depth))
    stop = threading.Event()
    thread = threading.Thread(target=_produce, args=(items, line, stop), name=name, daemon=True)
    thread.start()
    try:
        while isinstance(entry := line.get(), _Item):
            yield entry.value
        if entry.error is not None:
            raise entry.error
    finally:
        stop.set()
        # The thread may wait for room: it gets some, sees the flag and ends.
        while thread.is_alive():
            _empty(line)
            thread.join(0.01)


def _produce(items: Iterable[T], line: queue.Queue[_Item[T] | _End], stop: threading.Event) -> None:
    error: BaseException | None = None
    try:
        for item in items:
            if stop.is_set():
                break
            line.put(_Item(item))
    except BaseException as caught:  # noqa: BLE001 - handed to the reader, who raises it
        error = caught
    finally:
        error = _close(items) or error
    line.put(_End(error))


def _close(items: object) -> BaseException | None:
    close = getattr(items, "close", None)
    if callable(close):
        try:
            close()
        except BaseException as caught:  # noqa: BLE001 - handed to the reader, who raises it
            return caught
    return None


def _empty(line: queue.Queue[_Item[T] | _End]) -> None:
    while True:
        try:
            line.get_nowait()
        except queue.Empty:
            return
