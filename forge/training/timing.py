"""Share of training time spent on making batches, measured without synchronising the device."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

from shared.device import Device


class DataTimer:
    """Sums the time between the beginnings and ends of :meth:`making`.

    On CUDA with events, which are read in :meth:`share`, called when the device is synchronised anyway; elsewhere with
    the clock.
    """

    def __init__(self, device: Device) -> None:
        self._cuda = device.kind == "cuda"
        self._events: list[tuple[Any, Any]] = []
        self._seconds = 0.0
        self._since = time.perf_counter()

    @contextmanager
    def making(self) -> Iterator[None]:
        """Context manager around the making of a batch."""
        if self._cuda:
            begin, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
            begin.record()
            yield
            end.record()
            self._events.append((begin, end))
            return
        begin_seconds = time.perf_counter()
        yield
        self._seconds += time.perf_counter() - begin_seconds

    def share(self) -> float:
        """The part of the time since the last call, 0 to 1, in which batches were made. Resets the timer."""
        if self._events:
            self._events[-1][1].synchronize()
            self._seconds += sum(begin.elapsed_time(end) for begin, end in self._events) / 1000
            self._events.clear()
        now = time.perf_counter()
        share = min(1.0, self._seconds / max(now - self._since, 1e-9))
        self._seconds, self._since = 0.0, now
        return share
