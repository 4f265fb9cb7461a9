"""A note is a line of the signed log of its case."""

from __future__ import annotations

import json

import pytest

from detect.cases.note import MAX_NOTE_CHARACTERS, add_note
from detect.cases.seal import check_case
from shared.cli import run
from shared.errors import CaseError, UsageError
from tests.detect.cases.test_cases import _case


@pytest.fixture
def case(tmp_path):
    return _case(tmp_path / "case")


def test_a_note_is_signed_with_the_rest(case):
    step = add_note(case, "  the jaw\x1b flickers ", frame=12, by="A. Analyst")
    assert step.details == {"text": "the jaw\\x1b flickers", "frame": 12, "by": "A. Analyst"}
    last = json.loads((case / "log.jsonl").read_text().splitlines()[-1])
    assert (last["step"], last["details"]["frame"]) == ("note", 12)
    assert check_case(case).faults == ()
    assert set(add_note(case, "whole file").details) == {"text"}


def test_what_is_no_note_is_refused(case, tmp_path):
    for text in ("", "  ", "x" * (MAX_NOTE_CHARACTERS + 1)):
        with pytest.raises(UsageError, match="characters"):
            add_note(case, text)
    with pytest.raises(UsageError, match="a name"):
        add_note(case, "a", by="x" * 201)
    with pytest.raises(CaseError, match="is no case folder"):
        add_note(tmp_path / "none", "a")
    (case / "report.html").write_text("other")
    with pytest.raises(CaseError, match="was changed"):
        add_note(case, "a")


def test_the_command_adds_it(case, capsys):
    words = ["--json", "case", "note", "--frame", "3", "--by=", "--", str(case), "- a dash first"]
    assert run(words) == 0
    assert json.loads(capsys.readouterr().out)["details"] == {"text": "- a dash first", "frame": 3}
    assert run(["case", "note", str(case), ""]) == 2
