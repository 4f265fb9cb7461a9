"""Targets as people have them: sound that nothing takes, names that lie, people who lie down."""

from __future__ import annotations

import numpy as np
import pytest

from forge.swapping.clip import swap_clip
from forge.swapping.config import SwapConfig
from shared.dataset import DatasetFolder
from shared.errors import MediaError, UsageError
from shared.faces.finders.turned import TurnedFinder
from shared.types import Face
from shared.video import audio_digest, probe
from tests.forge.conftest import FAST, HEIGHT, WIDTH


def test_sound_is_left_out_when_asked_and_the_record_says_so(target, swapper, config, tmp_path):
    order = {"swapper": swapper, "source": "ann", "dataset": tmp_path / "set", "config": config, "rights": "consent"}
    record = swap_clip(target, **order, audio=False)
    folder = DatasetFolder.open(tmp_path / "set")
    assert not probe(folder.media_path(record)).has_audio
    assert record.factors["source_sound"] == "left out as asked: aac"
    assert swap_clip(target, **order, audio=False) == record
    with pytest.raises(UsageError, match="made otherwise"):
        swap_clip(target, **order)


def test_what_cannot_be_encoded_is_refused_before_faces_are_looked_for(target, swapper, config, tmp_path, monkeypatch):
    monkeypatch.setattr("forge.swapping.clip.found_plan", lambda *given, **more: pytest.fail("work was begun"))
    monkeypatch.setattr("shared.video.encoding.Encoding.min_side_px", property(lambda self: 4 * WIDTH))
    with pytest.raises(MediaError, match="takes no pictures"):
        swap_clip(target, swapper=swapper, source="ann", dataset=tmp_path / "set", config=config, rights="consent")
    assert not (tmp_path / "set").exists()


def test_a_target_whose_name_lies_is_swapped_and_signed(target, swapper, config, tmp_path):
    wrong = tmp_path / "clip.avi"
    wrong.write_bytes(target.read_bytes())
    record = swap_clip(wrong, swapper=swapper, source="ann", dataset=tmp_path / "set", config=config, rights="consent")
    folder = DatasetFolder.open(tmp_path / "set")
    assert audio_digest(folder.media_path(record)) == audio_digest(target)
    assert folder.verify() == []


class _Everywhere:
    """Gives the same face for every picture."""

    name = "everywhere"

    def __init__(self, face):
        self._face = face

    def find(self, frames):
        return [[self._face] for _ in frames]

    def refine(self, image, boxes):
        return [self._face for _ in boxes]

    def describe(self):
        return {"finder": self.name}


@pytest.mark.parametrize("quarters", [1, 2, 3])
def test_faces_found_in_turned_pictures_lie_where_they_are(quarters, rng):
    image = rng.integers(0, 255, (HEIGHT, WIDTH, 3), dtype=np.uint8)
    turned = np.rot90(image, -quarters)
    points = np.stack([rng.integers(5, 60, 68), rng.integers(5, 60, 68)], 1).astype(np.float32)
    finder = TurnedFinder(_Everywhere(Face(np.array([4, 4, 62, 62], np.float32), points, 1.0)), quarters)
    found = finder.find([image])[0][0]
    for there, here in zip(points.astype(int), found.landmarks.astype(int), strict=True):
        assert (turned[there[1], there[0]] == image[here[1], here[0]]).all()
    assert found.box[0] < found.box[2]
    assert found.box[1] < found.box[3]


@pytest.mark.needs_media
def test_a_lying_person_is_swapped(media, swapper, tmp_path):
    clip = media / "cases" / "28-sideways" / "24-sideways.mp4"
    config = SwapConfig(finder="dlib", device="cpu", output=FAST)
    record = swap_clip(clip, swapper=swapper, source="ann", dataset=tmp_path / "set", config=config, rights="consent")
    assert record.factors["source_turned"].startswith("faces found ")
    assert sum(stop - start for start, stop in record.faked) >= 57
