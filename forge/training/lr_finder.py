"""Learning rate finder: a short trial with a rising learning rate, until the loss diverges.

Smith, "Cyclical Learning Rates for Training Neural Networks", WACV 2017, section 3.3. The trial is discarded.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from forge.training.config import TrainConfig
from forge.training.train import prepare
from forge.training.trainer import SwapTrainer
from shared.console import console
from shared.errors import UsageError
from shared.plots import figure, png

_SMOOTHING = 0.9
_BURST = 4.0
_FEWEST = 20


@dataclass(frozen=True)
class RateTrial:
    """Result of a trial.

    Convention:
        rates, losses: step by step, the losses as measured; smoothed: their running mean
        suggestion: the rate at which the loss fell fastest
    """

    rates: tuple[float, ...]
    losses: tuple[float, ...]
    smoothed: tuple[float, ...]
    suggestion: float


def find_rate(
    facesets: Sequence[Path], config: TrainConfig, *, steps: int = 120, low: float = 1e-6, high: float = 1e-2
) -> RateTrial:
    """Trains for ``steps`` at rates from ``low`` to ``high``, in equal ratios; finds the steepest fall.

    Ends early when the loss is four times its minimum. Nothing is written and no run is changed.

    Raises:
        UsageError: the range is empty or there are fewer than 20 steps; otherwise as in training.
    """
    if not 0 < low < high <= 1 or steps < _FEWEST:
        raise UsageError(
            f"a trial of {steps} steps from {low:g} to {high:g} is not informative",
            hint=f"{_FEWEST} steps or more, from a lower to a higher rate; 1e-6 to 1e-2 is usual",
        )
    plain = dataclasses.replace(config, learning_rate=low, warmup_steps=0, decay_from=1.0, phases=(), ema=0.0)
    ready = prepare(facesets, plain)
    trainer = SwapTrainer(ready.swapper, ready.banks(plain).train, ready.device, plain)
    rates = np.geomspace(low, high, steps).tolist()
    tried: list[float] = []
    losses: list[float] = []
    for rate in console.track(rates, "trying rates", steps, unit="step"):
        trainer.rate_scale = rate / low
        found = trainer.train_step(0.0)
        tried.append(rate)
        losses.append(float(torch.stack([loss.total for loss in found.values()]).mean()))
        if not math.isfinite(losses[-1]):
            losses.pop()
            tried.pop()
            break
        if len(losses) > _FEWEST and smooth(losses)[-1] > _BURST * min(smooth(losses)):
            break
    return RateTrial(tuple(tried), tuple(losses), tuple(smooth(losses)), suggest(tried, smooth(losses)))


def smooth(losses: Sequence[float]) -> list[float]:
    """The bias-corrected exponential moving average of ``losses``."""
    mean, found = 0.0, []
    for count, loss in enumerate(losses, start=1):
        mean = _SMOOTHING * mean + (1 - _SMOOTHING) * loss
        found.append(mean / (1 - _SMOOTHING**count))
    return found


def suggest(rates: Sequence[float], smoothed: Sequence[float]) -> float:
    """The rate at which ``smoothed`` falls fastest per ratio of rates, before its minimum.

    Raises:
        UsageError: the loss was finite for too few steps.
    """
    if len(smoothed) < _FEWEST // 2:
        raise UsageError("the loss diverged at once", hint="start the trial from a lower rate")
    bottom = max(3, int(np.argmin(smoothed)) + 1)
    slope = np.gradient(np.asarray(smoothed[:bottom]), np.log(np.asarray(rates[:bottom])))
    return float(rates[int(np.argmin(slope))])


def rate_plot(trial: RateTrial) -> bytes:
    """A PNG: the loss over the rate, with the suggestion."""
    with figure(8, 4, dpi=110, style={}) as plot:
        axes = plot.add_subplot()
        axes.plot(trial.rates, trial.losses, alpha=0.3, linewidth=1, label="loss")
        axes.plot(trial.rates, trial.smoothed, linewidth=1.5, label="smoothed")
        axes.axvline(trial.suggestion, color="tab:red", linewidth=1, label=f"suggested {trial.suggestion:.2g}")
        axes.set(xlabel="learning rate", ylabel="loss", xscale="log")
        axes.grid(alpha=0.3)
        axes.legend()
        return png(plot)
