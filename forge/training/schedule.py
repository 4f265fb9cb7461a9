"""Schedules of learning rate, warp and previews: pure functions of the step, the fraction done and the time."""

from __future__ import annotations

import math

from forge.training.config import TrainConfig

_FIRST_PREVIEW_SECONDS = 30.0
_LONGEST_WAIT_SECONDS = 3600.0


def learning_rate(step: int, fraction: float, config: TrainConfig) -> float:
    """Linear warm-up, a plateau, then a half cosine from ``decay_from`` down to ``decay_to`` times the rate."""
    warm = min(1.0, (step + 1) / config.warmup_steps) if config.warmup_steps else 1.0
    late = _late(fraction, config.decay_from)
    falling = config.decay_to + (1 - config.decay_to) * (1 + math.cos(math.pi * late)) / 2
    return config.learning_rate * warm * falling


def next_preview(seconds: float) -> float:
    """When the next preview by time is due, in seconds of training: after 30, each half as long again after the last.

    From two hours on every hour.
    """
    due = _FIRST_PREVIEW_SECONDS
    while due <= seconds:
        due += min(due / 2, _LONGEST_WAIT_SECONDS)
    return due


def warp_strength(fraction: float, config: TrainConfig) -> float:
    """1 until ``warp_until`` of the schedule, then linear decay to 0 at its end."""
    return 1.0 - _late(fraction, config.augment.warp_until)


def _late(fraction: float, start: float) -> float:
    """How far ``fraction`` is between ``start`` and 1."""
    return 0.0 if fraction <= start else min(1.0, (fraction - start) / (1 - start))
