"""What people read goes to one place, what programs read to another."""

from __future__ import annotations

import json

import pytest

from shared.console import Console, visible


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


HOSTILE = "a\x1b]52;c;aGk=\x07b\x9b2Jc\u202egpj.exe\udcff\rd"


def test_control_and_direction_characters_are_shown_not_sent(console, capsys):
    console.print(HOSTILE)
    console.warn(HOSTILE)
    console.fail(HOSTILE, HOSTILE)
    console.table(HOSTILE, ["a"], [[HOSTILE]])
    with console.progress(HOSTILE, 1) as tick:
        tick(note=HOSTILE)
    said = "".join(capsys.readouterr())
    assert not {"\x1b]", "\x07", "\x9b", "\u202e", "\udcff"} & {piece for piece in HOSTILE if piece in said}
    for shown in (r"\x1b]52", r"\x07", r"\x9b", r"\u202e", r"\udcff", r"\x0d"):
        assert shown in said.replace("\n", "")


def test_programs_read_such_characters_as_they_are(console, capsys):
    console.configure(json_mode=True)
    console.result({"name": HOSTILE})
    out = capsys.readouterr().out
    assert json.loads(out) == {"name": HOSTILE}
    assert not set("\x1b\x07\x9b\u202e\udcff") & set(out)


def test_plain_text_stays():
    assert visible("Zoë\t冬\n😀") == "Zoë\t冬\n😀"
