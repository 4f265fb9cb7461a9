"""Ctrl-C and termination as something a loop looks at between its steps, so that no step is cut in two."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

ECHO_SECONDS = 5.0
"""Within which a launcher of several processes passes on the Ctrl-C that all of them have got from the terminal."""


@contextmanager
def signals_noted(*, echo_seconds: float = 0.0) -> Iterator[list[int]]:
    """Yields a list that gets the number of an interrupt or termination signal; empty while none came.

    A second signal does what it always does, so a loop that hangs can still be ended; one that comes within
    ``echo_seconds`` of the first is the same one again. Off the main thread, where signals cannot be had, the list
    stays empty.
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
