from __future__ import annotations

import numpy as np
import pytest

from shared.errors import FinderError, UnknownNameError
from shared.faces import identity
from shared.faces.finders.finder import make_finder
from shared.faces.identity import make_embedder

pytest.importorskip("dlib")


def test_the_embedder_says_what_it_is():
    embedder = make_embedder()
    assert embedder is not None
    assert (embedder.dim, embedder.threshold) == (128, 0.6)
    assert len(embedder.describe()["sha256"]) == 64


def test_no_faces_give_no_vectors():
    embedder = make_embedder("dlib")
    assert embedder is not None
    assert embedder.embed(np.zeros((9, 9, 3), np.uint8), []).shape == (0, 128)


def test_nothing_installed_is_none_for_auto_and_an_error_by_name(monkeypatch):
    def absent(module: str, distributions: str) -> None:
        raise FinderError("not here", hint=f"pip install {distributions}")

    monkeypatch.setattr(identity, "need_package", absent)
    assert make_embedder("auto") is None
    with pytest.raises(FinderError) as caught:
        make_embedder("dlib")
    assert "pip install" in (caught.value.hint or "")


def test_an_unknown_embedder_is_refused():
    with pytest.raises(UnknownNameError):
        make_embedder("dlip")


@pytest.mark.needs_media
def test_one_person_lies_within_the_threshold_and_others_beyond(media):
    from shared.video import VideoReader

    finder, embedder = make_finder("dlib"), make_embedder()
    assert embedder is not None
    people: dict[str, list[np.ndarray]] = {}
    for clip in ("bbaf2n", "brbk7n", "sbia1a"):
        with VideoReader(media / "video_grid" / f"{clip}.mpg") as reader:
            for frame in reader.frames(step=60):
                people.setdefault(clip, []).append(embedder.embed(frame.image, finder.find([frame.image])[0])[0])
    same = [np.linalg.norm(vectors[0] - vectors[1]) for vectors in people.values()]
    others = [np.linalg.norm(people[a][0] - people[b][0]) for a, b in (("bbaf2n", "brbk7n"), ("brbk7n", "sbia1a"))]
    assert max(same) < 0.35
    assert min(others) > embedder.threshold


@pytest.mark.needs_media
def test_chips_of_several_frames_go_through_together(media):
    from shared.video import VideoReader

    embedder = make_embedder()
    assert embedder is not None
    with VideoReader(media / "video_grid" / "bbaf2n.mpg") as reader:
        image = next(reader.frames()).image
    face = make_finder("dlib").find([image])[0][0]
    chips = embedder.chips(image, [face, face])
    assert chips.shape == (2, 150, 150, 3)
    together = embedder.embed_chips(np.concatenate([chips, chips[:, :, ::-1]]))
    np.testing.assert_allclose(together[:1], embedder.embed(image, [face]), atol=1e-5)
    assert np.linalg.norm(together[2] - together[0]) < 0.5
