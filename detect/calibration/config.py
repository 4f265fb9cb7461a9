"""Settings of calibration. All defaults are defined here. Imports no torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from shared.errors import ConfigError
from shared.results.fewest import CALIBRATION_CLIPS, CALIBRATION_PEOPLE

ProbabilityMethod = Literal["temperature", "platt", "isotonic"]
LikelihoodMethod = Literal["logistic", "kde"]
CountBy = Literal["target", "group", "clip"]


@dataclass(frozen=True)
class CalibrateConfig:
    """Settings of the maps from clip scores to probabilities and likelihood ratios."""

    method: ProbabilityMethod | Literal["auto"] = "platt"
    """Logit to probability; "auto" takes the method with the lowest log loss on people it was not fitted on."""
    ratio: LikelihoodMethod | Literal["auto"] = "logistic"
    """Logit to likelihood ratio; "auto" takes the method with the lowest Cllr on people it was not fitted on."""
    prior: float = 0.5
    """Prior probability of a fake, on which the reported probability depends."""
    count_by: CountBy = "target"
    """Unit of equal weight: a filmed person ("target"), a group of linked people ("group"), or each clip."""
    fewest_clips: int = CALIBRATION_CLIPS
    """Minimum number of clips of each class for a fit."""
    fewest_people: int = CALIBRATION_PEOPLE
    """Minimum number of persons (or groups, see ``count_by``) of each class for a fit."""
    miscoverage: float = 0.1
    """Share of the forged clips whose prediction set may lack "fake"."""
    real_miscoverage: float = 0.02
    """Share of the real clips whose prediction set may lack "real": at most ``miscoverage``; of few people the least
    that they allow."""
    replicates: int = 100
    """Bootstrap replicates over people for the interval of a likelihood ratio."""
    seed: int = 0

    def __post_init__(self) -> None:
        if not 0 < self.prior < 1:
            raise ConfigError(f"prior is a probability between 0 and 1, got {self.prior}", hint="0.5: even odds")
        if not 0 < self.miscoverage < 0.5:
            raise ConfigError(
                f"miscoverage must lie between 0 and 0.5, got {self.miscoverage}", hint="0.1: nine clips in ten covered"
            )
        if not 0 < self.real_miscoverage < 0.5:
            raise ConfigError(
                f"real_miscoverage must lie between 0 and 0.5, got {self.real_miscoverage}",
                hint="0.02: of fifty real clips one may be excluded from real",
            )
        for name in ("fewest_clips", "fewest_people"):
            if getattr(self, name) < 2:
                raise ConfigError(f"{name} must be at least 2, got {getattr(self, name)}")
        if not 10 <= self.replicates <= 10_000:
            raise ConfigError(f"replicates must lie between 10 and 10000, got {self.replicates}")
