"""A power law of an error against a number of things learned from, with intervals and a forecast that can be tested.

``error = factor * number ** -exponent``, fitted to the logarithms by least squares over all trainings (Hestness et al.,
"Deep learning scaling is predictable, empirically", 2017). Intervals are those of the linear regression, Student's t.
The forecast is made without the largest number, and compared with what was measured there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import t as student

CONFIDENCE = 0.95
_ROUNDING = 1e-9
_LEAST_ERROR = 1e-3
"""Errors are not taken as smaller: an AUC of 1 within its samples has no logarithm."""


@dataclass(frozen=True)
class PowerLaw:
    """A fit, and the forecast of the largest number from the others.

    Attributes:
        factor: the error at one.
        exponent: with its interval ``exponent_low`` to ``exponent_high``; above 0 the error falls.
        forecast: of the mean error at the largest number, with the interval in which the mean of that many trainings
            lies if the law goes on; ``measured`` is that mean.
    """

    factor: float
    exponent: float
    exponent_low: float
    exponent_high: float
    forecast: float
    forecast_low: float
    forecast_high: float
    measured: float

    @property
    def falls(self) -> bool:
        """Whether the exponent is above 0 within its interval."""
        return self.exponent_low > 0

    @property
    def kept(self) -> bool:
        """Whether the measured mean lies in the interval of its forecast."""
        low, high = self.forecast_low * (1 - _ROUNDING), self.forecast_high * (1 + _ROUNDING)
        return low <= self.measured <= high

    def at(self, numbers: np.ndarray) -> np.ndarray:
        """The law's error at ``numbers``."""
        return self.factor * np.asarray(numbers, np.float64) ** -self.exponent


def fit_power_law(numbers: Sequence[float], errors: Sequence[float]) -> PowerLaw:
    """The law through (N,) ``errors`` of trainings that learned from (N,) ``numbers`` of things.

    Raises:
        ValueError: fewer than four different numbers, or values that have no logarithm.
    """
    x, y = np.asarray(numbers, np.float64), np.asarray(errors, np.float64)
    if x.shape != y.shape or np.unique(x).size < 4:
        raise ValueError("a power law and its forecast take four different numbers, and an error for each training")
    if (x <= 0).any() or not np.isfinite(y).all() or (y < 0).any():
        raise ValueError("numbers are above 0, and errors finite and at least 0")
    across, up = np.log(x), np.log(np.maximum(y, _LEAST_ERROR))
    whole = _Line.through(across, up)
    largest = x == x.max()
    before = _Line.through(across[~largest], up[~largest])
    low, middle, high = np.exp(before.forecast(float(np.log(x.max())), int(largest.sum())))
    width = whole.width * whole.deviation / whole.spread**0.5
    return PowerLaw(
        factor=float(np.exp(whole.start)),
        exponent=-whole.slope,
        exponent_low=-whole.slope - width,
        exponent_high=-whole.slope + width,
        forecast=float(middle),
        forecast_low=float(low),
        forecast_high=float(high),
        measured=float(np.exp(up[largest].mean())),
    )


@dataclass(frozen=True)
class _Line:
    """A line by least squares; ``deviation`` of the residuals, ``spread`` of x, ``width`` of Student's t."""

    start: float
    slope: float
    deviation: float
    spread: float
    middle: float
    count: int
    width: float

    @classmethod
    def through(cls, x: np.ndarray, y: np.ndarray) -> _Line:
        middle = float(x.mean())
        spread = float(((x - middle) ** 2).sum())
        slope = float(((x - middle) * (y - y.mean())).sum()) / spread
        start = float(y.mean()) - slope * middle
        free = x.size - 2
        deviation = float((((y - start - slope * x) ** 2).sum() / free) ** 0.5)
        width = float(student.ppf((1 + CONFIDENCE) / 2, free))
        return cls(start, slope, deviation, spread, middle, int(x.size), width)

    def forecast(self, x: float, repeats: int) -> np.ndarray:
        """(3,) low, value and high of the mean of ``repeats`` new values at ``x``."""
        value = self.start + self.slope * x
        error = self.deviation * (1 / repeats + 1 / self.count + (x - self.middle) ** 2 / self.spread) ** 0.5
        return np.array([value - self.width * error, value, value + self.width * error])
