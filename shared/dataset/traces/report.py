"""Writes the traces of a dataset as JSON and as a picture."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import msgspec
import numpy as np

from shared.dataset.traces.features import REGIONS, STATISTICS
from shared.dataset.traces.measure import SetTraces
from shared.plots import FAINT, INK, figure, png
from shared.storage import write_bytes

REPORT, PICTURE = "traces.json", "traces.png"
COLUMNS = ("manipulation", "clips", *REGIONS, "colour step", "most moved")

_COLOURS = ("#b3541e", "#1f5fa8", FAINT, "#2c7a4b")


def write_traces(traces: SetTraces, out: Path) -> Path:
    """Writes ``traces.json`` and ``traces.png`` into ``out``; returns the picture's path.

    Raises:
        StorageError: writing failed.
    """
    write_bytes(out / REPORT, msgspec.json.format(msgspec.json.encode(as_document(traces)), indent=2) + b"\n")
    write_bytes(out / PICTURE, plot_traces(traces))
    return out / PICTURE


def as_document(traces: SetTraces) -> dict[str, object]:
    """The traces as plain values, with the names of the statistics."""
    return {"statistics": list(STATISTICS), **dataclasses.asdict(traces)}


def rows(traces: SetTraces) -> list[list[str]]:
    """A row for each manipulation: see :data:`COLUMNS`; shifts are in standard deviations of real faces."""
    listed: list[list[str]] = []
    for one in traces.manipulations:
        most = int(np.argmax(np.abs(one.shift)))
        moved = f"{STATISTICS[most]} {one.shift[most]:+.1f}"
        listed.append([one.name, str(one.clips), *(f"{value:.2f}" for value in one.strength.values()), moved])
    return listed


def summary(traces: SetTraces) -> str:
    """The result in one sentence."""
    if traces.median_cosine is None:
        return "one manipulation: its direction cannot be compared"
    share = "" if traces.first_share is None else f"; the first direction explains {traces.first_share:.0%}"
    return f"median cosine between manipulations {traces.median_cosine:.2f}{share}"


def plot_traces(traces: SetTraces) -> bytes:
    """A PNG: the cosines between manipulations as a matrix, and how far each moves the parts as bars."""
    names = [one.name for one in traces.manipulations]
    count = len(names)
    side = max(2.6, 0.34 * count + 1.4)
    with figure(side + 5.2, side, style={"font.size": 8.0, "text.parse_math": False}) as plot:
        left, right = plot.subplots(1, 2, width_ratios=(side, 4.6))
        left.imshow(np.array(traces.cosines), vmin=-1, vmax=1, cmap="RdBu_r")
        for row, values in enumerate(traces.cosines):
            for column, value in enumerate(values):
                ink = "white" if abs(value) > 0.6 else INK
                left.text(
                    column, row, f"{value:.2f}".replace("0.", "."), ha="center", va="center", color=ink, fontsize=6.5
                )
        left.set_xticks(range(count), names, rotation=45, ha="right")
        left.set_yticks(range(count), names)
        left.set_title("Cosine between directions", loc="left", fontweight="bold")
        strengths = [one.strength for one in traces.manipulations]
        for place, (part, color) in enumerate(zip((*REGIONS, "step"), _COLOURS, strict=True)):
            at = np.arange(count) + (place - 1.5) * 0.2
            label = "colour step" if part == "step" else part
            right.barh(at, [one[part] for one in strengths], 0.18, color=color, label=label)
        right.set_yticks(range(count), names)
        right.set_ylim(count - 0.5, -0.5)
        right.set_xlabel("standard deviations of real faces (root mean square)")
        right.set_title("How far each moves real faces", loc="left", fontweight="bold")
        for edge in ("top", "right"):
            right.spines[edge].set_visible(False)
        plot.legend(*right.get_legend_handles_labels(), loc="outside lower right", ncols=4, frameon=False)
        return png(plot)
