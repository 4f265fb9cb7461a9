"""Heat map and Markdown table of a robustness sweep."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from matplotlib.axes import Axes

from detect.robustness.perturb import KINDS, Kind
from shared.plots import figure, png

if TYPE_CHECKING:
    from detect.robustness.result import CellResult, Robustness

_COLUMNS = max(len(kind.levels) for kind in KINDS.values())
_DARK_BELOW = 0.62


def plot_heat_map(result: Robustness) -> bytes:
    """Heat maps as PNG bytes: AUC, and share of frames without a face; one row per kind, one column per level.

    The first column is the unperturbed clips, the same in every row.
    """
    kinds = [kind for kind in KINDS.values() if any(cell.kind == kind.name for cell in result.cells)]
    aucs = _grid(result, kinds, lambda cell: np.nan if cell.auc is None else cell.auc.value)
    blind = _grid(result, kinds, lambda cell: cell.no_face_rate)
    with figure(13.0, 1.9 + 0.42 * max(1, len(kinds)), style={"text.parse_math": False}) as plot:
        left, right = plot.subplots(1, 2, sharey=True)
        plot.suptitle(
            f"{result.detector.get('name', 'detector')} on {result.dataset.get('name', 'dataset')}, {result.split}: "
            f"{result.cells[0].clips if result.cells else 0} clips, {result.clusters}",
            x=0.01, ha="left", fontsize=11, fontweight="bold",
        )  # fmt: skip
        _panel(left, "Clip AUC", kinds, aucs, "viridis", (0.5, 1.0))
        _panel(right, "Share of frames without a face", kinds, blind, "magma_r", (0.0, 1.0))
        return png(plot)


def render_table(result: Robustness) -> str:
    """The sweep as a Markdown table, one row per cell."""
    lines = [
        f"# Robustness of {result.detector.get('name', 'detector')} on {result.dataset.get('name', 'dataset')}",
        "",
        f"{result.clusters.capitalize()}. Threshold {result.threshold:.3g}, chosen on {result.threshold_from}.",
        *(f"\n{note}" for note in result.notes),
        "",
        "| perturbation | value | clip AUC | 95 % interval | accuracy | clips without a face | frames without a face |",
        "|---|---|---|---|---|---|---|",
        *(_line(cell) for cell in result.cells),
    ]
    if result.mean_auc is not None:
        lines += ["", f"Mean AUC over the 7 x 5 cells of DeeperForensics: {result.mean_auc:.3f}."]
    return "\n".join(lines) + "\n"


def _line(cell: CellResult) -> str:
    title = KINDS[cell.kind].title if cell.kind in KINDS else "clean"
    auc = accuracy = interval = "none"
    if cell.auc is not None:
        auc = f"{cell.auc.value:.3f}"
        if cell.auc.low is not None and cell.auc.high is not None:
            interval = f"{cell.auc.low:.3f} to {cell.auc.high:.3f}"
    if cell.accuracy is not None:
        accuracy = f"{cell.accuracy.value:.3f}"
    value = "" if cell.value is None else f"{cell.value:g}"
    return (
        f"| {title} | {value} | {auc} | {interval} | {accuracy} | {cell.no_face_clips} of {cell.clips} | "
        f"{cell.no_face_rate:.1%} |"
    )


def _grid(result: Robustness, kinds: list[Kind], read: object) -> np.ndarray:
    """(K, 1 + levels) values, NaN where not measured."""
    assert callable(read)
    grid = np.full((max(1, len(kinds)), 1 + _COLUMNS), np.nan)
    clean = result.find("clean", 0)
    if clean is not None:
        grid[:, 0] = read(clean)
    rows = {kind.name: row for row, kind in enumerate(kinds)}
    for cell in result.cells:
        if cell.kind in rows:
            grid[rows[cell.kind], cell.level] = read(cell)
    return grid


def _panel(
    axis: Axes, title: str, kinds: list[Kind], grid: np.ndarray, colours: str, limits: tuple[float, float]
) -> None:
    axis.set_title(title, loc="left", fontsize=9.5, fontweight="bold")
    axis.imshow(np.ma.masked_invalid(grid), cmap=colours, vmin=limits[0], vmax=limits[1], aspect="auto")
    for (row, column), value in np.ndenumerate(grid):
        if np.isnan(value):
            continue
        share = (value - limits[0]) / (limits[1] - limits[0])
        dark = share < _DARK_BELOW if colours == "viridis" else share > 1 - _DARK_BELOW
        text = f"{value:.3f}" if limits[0] else f"{value:.0%}"
        if column and row < len(kinds):
            text += f"\n{kinds[row].levels[column - 1]:g}"
        axis.text(column, row, text, ha="center", va="center", fontsize=6.8, color="white" if dark else "black")
    axis.set_xticks(range(1 + _COLUMNS), ["clean", *(f"level {n}" for n in range(1, 1 + _COLUMNS))], fontsize=8)
    axis.set_yticks(range(len(kinds)), [kind.title for kind in kinds], fontsize=8)
    axis.tick_params(length=0)
    axis.spines[:].set_visible(False)
