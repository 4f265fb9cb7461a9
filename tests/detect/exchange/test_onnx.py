"""Exports give the logits of the detector they were made of, in ONNX Runtime and in plain timm."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import numpy as np
import onnx
import onnxruntime
import pytest
import timm
import torch

from detect.config.scoring import AggregateConfig
from detect.evaluation.localization import predict_masks
from detect.exchange.onnx import TOLERANCE, export_onnx
from detect.models import build_detector
from detect.models.checkpoint import DetectorFacts, OperatingPoint, load_detector, save_detector
from detect.models.external.onnx_file import FACTS_KEY
from detect.models.predictor import CropPredictor
from shared.cli import run
from shared.errors import CheckpointError, UsageError

PX = 64
MODELS = [
    ("frame", "test_efficientnet"),
    ("frame", "test_vit"),
    ("frequency", "test_efficientnet"),
    ("multitask", "test_resnet"),
    ("pooled", "test_efficientnet"),
    ("pooled-multitask", "test_resnet"),
    ("fused", "test_efficientnet+multitask/test_resnet"),
    ("meso4", "meso4"),
    ("mesoinception4", "mesoinception4"),
    ("regions", "regions"),
    ("spectrum", "spectrum"),
    ("upsampling", "upsampling"),
    ("temporal", "test_efficientnet+gru3"),
    ("temporal", "test_resnet+transformer3"),
]


def saved(folder: Path, family: str, name: str) -> Path:
    """A detector whose weights and norms are not those of a new one, so that every layer tells."""
    torch.manual_seed(5)
    detector = build_detector(name, family=family, input_px=PX).eval()
    for part in detector.modules():
        if isinstance(part, torch.nn.BatchNorm2d):
            part.running_mean.uniform_(-0.5, 0.5)  # type: ignore[union-attr]
            part.running_var.uniform_(0.5, 2)  # type: ignore[union-attr]
    with torch.no_grad():
        for parameter in detector.parameters():
            parameter.add_(0.05 * torch.randn_like(parameter))
    facts = DetectorFacts(
        detector.spec, aggregate=AggregateConfig(method="median"), operating_point=OperatingPoint(0.3, "val")
    )
    return save_detector(detector, folder, facts, card="# card\n", extra={"validated.json": {"n": 1}})


@pytest.mark.parametrize(("family", "name"), MODELS)
def test_onnx_gives_the_same_logits_and_knows_what_it_takes(
    tmp_path: Path, rng: np.random.Generator, family: str, name: str
):
    folder = saved(tmp_path / "detector", family, name)
    done = export_onnx(folder, tmp_path / "d.onnx")
    assert done.largest_difference <= TOLERANCE
    mine = CropPredictor.load(folder, "cpu", precision="float32")
    other = CropPredictor.load(Path(f"onnx:{tmp_path / 'd.onnx'}"), "cpu", precision="float32")
    assert other.facts == mine.facts
    crops, tracks = rng.integers(0, 256, (7, PX, PX, 3), np.uint8), np.array([0, 1, 0, 0, 0, -1, 1])
    crops = crops // np.arange(1, 8, dtype=np.uint8)[:, None, None, None]
    frames = np.arange(len(tracks))
    logits = mine.face_logits(crops, tracks, frames, batch=3)
    assert np.ptp(logits) > 10 * TOLERANCE  # or agreement would say little
    np.testing.assert_allclose(other.face_logits(crops, tracks, frames, batch=3), logits, atol=TOLERANCE)
    np.testing.assert_allclose(other.logits(crops[:2]), mine.logits(crops[:2]), atol=TOLERANCE)
    if done.outputs == ("logit", "region"):
        np.testing.assert_allclose(predict_masks(other, crops), predict_masks(mine, crops), atol=1e-4)


def test_the_file_is_what_it_says_it_is(tmp_path: Path):
    folder = saved(tmp_path / "detector", "meso4", "meso4")
    done = export_onnx(folder, tmp_path / "d.onnx", opset=17)
    network = onnx.load(str(tmp_path / "d.onnx"))
    onnx.checker.check_model(network)
    assert [entry.version for entry in network.opset_import if entry.domain == ""] == [17]
    assert (done.opset, done.inputs, done.outputs) == (17, ("n", 3, PX, PX), ("logit",))
    session = onnxruntime.InferenceSession(str(tmp_path / "d.onnx"))
    assert session.get_inputs()[0].shape == ["n", 3, PX, PX]
    facts = msgspec.json.decode(session.get_modelmeta().custom_metadata_map[FACTS_KEY], type=DetectorFacts)
    assert facts == load_detector(folder)[1]


def test_settings_behind_a_reference_change_no_more_than_they_say(tmp_path: Path, rng: np.random.Generator):
    folder = saved(tmp_path / "detector", "temporal", "test_resnet+gru3")
    export_onnx(folder, tmp_path / "d.onnx")
    turned = CropPredictor.load(Path(f"onnx:{tmp_path / 'd.onnx'}?fake=0"), "cpu", precision="float32")
    assert (turned.spec.level, turned.spec.frames_per_clip) == ("clip", 3)
    crops = rng.integers(0, 256, (4, PX, PX, 3), np.uint8)
    mine = CropPredictor.load(folder, "cpu", precision="float32")
    found = turned.face_logits(crops, np.zeros(4, int), np.arange(4))
    np.testing.assert_allclose(found, -mine.face_logits(crops, np.zeros(4, int), np.arange(4)), atol=TOLERANCE)


def test_a_file_that_says_something_else_of_itself_is_refused(tmp_path: Path):
    folder = saved(tmp_path / "detector", "temporal", "test_resnet+gru3")
    export_onnx(folder, tmp_path / "d.onnx")
    network = onnx.load(str(tmp_path / "d.onnx"))
    facts = json.loads(network.metadata_props[0].value)
    facts["spec"]["frames_per_clip"] = 1_000_000
    onnx.helper.set_model_props(network, {FACTS_KEY: json.dumps(facts)})
    onnx.save(network, str(tmp_path / "d.onnx"))
    with pytest.raises(CheckpointError, match="does not match its description"):
        CropPredictor.load(Path(f"onnx:{tmp_path / 'd.onnx'}"), "cpu")
    del network.metadata_props[:]
    onnx.save(network, str(tmp_path / "d.onnx"))
    with pytest.raises(CheckpointError, match="does not match its description"):
        CropPredictor.load(Path(f"onnx:{tmp_path / 'd.onnx'}?px=64&mean=0,0,0&std=1,1,1"), "cpu")
    config = json.loads((folder / "config.json").read_text())
    config["assay"]["spec"]["frames_per_clip"] = 9
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(CheckpointError, match="9 frames together"):
        load_detector(folder)


def test_an_export_that_differs_is_not_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    folder = saved(tmp_path / "detector", "meso4", "meso4")
    monkeypatch.setattr("detect.exchange.onnx._logits", lambda detector, x: np.full(len(x), 9.0, np.float32))
    with pytest.raises(CheckpointError, match="away from meso4"):
        export_onnx(folder, tmp_path / "d.onnx")
    assert not (tmp_path / "d.onnx").exists()


def test_what_cannot_be_traced_is_a_clear_refusal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    folder = saved(tmp_path / "detector", "meso4", "meso4")

    def refuse(*_args: object, **_settings: object) -> None:
        raise RuntimeError("Exporting the operator 'aten::odd' is not supported\nlong story")

    monkeypatch.setattr("torch.onnx.export", refuse)
    with pytest.raises(CheckpointError, match="aten::odd") as caught:
        export_onnx(folder, tmp_path / "d.onnx")
    assert "long story" not in str(caught.value)
    with pytest.raises(UsageError, match="opset"):
        export_onnx(folder, tmp_path / "d.onnx", opset=9)


def test_the_command_line_writes_both(tmp_path: Path, capsys: pytest.CaptureFixture):
    folder = saved(tmp_path / "run" / "detector", "frame", "test_efficientnet")
    onnx_file, out = tmp_path / "d.onnx", tmp_path / "timm"
    assert run(["--json", "detect", "export", str(tmp_path / "run"), "--out", str(onnx_file), "--opset", "18"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["opset"], told["family"], told["inputs"]) == (18, "frame", ["n", 3, PX, PX])
    assert run(["detect", "export", str(tmp_path / "run"), "--out", str(onnx_file)]) == 2  # nothing replaced unasked
    assert run(["detect", "export", str(folder), "--format", "local-dir", "--out", str(out)]) == 0
    assert {file.name for file in out.iterdir()} == {file.name for file in folder.iterdir()}
    plain = timm.create_model(f"local-dir:{out}", pretrained=True).eval()
    x = torch.rand(2, 3, PX, PX)
    with torch.inference_mode():
        torch.testing.assert_close(plain(x).squeeze(1), load_detector(folder)[0](x).logit)
    for wrong in (["--format", "coreml"], ["--format", "local-dir", "--opset", "18"]):
        assert run(["detect", "export", str(folder), "--out", str(tmp_path / "x"), *wrong]) == 2
    assert run(["detect", "export", str(folder), "--format", "local-dir", "--out", str(folder), "--force"]) == 2
    assert (folder / "model.safetensors").is_file()


def test_force_replaces_exports_and_nothing_else(tmp_path: Path):
    a_run = tmp_path / "run"
    folder = saved(a_run / "detector", "frame", "test_efficientnet")
    (a_run / "run.json").write_text("{}")
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "one.jpg").write_text("kept")
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    words = ["detect", "export", str(a_run), "--force"]
    for out in (a_run, tmp_path, folder, tmp_path / "photos"):
        assert run([*words, "--format", "local-dir", "--out", str(out)]) == 2
    for out in (a_run, folder / "model.safetensors"):
        assert run([*words, "--out", str(out)]) == 2
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before
    for _ in range(2):
        assert run([*words, "--format", "local-dir", "--out", str(tmp_path / "timm")]) == 0


@pytest.mark.parametrize("family", ["meso4", "frequency"])
def test_what_timm_cannot_load_is_not_called_a_timm_folder(tmp_path: Path, family: str, capsys: pytest.CaptureFixture):
    folder = saved(tmp_path / "d", family, family if family == "meso4" else "test_resnet")
    assert run(["detect", "export", str(folder), "--format", "local-dir", "--out", str(tmp_path / "x")]) == 2
    assert "--format onnx" in " ".join(capsys.readouterr().err.split())
