"""What ``assay forge quality`` wrote about fakes, read by whoever sets it beside something else.

Measures are taken as they come: a name and its values. What each means is said in ``docs/quality.md``.
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
    """One measure of one fake: the sum of its values, how many they are, and of what each is one."""

    total: float
    count: int
    level: Level


@dataclass(frozen=True)
class QualityReport:
    """All that was measured.

    Attributes:
        clips: for each fake, by its id, its measures by name.
        units, better: of the measures, and where good lies, as far as the file says.
        failures: how many fakes could not be measured.
        notes: what has to be said beside the numbers.
    """

    clips: dict[str, dict[str, Value]] = field(default_factory=dict)
    units: dict[str, str] = field(default_factory=dict)
    better: dict[str, str] = field(default_factory=dict)
    failures: int = 0
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Summed:
    """A measure over all fakes, as far as it is read here."""

    metric: str
    unit: str | None = None
    better: str | None = None


@dataclass(frozen=True)
class _Document:
    """A file of measurements, as far as it is read here."""

    quality: list[dict[str, Any]]
    summary: list[_Summed] = field(default_factory=list)
    failures: list[dict[str, Any]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def read_quality(paths: Iterable[Path]) -> QualityReport:
    """What the JSON files of ``assay forge quality --out`` say together; a later file overrules an earlier one.

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
    """The mean of each measure over those of ``clips`` (id to cluster) that were measured, with its interval.

    Values of frames count alike, so a long clip counts more than a short one; values of clips count alike. Measures
    are in the order of their names.
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
    """The measures of one fake: spreads over its frames, and single numbers that are no count."""
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
    """A number whose sums stay finite; neither truth values nor numbers beyond all measure."""
    return isinstance(raw, int | float) and not isinstance(raw, bool) and abs(raw) <= _MAX_NUMBER
