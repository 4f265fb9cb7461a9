"""Faces are moved to another person's faceset and back, and facesets merged; no crop is lost."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from shared.cli import run
from shared.config import write_toml
from shared.errors import FacesetError, UsageError
from shared.faces.align import mean_in_crop
from shared.faces.facesets.layout import SETTINGS, crop_name
from shared.faces.facesets.moving import merge_facesets, move_faces
from shared.faces.facesets.reader import Faceset
from tests.factories import face_row, write_faceset


def _shades(faceset: Path) -> list[int]:
    """By which the crops of all rows are known again."""
    opened = Faceset.open(faceset)
    opened.verify()
    return [int(opened.crop(row)[0, 0, 0]) for row in range(len(opened))]


def _kept(faceset: Path) -> list[int]:
    shades = _shades(faceset)
    return [shades[row] for row in Faceset.open(faceset).rows()]


def _write(folder: Path, name: str, shades: list[int], *, clips: tuple[int, ...] = (0,), aside: int = -1) -> Path:
    points = mean_in_crop(64, "whole").astype(np.float32)
    rows = [face_row(points, frame=shade, track=shade // 30, kept=shade != aside) for shade in shades]
    faces = [(row, np.full((64, 64, 3), shade, np.uint8)) for row, shade in zip(rows, shades, strict=True)]
    return write_faceset(folder / name, name, faces, clips=clips)


@pytest.fixture
def ann(tmp_path):
    return _write(tmp_path, "ann", [10, 20, 30, 40, 50, 60], aside=40)


def test_a_person_is_split_into_a_new_faceset(ann, tmp_path):
    done = move_faces(ann, [1, 3, 4], tmp_path / "ben")
    assert (done.source.kept, done.source.faces) == (3, 6)
    assert done.source.set_aside == {"moved to ben": 2, "set aside": 1}
    assert (done.target.identity, done.target.kept, done.target.set_aside) == ("ben", 3, {})
    assert _kept(tmp_path / "ben") == [20, 40, 50]
    assert _shades(ann) == [10, 20, 30, 40, 50, 60]
    assert _kept(ann) == [10, 30, 60]
    assert done.target.clips == done.source.clips


def test_what_is_moved_back_is_taken_back_and_stands_there_once(ann, tmp_path):
    ben = tmp_path / "ben"
    move_faces(ann, [1, 4, 5], ben)
    back = move_faces(ben, [0, 2], ann)
    assert (back.there_before, back.target.kept, back.target.faces) == (2, 4, 6)
    assert back.target.set_aside == {"moved to ben": 1, "set aside": 1}
    assert _kept(ann) == [10, 20, 30, 60]
    assert _kept(ben) == [50]
    assert Faceset.open(ben).info.set_aside == {"moved to ann": 2}
    again = move_faces(ann, [1], ben)
    assert (again.there_before, again.target.faces) == (1, 3)
    assert _kept(ben) == [20, 50]


def test_faces_from_another_clip_keep_clips_tracks_and_the_order_of_frames(ann, tmp_path):
    ben = _write(tmp_path, "ben", [5, 35, 95], clips=(1,))
    info = move_faces(ben, [1], ann).target
    assert [clip.sha256[-1] for clip in info.clips] == ["0", "1"]
    table = Faceset.open(ann).table
    assert table["clip"].to_pylist() == [0] * 6 + [1]
    assert table["track"].to_pylist() == [0, 0, 1, 1, 1, 2, 4]
    cas = _write(tmp_path, "cas", [15, 45], clips=(0,))
    move_faces(cas, [1], ann)
    assert _shades(ann) == [10, 20, 30, 40, 45, 50, 60, 35]


def test_two_facesets_are_merged_and_stay(ann, tmp_path):
    ben = tmp_path / "ben"
    move_faces(ann, [0, 1], ben)
    before = [Faceset.open(one).digest() for one in (ann, ben)]
    info = merge_facesets([ann, ben], tmp_path / "both")
    assert (info.identity, info.faces, info.kept, info.set_aside) == ("ann", 6, 5, {"set aside": 1})
    assert _kept(tmp_path / "both") == [10, 20, 30, 50, 60]
    assert [Faceset.open(one).digest() for one in (ann, ben)] == before
    with pytest.raises(UsageError, match="there already"):
        merge_facesets([ann, ben], tmp_path / "both")
    assert merge_facesets([ben, ann], tmp_path / "both", identity="zoe", force=True).identity == "zoe"


def _with(faceset: Path, **changes: object) -> Path:
    write_toml(faceset / SETTINGS, dataclasses.replace(Faceset.open(faceset).info, **changes))  # type: ignore[arg-type]
    return faceset


def test_embeddings_of_another_network_are_left_out(tmp_path):
    row = face_row(mean_in_crop(64, "whole").astype(np.float32), frame=1)
    row = dataclasses.replace(row, embedding=np.ones(4, np.float32))
    faces = [(row, np.zeros((64, 64, 3), np.uint8))]
    facesets = [write_faceset(tmp_path / name, name, faces, clips=(n,)) for n, name in enumerate(("ann", "ben"))]
    _with(facesets[0], embedder="one", finder={"name": "dlib"})
    _with(facesets[1], embedder="other", finder={"name": "yunet", "sha": "7"})
    info = merge_facesets(facesets, tmp_path / "both")
    assert (info.embedder, info.finder) == ("one", {"name": "dlib and yunet", "sha": "7"})
    assert Faceset.open(tmp_path / "both").table["embedding"].to_pylist() == [[1.0] * 4, None]


@pytest.mark.parametrize(
    ("changes", "why"), [({"rights": "consent"}, "differ in rights"), ({"drawn_by": "x"}, "differ in drawn_by")]
)
def test_what_one_faceset_cannot_hold_is_refused_and_nothing_changes(ann, tmp_path, changes, why):
    ben = _with(_write(tmp_path, "ben", [5, 35]), **changes)
    before = [Faceset.open(one).digest() for one in (ann, ben)]
    with pytest.raises(FacesetError, match=why):
        move_faces(ann, [1], ben)
    with pytest.raises(FacesetError, match=why):
        merge_facesets([ann, ben], tmp_path / "both")
    assert [Faceset.open(one).digest() for one in (ann, ben)] == before
    assert not (tmp_path / "both").exists()


def test_a_crop_that_was_changed_is_not_taken_over(ann, tmp_path):
    other = (ann / crop_name(0)).read_bytes()
    (ann / crop_name(1)).write_bytes(other)
    with pytest.raises(FacesetError, match="were changed"):
        move_faces(ann, [1], tmp_path / "ben")
    assert not (tmp_path / "ben").exists()


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["move", "ann", "--rows", "0-5", "--to", "ben"], "no face left"),
        (["move", "ann", "--rows", "6", "--to", "ben"], "rows 0 to 5"),
        (["move", "ann", "--rows", "", "--to", "ben"], "no row"),
        (["move", "ann", "--rows", "1", "--to", "ann"], "one folder"),
        (["move", "ann", "--rows", "1", "--to", "ann/inner"], "one lies in the other"),
        (["move", "ann", "--rows", "1", "--to", "other"], "is not a faceset"),
        (["move", "ann", "--rows", "1", "--to", "ben", "--identity", "a/b"], "may hold letters"),
        (["move", "ann", "--rows", "1", "--to", "zoe", "--identity", "ben"], "is of zoe"),
        (["merge", "ann", "--out", "both"], "two facesets at least"),
        (["merge", "ann", "./ann", "--out", "both"], "two facesets at least"),
        (["merge", "ann", "other", "--out", "both"], "not a faceset"),
    ],
)
def test_errors_are_one_sentence(ann, tmp_path, capsys, monkeypatch, words, why):
    monkeypatch.chdir(tmp_path)
    _write(tmp_path, "zoe", [70])
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "file").touch()
    before = Faceset.open(ann).digest()
    assert run(["faces", *words]) != 0
    assert why in capsys.readouterr().err
    assert Faceset.open(ann).digest() == before
    assert not (tmp_path / "ben").exists()


def test_both_by_command(ann, tmp_path, capsys):
    ben, both = tmp_path / "ben", tmp_path / "both"
    assert run(["faces", "move", str(ann), "--rows", "1,3-4", "--to", str(ben), "--identity", "benno"]) == 0
    assert run(["faces", "merge", str(ann), str(ben), "--out", str(both)]) == 0
    said = " ".join(capsys.readouterr().out.split())  # a long path wraps its line
    assert "3 faces of benno kept" in said
    assert "moved to benno" in said
    assert _kept(both) == [10, 20, 30, 40, 50, 60]
