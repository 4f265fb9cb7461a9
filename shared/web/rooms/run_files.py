"""What the page reads of a training run: facts, settings, metrics as curves, previews. No library of training."""

from __future__ import annotations

import math
import re
import time
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from shared.config import read_toml
from shared.errors import AssayError, RunError, StorageError
from shared.storage import decode_json, inside, read_bytes, read_json
from shared.training.metrics import METRICS, read_metrics

MAX_PREVIEW_BYTES = 32 << 20
PREVIEW = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,80}\.(?:jpg|png)")
_STEP_PREVIEW = re.compile(r"step-(\d{8,12})\.jpg")
_MOST_POINTS = 600
_ACTIVE_SECONDS = 120.0
_TAIL_BYTES = 64 << 10
_MAX_FACTS_BYTES = 16 << 20


def run_facts(run: Path) -> dict[str, Any]:
    """The contents of ``run.json``.

    Raises:
        RunError: it is damaged.
    """
    return read_json(run / "run.json", dict, _MAX_FACTS_BYTES, error=RunError, hint="start a new run")


def run_settings(run: Path) -> dict[str, Any]:
    """The settings of a run; empty if they cannot be read."""
    with suppress(AssayError):
        return read_toml(run / "config.toml")
    return {}


def last_line(run: Path) -> dict[str, float]:
    """The numbers of the last whole line of the metrics; empty before the first."""
    try:
        with (run / METRICS).open("rb") as file:
            size = file.seek(0, 2)
            file.seek(max(0, size - _TAIL_BYTES))
            lines = file.read().split(b"\n")[:-1]
    except OSError:
        return {}
    for line in reversed(lines):
        with suppress(StorageError):
            values = decode_json(line, dict, METRICS, error=StorageError)
            if isinstance(values.get("step"), int):
                return {name: value for name, value in values.items() if _is_number(value)}
    return {}


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and math.isfinite(value)


def last_change(run: Path) -> float:
    """When the run was written to last, in seconds since 1970."""
    times = [0.0]
    for path in (run / METRICS, run / "previews", run / "checkpoints", run / "run.json"):
        with suppress(OSError):
            times.append(path.stat().st_mtime)
    return max(times)


def is_active(run: Path) -> bool:
    """Whether the run was written to a moment ago: it trains, here or elsewhere."""
    return time.time() - last_change(run) < _ACTIVE_SECONDS


def curves(run: Path) -> dict[str, Any]:
    """All metrics as curves of at most 600 points: ``{"loss": {"steps": [...], "values": [...]}, ...}``.

    Of longer ones each point is the mean over as many lines as needed.

    Raises:
        RunError: the metrics cannot be read.
    """
    try:
        facts = (run / METRICS).stat()
    except OSError:
        return {}
    return _curves(run, facts.st_mtime_ns, facts.st_size)


@lru_cache(maxsize=32)
def _curves(run: Path, _modified: int, _size: int) -> dict[str, Any]:
    columns: dict[str, tuple[list[float], list[float]]] = {}
    for line in read_metrics(run):
        for name, value in line.items():
            if name != "step" and np.isfinite(value) and len(columns) < 200:
                steps, values = columns.setdefault(name, ([], []))
                steps.append(line["step"])
                values.append(value)
    return {name: _thinned(*column) for name, column in sorted(columns.items())}


def _thinned(steps: list[float], values: list[float]) -> dict[str, list[float]]:
    groups = min(len(steps), _MOST_POINTS)
    parts = [np.array_split(np.asarray(column, dtype=np.float64), groups) for column in (steps, values)]
    means = [[float(f"{part.mean():.6g}") for part in column] for column in parts]
    return {"steps": means[0], "values": means[1]}


def previews(run: Path) -> list[dict[str, Any]]:
    """The preview pictures in order of steps, the latest last: name, step (-1 for ``latest``) and time."""
    found = []
    try:
        for path in (run / "previews").iterdir():
            match = _STEP_PREVIEW.fullmatch(path.name)
            if (match or path.name == "latest.jpg") and not path.is_symlink():
                step = int(match[1]) if match else -1
                found.append({"name": path.name, "step": step, "time": path.stat().st_mtime})
    except OSError:
        return []
    return sorted(found, key=lambda one: (one["step"] < 0, one["step"]))[-200:]


def preview(run: Path, name: str) -> bytes:
    """A preview picture.

    Raises:
        RunError: there is none of that name.
    """
    if not PREVIEW.fullmatch(name):
        raise RunError("there is no such preview", hint="reload the page")
    return read_bytes(inside(run, f"previews/{name}"), MAX_PREVIEW_BYTES, error=RunError, hint="reload the page")
