"""Settings of the robustness sweep; no torch."""

from __future__ import annotations

from dataclasses import dataclass

from detect.config import AggregateConfig, Precision
from shared.bootstrap import ClusterBy
from shared.config import need
from shared.types import SPLITS

_SPLITS = (*SPLITS, "all")


@dataclass(frozen=True)
class RobustnessConfig:
    """How a detector is tried on perturbed clips."""

    split: str = "test"
    clips: int = 60
    """Most clips of the sweep, as many real as fake, spread over people and manipulations."""
    frames_per_clip: int = 8
    """Frames of each clip that are judged, evenly spaced over all of it."""
    quick: bool = False
    """One level of each kind in place of all."""
    kinds: tuple[str, ...] = ()
    """Kinds by name; all when left out."""
    only: tuple[str, ...] = ()
    """"KEY=NAME": the part of the clips that is wanted; see ``assay detect evaluate``."""
    replicates: int = 1000
    cluster_by: ClusterBy = "group"
    seed: int = 0
    """Of the choice of clips, of noise and blocks, and of the bootstrap."""
    device: str = "auto"
    precision: Precision = "auto"
    batch: int = 32
    finder: str | None = None
    """Face finder by name; the one that the detector was trained with when left out."""
    aggregate: AggregateConfig | None = None
    """How a clip's score is made; as in the detector's training when left out."""

    def __post_init__(self) -> None:
        need(self.split in _SPLITS, f"no split is named {self.split!r}", "train, val, test or all")
        for name in ("clips", "frames_per_clip", "replicates", "batch"):
            need(getattr(self, name) >= 1, f"{name} must be at least 1, got {getattr(self, name)}", "leave it out")
