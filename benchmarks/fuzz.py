"""Do the commands end in a sentence whatever they are given? Seeded hostile input, and how each run ended.

A run is sound when it did the work or ended with exit code 1 or 2 and a sentence, within its time and memory, without a
connection and without a file opened that is not its own. Faults are gathered by where they arise: the innermost line of
this project in the traceback, else the kind of fault.
"""

from __future__ import annotations

import math
import re
import shutil
import time
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from queue import SimpleQueue
from tempfile import TemporaryDirectory
from typing import Literal

import numpy as np

from benchmarks.fuzz_cases import Setting, draw
from benchmarks.material import Material, make_material
from benchmarks.sandbox import TRACEBACK, Ended, Job, Sandbox, copied_home, quiet_home
from benchmarks.schema import Measurement

SECONDS = 10.0
"""A run that takes longer hangs, in the processor's time; on a busy machine it has four times as much on the clock."""
MEMORY_MB = 1536

Verdict = Literal["done", "sentence", "traceback", "crash", "hang", "memory", "connection", "outside", "wordless"]
SOUND: tuple[Verdict, ...] = ("done", "sentence")
FAULTS: tuple[Verdict, ...] = ("traceback", "crash", "hang", "memory", "connection", "outside", "wordless")

_OWN_LINE = re.compile(r'File "[^"]*?/((?:shared|forge|detect)/[^"]+)", line (\d+), in (\w+)')


@dataclass(frozen=True)
class Outcome:
    """One case: number, kind, what was done, the command's first words, the verdict, and where and why it failed."""

    number: int
    kind: str
    what: str
    command: str
    verdict: Verdict
    where: str = ""
    seconds: float = 0.0
    peak_mb: float = 0.0

    @property
    def sound(self) -> bool:
        """Whether it ended as it should."""
        return self.verdict in SOUND

    @property
    def fault(self) -> str:
        """What is wrong and where, for people and for gathering."""
        return f"{self.verdict} {self.where}"


def run(
    cases: int,
    *,
    seed: int = 0,
    start: int = 0,
    only: Sequence[int] = (),
    jobs: int = 1,
    minutes: float = math.inf,
    keep: Path | None = None,
    tick: Callable[[Outcome], object] | None = None,
) -> list[Outcome]:
    """One outcome a case. Case ``number`` of a ``seed`` is the same whatever was run before it.

    Args:
        cases: how many, from ``start`` on.
        seed: of all of them.
        start: number of the first.
        only: these numbers instead.
        jobs: cases side by side; each has a parent process of 0.7 GB.
        minutes: no case begins after that time; the rest is left out.
        keep: folder in which the files of faulty cases stay.
        tick: called with each.
    """
    numbers = list(only or range(start, start + cases))
    with TemporaryDirectory() as folder, quiet_home(Path(folder) / "home") as home, ExitStack() as stack:
        sandboxes: SimpleQueue[Sandbox] = SimpleQueue()
        for number in range(min(jobs, len(numbers))):
            sandboxes.put(stack.enter_context(Sandbox(home, number)))
        first = sandboxes.get()
        material = make_material(Path(folder) / "material", first)
        sandboxes.put(first)

        until = time.monotonic() + 60 * minutes

        def case(number: int) -> Outcome | None:
            if time.monotonic() > until:
                return None
            sandbox = sandboxes.get()
            place = Path(folder) / f"case-{number}"
            try:
                return _outcome(number, seed, material, sandbox, place)
            finally:
                sandboxes.put(sandbox)

        outcomes: list[Outcome] = []
        with ThreadPoolExecutor(jobs) as pool:
            for outcome in pool.map(case, numbers):
                if outcome is None:
                    continue
                outcomes.append(outcome)
                place = Path(folder) / f"case-{outcome.number}"
                if not outcome.sound and keep is not None:
                    shutil.copytree(place, keep / place.name, dirs_exist_ok=True)
                shutil.rmtree(place, ignore_errors=True)
                if tick is not None:
                    tick(outcome)
    return outcomes


def _outcome(number: int, seed: int, material: Material, sandbox: Sandbox, place: Path) -> Outcome:
    rng = np.random.default_rng([seed, number])
    kind, case = draw(Setting(rng, material, place, sandbox.decoy, sandbox.port))
    home = copied_home(material.home, place)
    job = Job(case.words, place, readable=(material.folder,), seconds=SECONDS, home=home)
    if case.reseal is not None:
        job = replace(job, prepare="benchmarks.fuzz_cases:reseal", prepare_with=(str(case.reseal),))
    ended = sandbox.run(job)
    verdict, where = verdict_of(ended)
    command = case.words[0] if case.words[0] in ("inspect", "score") else " ".join(case.words[:2])
    return Outcome(number, kind, case.what, command, verdict, where, ended.cpu_seconds, ended.peak_mb)


def verdict_of(ended: Ended) -> tuple[Verdict, str]:
    """How a run ended, and where the fault is."""
    kinds = [kind for kind, _ in ended.events]
    for kind in ("connection", "outside"):
        if kind in kinds:
            return kind, next(what for found, what in ended.events if found == kind)
    if ended.timed_out:
        return "hang", _innermost(ended.said)
    if ended.code < 0:
        return "crash", f"signal {-ended.code}: {ended.said[-300:]}"
    if ended.code == TRACEBACK or "Traceback (most recent call last)" in ended.said:
        return "traceback", _innermost(ended.said)
    if ended.peak_mb > MEMORY_MB:
        return "memory", f"{ended.peak_mb:.0f} MB"
    if ended.code == 0:
        return "done", ""
    said = "error:" in ended.said or "Error" in ended.said
    return ("sentence", "") if ended.code in (1, 2) and said else ("wordless", f"{ended.code}: {ended.said[-300:]}")


def _innermost(said: str) -> str:
    """File, line and function of this project nearest to the fault, and the exception."""
    own = _OWN_LINE.findall(said)
    last = said.strip().splitlines()[-1][:200] if said.strip() else ""
    return f"{own[-1][0]}:{own[-1][1]} {own[-1][2]}: {last}" if own else last


def measurements(outcomes: Sequence[Outcome]) -> list[Measurement]:
    """How many runs ended how."""
    counts = Counter(outcome.verdict for outcome in outcomes)
    note = f"of {len(outcomes)}"
    found = [Measurement.of(f"ended: {kind}", "cases", [float(counts[kind])], note=note) for kind in SOUND]
    found += [
        Measurement.of(f"ended: {kind}", "cases", [float(counts[kind])], target=0.0, better="lower", note=note)
        for kind in FAULTS
    ]
    found.append(Measurement.of("processor time of a case", "s", [o.seconds for o in outcomes], better="lower"))
    found.append(Measurement.of("peak memory of a case", "MB", [o.peak_mb for o in outcomes], better="lower"))
    return found


def gathered(outcomes: Sequence[Outcome]) -> dict[str, list[Outcome]]:
    """Faulty cases by where they arise, the most frequent first."""
    groups: dict[str, list[Outcome]] = {}
    for outcome in outcomes:
        if not outcome.sound:
            groups.setdefault(outcome.fault, []).append(outcome)
    return dict(sorted(groups.items(), key=lambda item: -len(item[1])))
