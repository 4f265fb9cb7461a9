"""Faces moved to another person, and facesets merged, from the page."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from shared.errors import UsageError
from shared.faces.facesets.reader import Faceset
from shared.web.found import key_of
from shared.web.rooms import faces as face_room

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


def test_a_face_without_an_embedding_has_the_mean_of_its_track():
    embeddings = [[0.0, 0.0], [2.0, 0.0], None, None, [5.0, 5.0]]
    values, known = face_room._identities(embeddings, np.array([7, 7, 7, 8, 9]))
    assert known.tolist() == [True, True, True, False, True]
    assert values[2].tolist() == [1.0, 0.0]
    assert face_room._distances(values, known, np.array([True, True, False, False, False]))[2:4] == [0.0, 9.0]
    assert face_room._identities([None, None], np.array([1, 2])) is None


def test_marked_faces_without_an_identity_are_no_reference(monkeypatch, work):
    monkeypatch.setattr(face_room, "_identities", lambda embeddings, _: (
        np.zeros((len(embeddings), 2)), np.arange(len(embeddings)) > 0
    ))  # fmt: skip
    assert face_room._distances_from(work / ONE, [1])["distances"][0] == 9.0
    with pytest.raises(UsageError, match="no face is marked whose identity is known"):
        face_room._distances_from(work / ONE, [0])
