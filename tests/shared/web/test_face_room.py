"""Faces moved to another person, and facesets merged, from the page."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from shared.faces.facesets.reader import Faceset
from shared.web.found import key_of

ONE, OTHER = "faces/actor-50000", "faces/actor-50057"


@pytest.fixture
def faces(work) -> Path:
    """Both facesets as they were, again after the test."""
    kept = work.parent / "kept"
    shutil.copytree(work / "faces", kept)
    yield work / "faces"
    shutil.rmtree(work / "faces")
    shutil.move(kept, work / "faces")


def test_marked_faces_become_a_new_person_and_move_on_to_another(client, faces):
    before = Faceset.open(faces / "actor-50000")
    answer = client.post(f"/faces/{key_of(ONE)}/move", json={"rows": [1, 2, 5], "name": "stranger"})
    assert answer.json() == {"key": key_of("faces/stranger"), "name": "stranger", "kept": 3}
    new = Faceset.open(faces / "stranger")
    new.verify()
    assert new.table["frame"].to_pylist() == [before.table["frame"][row].as_py() for row in (1, 2, 5)]
    after = Faceset.open(faces / "actor-50000")
    assert (after.info.faces, after.info.kept) == (before.info.faces, before.info.kept - 3)
    assert "faces/stranger" in client.get("/faces").text
    answer = client.post(f"/faces/{key_of('faces/stranger')}/move", json={"rows": [0], "to": key_of(ONE)})
    assert answer.json()["kept"] == before.info.kept - 2
    assert Faceset.open(faces / "actor-50000").info.set_aside == {"moved to stranger": 2}


def test_two_facesets_are_merged_into_a_third(client, faces):
    counts = [Faceset.open(faces / name).info.faces for name in ("actor-50000", "actor-50057")]
    answer = client.post("/faces/merge", json={"facesets": [key_of(ONE), key_of(OTHER)], "name": "both"})
    assert answer.json()["name"] == "both"
    whole = Faceset.open(faces / "both")
    whole.verify()
    assert (len(whole), whole.info.identity, len(whole.info.clips)) == (sum(counts), "both", 2)
    assert [Faceset.open(faces / name).info.faces for name in ("actor-50000", "actor-50057")] == counts


@pytest.mark.parametrize(
    ("values", "why"),
    [
        ({"rows": [1], "name": "actor-50057"}, "there already"),
        ({"rows": [1], "name": "../x"}, "may hold letters"),
        ({"rows": [1], "name": ""}, "is empty"),
        ({"rows": [1]}, "is empty"),
        ({"rows": [99], "name": "new"}, "rows 0 to"),
        ({"rows": ["1; x"], "name": "new"}, "a list of at most"),
        ({"rows": [-1], "name": "new"}, "a list of at most"),
        ({"rows": [1], "to": "../../etc"}, "no such faceset"),
    ],
)
def test_a_move_that_cannot_be_is_refused_and_changes_nothing(client, work, values, why):
    before = Faceset.open(work / ONE).digest()
    answer = client.post(f"/faces/{key_of(ONE)}/move", json=values)
    assert answer.status_code in (400, 404, 422)
    assert why in answer.json()["error"]
    assert Faceset.open(work / ONE).digest() == before
    assert not (work / "faces" / "new").exists()


@pytest.mark.parametrize("facesets", [None, [], [key_of(ONE)], [key_of(ONE), "x"]])
def test_a_merge_of_anything_but_two_facesets_is_refused(client, work, facesets):
    answer = client.post("/faces/merge", json={"facesets": facesets, "name": "new"})
    assert answer.status_code in (400, 404, 422)
    assert not (work / "faces" / "new").exists()


def test_faces_are_sorted_by_likeness_to_the_marked_ones(client, work):
    found = client.post(f"/faces/{key_of(ONE)}/likeness", json={"rows": [0]})
    embeddings = Faceset.open(work / ONE).table["embedding"].to_pylist()
    if embeddings[0] is None:
        assert found.status_code == 400
        assert "identity is known" in found.json()["error"]
    else:
        assert found.json()["distances"][0] == pytest.approx(0.0, abs=1e-6)
    assert client.post(f"/faces/{key_of(ONE)}/likeness", json={"rows": [9999]}).status_code == 400
