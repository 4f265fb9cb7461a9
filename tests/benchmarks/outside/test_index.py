from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from benchmarks.outside.index import groups, pairs, read_index
from shared.errors import ManifestError

HEAD = "path,label,tool,kind,pair_id,person,family,sha256"
ROWS = (
    "a/real.png,real,original,-,p1,ann,swapnet,",
    "a/fake.png,fake,SwapNet,swap,p1,ann,swapnet,",
    "a/lips.png,fake,Wav2Lip,reenact,p1,bob,Wav2Lip,",
    "a/moved.png,fake,Mover,reenact,,bob,mover,",
    "a/made.png,fake,Maker,generate,,eve,maker,",
    "a/other.png,real,original,-,p2,dan,maker,",
)


def listed(folder: Path, *rows: str, head: str = HEAD) -> Path:
    for row in rows:
        path = folder / row.partition(",")[0]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(path.name.encode())
    (folder / "index.csv").write_text("\n".join([head, *rows]) + "\n")
    return folder


def test_rows_become_files_with_kinds_pairs_and_groups(tmp_path: Path):
    files = read_index(listed(tmp_path, *ROWS))
    assert [file.kind for file in files] == ["real", "swap", "lip-sync", "re-enactment", "generation", "real"]
    assert pairs(files) == [(1, 0)]  # bob shares the pair, and is another person
    numbers = groups(files).tolist()
    assert len(set(numbers[:4])) == 1  # by pair p1, and on by bob
    assert len(set(numbers)) == 3


@pytest.mark.parametrize(
    ("head", "row", "says"),
    [
        (HEAD.replace("family", "clan"), ROWS[0], "no column 'family'"),
        (HEAD + ",mood", ROWS[0] + ",happy", "unknown column 'mood'"),
        (HEAD + ",path", ROWS[0] + ",x", "a column twice"),
        (HEAD, "a/b.png,real,original,swap,p1,ann,x,", "calls a file 'real' of kind 'swap'"),
        (HEAD, "a/b.png,fake,Tool,dance,p1,ann,x,", "calls a file 'fake' of kind 'dance'"),
        (HEAD, "a/b.png,fake,Tool,swap,p1,,x,", "lacks a person or a family"),
        (HEAD, "a/b.png,fake,Tool", "does not have a cell for each column"),
        (HEAD, '"a/b.png,fake', "no CSV table"),
        (HEAD, ROWS[0], "every file"),
        (HEAD, ROWS[0] + hashlib.sha256(b"else").hexdigest(), "not the file that was listed"),
    ],
)
def test_a_damaged_list_is_one_sentence(tmp_path: Path, head: str, row: str, says: str):
    listed(tmp_path, ROWS[0])
    (tmp_path / "a" / "b.png").write_bytes(b"x")
    (tmp_path / "index.csv").write_text(f"{head}\n{row}\n")
    with pytest.raises(ManifestError, match=says):
        read_index(tmp_path)


def test_a_missing_file_or_list_is_refused(tmp_path: Path):
    folder = listed(tmp_path / "set", *ROWS)
    (folder / "a" / "fake.png").unlink()
    with pytest.raises(ManifestError, match=r"fake\.png is listed and missing"):
        read_index(folder)
    with pytest.raises(ManifestError, match="does not exist"):
        read_index(tmp_path / "nowhere")


@pytest.mark.parametrize(
    ("rows", "says"),
    [
        (["../x.png,real,original,-,p,ann,f,"], "leave"),
        ([ROWS[0], ROWS[0]], r"real\.png twice"),
        ([], "lists 0 files"),
    ],
)
def test_a_file_outside_or_listed_twice_and_an_empty_list_are_refused(tmp_path: Path, rows: list[str], says: str):
    folder = listed(tmp_path / "set", *ROWS)
    (folder / "index.csv").write_text("\n".join([HEAD, *rows]) + "\n")
    with pytest.raises(ManifestError, match=says):
        read_index(folder)
