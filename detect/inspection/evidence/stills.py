"""Evidence from traces of JPEG compression in a still picture."""

from __future__ import annotations

import numpy as np

from detect.inspection.evidence.found import Details, Found, Material, Picture, found, rounded
from detect.inspection.evidence.jpeg import GRID, JpegFacts, ghost_dips, read_jpeg
from shared.plots import FAKE_COLOR, figure, png
from shared.results.scores import Evidence

_DEEP = 0.12
_OFF_GRID, _GRID_SEEN = 1.2, 1.5
_PERIODIC = 0.44
_LIMITS = (
    "Most pictures from the network were compressed more than once, by messengers, sites and programs, so these traces "
    "say that it was saved again, not that its content was changed."
)


def still_traces(material: Material) -> list[Found]:
    """Evidence from one decoding of the picture."""
    facts = material.source.call(read_jpeg)
    curve = Picture("jpeg-ghosts", "Difference to the picture compressed again, over quality", ghost_plot(facts))
    levels = Picture("error-levels", "Error levels: differences to the picture saved again, amplified", facts.error_png)
    return [
        found(former_compression(facts), curve),
        Found(block_grid(facts)),
        Found(coefficient_counts(facts)),
        found(_error_levels(facts), levels),
    ]


def former_compression(facts: JpegFacts) -> Evidence:
    """Evidence of an earlier compression at a lower quality (JPEG ghosts)."""
    dips = ghost_dips(facts)
    quality, depth = dips[0] if dips else (0, 0.0)
    cells = np.array(facts.local)
    share = float((cells > 0).mean()) if len(cells) else 0.0
    details: Details = {
        "quality of the file": facts.quality if facts.quality is not None else "it is no JPEG",
        "deepest dip at quality": quality,
        "its depth (log)": rounded(depth),
        "part of the picture with a dip of its own": rounded(share),
    }
    odd = depth >= _DEEP
    told = (
        f"it was compressed before at a quality near {quality}"
        if odd
        else "no earlier compression at a lower quality stands out"
    )
    return Evidence(
        "JPEG ghosts",
        told,
        details,
        limits=f"{_LIMITS} One at a higher quality, or after which the picture was scaled or cut, leaves no ghost.",
        value=rounded(depth),
        reference=f"dips of less than {_DEEP:g} in a picture compressed once",
        odd=odd,
    )


def block_grid(facts: JpegFacts) -> Evidence:
    """Evidence from the grid of blocks: one that does not begin at the corner is left by an earlier compression."""
    strengths = np.array(facts.grid).reshape(GRID, GRID)
    own = float(strengths[0, 0])
    # Smooth edges raise the rows and columns beside those of a grid, so near the corner another one has to be stronger.
    apart = strengths[2:7, 2:7]
    column, row, strongest = int(apart.argmax()) % 5 + 2, int(apart.argmax()) // 5 + 2, float(apart.max())
    if strengths[1:, 1:].max() > own:
        at = int(strengths[1:, 1:].argmax())
        column, row, strongest = at % 7 + 1, at // 7 + 1, float(strengths[1:, 1:].max())
    off = strongest >= _OFF_GRID
    details: Details = {
        "grid at the corner": rounded(own),
        "strongest elsewhere": rounded(strongest),
        "there at (x, y)": f"({column}, {row})",
        "file is a JPEG": bool(facts.tables),
    }
    if off:
        told = f"a grid of blocks begins at ({column}, {row}): it was cut after a compression"
    elif own >= _GRID_SEEN:
        told = "the grid of blocks begins at the corner" + ("" if facts.tables else ": it was a JPEG before")
    else:
        told = "no grid of blocks stands out"
    return Evidence(
        "grid of blocks",
        told,
        details,
        limits=f"{_LIMITS} High qualities and scaling hide the grid; textures of eight pixels resemble it.",
        value=rounded(strongest),
        reference="no grid, or one that begins at the corner of a JPEG",
        odd=off,
    )


def coefficient_counts(facts: JpegFacts) -> Evidence:
    """Evidence from counts of DCT coefficients: periodic ones are left by quantising twice."""
    name = "counts of coefficients"
    reference = f"shares of less than {_PERIODIC:g}, as smooth counts have"
    if not facts.tables:
        return Evidence(name, "the file is no JPEG, so it has no quantisers", {}, limits=_LIMITS, reference=reference)
    value = float(np.sort(facts.periods)[-2])  # one coefficient alone may have few values
    details: Details = {f"coefficient {number}": each for number, each in enumerate(facts.periods, 1)}
    odd = value >= _PERIODIC
    told = "they rise and fall periodically: it was quantised twice" if odd else "they are smooth"
    return Evidence(name, told, details, limits=_LIMITS, value=rounded(value), reference=reference, odd=odd)


def _error_levels(facts: JpegFacts) -> Evidence:
    return Evidence(
        "error level analysis",
        "a picture to look at: parts that were saved fewer times than the rest can be brighter there",
        {"saved again at quality": 90, "part used": f"{facts.width}x{facts.height}"},
        limits=(
            "Edges and textures are bright in every picture and flat parts dark, whatever was done: compare like with "
            "like, and do not rest a conclusion on it."
        ),
    )


def ghost_plot(facts: JpegFacts) -> bytes:
    """PNG: the difference to itself over quality, and the map of cells with a dip of their own."""
    with figure(9.2, 3.0) as plot:
        left, right = plot.subplots(1, 2, width_ratios=(3, 2))
        left.semilogy(facts.qualities, np.array(facts.ghost) + 0.01, marker="o", markersize=3, linewidth=1.2)
        if facts.quality is not None:
            left.axvline(facts.quality, color=FAKE_COLOR, linestyle=":")
        left.set_xlabel("quality")
        left.set_ylabel("mean squared difference")
        shown = np.ma.masked_equal(np.array(facts.local).reshape(facts.rows, facts.columns), 0)
        right.imshow(shown, vmin=40, vmax=95, cmap="viridis", interpolation="nearest")
        right.set_title("quality of a cell's own dip")
        right.axis("off")
        return png(plot)
