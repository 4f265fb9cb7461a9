from __future__ import annotations

import json

import pytest

from shared.cli import run
from shared.commands.docs import page_names


def test_without_a_name_the_list_of_pages_is_shown(capsys):
    assert run(["docs"]) == 0
    shown = capsys.readouterr().out
    assert "All pages" in shown
    assert all(name in shown for name in page_names())


@pytest.mark.parametrize("name", ["calibration", "calibration.md", "docs/calibration.md"])
def test_a_page_is_named_by_its_file_too(name, capsys):
    assert run(["--json", "docs", name]) == 0
    assert json.loads(capsys.readouterr().out)["text"].startswith("# Calibration")


@pytest.mark.parametrize("name", ["../pyproject", "nothing-like-it"])
def test_another_name_is_refused(name, capsys):
    assert run(["docs", name]) == 2
    assert "no page is named" in capsys.readouterr().err
