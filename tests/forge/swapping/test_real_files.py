"""Targets as people have them: sound that nothing takes, names that lie, people who lie down."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from forge.swapping.clip import swap_clip
from forge.swapping.config import SwapConfig
from forge.swapping.images import swap_images
from shared.dataset import DatasetFolder
from shared.errors import MediaError, UsageError
from shared.faces.finders.finder import FaceFinder
from shared.faces.finders.turned import TurnedFinder
from shared.types import ClipRecord, Face
from shared.video import VideoReader, audio_digest, probe
from tests.factories import write_clip
from tests.forge.conftest import FAST, HEIGHT, WIDTH


def test_sound_is_left_out_when_asked_and_the_record_says_so(target, swapper, config, tmp_path):
    order = {"swapper": swapper, "source": "ann", "dataset": tmp_path / "set", "config": config, "rights": "consent"}
    record = swap_clip(target, **order, audio=False)
    folder = DatasetFolder.open(tmp_path / "set")
    assert not probe(folder.media_path(record)).has_audio
    assert record.factors["source_sound"] == "left out as asked: aac"
    assert swap_clip(target, **order, audio=False) == record
    with pytest.raises(UsageError, match="made with other settings"):
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


class _Everywhere(FaceFinder):
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


def _flips(record: ClipRecord) -> int:
    """How often the swap goes on or off within the clip."""
    return sum(0 < place < record.frames for run in record.faked for place in run)


@pytest.mark.needs_media
def test_one_person_is_swapped_in_both_shots(media, swapper, tmp_path):
    clip = media / "cases" / "06-one-person-two-shots" / "15-shots.mp4"
    config = SwapConfig(finder="dlib", device="cpu", output=FAST)
    record = swap_clip(clip, swapper=swapper, source="ann", dataset=tmp_path / "set", config=config, rights="consent")
    assert (record.faked, record.frames) == (((0, 30), (42, 87)), 87)
    assert record.factors["frames_seen"] == "75"
    assert record.factors["people_recognised_by"] == "dlib-resnet-v1"


@pytest.mark.needs_media
def test_half_a_face_at_the_border_is_swapped_steadily(media, swapper, tmp_path):
    clip = media / "cases" / "35-face-at-border" / "23-border.mp4"
    config = SwapConfig(finder="dlib", device="cpu", output=FAST)
    order = {"swapper": swapper, "source": "ann", "dataset": tmp_path / "set", "rights": "consent"}
    record = swap_clip(clip, **order, config=config)
    assert _flips(record) == 0
    assert 20 <= int(record.factors["frames_bridged"]) <= 30
    labels = DatasetFolder.open(tmp_path / "set").frame_labels(record.id)
    assert {label.label for label in labels} == {"fake"}


@pytest.mark.needs_media
def test_a_folder_of_photographs_is_swapped_one_by_one(media, swapper, tmp_path):
    folder = media / "cases" / "07-photo-folder"
    config = SwapConfig(finder="dlib", device="cpu", output=FAST)
    order = {"swapper": swapper, "source": "ann", "config": config, "rights": "consent"}
    record = swap_images(folder, **order, out=tmp_path / "out")
    assert (record.faked, record.frames) == (((0, 8),), 8)


@pytest.mark.needs_media
def test_two_people_cut_into_one_clip_are_not_mixed(media, swapper, tmp_path):
    """A pair that dlib's measure puts below its threshold (0.51, over whole clips); one takes the other's place."""
    paths = [media / "video_portrait" / f"lp_{name}.mp4" for name in ("d9", "d13", "d9")]
    lengths, images = (20, 12, 20), []
    for place, (path, length) in enumerate(zip(paths, lengths, strict=True)):
        with VideoReader(path) as reader:
            start = 40 * (place > 1)
            images += [cv2.resize(f.image, (480, 480)) for f in reader.frames(start=start, stop=start + length)]
    clip = write_clip(tmp_path / "two.mp4", images)
    config = SwapConfig(finder="dlib", device="cpu", output=FAST)
    record = swap_clip(clip, swapper=swapper, source="ann", dataset=tmp_path / "set", config=config, rights="consent")
    assert record.faked == ((0, 20), (32, 52))
    assert record.factors["frames_seen"] == "40"


@pytest.mark.needs_media
def test_a_file_that_is_cut_off_is_swapped_and_the_record_says_what_it_declares(media, swapper, tmp_path):
    clip = media / "cases" / "33-truncated-mp4" / "trunc.mp4"
    config = SwapConfig(finder="dlib", device="cpu", output=FAST)
    record = swap_clip(clip, swapper=swapper, source="ann", dataset=tmp_path / "set", config=config, rights="consent")
    assert (record.frames, record.factors["source_frames"]) == (38, "38 of 60 declared")
