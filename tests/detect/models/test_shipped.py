"""The detector in the package by its name ``assay``: found, loaded from half precision, exported, never changed."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from detect.exchange.onnx import export_onnx
from detect.models import build_detector, shipped
from detect.models.checkpoint import (
    CARD_NAME,
    WEIGHTS_NAME,
    DetectorFacts,
    detector_folder,
    load_detector,
    save_detector,
    weights_digest,
)
from detect.models.predictor import CropPredictor
from detect.scoring.tasks import ScoringJob
from shared.cli import run
from shared.device import seed_everything
from shared.errors import CheckpointError, UsageError


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A package with a detector, untrained and in half precision; the same one in full precision beside it."""
    seed_everything(0)
    model = build_detector("test_efficientnet", family="multitask", input_px=64, pretrained=False)
    facts = DetectorFacts(model.spec)
    folder = save_detector(model, tmp_path / "package" / "assay", facts, card="# untrained\n", half=True)
    save_detector(model, tmp_path / "full", facts, card="# untrained\n")
    monkeypatch.setattr(shipped, "SHIPPED_FOLDER", folder)
    return folder


@pytest.fixture
def bare(tmp_path, monkeypatch):
    monkeypatch.setattr(shipped, "SHIPPED_FOLDER", tmp_path / "nothing")


def test_its_name_finds_it_wherever_the_working_folder_is(package, tmp_path, monkeypatch):
    (tmp_path / "assay").mkdir()
    monkeypatch.chdir(tmp_path)
    assert detector_folder("assay") == package
    assert weights_digest("assay") == weights_digest(package)
    assert shipped.default_detector().name == "assay"
    with pytest.raises(CheckpointError, match="holds no detector"):
        detector_folder(tmp_path / "assay")


def test_matrices_are_halved_and_scores_stay(package, tmp_path):
    stored = load_file(package / WEIGHTS_NAME)
    assert all(value.dtype == (torch.float16 if value.ndim >= 2 else value.dtype) for value in stored.values())
    assert any(value.dtype == torch.float32 for value in stored.values())
    assert {value.dtype for value in load_file(tmp_path / "full" / WEIGHTS_NAME).values()} >= {torch.float32}
    model, _ = load_detector("assay")
    assert {parameter.dtype for parameter in model.parameters()} == {torch.float32}
    crops = np.random.default_rng(0).integers(0, 256, (4, 64, 64, 3), np.uint8)
    full, half = (CropPredictor.load(each, "cpu").logits(crops) for each in (tmp_path / "full", "assay"))
    assert np.allclose(full, half, atol=5e-3)
    assert not np.array_equal(full, half)


def test_weights_beyond_half_precision_are_refused(tmp_path):
    model = build_detector("test_efficientnet", input_px=64, pretrained=False)
    with torch.no_grad():
        next(parameter for parameter in model.parameters() if parameter.ndim > 1).fill_(1e6)
    with pytest.raises(CheckpointError, match="beyond the range of float16"):
        save_detector(model, tmp_path / "out", DetectorFacts(model.spec), card="", half=True)
    assert not (tmp_path / "out").exists()


def test_its_onnx_file_gives_the_same_logits(package, tmp_path):
    done = export_onnx("assay", tmp_path / "assay.onnx")
    assert done.largest_difference < 1e-3
    assert done.outputs == ("logit", "region")


def test_a_scoring_job_names_its_folder_for_other_processes(package):
    predictor = CropPredictor.load("assay", "cpu")

    class Finder:
        def describe(self):
            return {"name": "toy"}

    class Settings:
        device, precision, batch = "cpu", "auto", 4

    job = ScoringJob.of("assay", predictor, Finder(), name="toy", config=Settings())
    assert job.detector == str(package)


def test_it_is_not_calibrated_in_place(package, tmp_path, capsys):
    before = {path.name: path.read_bytes() for path in package.iterdir()}
    assert run(["detect", "calibrate", "assay", "--dataset", str(tmp_path)]) == 2
    told = capsys.readouterr().err
    assert "the detector in the package is not changed" in told
    assert "--out FOLDER" in told
    # A copy that cannot be calibrated does not appear.
    assert run(["detect", "calibrate", "assay", "--dataset", str(tmp_path), "--out", str(tmp_path / "copy")]) != 0
    assert not (tmp_path / "copy").exists()
    assert {path.name: path.read_bytes() for path in package.iterdir()} == before


def test_a_reference_is_not_copied(tmp_path, capsys):
    (tmp_path / "scores.csv").write_text("clip,score\n")
    words = ["detect", "calibrate", f"csv:{tmp_path}/scores.csv", "--dataset", str(tmp_path)]
    assert run([*words, "--out", str(tmp_path / "copy")]) == 2
    assert "no folder to copy" in capsys.readouterr().err


@pytest.mark.parametrize(
    "words",
    [
        ["inspect", "FILE", "--out", "OUT"],
        ["detect", "export", "assay", "--out", "OUT"],
    ],
)
def test_a_package_without_one_says_so_and_what_to_do(bare, words, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    places = {"FILE": str(tmp_path / "clip.mp4"), "OUT": str(tmp_path / "out")}
    assert run([places.get(word, word) for word in words]) == 1
    told = capsys.readouterr().err
    assert "no detector comes with this package" in told
    assert "assay detect train" in told
    assert not (tmp_path / "out").exists()


def test_the_weights_of_this_package_fit_if_it_has_any():
    if not shipped.has_shipped():
        pytest.skip("the package has no weights of a detector")
    folder = shipped.shipped_folder()
    assert (folder / WEIGHTS_NAME).stat().st_size <= 20_000_000
    _, facts = load_detector(folder)
    assert facts.spec.family == "multitask"
    card = (folder / CARD_NAME).read_text()
    assert weights_digest(folder) in card
    assert "## Data and rights" in card
    assert (folder / "calibration.json").is_file()


def test_calibrating_it_in_python_is_refused_as_well(package, tmp_path):
    from detect.calibration.calibrate import calibrate_detector

    with pytest.raises(UsageError, match="is not changed"):
        calibrate_detector("assay", tmp_path)
