"""Style of all plots, and figures as PNG bytes.

matplotlib is imported with the first figure, so that commands without a plot start fast.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from markupsafe import Markup, escape

if TYPE_CHECKING:
    from matplotlib.figure import Figure

REAL_COLOR, FAKE_COLOR, INK, FAINT, GRID = "#1f5fa8", "#b3541e", "#1d2733", "#b8c0c9", "#eceff2"

VARIABLES = {
    INK: "ink", "#000000": "ink", "#ffffff": "paper", FAINT: "faint", "#8b96a2": "faint", "#6b7683": "soft",
    GRID: "grid", "#d9dde2": "line", REAL_COLOR: "blue", FAKE_COLOR: "orange", "#b3741e": "amber", "#8a6d1d": "amber",
    "#b3261e": "red", "#2c7a4b": "green", "#7a3e93": "purple", "#a02c4a": "pink",
}  # fmt: skip
"""Colors of plots that follow the page's (``shared/pages.css``), in dark too."""

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

_COMPRESS = 3
"""Of zlib: half the time of its default, and files a tenth larger."""


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
    return _saved(figure, "png", metadata={"Software": None}, pil_kwargs={"compress_level": _COMPRESS})


def _saved(figure: Figure, kind: str, **options: Any) -> bytes:
    """The figure as a file of that kind.

    Its axes are put in their places once: ``savefig`` would do that, and draw everything for nothing, each time.
    """
    engine = figure.get_layout_engine()
    if engine is not None:
        engine.execute(figure)
        figure.set_layout_engine(None)
    buffer = io.BytesIO()
    figure.savefig(buffer, format=kind, **options)
    return buffer.getvalue()


@dataclass(frozen=True)
class Plot:
    """A figure in both forms: a PNG file, and SVG for a page (:func:`svg`)."""

    png: bytes
    svg: Markup


def both(figure: Figure, alt: str) -> Plot:
    """The figure as PNG bytes and as SVG with the description ``alt``."""
    return Plot(png(figure), svg(figure, alt))


def svg(figure: Figure, alt: str) -> Markup:
    """The figure as an SVG element for an HTML page, with ``alt`` for those who do not see it.

    Without background, text as outlines, in the page's colors, as wide as its box. Equal figures give equal bytes, and
    identifiers are kept only where something refers to them, so that several figures fit into one page.
    """
    import matplotlib as mpl

    with mpl.rc_context({"svg.hashsalt": "assay", "svg.fonttype": "path"}):
        drawn = _saved(figure, "svg", transparent=True, metadata={"Date": None, "Creator": None}).decode()
    text = re.sub(r"<!--.*?-->|<metadata>.*?</metadata>|<style.*?</style>", "", drawn, flags=re.DOTALL)
    text = text[text.index("<svg") :]
    view = re.search(r'viewBox="[^"]*"', text)
    text = text[text.index(">") + 1 :]
    used = set(re.findall(r'#([\w.-]+)["\)]', text))
    text = re.sub(r' id="([^"]*)"', lambda found: found[0] if found[1] in used else "", text)
    for color, name in VARIABLES.items():
        text = text.replace(f": {color}", f": var(--{name}, {color})")
    text = re.sub(r"\n\s*", "\n", text)
    # What matplotlib leaves without a color is black: here it has that of the page's text.
    text = text.replace("xlink:href", "href")
    head = f'<svg class="plot" fill="currentColor" role="img" aria-label="{escape(alt)}" {view[0] if view else ""}>'
    return Markup(head + text)
