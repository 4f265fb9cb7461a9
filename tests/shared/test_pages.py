from __future__ import annotations

import jinja2
import pytest

from shared.pages import breakable, page_environment


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
