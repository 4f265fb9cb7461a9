"""Presentation of the benchmark of swappers: a Markdown table, and a sheet of actors."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from benchmarks.schema import Measurement
from benchmarks.swappers_job import SWAPPED, TARGETS
from shared.errors import UsageError
from shared.video.images import encode_jpeg

MOST_BYTES = 300_000

_NAME_PX = 150
_INK = (235, 235, 235)
_COLUMNS: tuple[tuple[str, str, str], ...] = (
    ("output", "px out", "{:.0f}"),
    ("parameters", "params, M", "{:.1f}"),
    ("model file", "file, MB", "{:.1f}"),
    ("steps", "steps", "{:.0f}"),
    ("training speed", "images/s", "{:.0f}"),
    ("peak memory", "peak, MB", "{:.0f}"),
    ("self_ssim_face", "self-SSIM, face", "{:.3f}"),
    ("sharpness_ratio", "sharpness", "{:.2f}"),
    ("nearer_to_source", "nearer to source", "{:.0%}"),
    ("top1", "top-1", "{:.0%}"),
    ("landmark_distance", "landmarks", "{:.3f}"),
    ("expression_error", "expression", "{:.3f}"),
    ("pose_error", "pose, deg", "{:.1f}"),
    ("flicker_ratio", "flicker, x", "{:.2f}"),
)


def markdown(measurements: Sequence[Measurement], notes: Sequence[str] = ()) -> str:
    """The table, one row per family by name; a value is the mean of both directions, "-" if there is none."""
    values: dict[str, dict[str, float]] = {}
    sizes: dict[str, str] = {}
    for one in measurements:
        family, _colon, name = one.name.partition(": ")
        values.setdefault(family, {})[name] = sum(one.values) / len(one.values)
        if name == "output":
            sizes[family] = one.note
    lines = ["| family | built with | " + " | ".join(title for _name, title, _form in _COLUMNS) + " |"]
    lines.append("|---|---|" + "---:|" * len(_COLUMNS))
    for family in sorted(values):
        cells = [_cell(values[family].get(name), form) for name, _title, form in _COLUMNS]
        lines.append(f"| `{family}` | {sizes.get(family, '-')} | " + " | ".join(cells) + " |")
    lines += ["", *(f"* {note}" for note in notes)] if notes else []
    return "\n".join(lines) + "\n"


def sheet(folders: Sequence[tuple[str, Path]]) -> bytes:
    """A JPEG of at most 300 KB: the targets, then one labelled row per family; families by name and folder.

    Raises:
        UsageError: no family has pictures, or they cannot be made small enough.
    """
    rows = [(name, cv2.imread(str(folder / SWAPPED))) for name, folder in folders]
    shown = [(name, row) for name, row in rows if row is not None]
    if not shown:
        raise UsageError("there is no picture of any family", hint="run the benchmark first")
    first = next(folder for name, folder in folders if name == shown[0][0])
    targets = cv2.imread(str(first / TARGETS))
    parts = [] if targets is None else [("target", targets)]
    picture = cv2.cvtColor(np.vstack([_named(name, row) for name, row in [*parts, *shown]]), cv2.COLOR_BGR2RGB)
    for quality in (92, 85, 78, 70, 60, 50):
        data = encode_jpeg(picture, quality)
        if len(data) <= MOST_BYTES:
            return data
    raise UsageError(f"{len(shown)} rows do not fit into {MOST_BYTES} bytes", hint="name fewer families with --only")


def _cell(value: float | None, form: str) -> str:
    return "-" if value is None else form.format(value)


def _named(name: str, row: np.ndarray) -> np.ndarray:
    label = np.zeros((row.shape[0], _NAME_PX, 3), np.uint8)
    cv2.putText(label, name, (6, row.shape[0] // 2 + 5), cv2.FONT_HERSHEY_SIMPLEX, 0.5, _INK, 1, cv2.LINE_AA)
    return np.hstack([label, row])
