"""Writes are whole or absent; paths stay inside their folder."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from shared import storage
from shared.errors import ManifestError, StorageError, UsageError
from shared.storage import (
    inside,
    need_free_space,
    need_replaceable,
    replacing,
    replacing_folder,
    sha256_file,
    write_bytes,
    write_text,
)


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_the_hash_is_of_all_bytes(tmp_path, rng):
    data = rng.bytes((1 << 20) + 17)
    (tmp_path / "x").write_bytes(data)
    assert sha256_file(tmp_path / "x") == hashlib.sha256(data).hexdigest()


def test_a_file_is_replaced_in_one_step(tmp_path):
    path = tmp_path / "deep" / "out.json"
    write_text(path, "old")
    with replacing(path) as draft:
        draft.write_text("new")
        assert draft.suffix == path.suffix
        assert path.read_text() == "old"
    assert path.read_text() == "new"
    assert names(path.parent) == ["out.json"]


def test_a_failure_leaves_the_old_file_and_no_draft(tmp_path):
    path = tmp_path / "out.json"
    write_bytes(path, b"old")

    def fail() -> None:
        with replacing(path) as draft:
            draft.write_text("half")
            raise RuntimeError("stop")

    with pytest.raises(RuntimeError, match="stop"):
        fail()
    assert path.read_bytes() == b"old"
    assert names(tmp_path) == ["out.json"]


def test_a_folder_is_replaced_in_one_step(tmp_path):
    path = tmp_path / "faces"
    path.mkdir()
    (path / "old").touch()
    with replacing_folder(path) as draft:
        (draft / "new").touch()
        assert names(path) == ["old"]
    assert names(path) == ["new"]
    assert names(tmp_path) == ["faces"]


def test_a_failure_leaves_the_old_folder_and_no_draft(tmp_path):
    path = tmp_path / "faces"
    path.mkdir()
    (path / "old").touch()

    def fail() -> None:
        with replacing_folder(path) as draft:
            (draft / "new").touch()
            raise RuntimeError("stop")

    with pytest.raises(RuntimeError, match="stop"):
        fail()
    assert names(path) == ["old"]
    assert names(tmp_path) == ["faces"]


def test_the_old_folder_comes_back_when_the_last_step_fails(tmp_path):
    path = tmp_path / "faces"
    path.mkdir()
    (path / "old").touch()

    def lose_the_draft() -> None:
        with replacing_folder(path) as draft:
            draft.rmdir()

    with pytest.raises(FileNotFoundError):
        lose_the_draft()
    assert names(path) == ["old"]
    assert names(tmp_path) == ["faces"]


def test_what_a_killed_run_left_is_cleared(tmp_path):
    with replacing_folder(tmp_path / "faces") as draft:
        leftover = draft
    leftover.mkdir()
    (leftover / "half").touch()
    with replacing_folder(tmp_path / "faces") as draft:
        assert names(draft) == []


def test_a_file_in_the_way_is_a_storage_error(tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(StorageError) as caught:
        write_text(tmp_path / "file" / "out.json", "x")
    assert caught.value.hint
    with pytest.raises(StorageError):
        write_text(tmp_path / ("n" * 300), "x")


def test_paths_inside_a_folder_are_joined(tmp_path):
    assert inside(tmp_path, "media/bob.mp4") == tmp_path / "media" / "bob.mp4"
    assert inside(tmp_path, "./a") == tmp_path / "a"


@pytest.mark.parametrize("relative", ["", ".", "/etc/passwd", "../x", "a/../../x", "a\\b", "a\0b", "a/.."])
def test_paths_that_would_leave_are_refused(tmp_path, relative):
    with pytest.raises(ManifestError, match="would leave") as caught:
        inside(tmp_path, relative)
    assert caught.value.hint


def test_links_that_lead_out_are_refused(tmp_path):
    folder = tmp_path / "set"
    folder.mkdir()
    (folder / "out").symlink_to(tmp_path)
    (folder / "in").symlink_to(folder)
    with pytest.raises(ManifestError, match="through a link"):
        inside(folder, "out/secret")
    assert inside(folder, "in/clip") == folder / "in" / "clip"


def test_work_that_would_fill_the_disk_is_refused(tmp_path):
    need_free_space(tmp_path / "not" / "yet" / "there", 1)
    with pytest.raises(StorageError, match="GB free"):
        need_free_space(tmp_path / "not" / "yet", 1 << 60)


def test_the_draft_is_on_disk_before_it_takes_the_place(tmp_path, monkeypatch):
    order: list[str] = []
    monkeypatch.setattr(storage.os, "fsync", lambda _: order.append("sync"))
    rename = Path.replace
    monkeypatch.setattr(Path, "replace", lambda self, target: (order.append("rename"), rename(self, target))[1])
    write_text(tmp_path / "out.json", "x")
    assert order == ["sync", "rename"]


def test_only_an_earlier_result_of_the_same_kind_may_be_replaced(tmp_path):
    out = tmp_path / "out"

    def check(*sources):
        need_replaceable(out, "detector", marks=("a.json", "b.bin"), never=("run.json",), sources=sources)

    check()  # nothing there
    out.mkdir()
    check()  # empty
    (out / "a.json").write_text("{}")
    with pytest.raises(UsageError, match="holds no detector"):
        check()
    (out / "b.bin").write_text("")
    check(tmp_path)  # inside its source is fine
    (out / "run.json").write_text("{}")
    with pytest.raises(UsageError, match="holds no detector"):
        check()
    (out / "run.json").unlink()
    (tmp_path / "link").symlink_to(out)
    for source in (out, out / "a.json", out / "deep" / "er", tmp_path / "link"):
        with pytest.raises(UsageError, match="made from"):
            check(source)
    out = out / "a.json"
    with pytest.raises(UsageError, match="holds no detector"):
        check()
