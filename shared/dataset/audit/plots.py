"""Plots of an audit: areas with their intervals, and a ROC curve for each probe."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from sklearn.metrics import roc_curve

from shared.dataset.audit.findings import WHOLE, AuditReport, Curve, ProbeFinding
from shared.plots import FAINT, INK, REAL_COLOR, Plot, both, figure

_COLOURS = {
    "shortcut": "#b3261e",
    "undecided": "#b3741e",
    "none found": "#2c7a4b",
    "signal": REAL_COLOR,
    "too few to judge": "#8b96a2",
}
_MAX_ROWS = 60


def plot_areas(report: AuditReport, limit: float) -> Plot:
    """Area and interval of each finding (the 60 highest), with lines for chance and limit."""
    measured = [finding for finding in report.findings if finding.area is not None]
    if len(measured) > _MAX_ROWS:
        kept = {id(f) for f in sorted(measured, key=lambda f: -(f.low or 0))[:_MAX_ROWS]}
        measured = [f for f in measured if id(f) in kept or f.part == WHOLE]
    with figure(8.2, 1.3 + 0.3 * max(1, len(measured))) as plot:
        axes: Axes = plot.add_subplot()
        axes.axvline(0.5, color=FAINT, linewidth=1)
        axes.axvline(limit, color=_COLOURS["shortcut"], linewidth=1, linestyle=(0, (4, 3)))
        for row, finding in enumerate(measured):
            _plot_row(axes, row, finding)
        axes.set_yticks(range(len(measured)), [_name(finding) for finding in measured])
        axes.tick_params(axis="y", length=0)
        axes.set_ylim(len(measured) - 0.4, -0.6)
        axes.set_xlim(0, 1.0)
        axes.set_xlabel(f"area under the ROC curve, with 95 % interval; chance is 0.5, limit (dashed) is {limit:g}")
        return both(plot, "Area under the ROC curve of each probe, with interval")


def plot_curves(curves: Sequence[Curve], report: AuditReport) -> Plot:
    """A ROC curve for each probe on all clips."""
    columns = min(4, max(1, len(curves)))
    rows = max(1, math.ceil(len(curves) / columns))
    with figure(2.15 * columns, 2.35 * rows) as plot:
        grid = np.atleast_1d(plot.subplots(rows, columns, squeeze=False)).ravel()
        for axes in grid[len(curves) :]:
            axes.set_visible(False)
        for axes, curve in zip(grid, curves, strict=False):
            finding = report.of(curve.probe)
            axes.plot((0, 1), (0, 1), color=FAINT, linewidth=0.8)
            if curve.labels.any() and not curve.labels.all():
                alarms, caught, _ = roc_curve(curve.labels, curve.ranks)
                axes.plot(alarms, caught, color=_COLOURS.get(finding.verdict, INK), linewidth=1.8)
            area = "" if finding.area is None else f"  {finding.area:.2f}"
            axes.set_title(f"{curve.title}{area}", fontsize=9, loc="left")
            axes.set_xlim(-0.02, 1.02)
            axes.set_ylim(-0.02, 1.02)
            axes.set_aspect("equal")
            axes.set_xticks((0, 1))
            axes.set_yticks((0, 1))
        plot.supxlabel("real clips called fake", fontsize=9)
        plot.supylabel("fakes called fake", fontsize=9)
        return both(plot, "ROC curve of each probe")


def _plot_row(axes: Axes, row: int, finding: ProbeFinding) -> None:
    colour = _COLOURS.get(finding.verdict, INK)
    if finding.area is None:
        return
    if finding.low is not None and finding.high is not None:
        axes.plot((finding.low, finding.high), (row, row), color=colour, linewidth=3, alpha=0.35, solid_capstyle="butt")
    axes.plot(finding.area, row, "o", color=colour, markersize=6)


def _name(finding: ProbeFinding) -> str:
    return finding.title if finding.part == WHOLE else f"{finding.title} · {finding.part}"
