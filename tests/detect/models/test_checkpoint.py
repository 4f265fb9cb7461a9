from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import timm
import torch

from detect.models import Detector, DetectorSpec, build_detector
from detect.models.checkpoint import (
    DetectorFacts,
    OperatingPoint,
    detector_folder,
    detector_title,
    load_detector,
    read_facts,
    save_detector,
)
from detect.models.predictor import CropPredictor
from shared.device import pick_device
from shared.errors import CheckpointError, StorageError

PX = 64


@pytest.fixture(scope="module")
def detector() -> Detector:
    torch.manual_seed(3)
    return build_detector("test_efficientnet", input_px=PX).eval()


@pytest.fixture
def folder(detector: Detector, tmp_path: Path) -> Path:
    facts = DetectorFacts(detector.spec, operating_point=OperatingPoint(0.7, "val"))
    save_detector(detector, tmp_path / "run" / "detector", facts, card="# card\n", extra={"validated.json": {"n": 3}})
    return tmp_path / "run" / "detector"


@pytest.fixture
def crops(rng: np.random.Generator) -> np.ndarray:
    return rng.integers(0, 256, (5, PX, PX, 3), np.uint8)


def test_plain_timm_loads_the_folder_and_agrees(detector: Detector, folder: Path):
    plain = timm.create_model(f"local-dir:{folder}", pretrained=True).eval()
    batch = torch.randn(2, 3, PX, PX)
    with torch.inference_mode():
        torch.testing.assert_close(plain(batch).squeeze(1), detector(batch).logit)
    assert plain.pretrained_cfg["input_size"][-1] == PX


def test_plain_timm_loads_a_transformer_of_another_size(tmp_path: Path):
    vit = build_detector("test_vit", input_px=PX).eval()
    save_detector(vit, tmp_path / "vit", DetectorFacts(vit.spec), card="")
    batch = torch.randn(1, 3, PX, PX)
    with torch.inference_mode():
        plain = timm.create_model(f"local-dir:{tmp_path / 'vit'}", pretrained=True).eval()
        torch.testing.assert_close(plain(batch).squeeze(1), vit(batch).logit)
        torch.testing.assert_close(load_detector(tmp_path / "vit")[0](batch).logit, vit(batch).logit)


@pytest.mark.parametrize("levels_up", [0, 1])
def test_predictor_loads_from_folder_or_run_and_agrees(
    detector: Detector, folder: Path, crops: np.ndarray, levels_up: int
):
    predictor = CropPredictor.load(folder.parent if levels_up else folder, "cpu", precision="float32")
    pixels = torch.from_numpy(crops).permute(0, 3, 1, 2).float() / 255
    mean, std = (torch.tensor(values).view(1, 3, 1, 1) for values in (detector.spec.mean, detector.spec.std))
    with torch.inference_mode():
        expected = detector((pixels - mean) / std).logit.numpy()
    np.testing.assert_allclose(predictor.logits(crops, batch=2), expected, rtol=1e-4, atol=1e-5)
    assert predictor.operating_point == (0.7, "val")
    assert len(predictor.digest) == 64


def test_predictor_of_nothing_and_of_the_wrong_size(folder: Path, crops: np.ndarray):
    predictor = CropPredictor.load(folder, "cpu")
    assert predictor.logits(crops[:0]).shape == (0,)
    with pytest.raises(ValueError, match="must be"):
        predictor.logits(crops[:, :32, :32])
    with pytest.raises(ValueError, match="must be"):
        predictor.logits(crops.astype(np.float32))


def test_predictor_in_bfloat16_is_near_float32(detector: Detector, crops: np.ndarray):
    exact = CropPredictor(detector, pick_device("cpu", "float32")).logits(crops)
    rough = CropPredictor(detector, pick_device("cpu", "bfloat16")).logits(crops)
    assert rough.dtype == np.float32
    np.testing.assert_allclose(rough, exact, atol=0.1 * (1 + np.abs(exact).max()))


def test_facts_come_back_as_they_were(detector: Detector, folder: Path):
    facts = read_facts(folder)
    assert facts.spec == detector.spec
    assert facts.operating_point.logit == 0.7
    assert json.loads((folder / "validated.json").read_text()) == {"n": 3}


def test_a_folder_without_a_detector_is_refused(tmp_path: Path):
    with pytest.raises(CheckpointError, match="holds no detector"):
        detector_folder(tmp_path)
    (tmp_path / "run.json").write_text("{}")
    with pytest.raises(CheckpointError, match="no finished detector"):
        detector_folder(tmp_path)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("config.json", b"{"),
        ("config.json", b"[]"),
        ("config.json", b'{"assay": {"spec": 3}}'),
        ("config.json", b"\xff\xfe"),
        ("model.safetensors", b"not tensors"),
        ("model.safetensors", b""),
    ],
)
def test_damage_is_distinguished_from_a_detector(folder: Path, name: str, content: bytes):
    (folder / name).write_bytes(content)
    with pytest.raises(CheckpointError):
        load_detector(folder)


def test_weights_of_another_model_do_not_load(folder: Path, tmp_path: Path):
    other = build_detector("test_resnet", input_px=PX)
    save_detector(other, tmp_path / "other", DetectorFacts(other.spec), card="")
    (tmp_path / "other" / "model.safetensors").replace(folder / "model.safetensors")
    with pytest.raises(CheckpointError, match="does not fit"):
        load_detector(folder)


def test_a_description_of_an_unknown_model_is_a_checkpoint_error(folder: Path):
    config = json.loads((folder / "config.json").read_text())
    config["assay"]["spec"]["name"] = "no_such_net"
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(CheckpointError, match="no known model"):
        load_detector(folder)


def test_a_failed_save_leaves_the_old_detector(detector: Detector, folder: Path, monkeypatch: pytest.MonkeyPatch):
    before = (folder / "model.safetensors").read_bytes()

    def full(*_args: object, **_settings: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("detect.models.checkpoint.save_file", full)
    with pytest.raises(StorageError, match="full"):
        save_detector(detector, folder, DetectorFacts(detector.spec), card="")
    assert (folder / "model.safetensors").read_bytes() == before
    assert [path.name for path in folder.parent.iterdir()] == ["detector"]


@pytest.mark.parametrize(
    ("path", "family", "name", "title"),
    [
        ("runs/both", "multitask", "resnet18", "both (multitask, resnet18)"),
        ("runs/both/detector", "multitask", "resnet18", "both (multitask, resnet18)"),
        ("runs/meso", "mesonet", "mesonet4", "meso (mesonet4)"),
        ("onnx:far/net.onnx?px=64", "frame", "net", "net.onnx (frame, net)"),
    ],
)
def test_a_title_tells_detectors_of_one_network_apart(path: str, family: str, name: str, title: str):
    spec = DetectorSpec(name, 64, (0.5,) * 3, (0.5,) * 3, "whole", family=family)
    assert detector_title(path, spec) == title
