"""Reader of the quality measurements written by ``assay forge quality``.

Metrics are generic: a name and its values. ``docs/quality.md`` defines them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeGuard

import numpy as np

from shared.bootstrap import BootstrapSettings, mean_interval
from shared.errors import UsageError
from shared.results.scores import Evaluation, Level
from shared.storage import read_json

_MAX_VALUES = 10**9
_MAX_NUMBER = 1e100


@dataclass(frozen=True)
class Value:
    """One metric of one fake: sum, number and unit of its values."""

    total: float
    count: int
    level: Level


@dataclass(frozen=True)
class QualityReport:
    """Quality measurements of a set.

    Attributes:
        clips: for each fake, by its id, its metrics by name.
        units, better: of the metrics, and which direction is better, if the file has them.
        failures: number of fakes that could not be measured.
        notes: remarks on the numbers.
    """

    clips: dict[str, dict[str, Value]] = field(default_factory=dict)
    units: dict[str, str] = field(default_factory=dict)
    better: dict[str, str] = field(default_factory=dict)
    failures: int = 0
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Summed:
    """The fields of a metric over all fakes that are read here."""

    metric: str
    unit: str | None = None
    better: str | None = None


@dataclass(frozen=True)
class _Document:
    """The fields of a file of measurements that are read here."""

    quality: list[dict[str, Any]]
    summary: list[_Summed] = field(default_factory=list)
    failures: list[dict[str, Any]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def read_quality(paths: Iterable[Path]) -> QualityReport:
    """The merged JSON files of ``assay forge quality --out``; later files overrule earlier ones.

    Raises:
        UsageError: a file is missing, too large or of another kind.
    """
    clips: dict[str, dict[str, Value]] = {}
    units: dict[str, str] = {}
    better: dict[str, str] = {}
    failures, notes = 0, dict[str, None]()
    for path in paths:
        document = _read(path)
        for entry in document.quality:
            clips[entry["id"]] = _values(entry)
        units.update({one.metric: one.unit for one in document.summary if one.unit})
        better.update({one.metric: one.better for one in document.summary if one.better})
        failures += len(document.failures)
        notes.update(dict.fromkeys(document.notes))
    return QualityReport(clips, units, better, failures, tuple(notes))


def mean_quality(
    report: QualityReport, clips: Mapping[str, int], settings: BootstrapSettings | None = None
) -> tuple[Evaluation, ...]:
    """The mean of each metric over the measured ones of ``clips`` (id to cluster), with its interval.

    Frames have equal weight, so a long clip counts more than a short one; clip values have equal weight. Sorted by
    name.
    """
    settings = settings or BootstrapSettings()
    found = [(report.clips[name], cluster) for name, cluster in clips.items() if name in report.clips]
    names = sorted({name for values, _ in found for name in values})
    return tuple(
        _mean(name, [(values[name], cluster) for values, cluster in found if name in values], settings)
        for name in names
    )


def _mean(name: str, values: Sequence[tuple[Value, int]], settings: BootstrapSettings) -> Evaluation:
    totals = np.array([value.total for value, _ in values])
    counts = np.array([value.count for value, _ in values])
    clusters = np.array([cluster for _, cluster in values])
    low, high = mean_interval(totals, counts, clusters, settings) or (None, None)
    number = int(counts.sum())
    return Evaluation(
        metric=name,
        value=float(totals.sum() / number),
        level=values[0][0].level,
        num_real=number,
        num_fake=number,
        low=low,
        high=high,
        clusters=int(np.unique(clusters).size),
        confidence=settings.confidence,
    )


def _read(path: Path) -> _Document:
    hint = "name a file that assay forge quality --out wrote"
    document = read_json(path, _Document, error=UsageError, hint=hint)
    if not all(isinstance(entry.get("id"), str) for entry in document.quality):
        raise UsageError(f"{path} holds no measurements of fakes", hint=hint)
    return document


def _values(entry: Mapping[str, Any]) -> dict[str, Value]:
    """The metrics of one fake: spreads over its frames, and single numbers that are not counts."""
    found: dict[str, Value] = {}
    for name, raw in entry.items():
        if isinstance(raw, float) and abs(raw) <= _MAX_NUMBER:
            found[name] = Value(raw, 1, "clip")
        elif isinstance(raw, dict):
            mean, count = raw.get("mean"), raw.get("n")
            if _is_number(mean) and type(count) is int and 0 < count <= _MAX_VALUES:
                found[name] = Value(float(mean) * count, count, "frame")
    return found


def _is_number(raw: object) -> TypeGuard[float]:
    """Whether ``raw`` is a number, not a bool, small enough that sums stay finite."""
    return isinstance(raw, int | float) and not isinstance(raw, bool) and abs(raw) <= _MAX_NUMBER
