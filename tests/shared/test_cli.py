from __future__ import annotations

import pytest

from shared.cli import run
from shared.console import console


@pytest.mark.parametrize("flags", [["--json"], ["--quiet"], ["--json", "--quiet"]])
@pytest.mark.parametrize("words", [["dataset", "verify", "nowhere"], ["no-such-command"]])
def test_flags_hold_for_their_command_line_alone(
    flags: list[str], words: list[str], tmp_path, monkeypatch, capsys: pytest.CaptureFixture
):
    """Left on, they would move what a later caller in the same process says to another stream, or silence it."""
    monkeypatch.chdir(tmp_path)
    assert run([*flags, *words]) != 0
    capsys.readouterr()
    assert (console.quiet, console.json_mode) == (False, False)
    console.print("said afterwards")
    assert capsys.readouterr().out == "said afterwards\n"


def test_a_command_line_run_within_another_leaves_its_flags(monkeypatch, tmp_path, capsys: pytest.CaptureFixture):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(console, "json_mode", False)
    console.configure(quiet=False, json_mode=True)
    try:
        run(["dataset", "verify", "nowhere"])
        assert console.json_mode
        capsys.readouterr()
        console.print("for people")
        assert capsys.readouterr() == ("", "for people\n")
    finally:
        console.configure()


def test_help_texts_are_broken_by_the_width_alone(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "300")
    monkeypatch.setenv("TERMINAL_WIDTH", "300")
    assert run(["forge", "quality", "--help"]) == 0
    lines = [line for line in capsys.readouterr().out.splitlines() if "retrieval searches all facesets" in line]
    assert "A clip without a record" in lines[0]
