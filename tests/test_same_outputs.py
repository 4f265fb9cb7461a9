"""What the commands write is what they wrote when ``data/same_outputs.json`` was recorded.

Every file and key that differs is named. Where a change is meant, write the record anew, look at its diff, and say in
the commit why:

    python -m tests.same_outputs tests/data/same_outputs.json
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.output_digests import describe, differences, machine
from tests.same_outputs import make_everything

pytestmark = pytest.mark.slow

RECORD = Path(__file__).parent / "data" / "same_outputs.json"
SHOWN = 80


@pytest.fixture(scope="module")
def recorded() -> dict[str, Any]:
    return json.loads(RECORD.read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("same") / "made"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ASSAY_HOME", str(tmp_path_factory.mktemp("home")))
        make_everything(folder)
    return describe(folder)


def _differences(what: str, recorded: dict[str, Any], found: dict[str, Any]) -> str:
    """The differences, a line each, after a line with their number; empty without any."""
    lines = differences(recorded, found)
    more = [f"... and {len(lines) - SHOWN} more"] if len(lines) > SHOWN else []
    return "\n".join([f"{len(lines)} differences of {what}:", *lines[:SHOWN], *more]) if lines else ""


def test_the_same_files_are_written_and_hold_the_same_keys(recorded, found):
    assert _differences("files and keys", recorded["structure"], found["structure"]) == ""


def test_what_does_not_depend_on_floating_point_is_the_same_everywhere(recorded, found):
    assert _differences("settings, labels, splits, names, shapes", recorded["portable"], found["portable"]) == ""


def test_everything_is_the_same_on_the_machine_of_the_record(recorded, found):
    here = machine()
    other = sorted(key for key in recorded["machine"] | here if recorded["machine"].get(key) != here.get(key))
    if other:
        pytest.skip(f"recorded on a machine with another {', '.join(other)}")
    assert _differences("contents", recorded["digests"], found["digests"]) == ""


def test_a_difference_names_file_and_key():
    before = {"a.json": {"x": "1", "y": "2", "z": "3"}, "b.png": {"": "1"}, "gone.png": {"": "1"}, "t": ["p", "q"]}
    now = {"a.json": {"x": "1", "y": "9", "w": "4"}, "b.png": {"": "2"}, "new.png": {"": "1"}, "t": ["q", "r"]}
    assert differences(before, now) == [
        "a.json: w is new",
        "a.json: y differs",
        "a.json: z is gone",
        "b.png: its content differs",
        "gone.png: was written, is not now",
        "new.png: is written now, was not",
        "t: p is gone",
        "t: r is new",
    ]
