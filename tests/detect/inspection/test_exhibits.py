"""The faces shown in a report are, byte for byte, the crops that were scored."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import pyarrow.parquet as pq
import pytest
import torch

from detect.inspection import exhibits
from detect.inspection.exhibits import choose, sample_faces
from detect.inspection.inspect import InspectConfig, inspect_file
from detect.models import build_detector
from detect.models.checkpoint import DetectorFacts, save_detector
from detect.models.predictor import CropPredictor
from detect.scoring.video import crop_for
from shared.device import pick_device
from shared.errors import MediaError
from shared.faces.align import mean_in_crop
from shared.faces.boxes import box_around
from shared.faces.finders.finder import finders
from shared.results.scores import FrameScore
from shared.types import ClipId, Face, Timestamp
from shared.video import VideoReader, VideoWriter

PX = 48
FRAMES = 31


class UnsteadyFinder:
    """Finds two faces whose landmarks follow the picture; in a given box it places them elsewhere, as finders do."""

    name = "unsteady"

    def find(self, frames: Sequence[np.ndarray]) -> list[list[Face]]:
        return [[_face(side, float(frame[4, 4, 0]) / 60) for side in (0, 1)] for frame in frames]

    def refine(self, image: np.ndarray, boxes: Sequence[np.ndarray]) -> list[Face]:
        return [_face(int(box[0] > 80), 3.0) for box in boxes]

    def describe(self) -> dict[str, str]:
        return {"name": self.name}


finders.register("unsteady")(lambda settings: UnsteadyFinder())


def _face(side: int, shift: float) -> Face:
    landmarks = mean_in_crop(60, "whole").astype(np.float32) + np.float32([12 + 84 * side + shift, 16])
    return Face(box_around(landmarks), landmarks, 1.0)


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path, rng = tmp_path_factory.mktemp("video") / "seen.mp4", np.random.default_rng(1)
    with VideoWriter(path, width=176, height=96, time_base=Fraction(1, 25), frame_rate=Fraction(25)) as writer:
        for index in range(FRAMES):
            image = rng.integers(60, 200, (96, 176, 3)).astype(np.uint8)
            image[:16, :16] = 40 + 6 * index
            writer.write(image, Timestamp(index, Fraction(1, 25)))
    return path


@pytest.mark.parametrize(
    ("family", "name"), [("frame", "test_efficientnet"), ("temporal", "test_efficientnet+gru3"), ("meso4", "meso4")]
)
def test_the_crops_shown_are_byte_for_byte_those_that_were_scored(
    clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, family: str, name: str
):
    scored: list[np.ndarray] = []
    mapped: list[torch.Tensor] = []
    embed, heat = CropPredictor.embed_frames, exhibits.heat_maps
    monkeypatch.setattr(
        CropPredictor, "embed_frames", lambda self, crops, **kw: scored.extend(crops.copy()) or embed(self, crops, **kw)
    )
    monkeypatch.setattr(exhibits, "heat_maps", lambda model, batch: mapped.append(batch) or heat(model, batch))
    torch.manual_seed(0)
    model = build_detector(name, family=family, input_px=PX)
    detector = save_detector(model, tmp_path / "detector", DetectorFacts(model.spec), card="# x\n")
    case = tmp_path / "case"
    inspect_file(clip, detector, case, InspectConfig(finder="unsteady"), device="cpu")

    rows = pq.read_table(case / "frames.parquet").to_pylist()
    assert len(rows) == len(scored) == 14
    by_face = {(row["frame"], row["track"]): crop for row, crop in zip(rows, scored, strict=True)}
    files = sorted(path for path in (case / "evidence").glob("face-*.png") if not path.stem.endswith("-heat"))
    assert len(files) == 6
    page = (case / "report.html").read_text()
    shown = []
    for path in files:
        _, _, _, track, _, frame = path.stem.split("-")
        shown.append(cv2.cvtColor(cv2.imread(str(path)), cv2.COLOR_BGR2RGB))
        assert shown[-1].tobytes() == by_face[int(frame), int(track)].tobytes()
        assert base64.b64encode(path.read_bytes()).decode() in page
        assert path.with_name(f"{path.stem}-heat.png").is_file()
    predictor = CropPredictor(model, pick_device("cpu", "float32"))
    assert torch.equal(mapped[0], predictor.prepare(np.stack(shown)))

    # what the case keeps is enough to cut them once more
    with VideoReader(clip) as reader:
        images = {frame.index: frame.image for frame in reader}
    for row, crop in zip(rows, scored, strict=True):
        landmarks = np.array(row["landmarks"], np.float32).reshape(68, 2)
        assert crop_for(predictor, images[row["frame"]], landmarks).tobytes() == crop.tobytes()


def test_a_file_that_lost_frames_since_it_was_scored_is_refused(clip: Path):
    predictor = CropPredictor(build_detector("test_efficientnet", input_px=PX), pick_device("cpu", "float32"))
    face = _face(0, 0.0)
    late = FrameScore(ClipId("suspect", None, "clip"), FRAMES + 5, 2.0, 0, 1.0, (0, 0, 9, 9), face.landmarks)
    with pytest.raises(MediaError, match="changed while"):
        sample_faces(VideoReader(clip), [late], predictor, count=3)
    assert sample_faces(VideoReader(clip), [], predictor, count=3) == []


def test_exhibits_hold_the_extremes_and_every_face_in_order_of_time():
    clip, box = ClipId("suspect", None, "clip"), (0.0, 0.0, 9.0, 9.0)
    mixed = [
        FrameScore(clip, frame, frame / 10, track, logit, box)
        for track, logits in enumerate([[0.0, 5.0, 1.0, -4.0, 2.0, 0.5], [0.1, 0.2]])
        for frame, logit in enumerate(logits)
    ]
    shown = choose(mixed, 5)
    assert [score.frame for score, _ in shown] == sorted(score.frame for score, _ in shown)
    assert {"highest score", "lowest score", "first of this face"} <= {why for _, why in shown}
    assert {score.track for score, _ in shown} == {0, 1}
    assert len(shown) == 5


def test_no_exhibits_without_scores():
    assert choose([], 6) == []
