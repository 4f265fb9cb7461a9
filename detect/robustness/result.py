"""What a robustness sweep finds: metrics of each cell, and of the sweep."""

from __future__ import annotations

from dataclasses import dataclass

from shared.results.scores import Evaluation


@dataclass(frozen=True)
class CellResult:
    """One cell of the sweep.

    Attributes:
        kind, level, value: the damage; ``value`` is None for the clean clips.
        auc: at clip level, of the clips that still have a face; None with one class only.
        accuracy: at the detector's own threshold.
        no_face_clips: clips without any face, of ``clips``; they have no score and are not in the metrics.
        no_face_rate: share of the searched frames in which no face was found.
    """

    kind: str
    level: int
    value: float | None
    clips: int
    no_face_clips: int
    no_face_rate: float
    auc: Evaluation | None
    accuracy: Evaluation | None


@dataclass(frozen=True)
class Robustness:
    """What ``robustness.json`` holds.

    ``mean_auc`` is over the 7 x 5 cells of DeeperForensics, as papers print it, and None unless all were measured.
    """

    dataset: dict[str, str]
    split: str
    detector: dict[str, str]
    threshold: float
    threshold_from: str
    clusters: str
    cells: tuple[CellResult, ...]
    mean_auc: float | None
    notes: tuple[str, ...]

    def find(self, kind: str, level: int) -> CellResult | None:
        """The cell of ``kind`` at ``level``, if it was measured."""
        return next((cell for cell in self.cells if (cell.kind, cell.level) == (kind, level)), None)
