from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch

from detect.config.scoring import AggregateConfig, FaceConfig, ScoreConfig
from detect.config.training import TrainConfig
from detect.models import build_detector
from detect.models.checkpoint import DetectorFacts, save_detector
from detect.models.predictor import CropPredictor
from detect.scoring.video import Predictor, crop_for, find_gaps, score_video, suspect_id, write_frame_scores
from shared.device import pick_device, seed_everything
from shared.errors import MediaError
from shared.faces.align import mean_in_crop
from shared.faces.boxes import box_around
from shared.faces.finders.finder import finders
from shared.results.scores import FrameScore
from shared.types import Face
from shared.video import VideoReader
from tests.factories import write_clip

PX = 64
FRAMES = 23
RATE = 25


class MarkFinder:
    """Finds the bright squares that the test's video is made of, and gives each the mean face's landmarks."""

    name = "marks"

    def find(self, frames: Sequence[np.ndarray]) -> list[list[Face]]:
        return [[face for face in (_face_at(frame, side) for side in (0, 1)) if face] for frame in frames]

    def refine(self, image: np.ndarray, boxes: Sequence[np.ndarray]) -> list[Face]:
        return [_refined(image, int((box[0] + box[2]) / 2 > 120)) for box in boxes]

    def describe(self) -> dict[str, str]:
        return {"name": self.name}


finders.register("marks")(lambda settings: MarkFinder())


def _refined(image: np.ndarray, side: int) -> Face:
    return _face_at(image, side) or dataclasses.replace(_face(side), confidence=0.0)


def _face_at(frame: np.ndarray, side: int) -> Face | None:
    return _face(side) if frame[60, 120 * side + 60].mean() >= 100 else None


def _face(side: int) -> Face:
    left, scale = side * 120, 90 if side == 0 else 40
    landmarks = mean_in_crop(scale, "whole").astype(np.float32) + np.float32([left + 60 - scale / 2, 60 - scale / 2])
    return Face(box_around(landmarks), landmarks, 1.0)


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """23 frames: a face on the left but for frames 10 to 14, a smaller one on the right throughout."""
    skin = np.random.default_rng(0).integers(120, 255, (80, 80, 3), np.uint8)
    images = np.full((FRAMES, 120, 240, 3), 20, np.uint8)
    images[:, 20:100, 140:220] = skin
    images[[*range(10), *range(15, FRAMES)], 20:100, 20:100] = skin
    path = tmp_path_factory.mktemp("video") / "two faces (1).mp4"
    clock = {"time_base": Fraction(1, RATE), "frame_rate": Fraction(RATE)}
    return write_clip(path, images, **clock)


@pytest.fixture(scope="module")
def predictor() -> CropPredictor:
    torch.manual_seed(0)
    return CropPredictor(build_detector("test_efficientnet", input_px=PX), pick_device("cpu", "float32"))


def score(path: Path, predictor: CropPredictor, *, every: int = 1, min_face_px: float = 1.0, batch: int = 4):
    faces = FaceConfig(min_face_px=min_face_px)
    return Predictor(predictor, MarkFinder()).score(path, ScoreConfig(every=every, faces=faces, batch=batch))


def test_every_face_of_every_frame_is_scored_and_frames_are_counted_honestly(clip: Path, predictor: CropPredictor):
    scores = score(clip, predictor)
    assert scores.facts.frames_read == scores.facts.frames_searched == FRAMES
    assert scores.facts.faces_scored == len(scores.frames) == FRAMES + (FRAMES - 5)
    assert [track.frames for track in scores.tracks] in ([FRAMES - 5, FRAMES], [FRAMES, FRAMES - 5])
    assert scores.clip.tracks == 2
    assert str(scores.clip.clip) == "suspect/unknown/two-faces-1"
    assert scores.gaps_seconds == ()


def test_skipped_frames_are_read_and_said_to_be_skipped(clip: Path, predictor: CropPredictor):
    scores = score(clip, predictor, every=4)
    assert (scores.facts.frames_read, scores.facts.frames_searched) == (FRAMES, 6)
    assert sorted({row.frame for row in scores.frames}) == [0, 4, 8, 12, 16, 20]
    assert scores.frames[-1].seconds == pytest.approx(20 / RATE)


def test_logits_are_those_of_the_crops(clip: Path, predictor: CropPredictor):
    scores = score(clip, predictor)
    with VideoReader(clip) as reader:
        frames = {frame.index: frame.image for frame in reader}
    for row in scores.frames[:: len(scores.frames) // 5]:
        faces = MarkFinder().find([frames[row.frame]])[0]
        crops = np.stack([crop_for(predictor, frames[row.frame], face.landmarks) for face in faces])
        nearest = int(np.argmin([abs(face.box[0] - row.box[0]) for face in faces]))
        assert row.logit == pytest.approx(float(predictor.logits(crops)[nearest]), abs=1e-4)


def test_a_second_run_gives_the_same_numbers(clip: Path, predictor: CropPredictor):
    assert score(clip, predictor, every=2) == score(clip, predictor, every=2)


def test_faces_too_small_are_left_out_and_counted(clip: Path, predictor: CropPredictor):
    scores = score(clip, predictor, min_face_px=30.0)
    assert scores.facts.faces_too_small == FRAMES
    assert scores.facts.faces_scored == FRAMES - 5
    assert scores.gaps_seconds == ((10 / RATE, 15 / RATE),)
    assert scores.clip.frames_with_face == FRAMES - 5


def test_no_usable_face_gives_no_logit(clip: Path, predictor: CropPredictor):
    scores = score(clip, predictor, min_face_px=500.0)
    assert scores.clip.logit is None
    assert scores.clip.probability is None
    assert scores.tracks == ()
    assert scores.gaps_seconds == ((0.0, (FRAMES - 1) / RATE),)


def test_aggregation_is_the_detectors_by_default(clip: Path, predictor: CropPredictor):
    assert score(clip, predictor, every=8).clip.aggregation == "max-face"
    config = ScoreConfig(every=8, aggregate=AggregateConfig(method="median"), faces=FaceConfig(min_face_px=1))
    scores = score_video(clip, Predictor(predictor, MarkFinder()), config)
    assert scores.clip.aggregation == "median"
    assert scores.clip.logit == pytest.approx(np.median([row.logit for row in scores.frames]))


def test_a_loaded_detector_finds_faces_as_it_was_trained_with(tmp_path: Path, clip: Path, predictor: CropPredictor):
    facts = DetectorFacts(predictor.spec, faces=FaceConfig(min_face_px=1), finder=MarkFinder().describe())
    save_detector(predictor.model, tmp_path / "run" / "detector", facts, card="")
    loaded = Predictor.load(str(tmp_path / "run"), "cpu", precision="float32")
    scores = loaded.score(str(clip), every=4)
    assert scores == score(clip, predictor, every=4, batch=16)
    assert score_video(str(clip), str(tmp_path / "run"), every=4).facts == scores.facts


@pytest.mark.parametrize(
    ("own", "asked", "made"),
    [
        ({"name": "dlib-hog+dlib68"}, "auto", "dlib-hog+dlib68"),
        ({"name": "sidecar:here.parquet"}, "auto", "auto"),
        ({}, "auto", "yunet"),
        ({"name": "dlib-hog+dlib68"}, "mtcnn", "mtcnn"),
    ],
)
def test_which_finder_is_made(own: dict, asked: str, made: str, predictor: CropPredictor, monkeypatch):
    monkeypatch.setattr("detect.scoring.video.make_finder", lambda name, device: (name, device))
    facts = DetectorFacts(predictor.spec, faces=FaceConfig(finder="yunet"), finder=own)
    assert Predictor(CropPredictor(predictor.model, predictor.device, facts=facts), asked).finder == (made, "cpu")


def test_the_timeline_of_a_face_is_its_scores_by_time(clip: Path, predictor: CropPredictor):
    scores = score(clip, predictor, every=2)
    for track in scores.tracks:
        seconds, logits = scores.timeline(track.track)
        mine = [(row.seconds, row.logit) for row in scores.frames if row.track == track.track]
        assert len(mine) == track.frames
        assert list(zip(seconds, logits, strict=True)) == sorted(mine)
    assert [part.shape for part in scores.timeline(99)] == [(0,), (0,)]


def test_a_file_that_is_no_video_is_refused(tmp_path: Path, predictor: CropPredictor):
    (tmp_path / "notes.mp4").write_text("no video")
    with pytest.raises(MediaError):
        score(tmp_path / "notes.mp4", predictor)


def test_frame_scores_come_back_from_parquet(clip: Path, predictor: CropPredictor, tmp_path: Path):
    scores = score(clip, predictor, every=5)
    write_frame_scores(tmp_path / "frames.parquet", scores.frames)
    rows = pq.read_table(tmp_path / "frames.parquet").to_pylist()
    assert [row["frame"] for row in rows] == [row.frame for row in scores.frames]
    assert rows[0]["clip"] == "suspect/unknown/two-faces-1"
    assert rows[0]["label"] is None
    for row, kept in zip(rows, scores.frames, strict=True):
        assert np.array_equal(np.array(row["landmarks"], np.float32).reshape(68, 2), kept.landmarks)


def test_the_table_says_its_format_and_only_adds_to_the_first_one(tmp_path: Path):
    score = FrameScore(suspect_id(Path("x.mp4")), 0, 0.0, 0, 1.5, (0, 0, 9, 9))  # as of a dataset, whose crops are kept
    write_frame_scores(tmp_path / "frames.parquet", [score], ["fake"])
    table = pq.read_table(tmp_path / "frames.parquet")
    assert table.schema.metadata == {b"assay.format": b"2"}
    assert table.schema.names[:7] == ["clip", "frame", "seconds", "track", "logit", "box", "label"]
    assert table.to_pylist()[0]["landmarks"] is None


@pytest.mark.parametrize(
    ("with_face", "expected"),
    [
        ({0, 1, 2, 3}, []),
        (set(), [(0.0, 3.0)]),
        ({0, 3}, [(1.0, 3.0)]),
        ({1}, [(0.0, 1.0), (2.0, 3.0)]),
        ({0, 1, 2}, [(3.0, 3.0)]),
    ],
)
def test_gaps_by_hand(with_face: set, expected: list):
    assert find_gaps({0: 0.0, 1: 1.0, 2: 2.0, 3: 3.0}, with_face) == expected


def test_names_of_suspects_are_safe():
    assert suspect_id(Path("/x/..evil name;rm.mp4")).name == "evil-name-rm"
    assert suspect_id(Path("/x/日本.mp4")) != suspect_id(Path("/x/中国.mp4"))


def test_a_cpu_takes_few_crops_at_once(toy_config: TrainConfig):
    """Large batches fall out of a CPU's caches; the logits are the same to float32's last digits."""
    seed_everything(0)
    predictor = CropPredictor(build_detector(toy_config.model, input_px=64), pick_device("cpu", "float32"))
    assert (predictor.at_once(32), predictor.at_once(4), predictor.at_once(32, 4), predictor.at_once(32, 16)) == (
        8, 4, 2, 1,
    )  # fmt: skip
    crops = np.random.default_rng(0).integers(0, 256, (19, 64, 64, 3), dtype=np.uint8)
    assert predictor.logits(crops) == pytest.approx(predictor.logits(crops, batch=1), abs=1e-4)
