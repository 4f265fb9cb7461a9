"""Files that are handed in are streamed to disk whole or not at all, and their names are no paths."""

from __future__ import annotations

import asyncio
import hashlib
import json

import pytest

from shared.errors import MediaError, StorageError, UsageError
from shared.web.uploads import shown_name, store_upload, stored_name


async def body(*blocks: bytes):
    for block in blocks:
        yield block


def store(folder, name, declared, *blocks):
    return asyncio.run(store_upload(folder, name, declared, body(*blocks)))


def test_a_file_is_stored_whole_with_its_hash(tmp_path):
    key = store(tmp_path, "Ann's clip (1).MP4", 6, b"abc", b"def")
    facts = json.loads((tmp_path / key / "file.json").read_text())
    assert facts == {"name": "Ann's clip (1).MP4", "file": "Ann_s_clip_1_.mp4", "size_bytes": 6,
                     "sha256": hashlib.sha256(b"abcdef").hexdigest()}  # fmt: skip
    assert (tmp_path / key / facts["file"]).read_bytes() == b"abcdef"


@pytest.mark.parametrize("name", ["../a.mp4", "..\\a.mp4", "/etc/a.mp4", "a/b.mp4", "..", "", "a\0.mp4"])
def test_a_name_that_leads_to_another_folder_is_refused(tmp_path, name):
    with pytest.raises(UsageError, match="another folder"):
        store(tmp_path, name, 1, b"a")
    assert list(tmp_path.iterdir()) == []


def test_a_long_name_is_cut_and_keeps_its_suffix(tmp_path):
    name = "Aufnahme " * 25 + ".MP4"
    key = store(tmp_path, name, 1, b"a")
    facts = json.loads((tmp_path / key / "file.json").read_text())
    assert facts["file"] == ("Aufnahme_" * 25)[:80] + ".mp4"
    assert len(facts["name"]) == 120


@pytest.mark.parametrize("name", ["a.exe", "a", "a.html", "mp4"])
def test_a_name_of_something_else_is_refused(tmp_path, name):
    with pytest.raises(UsageError, match="neither a video nor a picture"):
        store(tmp_path, name, 1, b"a")


@pytest.mark.parametrize(("declared", "why"), [(5, "longer than it was declared"), (9, "ended after 6 of 9 bytes")])
def test_a_body_of_another_length_leaves_nothing(tmp_path, declared, why):
    with pytest.raises(UsageError, match=why):
        store(tmp_path, "a.mp4", declared, b"abc", b"def")
    assert list(tmp_path.iterdir()) == []


def test_an_empty_file_and_one_for_which_there_is_no_room_are_refused(tmp_path):
    with pytest.raises(MediaError, match="is empty"):
        store(tmp_path, "a.mp4", 0)
    with pytest.raises(StorageError, match="free"):
        store(tmp_path, "a.mp4", 10**18, b"a")


def test_what_is_shown_of_a_name_has_no_control_characters():
    assert shown_name("a\u202eb\x1b[31m.mp4") == "a\\u202eb\\x1b[31m.mp4"
    assert stored_name("…‥.mp4") == "file.mp4"
    assert stored_name("-rf.mp4") == "rf.mp4"
