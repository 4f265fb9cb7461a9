from __future__ import annotations

import pytest

from benchmarks.app import SETTINGS
from benchmarks.crowd import halves, load_settings
from shared.errors import UsageError


def test_photographs_are_dealt_out_in_turn_and_other_files_are_left(tmp_path):
    for name in ("a.jpg", "b.JPG", "c.png", "d.jpeg", "notes.csv"):
        (tmp_path / name).write_bytes(b"")
    first, second = halves(tmp_path)
    assert [path.name for path in first] == ["a.jpg", "c.png"]
    assert [path.name for path in second] == ["b.JPG", "d.jpeg"]


def test_too_few_photographs_are_refused(tmp_path):
    (tmp_path / "a.jpg").write_bytes(b"")
    with pytest.raises(UsageError, match="holds 1 photographs"):
        halves(tmp_path)


def test_two_photographs_of_one_name_are_refused(tmp_path):
    for folder in ("ann", "bob"):
        (tmp_path / folder).mkdir()
        for name in ("1.jpg", f"{folder}.jpg"):
            (tmp_path / folder / name).write_bytes(b"")
    with pytest.raises(UsageError, match=r"two photographs are called 1\.jpg"):
        halves(tmp_path)


def test_no_swapper_of_twins_is_of_a_family_of_the_measured_set():
    from forge.building.spec import load_spec

    crowd = load_settings(SETTINGS / "crowd.toml")
    families = {flags[flags.index("--model") + 1] for flags in crowd.swappers.values()}
    used = {str(one.settings["model"]) for one in load_spec(SETTINGS / "set-300.toml").swapper}
    assert families
    assert not families & used
