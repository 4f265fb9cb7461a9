"""Differences between two cases, by name."""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from detect.cases.contents import Contents, contents_of
from shared.errors import CaseError
from shared.storage import decode_json

_MAX_REPORT_BYTES = 256 << 20
_MAX_TABLE_BYTES = 1 << 30
_ABSENT = "absent"


@dataclass(frozen=True)
class Difference:
    """A value that two cases state differently; "absent" where one lacks it."""

    what: str
    first: str
    second: str


@dataclass(frozen=True)
class Comparison:
    """The result of comparing two cases.

    Attributes:
        same_file: whether both are about the same bytes.
        differences: of their reports, in the order of the first; of the scores of frames last.
    """

    same_file: bool
    differences: tuple[Difference, ...]


def compare_cases(first: Path, second: Path) -> Comparison:
    """Compares reports and scores of two cases, folders or archives, also of earlier versions.

    Raises:
        CaseError: one is no case, or is damaged.
    """
    with contents_of(first) as one, contents_of(second) as other:
        reports = [_report(each) for each in (one, other)]
        values = [dict(_values(report)) for report in reports]
        names = dict.fromkeys((*values[0], *values[1]))
        pairs = [(name, values[0].get(name, _ABSENT), values[1].get(name, _ABSENT)) for name in names]
        found = [Difference(*pair) for pair in pairs if pair[1] != pair[2]]
        found += _score_differences(_scores(one), _scores(other))
    hashes = [report.get("sha256_intake") for report in reports]
    return Comparison(hashes[0] == hashes[1] is not None, tuple(found))


def inspected_sha256(place: Path) -> str | None:
    """SHA-256 of the file that a case is about; None if its report lacks it.

    Raises:
        CaseError: it is no case, or is damaged.
    """
    with contents_of(place) as contents:
        found = _report(contents).get("sha256_intake")
    return found if isinstance(found, str) else None


def _report(contents: Contents) -> Mapping[str, Any]:
    data = contents.read("report.json", _MAX_REPORT_BYTES)
    return decode_json(data, dict, f"{contents.place}: report.json", error=CaseError, hint="restore it from a copy")


def _values(value: Any, name: str = "") -> Iterator[tuple[str, str]]:
    """Every plain value below ``value`` with a name made of the names on the way; lists of things with names by these.

    The evidence "timing" of a report is "evidence: timing", wherever it stands in the list.
    """
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _values(inner, f"{name}: {key}" if name else str(key))
    elif isinstance(value, list):
        for place, inner in enumerate(value):
            label = _label(inner, place)
            yield from _values(inner, f"{name}: {label}")
    else:
        yield name, f"{value:.6g}" if isinstance(value, float) else str(value)


def _label(value: Any, place: int) -> str:
    if isinstance(value, Mapping):
        for key in ("name", "metric", "fact", "track", "file"):
            if isinstance(value.get(key), str | int):
                return f"{key} {value[key]}" if key == "track" else str(value[key])
    return str(place)


def _scores(contents: Contents) -> dict[tuple[int, int], float]:
    """Logit by frame and track."""
    data = contents.read("frames.parquet", _MAX_TABLE_BYTES)
    try:
        table = pq.read_table(io.BytesIO(data), columns=["frame", "track", "logit"])
    except (pa.ArrowException, OSError, ValueError) as error:
        raise CaseError(f"{contents.place}: frames.parquet is damaged", hint="restore it from a copy") from error
    rows = zip(*(table[name].to_pylist() for name in ("frame", "track", "logit")), strict=True)
    return {(int(frame), int(track)): float(logit) for frame, track, logit in rows}


def _score_differences(
    first: Mapping[tuple[int, int], float], second: Mapping[tuple[int, int], float]
) -> list[Difference]:
    both = first.keys() & second.keys()
    found = []
    if first.keys() != second.keys():
        found.append(Difference("faces scored", f"{len(first)}", f"{len(second)}, {len(both)} of them in both"))
    changed = [key for key in both if first[key] != second[key]]
    if changed:
        key = max(sorted(changed), key=lambda each: abs(first[each] - second[each]))
        where = f"score of face {key[1]} in frame {key[0]}, the largest of {len(changed)} that differ"
        found.append(Difference(where, f"{first[key]:+.4f}", f"{second[key]:+.4f}"))
    return found
