"""Ctrl-C and termination as something a loop looks at between its steps, so that no step is cut in two."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any


@contextmanager
def signals_noted() -> Iterator[list[int]]:
    """Yields a list that gets the number of an interrupt or termination signal; empty while none came.

    A second signal does what it always does, so a loop that hangs can still be ended. Off the main thread, where
    signals cannot be had, the list stays empty.
    """
    noted: list[int] = []
    before: dict[int, Any] = {}

    def note(number: int, _frame: FrameType | None) -> None:
        noted.append(number)
        _put_back(before)

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
