"""What people read goes to one place, what programs read to another."""

from __future__ import annotations

import json

import pytest

from shared.console import Console


@pytest.fixture
def console():
    made = Console()
    made.configure()
    return made


def test_people_read_standard_output(console, capsys):
    console.print("hello", 3)
    console.table("People", ["name", "frames"], [["ann", 7]])
    out, err = capsys.readouterr()
    assert "hello 3" in out
    assert "People" in out
    assert "ann" in out
    assert err == ""


def test_text_from_outside_is_not_markup(console, capsys):
    console.print("[red]file[/red].mp4")
    console.table("t", ["name"], [["[bold]x[/bold]"]])
    console.warn("[blue]odd[/blue] name")
    console.fail("[/closing] only", "[hint]")
    out, err = capsys.readouterr()
    assert "[red]file[/red].mp4" in out
    assert "[bold]x[/bold]" in out
    assert "warning: [blue]odd[/blue] name" in err
    assert "error: [/closing] only" in err
    assert "hint: [hint]" in err


def test_quiet_leaves_warnings_and_errors(console, capsys):
    console.configure(quiet=True)
    console.print("chatter")
    with console.progress("work", 2) as tick:
        tick(2)
    console.warn("look")
    console.fail("stop", None)
    out, err = capsys.readouterr()
    assert out == ""
    assert "work" not in err
    assert "look" in err
    assert "stop" in err


def test_programs_read_one_document_and_nothing_else(console, capsys, tmp_path):
    console.configure(json_mode=True)
    console.print("for people")
    console.table("t", ["a"], [[1]])
    with console.progress("work", 1) as tick:
        tick()
    console.result({"clip": "ann", "path": tmp_path, "name": "Zoë"})
    out, err = capsys.readouterr()
    assert json.loads(out) == {"clip": "ann", "path": str(tmp_path), "name": "Zoë"}
    assert "for people" in err


def test_people_get_no_json(console, capsys):
    console.result({"clip": "ann"})
    assert capsys.readouterr().out == ""


def test_progress_passes_items_through(console, capsys):
    assert list(console.track(iter("abc"), "[odd] work", 3, unit="faces")) == list("abc")
    with console.progress("more", None, done=2) as tick:
        tick(note="[note]")
    err = capsys.readouterr().err
    assert "[odd] work" in err
    assert "3/3" in err
