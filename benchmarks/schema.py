"""Results of benchmarks: values with spread, machine and versions, as one JSON file."""

from __future__ import annotations

import platform
import statistics
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

import msgspec
import psutil

import shared
from shared.errors import ManifestError, UsageError
from shared.storage import read_json, write_bytes

RESULTS = Path(__file__).parent / "results"

_VERSIONS = ("torch", "torchvision", "timm", "av", "opencv-python", "numpy", "dlib-bin")


@dataclass(frozen=True)
class Measurement:
    """One quantity, measured ``len(values)`` times on one machine in one run.

    ``better`` is the direction of improvement for ``target``.
    """

    name: str
    unit: str
    values: tuple[float, ...]
    median: float
    low: float
    high: float
    better: str = "higher"
    target: float | None = None
    note: str = ""

    @classmethod
    def of(
        cls,
        name: str,
        unit: str,
        values: list[float],
        *,
        target: float | None = None,
        better: str = "higher",
        note: str = "",
    ) -> Measurement:
        """A measurement of ``values`` with its median and quartiles (of fewer than four values: the extremes).

        Raises:
            ValueError: no values.
        """
        if not values:
            raise ValueError(f"{name}: a measurement needs values")
        if len(values) >= 4:
            low, _, high = statistics.quantiles(values, n=4, method="inclusive")
        else:
            low, high = min(values), max(values)
        rounded = tuple(_rounded(value) for value in values)
        return cls(
            name,
            unit,
            rounded,
            _rounded(statistics.median(values)),
            _rounded(low),
            _rounded(high),
            better,
            target,
            note,
        )

    @property
    def met(self) -> bool | None:
        """Whether the median reaches the target; None without one."""
        if self.target is None:
            return None
        return self.median >= self.target if self.better == "higher" else self.median <= self.target


@dataclass(frozen=True)
class Result:
    """All measurements of one benchmark run."""

    benchmark: str
    command: str
    date: str
    machine: dict[str, str]
    versions: dict[str, str]
    measurements: tuple[Measurement, ...]
    settings: dict[str, Any] = field(default_factory=dict)
    peak_memory_mb: float | None = None
    notes: tuple[str, ...] = ()

    def save(self, path: Path) -> Path:
        """Writes the result as JSON, atomically."""
        write_bytes(path, msgspec.json.format(msgspec.json.encode(self), indent=2) + b"\n")
        return path


def load_result(path: Path) -> Result:
    """A saved result, checked against the schema.

    Raises:
        ManifestError: not such a file.
    """
    return read_json(path, Result, error=ManifestError, hint="write it again")


def new_result(
    benchmark: str,
    command: str,
    measurements: list[Measurement],
    *,
    settings: dict[str, Any] | None = None,
    device: str | None = None,
    notes: tuple[str, ...] = (),
) -> Result:
    """A result with today's date, this machine and these versions."""
    return Result(
        benchmark=benchmark,
        command=command,
        date=datetime.now(UTC).date().isoformat(),
        machine=machine_facts(device),
        versions=version_facts(),
        measurements=tuple(measurements),
        settings=settings or {},
        peak_memory_mb=round(peak_memory_mb(), 1),
        notes=notes,
    )


def machine_facts(device: str | None = None) -> dict[str, str]:
    """Processor, cores, memory, system and, when given, the accelerator."""
    facts = {
        "processor": _processor_name(),
        "cores": str(psutil.cpu_count(logical=True)),
        "memory_gb": f"{psutil.virtual_memory().total / 1e9:.0f}",
        "system": f"{platform.system()} {platform.machine()}",
    }
    if device:
        facts["device"] = device
    return facts


def version_facts() -> dict[str, str]:
    """Versions of libraries that affect the numbers, and this project's commit if it is a checkout."""
    versions = {"assay": shared.__version__, "python": platform.python_version()}
    for name in _VERSIONS:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    try:
        asked = subprocess.run(
            ["git", "rev-parse", "--short", "HEAD"],
            capture_output=True,
            text=True,
            check=True,
            cwd=Path(__file__).parent,
        )
        versions["commit"] = asked.stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        pass
    return versions


def peak_memory_mb() -> float:
    """Peak memory of this process, in MB (resident set)."""
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (1024 * 1024 if platform.system() == "Darwin" else 1024)


def timed_rates(
    work: Callable[[], int], *, repeats: int, warm_up: int = 1, clock: Callable[[], float] = time.perf_counter
) -> list[float]:
    """Units per second of ``work`` (which returns the number of units), once for each of ``repeats``.

    ``clock`` returns seconds: wall-clock, or those of this process (``time.process_time``).

    Raises:
        UsageError: fewer than one repeat.
    """
    if repeats < 1:
        raise UsageError("a benchmark needs at least one repeat", hint="--repeats 5")
    for _ in range(warm_up):
        work()
    rates = []
    for _ in range(repeats):
        started = clock()
        units = work()
        rates.append(units / (clock() - started))
    return rates


def _processor_name() -> str:
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or "unknown"


def _rounded(value: float) -> float:
    return float(f"{value:.6g}")
