"""Style of all plots, and figures as PNG bytes.

matplotlib is imported with the first figure, so that commands without a plot start fast.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.figure import Figure

REAL_COLOR, FAKE_COLOR, INK, FAINT, GRID = "#1f5fa8", "#b3541e", "#1d2733", "#b8c0c9", "#eceff2"

STYLE: dict[Any, Any] = {
    "font.size": 8.5,
    "axes.titlesize": 9.5,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.edgecolor": FAINT,
    "axes.labelcolor": INK,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "grid.color": GRID,
    "text.color": INK,
    "text.parse_math": False,  # a dollar sign in the name of a set or a detector does not start a formula
    "xtick.color": INK,
    "ytick.color": INK,
    "legend.frameon": False,
    "legend.fontsize": 7.5,
}


@contextmanager
def figure(width: float, height: float, *, dpi: int = 130, style: Mapping[Any, Any] = STYLE) -> Iterator[Figure]:
    """Yields an empty figure of ``width`` x ``height`` inches with constrained layout.

    ``style`` applies inside the block, where the figure must be plotted and rendered (:func:`png`); an empty one is
    matplotlib's default.
    """
    import matplotlib as mpl
    from matplotlib.figure import Figure

    with mpl.rc_context(dict(style)):
        yield Figure(figsize=(width, height), dpi=dpi, layout="constrained")


def png(figure: Figure) -> bytes:
    """The figure as PNG bytes, without matplotlib's version, so that equal figures give equal bytes."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", metadata={"Software": None})
    return buffer.getvalue()
