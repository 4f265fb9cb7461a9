"""SVG plots of an evaluation's parts: AUC, misses and scores by manipulation, the error card, localisation."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import groupby
from typing import Any

import numpy as np
from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from detect.evaluation.error_card import ErrorRow, Rate
from detect.evaluation.localization import Localisation
from detect.evaluation.result import Slice
from detect.scoring.samples import ScoredClip
from shared.plots import FAINT, FAKE_COLOR, INK, REAL_COLOR, figure, svg
from shared.results.scores import Evaluation

_ROW_INCHES = 0.27
_WIDTH_INCHES = 11.0
_LONGEST_NAME = 34
_MOST_ROWS = 120

Bounds = tuple[float, float | None, float | None]


def plot_parts(
    parts: Sequence[Slice], *, clips: Sequence[ScoredClip] | None = None, threshold_logit: float = 0.0
) -> Markup:
    """A row a part: AUC, TPR at 1 % FPR and, with ``clips``, the scores of its fakes and of its real clips.

    Args:
        parts: of one kind.
        clips: all scored clips of the evaluation, for parts by manipulation or rendition.
        threshold_logit: logit from which a clip is classified as fake.
    """
    parts = parts[:_MOST_ROWS]
    with _rows(len(parts), (1.0, 1.0) if clips is None else (1.0, 1.0, 1.5)) as (plot, axes):
        for axis, metric, title in ((axes[0], "auc", "AUC"), (axes[1], "tpr@fpr1%", "fakes found at 1 % false alarms")):
            _whiskers(axis, [_bounds(part.find(metric)) for part in parts], FAKE_COLOR)
            axis.set(title=title, xlim=(-0.02, 1.02))
        axes[0].axvline(0.5, color=FAINT, linewidth=0.8, linestyle="--")
        if clips is not None:
            _plot_scores(axes[2], parts, clips, threshold_logit)
        _name_rows(axes, [f"{_short(part.name)} ({part.counts.real} + {part.counts.fake})" for part in parts])
        return svg(plot, "AUC, fakes found and scores by part")


def plot_error_card(rows: Sequence[ErrorRow]) -> Markup:
    """A row a value of a factor: share of fakes missed and of real clips classified as fake, with intervals.

    Rows with few clips or people have hollow markers. The dashed line is the share among all clips.
    """
    rows = list(rows)[:_MOST_ROWS]
    with _rows(len(rows), (1.0, 1.0)) as (plot, axes):
        kinds: tuple[tuple[str, str, Callable[[ErrorRow], Rate | None]], ...] = (
            ("fakes missed", FAKE_COLOR, lambda row: row.miss_rate),
            ("real clips called fake", REAL_COLOR, lambda row: row.alarm_rate),
        )
        for axis, (title, color, read) in zip(axes, kinds, strict=True):
            rates = [read(row) for row in rows]
            _whiskers(axis, [None if r is None else (r.value, r.low, r.high) for r in rates], color,
                      hollow=[row.small for row in rows])  # fmt: skip
            if rates and (everything := rates[0]) is not None:
                axis.axvline(everything.value, color=color, linewidth=0.8, linestyle="--", alpha=0.6)
            axis.set(title=title, xlim=(-0.02, 1.02), xlabel="share of clips, 95 % interval over people")
        edges = [len(list(group)) for _, group in groupby(rows, key=lambda row: row.factor)]
        for edge in np.cumsum(edges)[:-1]:
            for axis in axes:
                axis.axhline(edge - 0.5, color=FAINT, linewidth=0.8)
        _name_rows(axes, [_row_name(row) for row in rows])
        return svg(plot, "Fakes missed and false alarms by factor")


def plot_region_parts(parts: Sequence[Localisation]) -> Markup:
    """A row a manipulation: mean IoU and pixel average precision with intervals."""
    parts = parts[:_MOST_ROWS]
    with _rows(len(parts), (1.0, 1.0)) as (plot, axes):
        _whiskers(axes[0], [_bounds(part.iou) for part in parts], FAKE_COLOR)
        _whiskers(axes[1], [_bounds(part.ap) for part in parts], FAKE_COLOR)
        axes[0].set(title="mean IoU of faces", xlim=(-0.02, 1.02))
        axes[1].set(title="average precision of pixels", xlim=(-0.02, 1.02))
        names = [f"{_short(part.manipulation or 'all')} ({part.clips} clips)" for part in parts]
        _name_rows(axes, names)
        return svg(plot, "IoU and average precision by manipulation")


@contextmanager
def _rows(count: int, widths: Sequence[float]) -> Iterator[tuple[Figure, list[Axes]]]:
    with figure(_WIDTH_INCHES, 0.9 + _ROW_INCHES * max(2, count), dpi=110) as plot:
        axes: Any = plot.subplots(1, len(widths), sharey=True, width_ratios=widths, squeeze=False)
        yield plot, list(axes[0])


def _whiskers(axis: Axes, bounds: Sequence[Bounds | None], color: str, *, hollow: Sequence[bool] = ()) -> None:
    for row, found in enumerate(bounds):
        if found is None:
            continue
        value, low, high = found
        if low is not None and high is not None:
            axis.plot((low, high), (row, row), color=color, linewidth=1.4, alpha=0.55)
        face = "white" if hollow and hollow[row] else color
        axis.plot([value], [row], "o", color=color, markerfacecolor=face, markersize=4.5)


def _plot_scores(axis: Axes, parts: Sequence[Slice], clips: Sequence[ScoredClip], threshold_logit: float) -> None:
    for row, part in enumerate(parts):
        for label, color, shift in (("real", REAL_COLOR, -0.17), ("fake", FAKE_COLOR, 0.17)):
            _spread(axis, row + shift, _logits(part, clips, label), color)
    axis.axvline(threshold_logit, color=INK, linewidth=0.9, linestyle="--")
    axis.set(title="logits: real above, fake below; 5 to 95 %", xlabel="dashed: threshold")


def _spread(axis: Axes, row: float, logits: np.ndarray, color: str) -> None:
    """A line from the 5th to the 95th percentile, thick over the middle half, a dot at the median."""
    if not logits.size:
        return
    low, first, middle, third, high = np.percentile(logits, (5, 25, 50, 75, 95))
    axis.plot((low, high), (row, row), color=color, linewidth=0.9)
    axis.plot((first, third), (row, row), color=color, linewidth=3.2, alpha=0.6, solid_capstyle="butt")
    axis.plot([middle], [row], "o", color=color, markersize=3)


def _logits(part: Slice, clips: Sequence[ScoredClip], label: str) -> np.ndarray:
    """Logits of one class in a part; real clips belong to the part of every manipulation."""
    found = []
    for clip in clips:
        record = clip.record
        own = record.rendition if part.by == "rendition" else record.id.manipulation
        if record.label == label and clip.score.logit is not None and own in (part.name, None):
            found.append(clip.score.logit)
    return np.array(found, np.float64)


def _bounds(evaluation: Evaluation | None) -> Bounds | None:
    return None if evaluation is None else (evaluation.value, evaluation.low, evaluation.high)


def _name_rows(axes: Sequence[Axes], names: Sequence[str]) -> None:
    axes[0].set_yticks(range(len(names)), names, fontsize=7.5)
    axes[0].set_ylim(max(1, len(names)) - 0.5, -0.5)
    for axis in axes:
        axis.tick_params(axis="y", length=0)


def _row_name(row: ErrorRow) -> str:
    counts = "/".join(str(n) for n in (row.fakes, row.reals) if n)
    return f"{_short(row.factor)}: {_short(row.value)} ({counts})" if row.factor != "all" else f"all clips ({counts})"


def _short(name: str) -> str:
    return name if len(name) <= _LONGEST_NAME else f"{name[: _LONGEST_NAME - 1]}…"
