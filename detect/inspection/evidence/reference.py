"""Reference values of the measures of faces: how they are spread over real clips and photographs.

``reference.json`` holds numbers only. ``python -m benchmarks evidence-reference`` measures them anew.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
import numpy as np

from shared.errors import ConfigError
from shared.storage import read_json, write_bytes

REFERENCE = Path(__file__).with_name("reference.json")
LIMIT = 4.0
"""Robust standard deviations from the median of real material from which a value is odd."""
LEAST_FILES = 10
"""Real files from which a spread is compared with; of fewer, its deviation is a matter of chance."""


@dataclass(frozen=True)
class Spread:
    """The spread of one measure over real files, each counted once by its median.

    Attributes:
        count: number of files.
        median, deviation: of their medians; the deviation is the interquartile range over 1.349.
        low, high: the lowest and the highest.
    """

    count: int
    median: float
    deviation: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        """The spread of at least two ``values``."""
        numbers = np.array(values, np.float64)
        quartiles = np.quantile(numbers, (0.25, 0.5, 0.75))
        plain = ((quartiles[2] - quartiles[0]) / 1.349, quartiles[1], numbers.min(), numbers.max())
        deviation, median, low, high = (round(float(each), 4) for each in plain)
        return cls(len(numbers), median, max(deviation, 1e-3), low, high)

    def distance(self, value: float) -> float:
        """Deviations between ``value`` and the median, with the sign."""
        return (value - self.median) / self.deviation

    def words(self) -> str:
        """The spread as text."""
        return f"{self.count} real files: median {self.median:.2f}, {self.low:.2f} to {self.high:.2f}"


@dataclass(frozen=True)
class Reference:
    """Spreads by kind of file ("video", "still") and measure.

    Attributes:
        material: sets of real material, with the number of files of each.
        values: the spreads.
    """

    material: dict[str, int]
    values: dict[str, dict[str, Spread]] = field(default_factory=dict)

    def of(self, kind: str, measure: str) -> Spread | None:
        """The spread of ``measure`` over real files of that kind; None if it was not measured."""
        return self.values.get(kind, {}).get(measure)

    def write(self, path: Path) -> None:
        """Writes the reference as JSON.

        Raises:
            StorageError: writing failed.
        """
        write_bytes(path, msgspec.json.format(msgspec.json.encode(self), indent=2) + b"\n")


@functools.cache
def reference() -> Reference:
    """The reference of this version.

    Raises:
        ConfigError: the installation is damaged.
    """
    return read_json(REFERENCE, Reference, error=ConfigError, hint="install Assay again")
