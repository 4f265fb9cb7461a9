"""Reads are bounded, writes whole or absent; paths stay inside their folder."""

from __future__ import annotations

import hashlib
import math
import os
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

import pytest

from shared import storage
from shared.errors import CheckpointError, ManifestError, RunError, StorageError, UsageError
from shared.storage import (
    MAX_LEVELS,
    check_plain,
    decode_json,
    inside,
    need_free_space,
    need_replaceable,
    read_bytes,
    read_json,
    replacing,
    replacing_folder,
    sha256_file,
    sweep_drafts,
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


KILLED = """
import os, sys
from pathlib import Path
from shared.storage import replacing, replacing_folder
path = Path(sys.argv[1])
with (replacing_folder(path) if sys.argv[2] == "folder" else replacing(path)) as draft:
    (draft / "half" if sys.argv[2] == "folder" else draft).touch()
    if sys.argv[3] == "between":
        path.rename(path.with_name(draft.name.replace(".part", ".old")))
    os.kill(os.getpid(), 9)
"""


def _killed(*words: object) -> None:
    subprocess.run([sys.executable, "-c", KILLED, *map(str, words)], check=False)


@pytest.mark.skipif(sys.platform == "win32", reason="has no such signal")
def test_what_a_killed_command_left_is_cleared_by_the_next_write(tmp_path):
    _killed(tmp_path / "out.json", "file", "early")
    _killed(tmp_path / "faces", "folder", "early")
    assert len(names(tmp_path)) == 2
    with replacing_folder(tmp_path / "faces") as draft:
        assert names(draft) == []
    write_text(tmp_path / "out.json", "x")
    assert names(tmp_path) == ["faces", "out.json"]


@pytest.mark.skipif(sys.platform == "win32", reason="has no such signal")
def test_what_was_moved_aside_by_a_killed_command_comes_back(tmp_path):
    (tmp_path / "faces").mkdir()
    (tmp_path / "faces" / "mine").touch()
    _killed(tmp_path / "faces", "folder", "between")
    assert "faces" not in names(tmp_path)
    assert sweep_drafts(tmp_path) == 2
    assert names(tmp_path) == ["faces"]
    assert names(tmp_path / "faces") == ["mine"]


def test_a_link_named_like_a_draft_loses_its_name_and_nothing_else(tmp_path):
    (tmp_path / "kept").mkdir()
    (tmp_path / "kept" / "file").touch()
    dead = subprocess.run([sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True, check=True)
    (tmp_path / f".x.{int(dead.stdout)}.part").symlink_to(tmp_path / "kept", target_is_directory=True)
    sweep_drafts(tmp_path)
    assert names(tmp_path) == ["kept"]
    assert names(tmp_path / "kept") == ["file"]


def test_threads_of_one_process_have_drafts_of_their_own(tmp_path):
    """All are open at once, and each holds what its own thread wrote; so does what is there in the end."""
    together = threading.Barrier(4)

    def write(number: int) -> None:
        with replacing(tmp_path / "out.txt") as draft, replacing_folder(tmp_path / "folder", over=True) as folder:
            draft.write_text(str(number))
            (folder / "number").write_text(str(number))
            together.wait(30)
            sweep_drafts(tmp_path)
            together.wait(30)
            assert draft.read_text() == (folder / "number").read_text() == str(number)
            turn.acquire()
        turn.release()

    turn = threading.Lock()
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(write, range(4)))
    assert (tmp_path / "out.txt").read_text() == (tmp_path / "folder" / "number").read_text()
    assert names(tmp_path) == ["folder", "out.txt"]


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


def test_small_numbers_of_bytes_are_given_in_their_own_unit(tmp_path, monkeypatch):
    monkeypatch.setattr("shutil.disk_usage", lambda place: SimpleNamespace(free=3_000_000))
    with pytest.raises(StorageError, match="3 MB free, this needs about 12 MB"):
        need_free_space(tmp_path, 12_000_000)


def test_drafts_of_killed_processes_go_those_of_living_ones_stay(tmp_path):
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    for pid in (os.getppid(), ended.pid):
        (tmp_path / f".a.{pid}.part").touch()
    assert sweep_drafts(tmp_path) == 1
    assert [path.name for path in tmp_path.iterdir()] == [f".a.{os.getppid()}.part"]


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


DEEP = b"[" * 100_000
DEEP_OBJECT = b'{"a":' * 100_000
NESTED = b"[" * MAX_LEVELS + b"]" * MAX_LEVELS


@dataclass(frozen=True)
class Pair:
    left: int
    right: float = 0.5


def decoded(data, kind=dict):
    return decode_json(data, kind, "some.json", error=CheckpointError, hint="again")


class TestReadBytes:
    def test_what_is_as_large_as_allowed_is_read_and_a_byte_more_is_refused(self, tmp_path):
        path = tmp_path / "x"
        path.write_bytes(b"a" * (1 << 20))
        assert read_bytes(path, 1 << 20, error=RunError) == b"a" * (1 << 20)
        path.write_bytes(b"a" * ((1 << 20) + 1))
        with pytest.raises(RunError, match="x is larger than 1 MiB") as caught:
            read_bytes(path, 1 << 20, error=RunError, hint="a smaller one")
        assert caught.value.hint == "a smaller one"

    @pytest.mark.parametrize(("name", "says"), [("none", "does not exist"), ("", "cannot be read"), ("f/g", "cannot")])
    def test_what_is_no_file_is_refused(self, tmp_path, name, says):
        (tmp_path / "f").write_text("x")
        with pytest.raises(RunError, match=says):
            read_bytes(tmp_path / name, 10, error=RunError)

    def test_a_pipe_is_read_and_an_endless_one_ends_at_the_bound(self, tmp_path):
        os.mkfifo(tmp_path / "pipe")
        with ThreadPoolExecutor(1) as pool:
            pool.submit((tmp_path / "pipe").write_bytes, b"said")
            assert read_bytes(tmp_path / "pipe", 10, error=RunError) == b"said"
        with pytest.raises(RunError, match="larger than 0 MiB"):
            read_bytes(Path("/dev/zero"), 1000, error=RunError)


class TestJson:
    def test_a_file_becomes_what_is_asked_for(self, tmp_path):
        path = tmp_path / "x.json"
        path.write_text('{"left": 3, "new": [1]}')
        assert read_json(path, dict, error=RunError) == {"left": 3, "new": [1]}
        assert read_json(path, Pair, error=RunError) == Pair(3)
        path.write_text('[{"left": 1}, {"left": 2, "right": 4}]')
        assert read_json(path, list[Pair], error=RunError) == [Pair(1), Pair(2, 4.0)]
        with pytest.raises(RunError, match="larger than 0 MiB"):
            read_json(path, dict, 5, error=RunError)

    @pytest.mark.parametrize(
        ("data", "says"),
        [
            (b"", "Expecting value"),
            (b"{", "Expecting property name"),
            (b"[1]", "no JSON object"),
            (b"null", "no JSON object"),
            (b'{"a": "\xff"}', "utf-8"),
            ('{"a": 1}'.encode("utf-16"), "utf-8"),
            (b'\xef\xbb\xbf{"a": 1}', "BOM"),
            (DEEP, "64 levels"),
            (DEEP_OBJECT, "64 levels"),
            (b'{"a":' + NESTED + b"}", "64 levels"),
            (b'{"a": 1' + b"0" * 400 + b"}", "300 digits"),
            (b'{"a": 1' + b"0" * 5000 + b"}", "digits"),
        ],
        ids=lambda value: str(value[:12]),
    )
    def test_what_is_no_object_is_refused_in_one_sentence(self, data, says):
        with pytest.raises(CheckpointError, match=f"some.json is damaged or .*: .*{says}") as caught:
            decoded(data)
        assert caught.value.hint == "again"
        assert len(str(caught.value)) < 300

    @pytest.mark.parametrize(
        "data",
        [b"", b"[]", b'{"left": "1"}', b'{"left": 1.5}', b'{"right": 1}', b'{"left": 1, "right": NaN}',
         b'{"left": \xff}',
         DEEP, DEEP_OBJECT, b'{"left": 1, "other": ' + DEEP + b"}", b'{"left": 1, "other": ' + NESTED + b"}",
         b'{"left": 1, "right": 1e999}', b'{"left": 1' + b"0" * 400 + b"}"],
        ids=lambda value: str(value[:24]),
    )  # fmt: skip
    def test_what_does_not_fit_a_type_is_refused(self, data):
        with pytest.raises(CheckpointError, match=r"some\.json is damaged or another kind of document"):
            decoded(data, Pair)

    def test_plain_values_keep_what_json_of_python_writes(self):
        found = decoded('{"a": NaN, "b": -Infinity, "c": 1, "c": 2, "d": 12345678901234567890123}')
        assert math.isnan(found["a"])
        assert found["b"] == -math.inf
        assert (found["c"], found["d"]) == (2, 12345678901234567890123)
        assert decoded("[1]", object) == [1]

    def test_documents_may_be_nested_up_to_the_bound(self):
        assert decoded(NESTED, object)
        with pytest.raises(CheckpointError, match="64 levels"):
            decoded(b"[" + NESTED + b"]", object)


def test_wide_values_are_no_deep_ones():
    check_plain({"a": [[[]] * 1000] * 100, "b": {str(n): {} for n in range(1000)}})
    check_plain([True, None, "x", 2.5, 1 << 1022])
    with pytest.raises(ValueError, match="300 digits"):
        check_plain({"a": [{"b": -(1 << 1023)}]})
