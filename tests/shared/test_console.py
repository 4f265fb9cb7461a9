"""What people read goes to one place, what programs read to another."""

from __future__ import annotations

import io
import json

import pytest
from rich.cells import cell_len

from shared.console import Console, counted, size_text, visible


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
    with console.progress("work", 2, unit="file") as tick:
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
    with console.progress("work", 1, unit="file") as tick:
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
    with console.progress("more", None, unit="file", done=2) as tick:
        tick(note="[note]")
    err = capsys.readouterr().err
    assert "[odd] work" in err
    assert "3/3" in err


def test_an_address_is_not_broken_and_words_are_wrapped(console, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    console.configure()
    address = "https://example.org/" + "a-rather-long-path/" * 6 + "weights.pth"
    console.print("without a network get it from", address, "on another machine, " + "and then " * 12, 7)
    lines = capsys.readouterr().out.splitlines()
    assert lines.count(address) == 1
    assert len(lines) == 4
    assert all(len(line) <= 80 for line in lines if line != address)
    console.print("  a list\n\n    of lines")
    assert capsys.readouterr().out == "  a list\n\n    of lines\n"


HOSTILE = "a\x1b]52;c;aGk=\x07b\x9b2Jc\u202egpj.exe\udcff\rd"


def test_control_and_direction_characters_are_shown_not_sent(console, capsys):
    console.print(HOSTILE)
    console.warn(HOSTILE)
    console.fail(HOSTILE, HOSTILE)
    console.table(HOSTILE, ["a"], [[HOSTILE]])
    with console.progress(HOSTILE, 1, unit="file") as tick:
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


@pytest.mark.parametrize(
    ("number", "words", "text"),
    [
        (0, ("clip",), "0 clips"),
        (1, ("clip",), "1 clip"),
        (2, ("clip",), "2 clips"),
        (1, ("person", "people"), "1 person"),
        (1500, ("person", "people"), "1,500 people"),
    ],
)
def test_a_number_of_things(number, words, text):
    assert counted(number, *words) == text


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (0, "0 kB"),
        (1, "1 kB"),
        (999_499, "1000 kB"),
        (20_400_000, "20 MB"),
        (999_499_999, "999 MB"),
        (999_500_000, "1.0 GB"),
        (4.2e9, "4.2 GB"),
    ],
)
def test_a_size(size, text):
    assert size_text(size) == text


def lines(
    width: int, *, total: int | None, done: float, note: str = "", unit: str = "frame", passed: float = 30
) -> str:
    """The line of a bar that has been at work for ``passed`` seconds, in a terminal so wide."""
    from rich.console import Console as RichConsole
    from rich.progress import Progress

    from shared.console import _SPEED_OVER_SECONDS, _Line

    now = 0.0
    screen = RichConsole(file=io.StringIO(), width=width, force_terminal=True, color_system=None, legacy_windows=False)
    bar = Progress(
        _Line(), console=screen, get_time=lambda: now, auto_refresh=False, speed_estimate_period=_SPEED_OVER_SECONDS
    )
    task = bar.add_task("finding faces and scoring", total=total, unit=unit, note="")
    bar.advance(task, 0)
    now = passed / 2
    bar.advance(task, done / 2)
    now = passed
    bar.advance(task, done / 2)
    bar.update(task, note=note)
    with screen.capture() as shown:
        screen.print(bar.get_renderable())
    return shown.get().rstrip("\n")


NOTE = "a-clip-with-a-rather-long-name-as-cameras-give-them-20240131-115923.mp4"


@pytest.mark.parametrize("width", [20, 40, 60, 80, 120])
@pytest.mark.parametrize("total", [None, 400_000])
@pytest.mark.parametrize("note", ["", NOTE, "名" * 60])
def test_a_bar_is_one_line_of_the_terminals_width(width, total, note):
    shown = lines(width, total=total, done=120_000, note=note)
    assert "\n" not in shown
    assert cell_len(shown) <= width


def test_at_80_columns_count_rate_and_time_left_are_seen():
    shown = lines(80, total=240, done=120, note=NOTE)
    assert shown.startswith("finding faces and scoring  ")
    assert "120/240 frames" in shown
    assert "4.0/s" in shown
    assert "0:30, 0:30 left" in shown


def test_slow_work_has_a_rate_by_the_minute_and_one_unit_is_singular():
    assert "  1/1 clip  " in lines(80, total=1, done=1, unit="clip", passed=60)
    assert "0.5/min" in lines(80, total=4, done=2, unit="clip", passed=240)
    assert "2 clips" in lines(80, total=None, done=2, unit="clip")


def test_work_limited_by_time_counts_no_seconds_a_second():
    shown = lines(80, total=1500, done=30, unit="s", note="step 12, loss 0.1234")
    assert "0:30 of 25:00" in shown
    assert "s/s" not in shown
    assert "24:30 left" in shown


def test_work_reported_less_than_twice_a_minute_has_time_left():
    shown = lines(80, total=10, done=4, unit="clip", passed=480)
    assert "0.5/min" in shown
    assert "12:00 left" in shown


def test_a_command_run_by_another_shows_its_bars_and_warnings_alone(console, capsys):
    with console.bars_only():
        console.configure()
        console.print("chatter")
        console.table("chatter", ["a"], [[1]])
        with console.progress("work", 1, unit="file") as tick:
            tick()
        console.warn("look")
    console.print("afterwards")
    out, err = capsys.readouterr()
    assert out == "afterwards\n"
    assert "work" in err
    assert "look" in err
