from __future__ import annotations

import re
import subprocess
import sys

import cv2
import numpy as np
import pytest

from shared.plots import INK, REAL_COLOR, both, figure, png, svg


def _drawn(title: str, **options) -> bytes:
    with figure(3, 2, **options) as plot:
        plot.add_subplot().set(title=title)
        return png(plot)


def _pixels(data: bytes) -> np.ndarray:
    return cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR_RGB)


@pytest.mark.parametrize("dpi", [50, 130])
def test_a_figure_becomes_a_png_of_its_size(dpi):
    assert _pixels(_drawn("x", dpi=dpi)).shape == (2 * dpi, 3 * dpi, 3)


def test_equal_figures_give_equal_bytes_that_name_no_library():
    assert _drawn("x") == _drawn("x") != _drawn("y")
    assert b"atplotlib" not in _drawn("x")


def test_the_style_ends_with_the_block():
    import matplotlib as mpl

    before = mpl.rcParams["axes.labelcolor"], mpl.rcParams["axes.grid"]
    with figure(3, 2):
        assert (mpl.rcParams["axes.labelcolor"], mpl.rcParams["axes.grid"]) == (INK, True)
    with pytest.raises(ValueError, match="mine"), figure(3, 2):
        raise ValueError("mine")
    assert before == (mpl.rcParams["axes.labelcolor"], mpl.rcParams["axes.grid"])
    assert _drawn("x", style={}) != _drawn("x")


def test_a_dollar_in_a_name_is_a_dollar_and_no_formula():
    assert _drawn(r"cheap $\no formula$") != _drawn(r"cheap")
    assert _pixels(_drawn("a$b$c")).shape == _pixels(_drawn("abc")).shape
    assert not np.array_equal(_pixels(_drawn("a$b$c")), _pixels(_drawn("abc")))


def test_the_colors_can_be_had_without_matplotlib():
    code = "import sys, shared.plots; assert shared.plots.INK; sys.exit('matplotlib' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def _svg(title: str, alt: str = "a plot") -> str:
    with figure(3, 2) as plot:
        plot.add_subplot().plot([0, 1], [0, 1], color=REAL_COLOR, marker="o")
        plot.axes[0].set(title=title)
        return svg(plot, alt)


def test_equal_figures_give_equal_svg_that_names_no_library_and_no_place():
    assert _svg("x") == _svg("x") != _svg("y")
    for word in ("atplotlib", "http", "<!--", "<?xml", "<style", "metadata"):
        assert word not in _svg("x"), word


def test_svg_follows_the_colors_of_the_page_and_has_no_background():
    text = _svg("x")
    assert f"stroke: var(--blue, {REAL_COLOR})" in text
    assert f"fill: var(--ink, {INK})" in text
    assert "#ffffff" not in text
    assert 'viewBox="0 0 216 144"' in text
    assert " width=" not in text.split(">")[0]


def test_foreign_text_in_svg_is_outlines_and_the_description_is_escaped():
    text = _svg('<script>alert("--><b>")</script>', alt='"<b>')
    assert "script" not in text
    assert 'aria-label="&#34;&lt;b&gt;"' in text


def test_identifiers_stand_only_where_something_refers_to_them():
    text = _svg("x")
    names = set(re.findall(r' id="([^"]+)"', text))
    assert names
    assert all(f"#{name}" in text for name in names)


def test_both_forms_are_of_one_figure():
    with figure(3, 2) as plot:
        plot.add_subplot()
        made = both(plot, "a plot")
    assert _pixels(made.png).shape == (260, 390, 3)
    assert made.svg.startswith('<svg class="plot" fill="currentColor" role="img" aria-label="a plot"')
