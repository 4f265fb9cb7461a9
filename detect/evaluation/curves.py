"""Curves of an evaluation: ROC, error trade-off, precision-recall, reliability, scores, AUC by manipulation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from matplotlib.axes import Axes
from scipy.special import expit
from scipy.stats import norm
from sklearn.metrics import precision_recall_curve, roc_curve

from detect.metrics.classification import (
    auc,
    average_precision,
    check_samples,
    equal_error_rate,
    equal_mass_bins,
    expected_calibration_error,
    has_both_classes,
)
from shared.plots import FAINT, FAKE_COLOR, INK, REAL_COLOR, Plot, both, figure
from shared.results.scores import Evaluation

_MOST_SLICES = 14
_RATE_TICKS = (0.01, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8)


@dataclass(frozen=True, eq=False)
class CurveData:
    """Data of the plot.

    Attributes:
        title: one line above all panels.
        labels: (N,) bool, True for fake; one row a clip.
        logits: (N,) float.
        threshold: logit from which a clip is classified as fake.
        slices: (name, AUC) of each manipulation or rendition.
    """

    title: str
    labels: np.ndarray
    logits: np.ndarray
    threshold: float = 0.0
    slices: Sequence[tuple[str, Evaluation]] = field(default_factory=tuple)


def plot_curves(data: CurveData) -> Plot:
    """The plot. Panels that need both classes say so when one is missing.

    Raises:
        ValueError: labels and logits differ in length.
    """
    labels, logits = check_samples(data.labels, data.logits)
    with figure(11.0, 7.0) as plot:
        axes = plot.subplots(2, 3).ravel()
        plot.suptitle(data.title, x=0.01, ha="left", fontsize=11, fontweight="bold", color=INK)
        panels = (("ROC", _roc), ("Error trade-off", _det), ("Precision and recall", _precision_recall))
        for (title, draw), axis in zip(panels, axes, strict=False):
            axis.set_title(title)
            if has_both_classes(labels):
                draw(axis, labels, logits)
            else:
                _say(axis, "needs real and fake clips")
        _reliability(axes[3], labels, logits)
        _histogram(axes[4], labels, logits, data.threshold)
        _forest(axes[5], data.slices)
        return both(plot, "ROC, error trade-off, precision and recall, reliability, scores and AUC by part")


def _roc(axis: Axes, labels: np.ndarray, logits: np.ndarray) -> None:
    fpr, tpr, _ = roc_curve(labels, logits, drop_intermediate=False)
    rate = equal_error_rate(labels, logits) or 0.0
    axis.plot((0, 1), (0, 1), color=FAINT, linewidth=0.8, linestyle="--")
    axis.plot(fpr, tpr, color=FAKE_COLOR, linewidth=1.8, label=f"AUC {auc(labels, logits):.3f}")
    axis.plot([rate], [1 - rate], "o", color=INK, markersize=4, label=f"EER {rate:.3f}")
    axis.set(xlabel="false positive rate", ylabel="true positive rate", xlim=(-0.02, 1.02))
    axis.set_ylim(-0.02, 1.02)
    axis.legend(loc="lower right")


def _det(axis: Axes, labels: np.ndarray, logits: np.ndarray) -> None:
    """Both error rates on normal-deviate axes (Martin et al., 1997), clipped at half a sample."""
    fpr, tpr, _ = roc_curve(labels, logits, drop_intermediate=False)
    num_fake = int(labels.sum())
    x = norm.ppf(np.clip(fpr, 0.5 / (labels.size - num_fake), 1 - 0.5 / (labels.size - num_fake)))
    y = norm.ppf(np.clip(1 - tpr, 0.5 / num_fake, 1 - 0.5 / num_fake))
    axis.plot(x, y, color=FAKE_COLOR, linewidth=1.8)
    ticks, names = norm.ppf(_RATE_TICKS), [f"{100 * rate:g} %" for rate in _RATE_TICKS]
    axis.set_xticks(ticks, names)
    axis.set_yticks(ticks, names)
    limits = norm.ppf((0.005, 0.9))
    axis.plot(limits, limits, color=FAINT, linewidth=0.8, linestyle="--")
    axis.set(xlabel="reals called fake", ylabel="fakes missed", xlim=limits, ylim=limits)
    axis.tick_params(axis="x", labelsize=7.5)


def _precision_recall(axis: Axes, labels: np.ndarray, logits: np.ndarray) -> None:
    precision, recall, _ = precision_recall_curve(labels, logits)
    axis.step(recall, precision, where="post", color=FAKE_COLOR, linewidth=1.8,
              label=f"AP {average_precision(labels, logits):.3f}")  # fmt: skip
    share = labels.mean()
    axis.axhline(share, color=FAINT, linewidth=0.8, linestyle="--", label=f"share of fakes {share:.2f}")
    axis.set(xlabel="recall", ylabel="precision", xlim=(-0.02, 1.02), ylim=(-0.02, 1.04))
    axis.legend(loc="lower left")


def _reliability(axis: Axes, labels: np.ndarray, logits: np.ndarray) -> None:
    axis.plot((0, 1), (0, 1), color=FAINT, linewidth=0.8, linestyle="--")
    axis.set(title="Reliability of the uncalibrated score", xlabel="mean score of the bin", ylabel="share of fakes")
    axis.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02))
    if labels.size == 0:
        _say(axis, "no scored clip")
        return
    wanted = int(np.clip(labels.size // 10, 2, 10))  # about ten clips a bin; with fewer the line is noise
    scores, bins = expit(logits), equal_mass_bins(expit(logits), wanted)
    counts = np.bincount(bins, minlength=wanted)
    used = counts > 0
    x = np.bincount(bins, weights=scores, minlength=wanted)[used] / counts[used]
    y = np.bincount(bins, weights=labels, minlength=wanted)[used] / counts[used]
    error = expected_calibration_error(labels, logits)
    axis.plot(x, y, color=INK, linewidth=1, marker="o", markersize=4, label=f"ECE {error:.3f}")
    axis.legend(loc="upper left")


def _histogram(axis: Axes, labels: np.ndarray, logits: np.ndarray, threshold: float) -> None:
    axis.set(title="Scores", xlabel="logit (right: fake)", ylabel="clips")
    if labels.size:
        low, high = min(logits.min(), threshold), max(logits.max(), threshold)
        edges = np.linspace(low - 0.5, high + 0.5, 33)
        for label, color, name in ((False, REAL_COLOR, "real"), (True, FAKE_COLOR, "fake")):
            axis.hist(logits[labels == label], bins=edges, color=color, alpha=0.6, label=name)
    axis.axvline(threshold, color=INK, linewidth=0.9, linestyle="--", label="threshold")
    axis.legend(loc="upper center", ncols=3)
    axis.set_ylim(top=axis.get_ylim()[1] * 1.18)


def _forest(axis: Axes, slices: Sequence[tuple[str, Evaluation]]) -> None:
    axis.set(title="AUC by part", xlabel="AUC, 95 % interval; (real + fake clips)", xlim=(0.0, 1.04))
    if not slices:
        _say(axis, "no slice with both classes")
        return
    if len(slices) > _MOST_SLICES:
        axis.set_title(f"The {_MOST_SLICES} lowest AUCs of {len(slices)} parts")
        slices = sorted(slices, key=lambda part: part[1].value)[:_MOST_SLICES]
    for place, (_, evaluation) in enumerate(slices):
        if evaluation.low is not None and evaluation.high is not None:
            axis.plot((evaluation.low, evaluation.high), (place, place), color=INK, linewidth=1.2)
        axis.plot([evaluation.value], [place], "o", color=FAKE_COLOR, markersize=4.5)
    names = [f"{name} ({e.num_real} + {e.num_fake})" for name, e in slices]
    axis.set_yticks(range(len(slices)), names, fontsize=7)
    axis.set_ylim(len(slices) - 0.5, -0.5)
    axis.axvline(0.5, color=FAINT, linewidth=0.8, linestyle="--")


def _say(axis: Axes, text: str) -> None:
    axis.text(0.5, 0.5, text, transform=axis.transAxes, ha="center", va="center", color="#6b7683")
