from __future__ import annotations

from pathlib import Path

import pytest

from forge.swapping.output import dataset_name, is_dataset, need_writable, opened_dataset, record_from, record_of
from shared.dataset import DatasetFolder
from shared.errors import StorageError, UsageError


def test_a_dataset_is_made_where_there_is_none_and_named_after_its_folder(tmp_path):
    assert dataset_name(tmp_path / "portraits-1") == "portraits-1"
    with pytest.raises(UsageError, match="may hold letters"):
        dataset_name(tmp_path / "my portraits")
    DatasetFolder.init(tmp_path / "somewhere", "other")
    assert dataset_name(tmp_path / "somewhere") == "other"


def _fail_inside(path: Path) -> None:
    with opened_dataset(path) as folder:
        assert is_dataset(folder.path)
        raise RuntimeError("interrupted")


def test_a_dataset_made_for_a_clip_that_did_not_come_is_removed(tmp_path):
    (tmp_path / "empty").mkdir()
    for name in ("new", "empty"):
        with pytest.raises(RuntimeError, match="interrupted"):
            _fail_inside(tmp_path / name)
    assert [path.name for path in tmp_path.iterdir()] == ["empty"]
    assert list((tmp_path / "empty").iterdir()) == []


def test_a_dataset_that_was_there_stays(tmp_path):
    DatasetFolder.init(tmp_path / "set", "set")
    with pytest.raises(RuntimeError, match="interrupted"):
        _fail_inside(tmp_path / "set")
    assert DatasetFolder.open(tmp_path / "set").verify() == []


def test_files_outside_of_datasets_have_no_record(tmp_path):
    (tmp_path / "loose.mp4").write_bytes(b"x")
    assert record_of(tmp_path / "loose.mp4") is None
    assert record_from(tmp_path, "0" * 64) is None
    DatasetFolder.init(tmp_path / "set", "set")
    assert record_of(tmp_path / "set" / "media" / "loose.mp4") is None
    assert record_from(tmp_path / "set", "0" * 64) is None


def test_an_output_folder_below_a_file_is_refused(tmp_path):
    (tmp_path / "file").write_text("x")
    need_writable(tmp_path / "a" / "b")
    with pytest.raises(StorageError, match="cannot be written"):
        need_writable(tmp_path / "file" / "set")


def test_no_swap_begins_into_a_set_whose_clips_are_marked(tmp_path, monkeypatch):
    folder = DatasetFolder.init(tmp_path / "set", "set")
    need_writable(folder.path)

    def refused(_dataset: DatasetFolder) -> None:
        raise UsageError("the clips carry a mark")

    monkeypatch.setattr("forge.swapping.output.need_unmarked_set", refused)
    with pytest.raises(UsageError, match="carry a mark"):
        need_writable(folder.path)
