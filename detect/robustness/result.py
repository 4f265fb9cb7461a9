"""Results of a robustness sweep: metrics of each cell, and of the sweep."""

from __future__ import annotations

from dataclasses import dataclass

from shared.results.scores import Evaluation


@dataclass(frozen=True)
class CellResult:
    """Result of one cell of the sweep.

    Attributes:
        kind, level, value: the perturbation; ``value`` is None for the unperturbed clips.
        auc: at clip level, of the clips in which a face was found; None with one class only.
        accuracy: at the detector's threshold.
        no_face_clips: number of the ``clips`` without a face; they have no score and are not in the metrics.
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
    """The contents of ``robustness.json``.

    ``mean_auc`` is the mean over the 7 x 5 cells of DeeperForensics, as in papers; None unless all were measured.
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
        """The result of ``kind`` at ``level``; None if not measured."""
        return next((cell for cell in self.cells if (cell.kind, cell.level) == (kind, level)), None)
