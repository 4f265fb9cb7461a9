from __future__ import annotations

import dataclasses
import shutil
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from detect.calibration.evaluation_section import Calibrated
from detect.config.scoring import AggregateConfig, EvaluateConfig, FaceConfig
from detect.evaluation import evaluate as evaluation_module
from detect.evaluation.evaluate import evaluate_detector
from detect.evaluation.localization_report import measure_regions
from detect.models.checkpoint import DetectorFacts
from detect.models.contract import Detection, Detector, DetectorSpec
from detect.models.predictor import CropPredictor
from detect.models.training_record import TrainingRecord, training_document
from detect.scoring.dataset import DatasetScores, faces_of
from detect.scoring.samples import score_clips
from shared.dataset import DatasetFolder
from shared.device import pick_device
from shared.types import Masks
from shared.video import Encoding
from tests.factories import write_clip

RATE = Fraction(25)
QUICK = EvaluateConfig(replicates=20, frames_per_clip=3, device="cpu", workers=2)
FOUND = FaceConfig(finder="toy", min_face_px=8)


class Halves(Detector):
    """Says that the upper half of every face was forged with probability 0.3, and the lower one with 0.1."""

    def __init__(self, *, has_mask: bool = True) -> None:
        super().__init__()
        self.spec = DetectorSpec("halves", 64, (0.5,) * 3, (0.5,) * 3, "whole", has_mask=has_mask)

    def forward(self, x: torch.Tensor) -> Detection:
        region = torch.full((len(x), 1, 8, 8), float(np.log(0.1 / 0.9)))
        region[:, :, :4] = float(np.log(0.3 / 0.7))
        return Detection(x.mean((1, 2, 3)), region)


@pytest.fixture(scope="session")
def masked_set(toy_set: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The toy set with one mask video for all fakes: the upper half of the face was forged."""
    path = tmp_path_factory.mktemp("masked") / "toy"
    shutil.copytree(toy_set, path)
    mask = np.zeros((96, 160), np.uint8)
    mask[:48] = 255
    write_clip(path / "m.mkv", [mask] * 8, encoding=Encoding.lossless_mask())
    return path


class MaskedFolder(DatasetFolder):
    """A dataset folder all of whose fakes have the mask ``m.mkv``."""

    def records(self, *, split=None):
        masks = Masks(*["m.mkv"] * 3)
        return [r if r.label == "real" else dataclasses.replace(r, masks=masks) for r in super().records(split=split)]


def scores_of(folder: DatasetFolder, model: Detector, learned: TrainingRecord) -> DatasetScores:
    facts = DetectorFacts(model.spec, faces=FOUND, finder={"name": "toy", "version": "1"})
    predictor = CropPredictor(model, pick_device("cpu"), facts=facts)
    clips, notes = faces_of(folder, folder.records(split="test"), predictor, QUICK)
    scored = score_clips(clips, predictor, AggregateConfig())
    return DatasetScores(scored, {"name": "halves"}, (0.0, "val"), notes, learned, faces=clips, predictor=predictor)


def knows_val(folder: DatasetFolder) -> TrainingRecord:
    document = training_document([*folder.records(split="train"), *folder.records(split="val")])
    return TrainingRecord(**{name: frozenset(marks) for name, marks in document.items()})


def test_the_threshold_comes_from_validation_clips_and_the_regions_from_the_test(masked_set: Path):
    folder = MaskedFolder.open(masked_set)
    found = measure_regions(folder, scores_of(folder, Halves(), knows_val(folder)), QUICK)
    report = found.report
    assert 0.1 < report.threshold < 0.3
    assert report.threshold_from == "2 validation clips of toy"
    assert report.faces == 6  # two fake clips of three frames
    assert [part.manipulation for part in report.parts] == [None, "stripes"]
    everything = report.parts[0]
    assert everything.iou.value > 0.9
    assert everything.ap.value > 0.95
    assert everything.drawn_on_real.value == pytest.approx(0.5, abs=0.06)
    assert everything.iou.clusters == 2  # its two people are one group, so the clusters are filmed people


def test_a_threshold_that_was_not_chosen_says_so(masked_set: Path):
    folder = MaskedFolder.open(masked_set)
    scores = scores_of(folder, Halves(), TrainingRecord())
    report = measure_regions(folder, scores, QUICK).report
    assert (report.threshold, report.parts[0].iou.value) == (0.5, 0.0)
    assert "no validation clips with masks that the detector was chosen by" in report.threshold_from
    given = measure_regions(folder, scores, dataclasses.replace(QUICK, mask_threshold=0.2)).report
    assert (given.threshold_from, given.parts[0].iou.value > 0.9) == ("the command", True)
    on_val = dataclasses.replace(QUICK, split="val")
    same = dataclasses.replace(scores, learned=knows_val(folder))
    assert "evaluated here" in measure_regions(folder, same, on_val).report.threshold_from


def test_without_masks_or_maps_there_is_nothing_to_measure(masked_set: Path):
    bare, masked = DatasetFolder.open(masked_set), MaskedFolder.open(masked_set)
    assert measure_regions(bare, scores_of(bare, Halves(), TrainingRecord()), QUICK) is None
    assert measure_regions(masked, scores_of(masked, Halves(has_mask=False), TrainingRecord()), QUICK) is None
    whole = dataclasses.replace(scores_of(masked, Halves(), TrainingRecord()), predictor=None, faces=())
    assert measure_regions(masked, whole, QUICK) is None


def test_an_evaluation_shows_the_regions_and_keeps_faces_out_of_the_page(
    masked_set: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    folder = MaskedFolder.open(masked_set)
    scores = scores_of(folder, Halves(), knows_val(folder))
    monkeypatch.setattr(evaluation_module, "score_dataset", lambda *given, **more: scores)
    monkeypatch.setattr(evaluation_module, "_learned", lambda path: scores.learned)
    monkeypatch.setattr(evaluation_module, "calibrated", lambda *given: Calibrated(scores.clips))
    monkeypatch.setattr(evaluation_module.DatasetFolder, "open", lambda path: folder)
    result, out = evaluate_detector(Path("halves"), masked_set, QUICK, out=tmp_path / "out")
    assert result.regions.parts[0].iou.value > 0.9
    sheet = cv2.imread(str(out / "regions.png"))
    assert sheet.shape == (30 + 5 * 142, 4 * 112, 3)  # best, middle and worst fake, two real ones
    page = (out / "evaluation.html").read_text()
    assert "Where the forgery was drawn" in page
    assert "regions.png</code> beside this page" in page
    assert {(row.factor, row.value) for row in result.error_card} >= {("all", "all")}
    assert [part.name for part in result.protocols] == ["in-set", "leave-identity-out"]
