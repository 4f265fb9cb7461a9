from __future__ import annotations

import dataclasses
import shutil
import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from detect.config.scoring import FaceConfig
from detect.data.crops import ClipFaces, CropRequest, CropStore, faces_folder, find_faces, leak_among, stream_faces
from shared.dataset import DatasetFolder
from shared.errors import LeakError, ManifestError
from shared.faces.finders.finder import FaceFinder, make_finder
from shared.storage import sha256_file

REQUEST = CropRequest(64, "whole", 4, FaceConfig(finder="toy", min_face_px=8))


def toy_finder() -> FaceFinder:
    return make_finder("toy")


def refuse() -> FaceFinder:
    raise AssertionError("a cached clip is not searched again")


class Watched:
    """A finder that counts the frames it is shown."""

    def __init__(self) -> None:
        self.inner = toy_finder()
        self.name = self.inner.name
        self.frames = 0

    def find(self, frames: list) -> list:
        self.frames += len(frames)
        return self.inner.find(frames)

    def refine(self, image: np.ndarray, boxes: list) -> list:
        return self.inner.refine(image, boxes)

    def describe(self) -> dict[str, str]:
        return self.inner.describe()


@pytest.fixture
def own_set(toy_set: Path, tmp_path: Path) -> DatasetFolder:
    """A copy of the toy dataset that a test may change, without a cache."""
    shutil.copytree(toy_set, tmp_path / "toy", ignore=shutil.ignore_patterns(".faces"))
    return DatasetFolder.open(tmp_path / "toy")


def faces_of(dataset: DatasetFolder, make: Callable[[], FaceFinder] = toy_finder, **settings: int) -> list[ClipFaces]:
    return find_faces(dataset, dataset.records(), REQUEST, make, **settings)


def test_every_clip_gives_its_faces_with_their_truth(own_set: DatasetFolder):
    clips = faces_of(own_set)
    assert [clip.record.id for clip in clips] == [record.id for record in own_set.records()]
    for clip in clips:
        assert clip.frames_searched == 4
        assert clip.truth.tolist() == [clip.record.label == "fake"] * 4
        assert clip.crops().shape == (4, 64, 64, 3)
        scores = clip.scores(np.arange(4.0))
        assert [score.logit for score in scores] == [0, 1, 2, 3]
        assert scores[0].clip == clip.record.id


def test_frames_are_spread_over_the_whole_clip(own_set: DatasetFolder):
    """Not its first frames: eight frames, four asked for."""
    frames = faces_of(own_set)[0].faceset.table["frame"].to_pylist()
    assert frames == [0, 2, 5, 7]


def test_crops_are_those_of_the_clip(own_set: DatasetFolder):
    real, fake = faces_of(own_set)[:2]
    assert (real.record.label, fake.record.label) == ("real", "fake")
    stripes = [np.abs(np.diff(clip.crops().astype(float).mean(axis=(2, 3)), axis=1)).mean() for clip in (real, fake)]
    assert stripes[1] > 2 * stripes[0]


def test_faces_are_found_once(own_set: DatasetFolder):
    watched = Watched()
    first = faces_of(own_set, lambda: watched)
    assert watched.frames == 4 * len(first)
    again = faces_of(own_set, lambda: watched)
    assert watched.frames == 4 * len(first)
    for one, other in zip(first, again, strict=True):
        np.testing.assert_array_equal(one.crops(), other.crops())


def test_the_cache_does_not_disturb_the_dataset(own_set: DatasetFolder):
    faces_of(own_set)
    assert [problem for problem in own_set.verify() if problem.kind in ("orphan", "changed", "file")] == []


@pytest.mark.parametrize(
    "change", [{"px": 80}, {"framing": "head"}, {"frames_per_clip": 3}, {"faces": FaceConfig(min_face_px=9)}]
)
def test_another_request_has_another_key(change: dict):
    assert dataclasses.replace(REQUEST, **change).key({"name": "toy"}) != REQUEST.key({"name": "toy"})
    assert REQUEST.key({"name": "other"}) != REQUEST.key({"name": "toy"})
    renamed = dataclasses.replace(REQUEST, faces=dataclasses.replace(REQUEST.faces, finder="auto"))
    assert renamed.key({"name": "toy"}) == REQUEST.key({"name": "toy"})


def test_threads_give_the_same_faces(own_set: DatasetFolder, toy_set: Path):
    alone = faces_of(DatasetFolder.open(toy_set))
    together = faces_of(own_set, workers=3)
    for one, other in zip(alone, together, strict=True):
        np.testing.assert_array_equal(one.crops(), other.crops())


def test_a_clip_without_a_face_is_kept_and_not_searched_twice(own_set: DatasetFolder, add_toy_clip: Callable):
    blind = add_toy_clip(own_set, "blind", "ann", blank=True)
    watched = Watched()
    for _ in range(2):
        (clip,) = find_faces(own_set, [blind], REQUEST, lambda: watched)
        assert clip.faceset is None
        assert clip.frames_searched == 4
        assert clip.truth.size == 0
        assert clip.scores(np.empty(0)) == []
    assert watched.frames == 4


def test_untouched_frames_inside_a_fake_are_real(own_set: DatasetFolder, add_toy_clip: Callable):
    partly = add_toy_clip(own_set, "partly", "ann", "bob", forged=(4, 5, 6, 7))
    (clip,) = find_faces(own_set, [partly], REQUEST, toy_finder)
    assert clip.truth.tolist() == [0, 0, 1, 1]
    assert clip.labels() == ["real", "real", "fake", "fake"]


def test_a_file_that_is_not_the_manifests_is_refused(own_set: DatasetFolder):
    record = own_set.records()[0]
    other = own_set.media_path(own_set.records()[1])
    shutil.copy(other, own_set.media_path(record))
    with pytest.raises(ManifestError, match="does not match the manifest"):
        faces_of(own_set)
    own_set.media_path(record).unlink()
    with pytest.raises(ManifestError, match="missing"):
        faces_of(own_set)


def test_a_damaged_cache_is_made_again(own_set: DatasetFolder, capsys: pytest.CaptureFixture):
    faces_of(own_set)
    table = next(faces_folder(own_set.path).glob("*/*/faces.parquet"))
    before = sha256_file(table)
    table.write_bytes(b"damaged")
    faces_of(own_set)
    assert sha256_file(table) == before
    assert "again" in capsys.readouterr().err


def test_a_set_that_cannot_be_written_is_cached_elsewhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    assert faces_folder(tmp_path) == tmp_path / ".faces"
    monkeypatch.setattr("detect.data.crops.os.access", lambda *_: False)
    assert not faces_folder(tmp_path).is_relative_to(tmp_path)
    assert faces_folder(tmp_path) != faces_folder(tmp_path / "other")


def test_a_store_reads_the_same_with_and_without_memory(toy_set: Path):
    clips = faces_of(DatasetFolder.open(toy_set))
    rich, poor = CropStore(clips), CropStore(clips, memory_bytes=0)
    for place in (0, 3):
        np.testing.assert_array_equal(rich.crops(place), poor.crops(place))
        np.testing.assert_array_equal(rich.crop((place, 2)), poor.crop((place, 2)))


def test_leaking_splits_are_refused_unless_allowed(toy_set: Path, capsys: pytest.CaptureFixture):
    records = DatasetFolder.open(toy_set).records()
    assert leak_among(records, allowed=False) is None
    moved = [dataclasses.replace(record, split="test") if record.id.name == "ann" else record for record in records]
    with pytest.raises(LeakError, match="ann") as caught:
        leak_among(moved, allowed=False)
    assert "--allow-leak" in str(caught.value.hint)
    assert "ann" in str(leak_among(moved, allowed=True))
    assert "warning" in capsys.readouterr().err


def test_faces_are_handed_on_while_the_search_goes_on(own_set: DatasetFolder):
    """The second clip is not searched before the first is read; a reader who stops leaves the rest for another time."""
    read = threading.Event()

    class Waits(Watched):
        def find(self, frames: list) -> list:
            if self.frames >= REQUEST.frames_per_clip:
                assert read.wait(300), "the first clip was not handed on"
            return super().find(frames)

    watched, records = Waits(), own_set.records()
    found = stream_faces(own_set, records, REQUEST, lambda: watched)
    assert next(found).record == records[0]
    found_close = threading.Timer(0.5, read.set)  # when the stream is being closed
    found_close.start()
    found.close()
    assert REQUEST.frames_per_clip <= watched.frames < len(records) * REQUEST.frames_per_clip
    assert [clip.record for clip in faces_of(own_set)] == records


def test_what_goes_wrong_in_a_stream_is_raised_to_its_reader(own_set: DatasetFolder):
    path = own_set.media_path(own_set.records()[2])
    path.write_bytes(path.read_bytes()[:-9])
    found = stream_faces(own_set, own_set.records(), REQUEST, toy_finder)
    with pytest.raises(ManifestError, match="does not match the manifest"):
        list(found)
