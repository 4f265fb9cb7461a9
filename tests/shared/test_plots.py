from __future__ import annotations

import subprocess
import sys

import cv2
import numpy as np
import pytest

from shared.plots import INK, figure, png


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
