"""Settings of an audit."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from shared.errors import ConfigError

GroupBy = Literal["auto", "component", "target"]


@dataclass(frozen=True)
class AuditConfig:
    """Settings of an audit.

    Attributes:
        frames: number of frames read per clip, evenly spaced over its forged part (of a real clip, over the part that
            is forged in the fakes made from it, so that both classes are compared at the same times).
        limit: a probe whose interval is above this area is reported as a shortcut.
        min_groups: minimum number of groups of people in the tested clips for a verdict. With six, the interval of a
            probe that is always right starts at 0.54, below ``limit``.
        folds: of cross-validation, where train and test splits are too small.
        trees: number of trees in the forest of a probe.
        group_by: unit that is kept together in cross-validation and resampled for intervals: "component" (people linked
            by clips, as for splits), "target" (the filmed person), or "auto": components if there are ``min_groups`` of
            them, else filmed persons.
        replicates, seed: of the bootstrap; the seed is also used for folds and trees.
        finder: face finder for landmarks of labelled faces, for the search for one person in two splits; "none" skips
            this search.
        near_bits: pictures whose 64-bit hashes differ in at most this number of bits are near duplicates.
        workers: number of threads that read clips; 0 for one per core.
    """

    frames: int = 6
    limit: float = 0.55
    min_groups: int = 7
    folds: int = 5
    trees: int = 150
    group_by: GroupBy = "auto"
    replicates: int = 1000
    seed: int = 0
    finder: str = "dlib"
    near_bits: int = 6
    workers: int = 0

    def __post_init__(self) -> None:
        if not 1 <= self.frames <= 64:
            raise ConfigError(f"frames must be from 1 to 64, got {self.frames}", hint="six a clip is enough")
        if not 0.5 <= self.limit < 1.0:
            raise ConfigError(f"limit is an area from 0.5 to below 1, got {self.limit}", hint="0.55 is customary")
        if self.min_groups < 2 or self.folds < 2 or self.replicates < 100 or self.trees < 1 or self.workers < 0:
            raise ConfigError("need min_groups and folds of 2, replicates of 100, workers of 0 at least")
        if not 0 <= self.near_bits <= 16:
            raise ConfigError(f"near_bits must be from 0 to 16 of 64, got {self.near_bits}", hint="6 is a good start")
