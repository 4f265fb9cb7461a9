"""Another maker's detector under our harness: every kind gives the tables that our own give."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import timm
import torch
from safetensors.torch import save_file

from detect.config.scoring import EvaluateConfig
from detect.evaluation.evaluate import evaluate_detector
from detect.models.external.reference import load_external
from detect.models.external.settings import ExternalConfig, parse_reference, probability_to_logit, to_logits
from detect.models.predictor import CropPredictor
from detect.scoring.dataset import score_dataset
from shared.cli import run
from shared.dataset import DatasetFolder
from shared.device import pick_device
from shared.errors import AssayError, CheckpointError, ConfigError, UnknownNameError, UsageError

CPU = pick_device("cpu", "float32")
QUICK = EvaluateConfig(split="all", replicates=20, cluster_by="target", finder="toy", frames_per_clip=2, device="cpu")
SEEN = "?px=64&mean=0,0,0&std=1,1,1&min_face_px=8"


class Brightness(torch.nn.Module):
    """The mean of the red channel, in each of ``columns``; the last is negated."""

    def __init__(self, columns: int = 1) -> None:
        super().__init__()
        self.columns = columns

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        red = x[:, 0].mean((1, 2)).unsqueeze(1)
        return red if self.columns == 1 else torch.cat([red, -red], 1)


def write_onnx(path: Path, net: torch.nn.Module, *, batch: int = 1, dynamic: bool = True) -> Path:
    pytest.importorskip("onnxscript")
    shapes = ({0: torch.export.Dim("n")},) if dynamic else None
    torch.onnx.export(net.eval(), (torch.zeros(max(batch, 2 if dynamic else 1), 3, 64, 64),), path,
                      dynamo=True, dynamic_shapes=shapes, verbose=False, external_data=False)  # fmt: skip
    return path


@pytest.fixture(scope="module")
def net_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_onnx(tmp_path_factory.mktemp("onnx") / "net.onnx", Brightness())


def faces(count: int = 3) -> np.ndarray:
    crops = np.zeros((count, 64, 64, 3), np.uint8)
    crops[..., 0] = np.arange(count).reshape(-1, 1, 1) * 51
    crops[..., 2] = 255
    return crops


def test_outputs_become_logits_positive_for_fake():
    single = torch.tensor([[0.8], [0.5]])
    log = np.log(4)
    assert to_logits(single, ExternalConfig()).tolist() == pytest.approx([0.8, 0.5])
    assert to_logits(single, ExternalConfig(output="probability")).tolist() == pytest.approx([log, 0])
    assert to_logits(single, ExternalConfig(output="probability", fake=0)).tolist() == pytest.approx([-log, 0])
    double = torch.tensor([[1.0, 3.0]])
    assert to_logits(double, ExternalConfig()).tolist() == [2]
    assert to_logits(double, ExternalConfig(fake=0)).tolist() == [-2]
    shares = torch.tensor([[0.2, 0.8]])
    assert to_logits(shares, ExternalConfig(output="probability")).tolist() == pytest.approx([log])
    with pytest.raises(CheckpointError, match="no probabilities"):
        to_logits(double, ExternalConfig(output="probability"))
    with pytest.raises(CheckpointError, match="3 numbers"):
        to_logits(torch.zeros(1, 3), ExternalConfig())
    assert probability_to_logit(0.8) == pytest.approx(log)
    assert np.isfinite(probability_to_logit(1.0))


def test_weights_outside_an_onnx_file_are_refused(net_file: Path, tmp_path: Path):
    onnx = pytest.importorskip("onnx")
    model = onnx.load(net_file)
    weights = onnx.numpy_helper.from_array(np.ones(8, np.float32), "spare")
    model.graph.initializer.append(weights)
    path = tmp_path / "net.onnx"
    onnx.save(model, path, save_as_external_data=True, location="net.onnx.data", size_threshold=0)
    with pytest.raises(CheckpointError, match="weights in other files"):
        CropPredictor.load(Path(f"onnx:{path}{SEEN}"), CPU)


def test_an_onnx_file_is_scored_in_any_batch_and_colour_order(net_file: Path):
    red = CropPredictor.load(Path(f"onnx:{net_file}{SEEN}"), CPU)
    np.testing.assert_allclose(red.logits(faces(), batch=2), [0, 0.2, 0.4], atol=1e-5)
    blue = CropPredictor.load(Path(f"onnx:{net_file}{SEEN}&channels=bgr&fake=0"), CPU)
    np.testing.assert_allclose(blue.logits(faces()), [-1, -1, -1], atol=1e-5)
    assert red.digest == blue.digest
    assert red.facts.faces.min_face_px == 8


def test_a_fixed_batch_is_filled_up(tmp_path: Path):
    path = write_onnx(tmp_path / "two.onnx", Brightness(2), batch=2, dynamic=False)
    (tmp_path / "two.toml").write_text("mean = [0, 0, 0]\nstd = [1, 1, 1]\nfake = 0\n")  # px is in the file
    np.testing.assert_allclose(CropPredictor.load(Path(f"onnx:{path}"), CPU).logits(faces()), [0, 0.4, 0.8], atol=1e-5)


def test_settings_that_are_missing_or_wrong_are_named(net_file: Path, tmp_path: Path):
    with pytest.raises(ConfigError, match="mean, std") as missing:
        CropPredictor.load(Path(f"onnx:{net_file}"), CPU)
    assert "?px=" in str(missing.value.hint)
    for text in ("?px=0&mean=0,0,0&std=1,1,1", "?mean=0,0,0&std=0,1,1", "?pixels=3", "?fake=2"):
        with pytest.raises(ConfigError):
            CropPredictor.load(Path(f"onnx:{net_file}{text}"), CPU)
    (tmp_path / "bad.onnx").write_bytes(b"no network")
    with pytest.raises(CheckpointError, match="no ONNX network"):
        CropPredictor.load(Path(f"onnx:{tmp_path / 'bad.onnx'}{SEEN}"), CPU)
    with pytest.raises(UsageError, match="no file"):
        parse_reference("onnx:nowhere.onnx")
    assert parse_reference("runs/det") is None


def write_folder(folder: Path, classes: int = 2, **changes: object) -> Path:
    torch.manual_seed(0)
    net = timm.create_model("test_resnet", num_classes=classes)
    folder.mkdir()
    document = {"architecture": "test_resnet", "num_classes": classes, "label_names": ["Fake", "real"][:classes],
                "pretrained_cfg": {"input_size": [3, 64, 64], "mean": [0.5] * 3, "std": [0.5] * 3}}  # fmt: skip
    (folder / "config.json").write_text(json.dumps(document | changes))
    save_file(net.state_dict(), folder / "model.safetensors")
    return folder


def test_a_timm_folder_says_itself_what_it_takes_and_which_class_is_fake(tmp_path: Path):
    folder = write_folder(tmp_path / "hub")
    predictor = CropPredictor.load(Path(f"local-dir:{folder}"), CPU)
    net = timm.create_model(f"local-dir:{folder}", pretrained=True, num_classes=2).eval()
    pixels = (torch.from_numpy(faces()).permute(0, 3, 1, 2).float() / 255 - 0.5) / 0.5
    with torch.inference_mode():
        expected = net(pixels)
    np.testing.assert_allclose(predictor.logits(faces()), (expected[:, 0] - expected[:, 1]).numpy(), atol=1e-5)


@pytest.mark.parametrize(
    ("changes", "kind"),
    [
        ({"architecture": "test_resnot"}, UnknownNameError),
        ({"architecture": None, "model_type": "vit"}, CheckpointError),
        ({"num_classes": 1000}, CheckpointError),
        ({"num_classes": 1}, CheckpointError),
        ({"model_args": {"checkpoint_path": "x.pth"}}, CheckpointError),
        ({"model_args": {"img_size": 10**9}}, CheckpointError),
    ],
)
def test_a_folder_that_cannot_be_trusted_is_refused(tmp_path: Path, changes: dict, kind: type[AssayError]):
    folder = write_folder(tmp_path / "hub", **changes)
    with pytest.raises(kind):
        load_external(parse_reference(f"local-dir:{folder}"), CPU)


def test_pickled_weights_are_refused(tmp_path: Path):
    folder = write_folder(tmp_path / "hub")
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    with pytest.raises(CheckpointError, match=r"no model\.safetensors"):
        CropPredictor.load(Path(f"local-dir:{folder}"), CPU)


def test_an_onnx_file_is_evaluated_like_our_own(net_file: Path, toy_set: Path, tmp_path: Path):
    result, out = evaluate_detector(Path(f"onnx:{net_file}{SEEN}"), toy_set, QUICK, out=tmp_path / "e")
    assert (result.counts.real, result.counts.fake) == (8, 8)
    assert {e.level for e in result.evaluations} == {"frame", "track", "clip"}
    assert result.find("auc").value < 0.5  # stripes darken
    assert result.detector["reference"] == "onnx:net.onnx"
    assert (out / "curves.png").is_file()


def write_table(
    path: Path, folder: DatasetFolder, *, column: str = "probability", skip: int = 0, extra: str = ""
) -> Path:
    rows = [f"{record.id},{0.9 if record.label == 'fake' else 0.2}" for record in folder.records()][skip:]
    path.write_text("\n".join(["clip,probability", *rows, extra]))
    return path


def test_a_table_of_scores_is_evaluated_and_what_is_missing_is_counted(toy_set: Path, tmp_path: Path):
    folder = DatasetFolder.open(toy_set)
    table = write_table(tmp_path / "s.csv", folder, skip=2, extra="other/clip,0.5")
    result, _ = evaluate_detector(Path(f"csv:{table}"), toy_set, QUICK, out=tmp_path / "e")
    assert result.find("auc").value == 1
    assert result.counts.real_without_face + result.counts.fake_without_face == 2
    assert result.find("auc").num_real + result.find("auc").num_fake == 14
    assert any("2 of 16 clips no score" in note for note in result.notes)
    assert any("1 of its 15 rows" in note for note in result.notes)
    lines = [json.loads(line) for line in (tmp_path / "e" / "scores.jsonl").read_text().splitlines()]
    assert sum(line["logit"] is None for line in lines) == 2  # never a half
    turned = score_dataset(f"csv:{table}?fake=0", folder, folder.records(), QUICK)
    assert {clip.score.logit > 0 for clip in turned.clips[2:] if clip.record.label == "fake"} == {False}


def test_clips_are_known_by_id_path_or_a_name_of_their_own(toy_set: Path, tmp_path: Path):
    folder = DatasetFolder.open(toy_set)
    records = folder.records()
    names = [str(records[0].id), records[1].path, str(folder.media_path(records[2])), Path(records[3].path).name]
    (tmp_path / "s.csv").write_text("path,logit\n" + "".join(f"{name},{n}.5\n" for n, name in enumerate(names)))
    logits = [clip.score.logit for clip in score_dataset(f"csv:{tmp_path / 's.csv'}", folder, records, QUICK).clips]
    assert logits[:4] == [0.5, 1.5, 2.5, 3.5]
    assert set(logits[4:]) == {None}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("clip,probability\na,0.5\na,0.6\n", "twice"),
        ("clip,probability\na,high\n", "no number"),
        ("clip,sharpness\na,1\n", "no column"),
        ("clip,probability\nnobody,0.5\n", "none of these"),
        ("clip,probability\nCLIP,1.5\n", "no probability"),
        ("\xff", "no column"),
    ],
)
def test_a_bad_table_is_refused(toy_set: Path, tmp_path: Path, text: str, said: str):
    folder = DatasetFolder.open(toy_set)
    records = folder.records()
    (tmp_path / "s.csv").write_text(text.replace("CLIP", str(records[0].id)))
    with pytest.raises(UsageError, match=said):
        score_dataset(f"csv:{tmp_path / 's.csv'}", folder, records, QUICK)


PREDICT = """
import math, pathlib, sys, time, os
def predict(path):
    name = pathlib.Path(path).name
    print("noise that is no answer")
    if name.startswith("ann"):
        return None if "faked" in name else math.nan
    if name.startswith("bob"):
        raise ValueError("no face")
    if name.startswith("cid-"):
        time.sleep(60)
    if name.startswith("dan-"):
        os._exit(3)
    return 0.9 if "faked" in name else 0.1
"""


def test_a_python_function_is_asked_in_its_own_process(toy_set: Path, tmp_path: Path, capsys: pytest.CaptureFixture):
    (tmp_path / "mine.py").write_text(PREDICT)
    folder = DatasetFolder.open(toy_set)
    scored = score_dataset(f"python:{tmp_path / 'mine.py'}?timeout=4", folder, folder.records(), QUICK)
    by_name = {clip.record.path.rpartition("/")[2].partition(".")[0].partition("@")[0]: clip for clip in scored.clips}
    missing = sorted(name for name, clip in by_name.items() if clip.score.logit is None)
    assert missing == ["ann", "ann-faked", "bob", "bob-faked", "cid-faked", "dan-faked"]
    assert by_name["eve-faked"].score.logit == pytest.approx(np.log(9))
    notes = " ".join(scored.notes)
    assert "6 of 16 clips no score" in notes
    assert "no face" in notes
    assert "no answer within 4 s" in notes
    assert "its process ended" in notes
    assert "your own code" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("def predict(path): raise ValueError('broken')", "failed on every clip"),
        ("import nothing_of_that_name", "nothing_of_that_name"),
        ("x = 1", "defines no predict"),
    ],
)
def test_a_function_that_cannot_be_used_is_refused(toy_set: Path, tmp_path: Path, text: str, said: str):
    (tmp_path / "mine.py").write_text(text)
    folder = DatasetFolder.open(toy_set)
    with pytest.raises(CheckpointError, match=said):
        score_dataset(f"python:{tmp_path / 'mine.py'}", folder, folder.records()[:2], QUICK)


def test_detectors_of_whole_clips_cannot_inspect_faces(tmp_path: Path):
    (tmp_path / "s.csv").write_text("clip,logit\n")
    with pytest.raises(UsageError, match="does not score faces"):
        CropPredictor.load(Path(f"csv:{tmp_path / 's.csv'}"), CPU)


def test_the_command_takes_a_reference(toy_set: Path, tmp_path: Path, capsys: pytest.CaptureFixture):
    table = write_table(tmp_path / "s.csv", DatasetFolder.open(toy_set))
    arguments = [f"csv:{table}", str(toy_set), "--replicates", "5", "--out", str(tmp_path / "e")]
    assert run(["--json", "detect", "evaluate", *arguments]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["detector"]["judges"] == "whole clips"
    assert document["evaluations"][0]["value"] == 1


def _external(onnx, name: str):
    """A tensor that says that its numbers lie in another file."""
    tensor = onnx.TensorProto(name=name, data_type=onnx.TensorProto.FLOAT, dims=[1])
    tensor.data_location = onnx.TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="secret.bin")
    return tensor


def _body(onnx, name: str, *, tensor=None, node=None):
    out = onnx.helper.make_tensor_value_info(f"{name}_out", onnx.TensorProto.FLOAT, [1])
    return onnx.helper.make_graph([node] if node else [], name, [], [out], [tensor] if tensor else [])


def _in_if(onnx, model):
    branch = _body(onnx, "then", tensor=_external(onnx, "then_out"))
    model.graph.node.append(
        onnx.helper.make_node("If", ["go"], ["x"], then_branch=branch, else_branch=_body(onnx, "else"))
    )


def _in_loop_in_if(onnx, model):
    loop = onnx.helper.make_node(
        "Loop", ["n", "go"], ["then_out"], body=_body(onnx, "loop", tensor=_external(onnx, "w"))
    )
    model.graph.node.append(onnx.helper.make_node("If", ["go"], ["x"], then_branch=_body(onnx, "then", node=loop)))


def _in_constant_of_a_function(onnx, model):
    node = onnx.helper.make_node("Constant", [], ["y"], value=_external(onnx, "y"))
    model.functions.append(onnx.helper.make_function("own", "F", [], ["y"], [node], []))


def _in_sparse_weights(onnx, model):
    sparse = model.graph.sparse_initializer.add(dims=[4])
    sparse.values.CopyFrom(_external(onnx, "sparse"))


@pytest.mark.parametrize("hide", [_in_if, _in_loop_in_if, _in_constant_of_a_function, _in_sparse_weights])
def test_weights_outside_an_onnx_file_are_refused_wherever_they_are_named(net_file: Path, tmp_path: Path, hide):
    onnx = pytest.importorskip("onnx")
    model = onnx.load(net_file)
    hide(onnx, model)
    path = tmp_path / "net.onnx"
    path.write_bytes(model.SerializeToString())
    with pytest.raises(CheckpointError, match="weights in other files"):
        CropPredictor.load(Path(f"onnx:{path}{SEEN}"), CPU)


def test_the_nesting_of_subgraphs_is_bounded(net_file: Path, tmp_path: Path):
    onnx = pytest.importorskip("onnx")
    model = onnx.load(net_file)
    node = onnx.helper.make_node("Identity", ["a"], ["b"])
    for level in range(17):
        node = onnx.helper.make_node("If", ["go"], ["b"], then_branch=_body(onnx, f"body{level}", node=node))
    model.graph.node.append(node)
    path = tmp_path / "net.onnx"
    path.write_bytes(model.SerializeToString())
    with pytest.raises(CheckpointError, match="nests more than 16 subgraphs"):
        CropPredictor.load(Path(f"onnx:{path}{SEEN}"), CPU)
