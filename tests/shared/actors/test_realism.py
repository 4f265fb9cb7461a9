"""Real models take actors for people, and tell them apart. The full measurement is ``benchmarks.actors``."""

from __future__ import annotations

from importlib.util import find_spec

import pytest

pytest.importorskip("dlib")
if find_spec("face_recognition_models") is None:
    pytest.skip("face_recognition_models is not installed", allow_module_level=True)

from benchmarks.actors import Realism, observe
from shared.actors import cast


@pytest.fixture(scope="module")
def seen() -> Realism:
    return observe(cast(7, 0), clips=2, frames=2)


def test_dlib_finds_the_actors(seen: Realism):
    assert seen.detection_rate >= 0.95


def test_dlib_puts_landmarks_where_they_are(seen: Realism):
    assert seen.median_nme < 0.05


def test_embeddings_distinguish_actors(seen: Realism):
    same, different = seen.same_distances, seen.different_distances
    assert len(same) == 7 * 6
    assert len(different) == 21 * 16
    assert same.mean() < 0.35
    assert different.mean() > 0.5
    assert seen.auc > 0.97
