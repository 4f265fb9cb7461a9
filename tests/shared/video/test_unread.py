from __future__ import annotations

from pathlib import Path

import pytest

from shared.errors import FinderError, MediaError, StorageError
from shared.video.unread import Unread, frames_found, frames_note, outcome, say_others


def test_one_file_among_several_is_counted_and_named():
    unread, done = Unread(), 0
    for name in ("a.jpg", "b.jpg", "c.jpg"):
        with unread.passing_over(Path("there") / name):
            if name == "c.jpg":
                raise MediaError("there/c.jpg is cut off")
            done += 1
    unread.need_some(done)
    assert Path("there/c.jpg") in unread
    assert Path("there/a.jpg") not in unread
    assert unread.words(done) == "2 of 3; 1 could not be read: c.jpg: cut off"


def test_two_files_of_one_name_are_both_named_and_many_are_counted():
    unread = Unread()
    for number in range(9):
        unread.note(Path(f"{number}/a.jpg"), "damaged")
    assert len(unread.reasons) == 9
    assert outcome(1, unread.reasons).startswith("1 of 10; 9 could not be read: a.jpg: damaged; 1/a.jpg: damaged; ")
    assert outcome(1, unread.reasons).endswith("; and 4 more")
    assert outcome(4, {}) == "4 of 4"


def test_nothing_read_is_an_error_of_the_one_file_or_of_all():
    one = Unread()
    with one.passing_over(Path("a")):
        raise MediaError("a is damaged", hint="copy it")
    with pytest.raises(MediaError, match=r"^a is damaged$"):
        one.need_some(0)
    with one.passing_over(Path("b")):
        raise MediaError("b is damaged")
    with pytest.raises(MediaError, match=r"^0 of 2; 2 could not be read: a: damaged; b: damaged$") as caught:
        one.need_some(0)
    assert caught.value.hint == "copy it"
    one.need_some(1)


def test_errors_that_concern_more_than_one_file_are_raised():
    unread = Unread(MediaError, FinderError)
    with unread.passing_over(Path("a")):
        raise FinderError("no landmarks beside a")
    with pytest.raises(StorageError), unread.passing_over(Path("b")):
        raise StorageError("the disk is full")
    assert list(unread.reasons) == ["a"]


def test_declared_frames_are_reported_where_they_differ():
    assert (frames_found(60, 38), frames_found(60, 60), frames_found(None, 38)) == ("38 of 60", "60", "38")
    assert frames_note(60, 38) == {"source_frames": "38 of 60 declared"}
    assert frames_note(60, 60) == frames_note(None, 38) == {}


def test_other_files_of_a_folder_are_named_but_for_hidden_ones_and_sidecars(tmp_path, capsys):
    for name in ("a.jpg", "a.landmarks.parquet", "a.c2pa", ".hidden", "raw.cr2"):
        (tmp_path / name).write_text("x")
    (tmp_path / "more").mkdir()
    say_others(tmp_path, [tmp_path / "a.jpg"], "picture")
    assert "2 files are left out, by name no picture: more/, raw.cr2" in capsys.readouterr().err.replace("\n", " ")
