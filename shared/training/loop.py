"""Common base of the training loops: clock, limits, stop signals, progress, newest checkpoint."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NoReturn

from shared.console import console
from shared.training.checkpoint import Checkpoint, load_checkpoint
from shared.training.load import LoadWatch, load_text
from shared.training.processes import Processes
from shared.training.run import Run
from shared.training.signals import ECHO_SECONDS, signals_noted

Advance = Callable[[str], None]
"""Moves the progress bar on by one step, with a note beside it."""


class BaseLoop:
    """A training loop that ends by steps or time; with several processes by the first one's clock and signals.

    Args:
        processes: of the training.
        steps, minutes: limits of the training, including earlier calls; ``minutes`` is None for no time limit.
        unit: singular of the unit of a step ("face"), which the progress bar counts if there is no time limit.
        on_cpu: whether the calling thread computes the steps; then a busy machine is told of, once.
    """

    def __init__(
        self, processes: Processes, *, steps: int, minutes: float | None, unit: str, on_cpu: bool = False
    ) -> None:
        self.processes = processes
        self.earlier_seconds = 0.0
        self._limits = steps, minutes
        self._unit = unit
        self._watches_load = on_cpu and processes.count == 1
        self._began = time.monotonic()
        self._agreed_seconds = 0.0
        self._load: LoadWatch | None = None

    @property
    def seconds(self) -> float:
        """Total seconds of training, including earlier calls."""
        return self.earlier_seconds + time.monotonic() - self._began

    def per_second(self, count: float) -> float:
        """``count`` of this call, per second."""
        return count / max(time.monotonic() - self._began, 1e-9)

    def fraction(self, step: int) -> float:
        """The fraction of the training done after ``step``, 0 to 1: by steps or by time, whichever is more."""
        steps, minutes = self._limits
        by_time = self._agreed_seconds / (60 * minutes) if minutes else 0.0
        return min(1.0, max(step / steps, by_time))

    def agree(self, *, stopped: bool) -> bool:
        """Whether to stop, as decided by the first process, whose clock is taken over too."""
        self._agreed_seconds, stopped = self.processes.from_first((self.seconds, stopped))
        return stopped

    @contextmanager
    def running(self, step: int, per_step: int) -> Iterator[tuple[list[int], Advance]]:
        """Starts the clock after ``step``, notes stop signals and shows the progress, over seconds if time is a limit.

        ``per_step`` is the number of units in a step. Yields the noted signals, and the function that advances the bar.
        """
        steps, minutes = self._limits
        self._began = time.monotonic()
        self.agree(stopped=False)
        shown = self.earlier_seconds
        self._load = LoadWatch() if self._watches_load else None
        if minutes is None:
            total, done, unit = steps * per_step, step * per_step, self._unit
        else:
            total, done, unit = round(60 * minutes), round(shown), "s"

        def advance(note: str) -> None:
            nonlocal shown
            before, shown = shown, self.seconds
            tick(per_step if minutes is None else round(shown) - round(before), note=note)
            if self._load is not None and (share := self._load.busy_share()) is not None:
                self._tell_busy(share)

        echo = ECHO_SECONDS if self.processes.count > 1 else 0.0
        with (
            signals_noted(echo_seconds=echo) as noted,
            console.progress("training", total, unit=unit, done=done) as tick,
        ):
            yield noted, advance

    def busy_with_own_work(self) -> None:
        """Says that the processor does, or did until now, other work of this training, so that no machine is busy."""
        if self._load is not None:
            self._load.restart()

    def _tell_busy(self, share: float) -> None:
        """Says that the training runs only for ``share`` of the time, and what to do."""
        average = load_text()
        seen = f"the training has its processor for {100 * share:.0f} % of the time{average and f' ({average})'}"
        if self._limits[1] is None:
            console.warn(f"this machine is busy: {seen}, so it takes longer; other work can be stopped")
        else:
            console.warn(
                f"this machine is busy: {seen}, and --minutes goes by the clock, so fewer steps are made: stop other "
                "work, or give --steps without --minutes, which takes longer and leaves no step out"
            )

    def stop(self, step: int) -> NoReturn:
        """Ends the training after a stop signal, once everything is saved."""
        console.print(f"stopped at step {step}, saved; the same command goes on from there")
        raise KeyboardInterrupt

    def newest(self, run: Run | None) -> Checkpoint | None:
        """The newest readable checkpoint, as found by the first process; ``run`` is None in the others."""
        found = None if run is None else run.latest()
        path = None if run is None or found is None else run.checkpoint_path(found.step)
        path = self.processes.from_first(path)
        return found if found is not None or path is None else load_checkpoint(path)
