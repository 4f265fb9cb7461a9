"""Scoreboard values: quality of the fakes of each manipulation, and how well each detector detects them.

``detect`` fills it and writes ``scoreboard.json``; ``forge`` reads it to suggest the next set. It is in ``shared``
because neither imports the other.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import msgspec

from shared.errors import UsageError
from shared.results.scores import Evaluation
from shared.storage import read_json, write_text

SCOREBOARD_NAME = "scoreboard.json"
FORMAT = 1

RowKind = Literal["total", "manipulation", "rendition"]


@dataclass(frozen=True)
class LlrSpread:
    """Percentiles of the calibrated likelihood ratios of one row's fakes, log10.

    Attributes:
        low, median, high: the 5th, 50th and 95th percentile over the fakes that have a score.
        median_low, median_high: interval of the median from a bootstrap over clusters; None with fewer than two.
        misleading: share of the fakes whose ratio supports "real".
        num_fake: number of fakes.
    """

    low: float
    median: float
    high: float
    misleading: float
    num_fake: int
    median_low: float | None = None
    median_high: float | None = None


@dataclass(frozen=True)
class Detectability:
    """Performance of one detector on the fakes of one row against real clips.

    Attributes:
        detector: its name on the scoreboard.
        evaluations: at clip level, without undefined metrics.
        scored: share of the row's fakes that have a score, with its interval.
        llr: None without a valid calibration.
    """

    detector: str
    evaluations: tuple[Evaluation, ...]
    scored: Evaluation
    llr: LlrSpread | None = None

    def find(self, metric: str) -> Evaluation | None:
        """One metric by name, or None if undefined."""
        return next((one for one in self.evaluations if one.metric == metric), None)

    def missed(self, metric: str = "tpr@fpr1%") -> float | None:
        """Share of all fakes that are not detected at the false positive rate of ``metric``; None without the metric.

        A fake without a score counts as missed.
        """
        caught = self.find(metric)
        return None if caught is None else 1.0 - caught.value * self.scored.value


@dataclass(frozen=True)
class Row:
    """One row: the fakes of a manipulation against all real clips, all clips of a rendition, or all clips.

    ``quality`` are means over the row's measured fakes, by metric; empty if none was measured.
    """

    by: RowKind
    name: str
    num_real: int
    num_fake: int
    quality: tuple[Evaluation, ...]
    detectors: tuple[Detectability, ...]

    def measure(self, name: str | None) -> Evaluation | None:
        """One quality metric by name."""
        return next((one for one in self.quality if one.metric == name), None)

    def cell(self, detector: str) -> Detectability | None:
        """The performance of one detector on the row."""
        return next((one for one in self.detectors if one.detector == detector), None)


@dataclass(frozen=True)
class ScoredDetector:
    """One detector of the scoreboard: name, description and notes."""

    name: str
    facts: dict[str, str]
    calibrated: str = ""
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class AucDifference:
    """AUC of two detectors on the clips that both scored, first minus second, by a bootstrap over people and DeLong."""

    first: str
    second: str
    difference: float
    clips: int
    low: float | None = None
    high: float | None = None
    p: float | None = None
    delong_p: float | None = None


@dataclass(frozen=True)
class Scoreboard:
    """The contents of ``scoreboard.json``.

    Attributes:
        dataset: name and digest; split, only: selection of its clips.
        detectors: in the order given.
        rows: the total, then manipulations, then renditions.
        measure: the quality metric in image and tables; None if nothing was measured.
        units, better: of the quality metrics, and which direction is better.
        differences: of every pair of detectors.
        clusters, cluster_by: of the bootstrap.
        notes: remarks for readers.
    """

    dataset: dict[str, str]
    split: str
    only: tuple[str, ...]
    detectors: tuple[ScoredDetector, ...]
    rows: tuple[Row, ...]
    measure: str | None
    units: dict[str, str]
    better: dict[str, str]
    differences: tuple[AucDifference, ...]
    clusters: str
    cluster_by: str
    notes: tuple[str, ...] = ()
    format: int = FORMAT

    def part(self, by: RowKind) -> list[Row]:
        """The rows of one kind."""
        return [row for row in self.rows if row.by == by]


def write_scoreboard(folder: Path, board: Scoreboard) -> Path:
    """Writes ``scoreboard.json`` to ``folder``; returns its path.

    Raises:
        StorageError: writing failed.
    """
    path = folder / SCOREBOARD_NAME
    write_text(path, json.dumps(msgspec.to_builtins(board), indent=2, ensure_ascii=False) + "\n")
    return path


def read_scoreboard(path: Path) -> Scoreboard:
    """The scoreboard in a file, or in the folder that holds it.

    Raises:
        UsageError: there is none, it is damaged, or of another format.
    """
    file = path / SCOREBOARD_NAME if path.is_dir() else path
    hint = "name a scoreboard.json that assay score wrote"
    board = read_json(file, Scoreboard, error=UsageError, hint=hint)
    if board.format != FORMAT:
        raise UsageError(f"{file} has format {board.format}, not {FORMAT}", hint="score again with this version")
    return board
