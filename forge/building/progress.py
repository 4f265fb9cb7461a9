"""Progress of a build in estimated time: a training of hours moves the bar while it runs."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from forge.building.plan_parts import BuildStep
from forge.building.tasks import TrainTask
from shared.console import Tick, console, counted
from shared.errors import AssayError
from shared.training.metrics import read_metrics

_LOOK_SECONDS = 5.0


class BuildProgress:
    """A bar over the estimated seconds of one core of all ``expected`` steps.

    How far a running training is follows from its run folder, which every engine's machines share.

    Args:
        steps: what is built; expected: estimated seconds by key; tick: moves the bar.
    """

    def __init__(self, steps: Sequence[BuildStep], expected: Mapping[str, float], tick: Tick) -> None:
        self._expected = expected
        self._tick = tick
        self._trainings = {step.key: step.task for step in steps if isinstance(step.task, TrainTask)}
        self._left = Counter(step.kind for step in steps)
        self._seconds = dict.fromkeys(expected, 0.0)
        self._shown = 0
        self._lock = threading.Lock()

    def finished(self, step: BuildStep) -> None:
        """Counts a finished step as all of its time."""
        with self._lock:
            self._trainings.pop(step.key, None)
            self._left[step.kind] -= 1
            self._seconds[step.key] = self._expected[step.key]
            self._show()

    def look(self) -> None:
        """Takes the progress of running trainings from their folders; what cannot be read now is read later."""
        for key, task in list(self._trainings.items()):
            with suppress(AssayError, OSError, LookupError, TypeError):
                lines = read_metrics(Path(task.run))
                fraction = min(1.0, lines[-1]["step"] / task.config.steps)
                with self._lock:
                    if key in self._trainings:
                        self._seconds[key] = max(self._seconds[key], fraction * self._expected[key])
                        self._show()

    def _show(self) -> None:
        now = round(sum(self._seconds.values()))
        left = ", ".join(counted(count, kind, kind) for kind, count in self._left.items() if count)
        self._tick(now - self._shown, note=f"to do: {left}" if left else "")
        self._shown = now


@contextmanager
def build_progress(steps: Sequence[BuildStep], expected: Mapping[str, float]) -> Iterator[BuildProgress]:
    """A shown :class:`BuildProgress` that looks at running trainings from time to time."""
    ended = threading.Event()
    with console.progress("building", max(1, round(sum(expected.values()))), unit="s") as tick:
        progress = BuildProgress(steps, expected, tick)

        def watch() -> None:
            while not ended.wait(_LOOK_SECONDS):
                progress.look()

        watcher = threading.Thread(target=watch, name="assay-build-progress", daemon=True)
        watcher.start()
        try:
            yield progress
        finally:
            ended.set()
            watcher.join()
