"""Stop signals (Ctrl-C, termination) recorded for a loop to check between its steps."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

ECHO_SECONDS = 5.0
"""Time within which a launcher forwards the Ctrl-C that its processes also get from the terminal."""


@contextmanager
def signals_noted(*, echo_seconds: float = 0.0) -> Iterator[list[int]]:
    """Yields a list that receives the number of an interrupt or termination signal.

    A second signal has its default effect, so a hanging loop can still be ended; one within ``echo_seconds`` of the
    first is ignored as a duplicate. Outside the main thread, which alone receives signals, the list stays empty.
    """
    noted: list[int] = []
    before: dict[int, Any] = {}
    echo_until = 0.0

    def note(number: int, _frame: FrameType | None) -> None:
        nonlocal echo_until
        if not noted:
            noted.append(number)
            echo_until = time.monotonic() + echo_seconds
            if not echo_seconds:
                _put_back(before)
        elif time.monotonic() > echo_until:
            _put_back(before)
            os.kill(os.getpid(), number)

    for number in (signal.SIGINT, signal.SIGTERM):
        try:
            before[number] = signal.signal(number, note)
        except ValueError:
            break
    try:
        yield noted
    finally:
        _put_back(before)


def _put_back(handlers: dict[int, Any]) -> None:
    for number, handler in handlers.items():
        signal.signal(number, handler)
    handlers.clear()
