from __future__ import annotations

import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from benchmarks.__main__ import app

NAMES = sorted(
    command.name or command.callback.__name__.replace("_", "-")
    for command in app.registered_commands
    if command.callback is not None
)


def test_no_command_is_registered_twice():
    assert len(NAMES) == len(set(NAMES))
    assert {"crowd", "detectors", "shortcuts", "tamper", "swappers", "throughput"} <= set(NAMES)


def test_the_page_lists_every_benchmark_once():
    page = (Path(__file__).parents[2] / "benchmarks" / "README.md").read_text(encoding="utf-8")
    assert sorted(re.findall(r"^\| `([a-z-]+)` \|", page, re.MULTILINE)) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_every_benchmark_explains_itself(name):
    shown = CliRunner().invoke(app, [name, "--help"])
    assert shown.exit_code == 0
    assert "Usage" in shown.output
