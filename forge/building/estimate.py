"""Cost estimates of builds: seconds of one core and bytes, by kind of task.

The rates below were measured on two cores of a 2.1 GHz server with ``benchmarks/settings/set-300.toml``; once tasks of
a kind have run, the rates measured in the work folder are used.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from forge.building.plan_parts import BuildStep
from shared.errors import StorageError
from shared.storage import read_json, write_text

RATES = "rates.json"
_UNITS = {
    "shot": "megapixels",
    "faceset": "frames",
    "train": "faces",
    "master": "megapixels",
    "drive": "megapixels",
    "clips": "megapixels of x264",
    "generate": "faces",
    "face": "faces",
    "portraits": "faces",
    "stills": "files",
}
SECONDS_A_UNIT = {
    "shot": 0.16, "faceset": 0.02, "train": 0.03, "master": 0.25, "drive": 0.3, "clips": 0.12, "generate": 0.15,
    "face": 0.2, "portraits": 0.1, "stills": 0.05,
}  # fmt: skip
"""Seconds of one core per unit of each kind."""


@dataclass(frozen=True)
class Cost:
    """Tasks of one kind: their number, the number missing, and the cost of those."""

    kind: str
    tasks: int
    missing: int
    seconds: float
    size_bytes: float


class Rates:
    """Seconds per unit by kind, measured on finished tasks in a work folder."""

    def __init__(self, work: Path) -> None:
        self._path = work / RATES
        self._seen: dict[str, list[float]] = {}
        try:
            known = read_json(self._path, dict, error=StorageError)
            self._seen = {kind: [float(one) for one in known[kind][:2]] for kind in SECONDS_A_UNIT if kind in known}
        except (StorageError, ValueError, TypeError, LookupError):
            # Missing or damaged rates are replaced by the constants.
            self._seen = {}

    def seconds(self, step: BuildStep) -> float:
        """Estimated seconds of ``step``."""
        units, seconds = self._seen.get(step.kind, (0.0, 0.0))
        rate = seconds / units if units > 0 else SECONDS_A_UNIT[step.kind]
        return rate * step.units

    def note(self, step: BuildStep, seconds: float) -> None:
        """Updates the rate with the time of a finished step, and saves it."""
        units, before = self._seen.get(step.kind, [0.0, 0.0])
        self._seen[step.kind] = [units + step.units, before + seconds]
        write_text(self._path, json.dumps(self._seen, sort_keys=True) + "\n")


def estimate(steps: Sequence[BuildStep], missing: Sequence[BuildStep], rates: Rates) -> list[Cost]:
    """The cost of ``missing``, of all ``steps``, by kind, in order of appearance."""
    costs: list[Cost] = []
    for kind in _UNITS:
        whole = [step for step in steps if step.kind == kind]
        todo = [step for step in missing if step.kind == kind]
        if whole:
            seconds = sum(rates.seconds(step) for step in todo)
            costs.append(Cost(kind, len(whole), len(todo), seconds, sum(step.size_bytes for step in todo)))
    return costs
