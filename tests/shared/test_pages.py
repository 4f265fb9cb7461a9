from __future__ import annotations

import re

import jinja2
import pytest

from shared.pages import STYLE, breakable, page_environment
from shared.plots import VARIABLES
from tests.page_width import too_wide


def test_foreign_text_is_escaped_and_its_controls_are_shown(tmp_path):
    (tmp_path / "page.j2").write_text("<p>{{ name }}</p>{{ kept | safe }}{{ number }}")
    page = page_environment(tmp_path).get_template("page.j2")
    shown = page.render(name="<b>\u202egpj\x1b", kept="<i>own</i>", number=3)
    assert shown == "<p>&lt;b&gt;\\u202egpj\\x1b</p><i>own</i>3"


def test_a_long_name_is_broken_after_its_signs_only():
    assert breakable("IMG_01-a.mp4") == "IMG_<wbr>01-<wbr>a.<wbr>mp4<wbr>"
    assert breakable("<b>\x1b") == "&lt;b&gt;\\x1b<wbr>"


def test_a_name_that_is_not_given_is_refused(tmp_path):
    (tmp_path / "page.j2").write_text("{{ missing }}")
    with pytest.raises(jinja2.UndefinedError):
        page_environment(tmp_path).get_template("page.j2").render()


def test_the_measure_of_width_finds_what_is_too_wide(tmp_path):
    page = f"<html><head><style>{STYLE.read_text()}</style></head><body><main>%s</main></body></html>"
    table = "<table><tr>" + "<td>unbroken</td>" * 20 + "</tr></table>"
    assert "TABLE" in too_wide(page.replace("%s", table), tmp_path)
    assert too_wide(page.replace("%s", f'<div class="wide">{table}</div>'), tmp_path) == ""


def test_the_style_has_dark_and_paper_and_reaches_the_page(tmp_path):
    (tmp_path / "page.j2").write_text("<style>{{ style }}</style>")
    page = page_environment(tmp_path).get_template("page.j2").render()
    for rule in (
        "@media screen and (prefers-color-scheme: dark)",
        "@media print",
        "break-after: avoid",
        "overflow-x: auto",
    ):
        assert rule in page


def test_every_color_of_the_plots_is_one_of_the_page():
    named = set(re.findall(r"--(\w+):", STYLE.read_text()))
    assert set(VARIABLES.values()) <= named
