"""Notices that other work takes the processor from a training."""

from __future__ import annotations

import os
import time
from collections.abc import Callable

_WINDOW_SECONDS = 30.0
_BUSY = 0.7

Clock = Callable[[], float]


class LoadWatch:
    """Compares the processor time of the training's thread with the time that passes.

    On an idle machine a thread that computes runs all the time, whatever the number of its helpers; its share falls
    where it must wait for a core, for a helper that waits for one, or for a container's quota. Made in that thread.

    Args:
        clock, own: seconds that pass, and those in which this thread runs.
    """

    def __init__(self, clock: Clock = time.monotonic, own: Clock = time.thread_time) -> None:
        self._clock, self._own = clock, own
        self._told = False
        self.restart()

    def restart(self) -> None:
        """Leaves out the time until now, in which the training itself had other work done, or waited for it."""
        self._began, self._ran = self._clock(), self._own()

    def busy_share(self) -> float | None:
        """The share of the last half minute in which the thread ran, if it is under 0.7, once; else None."""
        now = self._clock()
        if self._told or now - self._began < _WINDOW_SECONDS:
            return None
        ran = self._own()
        share = (ran - self._ran) / (now - self._began)
        self._began, self._ran = now, ran
        self._told = share < _BUSY
        return share if self._told else None


def load_text() -> str:
    """``load average 6.1 on 2 cores``; empty where the system has no load average."""
    if not hasattr(os, "getloadavg"):
        return ""
    cores = os.cpu_count() or 1
    return f"load average {os.getloadavg()[0]:.1f} on {cores} {'core' if cores == 1 else 'cores'}"
