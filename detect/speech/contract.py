"""What a detector of synthetic speech gives, and the registry of their kinds.

Convention:
    samples: (N,) float32 at 16 kHz
    steps: T of them, one every 20 ms, T = 1 + N // 320; step t is centred on t times 20 ms
    values: (T,) float32 logits, positive for fake; weights: (T,) float32, not negative, how much each step counts
    logit of a whole: the weighted mean of its steps' values
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from torch import Tensor

from shared.registry import Registry

RATE = 16_000
"""Samples a second of all input."""

STEP = 320
"""Samples from one step to the next."""

STEP_SECONDS = STEP / RATE

LEAST_SECONDS = 0.3
"""Shortest sound that is scored."""


@dataclass(frozen=True, eq=False)
class StepScores:
    """The scores of one sound: ``values`` (T,) logits and ``weights`` (T,) of its steps.

    Raises:
        ValueError: the shapes differ, there is no step, a value is not finite, or no weight is above 0.
    """

    values: np.ndarray
    weights: np.ndarray

    def __post_init__(self) -> None:
        if self.values.ndim != 1 or self.values.shape != self.weights.shape or not len(self.values):
            raise ValueError(f"values and weights are (T,), got {self.values.shape} and {self.weights.shape}")
        finite = np.isfinite(self.values).all() and np.isfinite(self.weights).all()
        if not finite or (self.weights < 0).any() or not self.weights.any():
            raise ValueError("values are finite, weights not negative and not all 0")

    @property
    def logit(self) -> float:
        """The logit of the whole sound."""
        return float(np.average(self.values.astype(np.float64), weights=self.weights.astype(np.float64)))

    @property
    def seconds(self) -> np.ndarray:
        """(T,) the middle of each step."""
        return np.arange(len(self.values)) * STEP_SECONDS

    def interval(self, *, block_seconds: float = 0.5, rounds: int = 400, seed: int = 0) -> tuple[float, float] | None:
        """95 % interval of :attr:`logit` by a bootstrap over blocks of time; None with fewer than four blocks."""
        size = max(1, round(block_seconds / STEP_SECONDS))
        firsts = np.arange(0, len(self.values), size)
        if len(firsts) < 4:
            return None
        mass = np.add.reduceat(self.weights.astype(np.float64), firsts)
        sums = np.add.reduceat(self.values.astype(np.float64) * self.weights, firsts)
        chosen = np.random.default_rng(seed).integers(0, len(firsts), (rounds, len(firsts)))
        totals = mass[chosen].sum(1)
        means = sums[chosen].sum(1)[totals > 0] / totals[totals > 0]
        low, high = np.quantile(means, (0.025, 0.975))
        return float(low), float(high)


@dataclass(frozen=True)
class NetworkOptions:
    """How a network is built; stored beside its weights. Each is of one kind and has no effect on the others.

    Attributes:
        residual: of ``raw``: a second branch hears the sound through a fixed high-pass filter.
        backbone: of ``timm``: the name of the backbone; empty for the default.
        pretrained: of ``timm``: a training starts from ImageNet weights.
    """

    residual: bool = False
    backbone: str = ""
    pretrained: bool = False


class SpeechDetector(ABC):
    """A detector of synthetic speech.

    Its registered factory takes ``tensors``, all that was learned by name, and ``options``, and raises ValueError where
    they do not fit.

    Attributes:
        kind: its registered name.
        options: of its network.
    """

    kind: ClassVar[str]
    options: NetworkOptions = NetworkOptions()

    @abstractmethod
    def steps(self, samples: np.ndarray) -> StepScores:
        """Scores of a sound of any length; (N,) float32 at 16 kHz."""

    @abstractmethod
    def tensors(self) -> dict[str, Tensor]:
        """All that was learned, by name, on the CPU."""


SPEECH_DETECTORS: Registry[SpeechDetector] = Registry("detector of speech")
"""The kinds of detectors by name; :mod:`detect.speech.kinds` lists them."""


def count_of_steps(samples: np.ndarray) -> int:
    """Steps of a sound of (N,) samples."""
    return 1 + len(samples) // STEP
