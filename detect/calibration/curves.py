"""Plots of a calibration: reliability, Tippett, PAV, and the map from score to likelihood ratio."""

from __future__ import annotations

import textwrap
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes

from detect.calibration.fit import person_weights
from detect.calibration.likelihood import bins_for, cllr, cllr_min, pav_llrs, weighted_ece
from detect.calibration.maps import Calibration
from detect.calibration.quality import HeldOutOdds
from detect.metrics.classification import check_samples, equal_mass_bins
from shared.plots import FAINT, FAKE_COLOR, INK, REAL_COLOR, Plot, both, figure

_TITLE_WIDTH = 105
"""Characters of the title that fit the figure."""


@dataclass(frozen=True, eq=False)
class CalibrationData:
    """Data of the plots.

    Attributes:
        odds: held-out clips of both classes with their calibrated values.
        logits: (N,) their raw scores.
        calibration: of the plotted map.
        title: one or two lines; longer ones are wrapped.
    """

    odds: HeldOutOdds
    logits: np.ndarray
    calibration: Calibration
    title: str

    @property
    def labels(self) -> np.ndarray:
        """(N,) bool, True for fake."""
        return self.odds.labels

    @property
    def llrs(self) -> np.ndarray:
        """(N,) log10 likelihood ratios."""
        return self.odds.llrs

    @property
    def weights(self) -> np.ndarray:
        """(N,) weights, equal for each person, one half for each class."""
        return person_weights(self.odds.labels, self.odds.people)


def plot_calibration(data: CalibrationData) -> Plot:
    """The plots, as one figure.

    Raises:
        ValueError: arrays that do not fit each other, or one class only.
    """
    check_samples(data.labels, data.llrs)
    with figure(10.0, 7.6) as plot:
        axes = plot.subplots(2, 2).ravel()
        title = "\n".join(wrapped for line in data.title.splitlines() for wrapped in textwrap.wrap(line, _TITLE_WIDTH))
        plot.suptitle(title, x=0.01, ha="left", fontsize=10, fontweight="bold", color=INK)
        for draw, axis in zip((plot_reliability, plot_tippett, plot_pav, plot_map), axes, strict=True):
            draw(axis, data)
        return both(plot, "Reliability, Tippett and PAV plots, and the likelihood ratio of each score")


def plot_reliability(axis: Axes, data: CalibrationData) -> None:
    """Share of fakes over mean probability, in bins of about ten clips, the classes weighted by the prior."""
    prior, probabilities = data.odds.prior, data.odds.probabilities
    mass = data.weights * np.where(data.labels, 2 * prior, 2 * (1 - prior))
    wanted = bins_for(data.labels.size)
    bins = equal_mass_bins(probabilities, wanted)
    total = np.bincount(bins, mass, wanted)
    used = total > 0
    x = np.bincount(bins, mass * probabilities, wanted)[used] / total[used]
    y = np.bincount(bins, mass * data.labels, wanted)[used] / total[used]
    error = weighted_ece(data.labels, probabilities, mass)
    axis.plot((0, 1), (0, 1), color=FAINT, linewidth=0.8, linestyle="--")
    axis.plot(x, y, color=INK, linewidth=1, marker="o", markersize=4, label=f"ECE {error:.3f}")
    axis.set(title=f"Reliability ({data.calibration.probability.method})", xlim=(-0.02, 1.02), ylim=(-0.02, 1.02))
    axis.set(xlabel=f"mean probability of the bin, prior {prior:g}", ylabel="share of fakes")
    axis.legend(loc="upper left")


def plot_tippett(axis: Axes, data: CalibrationData) -> None:
    """For each llr, the share of fake and of real clips that reach it; misleading ones are on the wrong side of 0."""
    bounds = data.calibration.likelihood
    span = np.array([min(bounds.lower_bound, data.llrs.min()) - 0.3, max(bounds.upper_bound, data.llrs.max()) + 0.3])
    for truth, color, name in ((True, FAKE_COLOR, "fake"), (False, REAL_COLOR, "real")):
        mine, mass = data.llrs[data.labels == truth], data.weights[data.labels == truth]
        order = np.argsort(mine)
        reached = 1 - np.concatenate(([0.0], np.cumsum(mass[order]) / mass.sum()))
        x = np.concatenate((span[:1], mine[order], span[1:]))
        axis.step(x, np.append(reached, reached[-1]), where="post", color=color, linewidth=1.6, label=name)
        wrong = float(mass[(mine < 0) if truth else (mine > 0)].sum() / mass.sum())
        axis.plot([], [], " ", label=f"{100 * wrong:.1f} % mislead")
    axis.axvline(0, color=FAINT, linewidth=0.8, linestyle="--")
    axis.set(title="Tippett", xlabel="log10 likelihood ratio", ylabel="share of clips that reach it", xlim=span)
    axis.set_ylim(-0.02, 1.02)
    axis.legend(loc="lower left")


def plot_pav(axis: Axes, data: CalibrationData) -> None:
    """The llrs after pool-adjacent-violators over those before; calibrated ones are on the diagonal."""
    best = pav_llrs(data.labels, data.llrs, data.weights)
    known = np.isfinite(best)
    reach = float(np.abs(np.concatenate((data.llrs, best[known], [0.5]))).max()) + 0.4
    shown = np.clip(best, -reach, reach)
    order = np.argsort(data.llrs)
    axis.plot((-reach, reach), (-reach, reach), color=FAINT, linewidth=0.8, linestyle="--")
    axis.plot(data.llrs[order], shown[order], color=INK, linewidth=0.8)
    for truth, color, name in ((True, FAKE_COLOR, "fake"), (False, REAL_COLOR, "real")):
        mine = data.labels == truth
        axis.plot(data.llrs[mine], shown[mine], "o", color=color, markersize=3.5, alpha=0.6, label=name)
    whole, least = (measure(data.labels, data.llrs, data.weights) or 0.0 for measure in (cllr, cllr_min))
    axis.plot([], [], " ", label=f"Cllr {whole:.3f} = {least:.3f} + {whole - least:.3f}")
    axis.set(title="PAV", xlabel="log10 likelihood ratio", ylabel="after PAV (at the edge: infinite)")
    axis.set(xlim=(-reach, reach), ylim=(-reach - 0.05, reach + 0.05))
    axis.legend(loc="upper left")


def plot_map(axis: Axes, data: CalibrationData) -> None:
    """The bounded llr of each score with its interval, the bounds dashed, the clips below."""
    ratio = data.calibration.likelihood
    x = np.linspace(data.logits.min(), data.logits.max(), 300)
    low, high = ratio.interval(x)
    axis.fill_between(x, low, high, color=FAINT, alpha=0.5, linewidth=0, label="95 % interval over people")
    axis.plot(x, ratio.llr(x), color=INK, linewidth=1.6, label=ratio.method)
    for bound in (ratio.lower_bound, ratio.upper_bound):
        axis.axhline(bound, color=INK, linewidth=0.8, linestyle=":")
    floor = ratio.lower_bound - 0.35
    for truth, color, name in ((True, FAKE_COLOR, "fake"), (False, REAL_COLOR, "real")):
        mine = data.logits[data.labels == truth]
        axis.plot(mine, np.full(mine.size, floor - 0.12 * truth), "|", color=color, markersize=7, label=name)
    axis.set(title="Score to likelihood ratio, with its empirical bounds", xlabel="clip logit")
    axis.set(ylabel="log10 likelihood ratio", ylim=(floor - 0.3, ratio.upper_bound + 0.35))
    axis.legend(loc="center left")
