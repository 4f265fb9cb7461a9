"""Ctrl-C held back while the C2PA library runs.

The library reads and writes files by Python functions that it calls from native code. An interrupt raised in one of
these is lost, and the library goes on with a result that was never set: it aborts, or reads memory that is not its own.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


@contextmanager
def interrupts_held() -> Iterator[None]:
    """Holds interrupt and termination signals back until the block ends; then their handlers are called.

    Signals without a Python handler keep their effect. Outside the main thread, which alone receives signals, nothing
    is held.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    held: list[tuple[int, FrameType | None]] = []
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    handlers = {number: handler for number, handler in before.items() if callable(handler)}
    try:
        for number in handlers:
            signal.signal(number, lambda *received: held.append(received))
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
        if held:
            handlers[signal.Signals(held[0][0])](*held[0])
