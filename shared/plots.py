"""How every plot looks: colours and matplotlib settings."""

from __future__ import annotations

from typing import Any

REAL_COLOR, FAKE_COLOR, INK, FAINT = "#1f5fa8", "#b3541e", "#1d2733", "#b8c0c9"


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
    "grid.color": "#eceff2",
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "legend.frameon": False,
    "legend.fontsize": 7.5,
}
