"""Ctrl-C held back while the C2PA library runs.

The library reads and writes files by Python functions that it calls from native code. An interrupt raised in one of
these is lost, and the library goes on with a result that was never set: it aborts, or reads memory that is not its own.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from types import FrameType

_Received = tuple[int, FrameType | None]


@contextmanager
def interrupts_held() -> Iterator[None]:
    """Holds interrupt and termination signals back until the block ends; then their handlers are called.

    So a large file is signed to its end first. Signals without a Python handler keep their effect. Outside the main
    thread, which alone receives signals, nothing is held.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    held: list[_Received] = []
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    with ExitStack() as stack:
        for number, handler in before.items():
            if callable(handler):
                stack.callback(_hand_on, number, handler, held)
                stack.callback(signal.signal, number, handler)
                signal.signal(number, lambda *received: held.append(received))
        yield


def _hand_on(number: int, handler: Callable[[int, FrameType | None], object], held: list[_Received]) -> None:
    """Calls ``handler`` for each signal ``number`` that was held back, up to one that raises."""
    for received in [each for each in held if each[0] == number]:
        handler(*received)
