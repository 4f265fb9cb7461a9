"""Signs that a training collapses: reconstruction that gets worse for long, or detail that goes."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Mapping
from statistics import fmean, stdev
from typing import NamedTuple

from forge.training.config import TrainConfig
from forge.training.losses.objective import TERMS

_STEPS = 500
_FEWEST_LOGS = 10
_RISE = 1.3
_STANDARD_ERRORS = 6.0
_DETAIL_LEFT = 0.5
_SSIM_LOST = 0.03


class Sign(NamedTuple):
    """What is wrong, as a clause, and the step at which the training was still well."""

    text: str
    good_step: int


class CollapseWatch:
    """Compares the losses and previews of a training with the best ones of the same phase.

    Either the mean loss of 500 steps exceeds the lowest such mean by 30 %, and by six standard errors, so that neither
    noise nor single spikes count; or a preview has less than half of the sharpness of an earlier one and a lower SSIM
    too. What a phase changes is no sign: each begins anew, and its first 500 steps set no mark. Give it the
    loss without the adversary's part, see :func:`reconstruction`.

    Args:
        log_every: steps between two losses.

    Attributes:
        good_step: of the lowest mean loss so far; -1 before there is one.
    """

    def __init__(self, log_every: int) -> None:
        self.good_step = -1
        self._recent: deque[float] = deque(maxlen=max(_FEWEST_LOGS, math.ceil(_STEPS / log_every)))
        self._phase: object = None
        self._logs = 0
        self._lowest, self._lowest_error = math.inf, 0.0
        self._previews: list[tuple[int, float, float]] = []
        self._preview_phase: object = None

    def loss(self, phase: object, step: int, value: float) -> Sign | None:
        """Takes a loss that was logged at ``step`` of ``phase``; returns a sign if there is one."""
        if phase is not self._phase:
            self._phase, self._logs, self._lowest = phase, 0, math.inf
            self._recent.clear()
        self._recent.append(value)
        self._logs += 1
        count = self._recent.maxlen or 1
        if self._logs < 2 * count:
            return None
        mean = fmean(self._recent)
        error = stdev(self._recent) / math.sqrt(count)
        if mean < self._lowest:
            self._lowest, self._lowest_error, self.good_step = mean, error, step
        needed = _STANDARD_ERRORS * math.hypot(error, self._lowest_error)
        if mean <= _RISE * self._lowest or mean - self._lowest <= needed:
            return None
        text = f"the loss has risen from {self._lowest:.4g} to {mean:.4g} since step {self.good_step:,}"
        return Sign(text, self.good_step)

    def preview(self, phase: object, step: int, ssim: float, sharpness: float) -> Sign | None:
        """Takes the quality measured by a preview of ``step`` in ``phase``; returns a sign if there is one."""
        if phase is not self._preview_phase:
            self._preview_phase, self._previews = phase, []
        worse = [one for one in self._previews if sharpness < _DETAIL_LEFT * one[2] and ssim < one[1] - _SSIM_LOST]
        self._previews.append((step, ssim, sharpness))
        if not worse:
            return None
        good, ssim_then, sharpness_then = max(worse)
        text = (
            f"faces have lost detail since step {good:,}: sharpness {sharpness_then:.2f} of the real faces' then and "
            f"{sharpness:.2f} now, SSIM {ssim_then:.2f} and {ssim:.2f}"
        )
        return Sign(text, good)


def reconstruction(scalars: Mapping[str, float], settings: TrainConfig) -> float:
    """The part of the loss that compares a face with its target: the terms in ``scalars``, weighted by ``settings``."""
    return sum(getattr(settings.loss, term) * scalars[term] for term in TERMS if term in scalars)
