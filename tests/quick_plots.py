"""Plots of trainings and reports, rendered once for each form that they take.

Rendering takes two thirds of a small training. The tests of a folder whose ``conftest`` imports :func:`quick_plots` put
all that a plot shows into a figure as ever, but a figure of a form that was rendered before in this process, with the
same size, axes and words, and as many lines, points, bars and pictures, is given the bytes of that one.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from shared import plots

_rendered: dict[tuple[object, ...], bytes] = {}
_real = plots._saved


@pytest.fixture(scope="module", autouse=True)
def quick_plots() -> Iterator[None]:
    """Renders a form of figure once; the numbers in its words do not count."""

    def saved(figure: Any, kind: str, **options: Any) -> bytes:
        form = (kind, tuple(figure.get_size_inches()), figure.dpi, *(_form(axes) for axes in figure.axes))
        if form not in _rendered:
            _rendered[form] = _real(figure, kind, **options)
        return _rendered[form]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(plots, "_saved", saved)
        yield


@pytest.fixture
def real_plots(monkeypatch: pytest.MonkeyPatch) -> None:
    """For tests of equal bytes: every figure is rendered."""
    monkeypatch.setattr(plots, "_saved", _real)


def _form(axes: Any) -> tuple[object, ...]:
    legend = axes.get_legend()
    words = [axes.get_title(loc=place) for place in ("left", "center", "right")]
    words += [axes.get_xlabel(), axes.get_ylabel(), *(text.get_text() for text in axes.texts)]
    words += [text.get_text() for text in legend.get_texts()] if legend else []
    return (
        axes.get_xscale(), axes.get_yscale(), tuple(re.sub(r"\d+", "#", word) for word in words),
        tuple((len(line.get_xdata()), str(line.get_color()), str(line.get_marker())) for line in axes.lines),
        tuple((type(patch).__name__, patch.get_facecolor()) for patch in axes.patches),
        tuple((type(one).__name__, len(one.get_offsets()), len(one.get_paths())) for one in axes.collections),
        tuple(np.shape(image.get_array()) for image in axes.images),
    )  # fmt: skip
