"""Faces are set aside and taken back by hand; the crops stay, and the faceset is whole at every moment."""

from __future__ import annotations

import numpy as np
import pytest

from shared.cli import run
from shared.errors import FacesetError, UsageError
from shared.faces.align import mean_in_crop
from shared.faces.facesets.keeping import BY_HAND, parse_rows, set_kept
from shared.faces.facesets.reader import Faceset
from tests.factories import face_row, write_faceset


@pytest.fixture
def faceset(tmp_path):
    landmarks = mean_in_crop(64, "whole").astype(np.float32)
    faces = [(face_row(landmarks, frame=n, kept=n != 4), np.full((64, 64, 3), 10 * n, np.uint8)) for n in range(6)]
    return write_faceset(tmp_path / "ann", "ann", faces)


def test_faces_are_set_aside_and_taken_back(faceset):
    digest = Faceset.open(faceset).digest()
    assert Faceset.open(faceset).rows() == [0, 1, 2, 3, 5]
    info = set_kept(faceset, remove=[0, 2, 4])
    assert (info.kept, info.set_aside) == (3, {BY_HAND: 2, "set aside": 1})
    changed = Faceset.open(faceset)
    assert changed.rows() == [1, 3, 5]
    assert changed.digest() != digest
    changed.verify()
    assert int(changed.crop(2)[0, 0, 0]) == 20
    info = set_kept(faceset, restore=[0, 2, 4])
    assert (info.kept, info.set_aside) == (6, {})
    assert sorted(path.name for path in faceset.parent.iterdir() if path.is_dir()) == ["ann"]


def test_the_last_face_and_rows_that_are_not_there_are_refused(faceset):
    before = Faceset.open(faceset).digest()
    with pytest.raises(FacesetError, match="no face left"):
        set_kept(faceset, remove=range(6))
    with pytest.raises(UsageError, match="rows 0 to 5"):
        set_kept(faceset, remove=[6])
    with pytest.raises(UsageError, match="both removed and restored"):
        set_kept(faceset, remove=[1], restore=[1])
    assert Faceset.open(faceset).digest() == before


def test_a_link_in_a_faceset_is_refused(faceset, tmp_path):
    (faceset / "more").symlink_to(tmp_path)
    with pytest.raises(FacesetError, match="is a link"):
        set_kept(faceset, remove=[1])
    assert Faceset.open(faceset).rows() == [0, 1, 2, 3, 5]


def test_rows_are_numbers_and_ranges():
    assert parse_rows("3,7, 10-12,") == [3, 7, 10, 11, 12]
    for text in ("a", "-3", "5-", "7-3", "1-9999999", "1.5"):
        with pytest.raises(UsageError):
            parse_rows(text)


def test_the_command_says_what_is_kept(faceset, capsys):
    assert run(["faces", "keep", str(faceset), "--remove", "0-1"]) == 0
    assert "3 faces of ann kept, set aside: 2 by hand, 1 set aside" in " ".join(capsys.readouterr().out.split())
    assert run(["faces", "keep", str(faceset)]) == 2
    assert run(["faces", "keep", str(faceset), "--remove", "x"]) == 2
