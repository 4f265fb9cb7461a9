"""Plots of the scoreboard: quality against detectability, and detectability of each row with its interval."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.transforms import ScaledTranslation

from shared.plots import FAINT, INK, figure, png
from shared.results.scoreboard import Row, Scoreboard
from shared.results.scores import Evaluation

# Okabe and Ito's colours, distinguishable with red-green colour blindness; detectors also differ in shape.
_COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#8C7A00")
_SHAPES = ("o", "s", "^", "D", "v", "P", "X", "*")
_ARROWS = {"higher": "right is better", "lower": "left is better", "nearer to 1": "1 is best"}


def plot_scoreboard(board: Scoreboard) -> bytes:
    """PNG bytes: left the quality of each manipulation against the AUC of each detector, right the AUC of each row."""
    height = 2.2 + 0.3 * len(board.rows) * max(1.0, 0.45 * len(board.detectors))
    with figure(12.0, max(5.0, height)) as plot:
        left, right = plot.subplots(1, 2)
        total = board.rows[0]
        plot.suptitle(
            f"{board.dataset.get('name', 'dataset')}, {_split_words(board.split)}: {total.num_real} real, "
            f"{total.num_fake} fake clips, {board.clusters}",
            x=0.01, ha="left", fontsize=11, fontweight="bold", color=INK,
        )  # fmt: skip
        _quality_panel(left, board)
        _forest_panel(right, board)
        _legend(right if board.measure is None else left, board)
        return png(plot)


def _quality_panel(axis: Axes, board: Scoreboard) -> None:
    axis.set(title="Quality against detectability, by manipulation", ylabel="clip AUC, 95 % interval")
    rows = [(number, row, found) for number, row, found in _numbered(board) if found is not None]
    if board.measure is None or not rows:
        axis.text(0.5, 0.5, "no quality was measured", transform=axis.transAxes, ha="center", color="#6b7683")
        axis.set_xticks([])
        return
    for place, detector in enumerate(board.detectors):
        for _, row, quality in rows:
            cell = row.cell(detector.name)
            auc = None if cell is None else cell.find("auc")
            if auc is not None:
                # Shifted by a few points, so that equal values of detectors do not overlap.
                _point(axis, quality, auc, place, 5.0 * (place - (len(board.detectors) - 1) / 2))
    for number, row, quality in rows:
        values = [auc.value for cell in row.detectors if (auc := cell.find("auc")) is not None]
        if values:
            axis.plot((quality.value, quality.value), (min(values), max(values)), color=FAINT, linewidth=0.8, zorder=1)
            axis.annotate(
                str(number), (quality.value, max(values)), xytext=(5, 4), textcoords="offset points",
                fontsize=8, fontweight="bold", color=INK,
            )  # fmt: skip
    unit, better = board.units.get(board.measure, ""), _ARROWS.get(board.better.get(board.measure, ""), "")
    words = ", ".join(word for word in (unit, better) if word)
    axis.set_xlabel(f"{board.measure}{f' ({words})' if words else ''}, 95 % interval")
    ends = [end for _, _, quality in rows for end in (quality.value, quality.low, quality.high) if end is not None]
    margin = 0.08 * (max(ends) - min(ends)) or 0.05
    axis.set_xlim(min(ends) - margin, max(ends) + margin)
    axis.set_ylim(_lowest(board), 1.02)
    axis.axhline(0.5, color=FAINT, linewidth=0.8, linestyle="--")


def _point(axis: Axes, quality: Evaluation, auc: Evaluation, place: int, aside: float) -> None:
    color, shape = _look(place)
    figure = axis.get_figure(root=True)
    assert figure is not None
    moved = axis.transData + ScaledTranslation(aside / 72, 0, figure.dpi_scale_trans)
    axis.errorbar(
        [quality.value], [auc.value], xerr=_reach(quality), yerr=_reach(auc), fmt=shape, color=color, markersize=5.5,
        elinewidth=0.8, alpha=0.85, zorder=3, transform=moved,
    )  # fmt: skip


def _forest_panel(axis: Axes, board: Scoreboard) -> None:
    axis.set(title="Detectability of every row", xlabel="clip AUC, 95 % interval")
    names = []
    numbers = {id(row): number for number, row, _ in _numbered(board)}
    step = 0.7 / max(1, len(board.detectors))
    for line, row in enumerate(board.rows):
        number = f"{numbers[id(row)]}  " if id(row) in numbers else ""
        names.append(f"{number}{row.name}\n{row.num_real} real, {row.num_fake} fake")
        for place, detector in enumerate(board.detectors):
            cell = row.cell(detector.name)
            auc = None if cell is None else cell.find("auc")
            if auc is None:
                continue
            color, shape = _look(place)
            height = line + (place - (len(board.detectors) - 1) / 2) * step
            axis.errorbar(
                [auc.value], [height], xerr=_reach(auc), fmt=shape, color=color, markersize=4.5, elinewidth=1.1,
            )  # fmt: skip
    axis.set_yticks(range(len(names)), names, fontsize=7)
    axis.set_ylim(len(names) - 0.4, -0.6)
    axis.set_xlim(_lowest(board), 1.02)
    axis.axvline(0.5, color=FAINT, linewidth=0.8, linestyle="--")


def _numbered(board: Scoreboard) -> list[tuple[int, Row, Evaluation | None]]:
    """Manipulations with their number in the plot and their quality."""
    rows = board.part("manipulation")
    return [(number, row, row.measure(board.measure)) for number, row in enumerate(rows, start=1)]


def _look(place: int) -> tuple[str, str]:
    """Colour and shape of a detector; 64 detectors have different pairs."""
    return _COLORS[place % len(_COLORS)], _SHAPES[(place + place // len(_COLORS)) % len(_SHAPES)]


def _reach(found: Evaluation) -> np.ndarray | None:
    """(2, 1) distances from the value to the ends of its interval, for matplotlib; None without an interval."""
    if found.low is None or found.high is None:
        return None
    # A percentile interval need not contain the value.
    return np.array([[max(0.0, found.value - found.low)], [max(0.0, found.high - found.value)]])


def _lowest(board: Scoreboard) -> float:
    """Start of the AUC axis: 0.4, or lower if a value is lower."""
    ends = [end for row in board.rows for cell in row.detectors if (auc := cell.find("auc")) for end in _ends(auc)]
    return min([0.4, *(end - 0.03 for end in ends)])


def _ends(found: Evaluation) -> Sequence[float]:
    return [found.value if found.low is None else min(found.low, found.value)]


def _legend(axis: Axes, board: Scoreboard) -> None:
    """One entry per detector, including those without a point."""
    handles = []
    for place, detector in enumerate(board.detectors):
        color, shape = _look(place)
        handles.append(Line2D([], [], color=color, marker=shape, linestyle="", label=detector.name))
    axis.legend(handles=handles, loc="lower left")


def _split_words(split: str) -> str:
    return "all splits" if split == "all" else f"{split} split"
