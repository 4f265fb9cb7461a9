"""Settings of the robustness sweep. Imports no torch."""

from __future__ import annotations

from dataclasses import dataclass

from detect.config.scoring import AggregateConfig, Precision
from shared.bootstrap import ClusterBy
from shared.config import need
from shared.types import SPLITS

_SPLITS = (*SPLITS, "all")


@dataclass(frozen=True)
class RobustnessConfig:
    """Settings of a robustness sweep."""

    split: str = "test"
    clips: int = 60
    """Maximum number of clips, half of them fake, spread over people and manipulations."""
    frames_per_clip: int = 8
    """Number of frames scored in each clip, evenly spaced."""
    quick: bool = False
    """One level of each kind instead of all."""
    kinds: tuple[str, ...] = ()
    """Names of the kinds of perturbation; default all."""
    only: tuple[str, ...] = ()
    """"KEY=NAME": the subset of clips to use; see ``assay detect evaluate``."""
    replicates: int = 1000
    cluster_by: ClusterBy = "group"
    seed: int = 0
    """Seed of the choice of clips, of noise and blocks, and of the bootstrap."""
    device: str = "auto"
    precision: Precision = "auto"
    batch: int = 32
    finder: str | None = None
    """Name of the face finder; default the one that the detector was trained with."""
    aggregate: AggregateConfig | None = None
    """Aggregation of a clip's face scores; default the detector's own."""

    def __post_init__(self) -> None:
        need(self.split in _SPLITS, f"no split is named {self.split!r}", "train, val, test or all")
        for name in ("clips", "frames_per_clip", "replicates", "batch"):
            need(getattr(self, name) >= 1, f"{name} must be at least 1, got {getattr(self, name)}", "leave it out")
