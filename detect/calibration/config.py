"""Settings of calibration. Defaults stand here and nowhere else; no torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from shared.errors import ConfigError

ProbabilityMethod = Literal["temperature", "platt", "isotonic"]
LikelihoodMethod = Literal["logistic", "kde"]
CountBy = Literal["target", "group", "clip"]


@dataclass(frozen=True)
class CalibrateConfig:
    """How clip scores become probabilities and likelihood ratios."""

    method: ProbabilityMethod | Literal["auto"] = "platt"
    """Logit to probability; "auto" takes the method with the lowest log loss on people it was not fitted on."""
    ratio: LikelihoodMethod | Literal["auto"] = "logistic"
    """Logit to likelihood ratio; "auto" takes the method with the lowest Cllr on people it was not fitted on."""
    prior: float = 0.5
    """Probability of a fake before anything was looked at; the probability that is reported supposes it."""
    count_by: CountBy = "target"
    """What counts once: a filmed person ("target"), a group of linked people ("group"), or each clip of its own."""
    fewest_clips: int = 10
    """Clips of each class below which nothing is fitted."""
    fewest_people: int = 4
    """Persons (or groups, see ``count_by``) of each class below which nothing is fitted."""
    replicates: int = 100
    """Bootstrap replicates over people for the interval of a likelihood ratio."""
    seed: int = 0

    def __post_init__(self) -> None:
        if not 0 < self.prior < 1:
            raise ConfigError(f"prior is a probability between 0 and 1, got {self.prior}", hint="0.5: even odds")
        for name in ("fewest_clips", "fewest_people"):
            if getattr(self, name) < 2:
                raise ConfigError(f"{name} must be at least 2, got {getattr(self, name)}")
        if not 10 <= self.replicates <= 10_000:
            raise ConfigError(f"replicates must lie between 10 and 10000, got {self.replicates}")
