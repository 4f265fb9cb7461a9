"""The scoreboard as values: how good the fakes of each manipulation are, and how well each detector tells them.

``detect`` fills it and writes ``scoreboard.json``; ``forge`` reads it to decide what to make next. It stands here
because both speak it and neither knows the other.
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
    """How the calibrated likelihood ratios of one row's fakes lie, log10.

    Attributes:
        low, median, high: the 5th, 50th and 95th percentile over the fakes that have a score.
        median_low, median_high: interval of the median from a bootstrap over clusters; None with fewer than two.
        misleading: share of the fakes whose ratio speaks for "real".
        num_fake: how many fakes.
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
    """How well one detector tells the fakes of one row from real clips.

    Attributes:
        detector: its name on the scoreboard.
        evaluations: at clip level; metrics that the data cannot give are missing.
        scored: share of the row's fakes that have a score, with its interval.
        llr: None without a calibration that fits.
    """

    detector: str
    evaluations: tuple[Evaluation, ...]
    scored: Evaluation
    llr: LlrSpread | None = None

    def find(self, metric: str) -> Evaluation | None:
        """One metric by name, or None where the data could not give it."""
        return next((one for one in self.evaluations if one.metric == metric), None)

    def missed(self, metric: str = "tpr@fpr1%") -> float | None:
        """Share of all fakes that are not called at the false positive rate of ``metric``; None without the metric.

        A fake that has no score is missed as well.
        """
        caught = self.find(metric)
        return None if caught is None else 1.0 - caught.value * self.scored.value


@dataclass(frozen=True)
class Row:
    """One line: the fakes of a manipulation against all real clips, all clips of a rendition, or everything.

    ``quality`` are means over the row's measured fakes, by measure; empty where nothing was measured.
    """

    by: RowKind
    name: str
    num_real: int
    num_fake: int
    quality: tuple[Evaluation, ...]
    detectors: tuple[Detectability, ...]

    def measure(self, name: str | None) -> Evaluation | None:
        """One measure of quality by name."""
        return next((one for one in self.quality if one.metric == name), None)

    def cell(self, detector: str) -> Detectability | None:
        """What one detector makes of the row."""
        return next((one for one in self.detectors if one.detector == detector), None)


@dataclass(frozen=True)
class JudgeFacts:
    """One detector of the scoreboard: its name there, what it is, and what a reader must know of it."""

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
    """What ``scoreboard.json`` holds.

    Attributes:
        dataset: name and digest; split, only: which of its clips.
        detectors: in the order in which they were named.
        rows: the total, then manipulations, then renditions.
        measure: of quality that the picture and the tables show; None where nothing was measured.
        units, better: of the measures of quality, and where good lies.
        differences: of every pair of detectors.
        clusters, cluster_by: what the bootstrap drew.
        notes: what a reader must know.
    """

    dataset: dict[str, str]
    split: str
    only: tuple[str, ...]
    detectors: tuple[JudgeFacts, ...]
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
    """Replaces ``scoreboard.json`` in ``folder``; gives its path.

    Raises:
        StorageError: the disk refused.
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
