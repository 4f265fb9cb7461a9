from __future__ import annotations

import pytest

from benchmarks.app import command_line


@pytest.mark.parametrize(
    ("typed", "shown"),
    [
        (["detectors", "sets/a", "--baseline", "meso4=runs/meso4"], "detectors sets/a --baseline meso4=runs/meso4"),
        (["many", "/home/ann/a.mp4", "--save=/home/ann/b.json"], "many a.mp4 --save=b.json"),
        (["cross-set", "--run", "gan=/home/ann/gan:bob"], "cross-set --run gan=gan:bob"),
        (["first-run", "--rights", "two words"], "first-run --rights 'two words'"),
    ],
)
def test_a_command_line_can_be_typed_again_and_names_no_folder_of_this_machine(monkeypatch, typed, shown):
    monkeypatch.setattr("sys.argv", ["python -m benchmarks", *typed])
    assert command_line() == f"python -m benchmarks {shown}"
