"""Exports draw the pictures of the swapper they were made of, in ONNX Runtime, and say that these are synthetic."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch

from forge.exchange.onnx import CARD_KEY, PARITY_KEY, SYNTHETIC_KEY, TOLERANCE, export_swapper
from forge.models import build_swapper
from forge.models.catalogue import tiny_options
from forge.models.checkpoint import TrainingSource, digest_of, load_swapper, read_card, save_swapper
from forge.models.population import tie_identities
from forge.models.registry import swappers
from shared.cli import run
from shared.errors import CheckpointError, UsageError

PEOPLE = ("ann", "c.d-e")


def saved(folder: Path, family: str, **settings: bool) -> Path:
    """A small swapper in which no weight is zero, so that every layer tells."""
    torch.manual_seed(6)
    swapper = build_swapper(family, PEOPLE, **tiny_options(family)).eval()
    with torch.no_grad():
        for parameter in swapper.parameters():
            parameter.add_(0.02 * torch.randn_like(parameter))
    if settings.get("population"):
        tie_identities(swapper)
    facesets = [TrainingSource(person, "CC-BY-4.0", 40, "ab" * 32) for person in PEOPLE]
    return save_swapper(swapper, folder, facesets=facesets, training={"steps": 12}, **settings)


@pytest.fixture(scope="module")
def swapper(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return saved(tmp_path_factory.mktemp("s") / "swapper", "lightweight")


@pytest.mark.slow
@pytest.mark.parametrize("family", swappers.names())
def test_every_family_draws_the_same_pictures(tmp_path: Path, family: str):
    folder = saved(tmp_path / "swapper", family)
    done = export_swapper(folder, tmp_path / "s.onnx")
    assert done.parity.largest <= TOLERANCE
    session = onnxruntime.InferenceSession(str(tmp_path / "s.onnx"), providers=["CPUExecutionProvider"])
    assert tuple(one.name for one in session.get_outputs()) == done.outputs
    network = load_swapper(folder)
    faces = torch.rand(3, 3, network.spec.input_px, network.spec.input_px)
    found = dict(zip(done.outputs, session.run(None, {"face": faces.numpy()}), strict=True))
    for person in PEOPLE:
        with torch.inference_mode():
            swap = network(faces, person)
        assert swap.mask is not None
        for name, part in (("rgb", swap.rgb), ("mask", swap.mask)):
            expected, drawn = part.clamp(0, 1).numpy(), np.asarray(found[f"{name}_{person}"])
            assert np.ptp(expected) > 20 * TOLERANCE  # or agreement would say little
            np.testing.assert_allclose(drawn, expected, atol=TOLERANCE)


def test_the_file_says_what_it_is(tmp_path: Path, swapper: Path):
    done = export_swapper(swapper, tmp_path / "s.onnx", opset=17)
    network = onnx.load(str(tmp_path / "s.onnx"))
    onnx.checker.check_model(network)
    assert [one.version for one in network.opset_import if not one.domain] == [17]
    assert done.inputs == ("n", 3, 64, 64)
    assert "synthetic faces, of ann, c.d-e" in network.doc_string
    said = {one.key: one.value for one in network.metadata_props}
    assert said[SYNTHETIC_KEY].startswith("This network makes synthetic faces")
    assert said["assay.digital_source_type"].endswith("compositeWithTrainedAlgorithmicMedia")
    card, stated = read_card(swapper), json.loads(said[CARD_KEY])
    assert said["assay.swapper_digest"] == digest_of(card)
    assert (stated["model"], stated["identities"], stated["sha256"]) == ("lightweight", list(PEOPLE), card.sha256)
    assert stated["facesets"][0] == {"identity": "ann", "rights": "CC-BY-4.0", "faces": 40, "digest": "ab" * 32}
    parity = json.loads(said[PARITY_KEY])
    assert parity["tolerance"] == TOLERANCE
    assert parity["faces"] == done.parity.faces == 8
    assert 0 <= parity["random"] <= TOLERANCE
    assert 0 <= parity["actors"] <= TOLERANCE


def test_only_those_asked_for_are_in_it(tmp_path: Path, swapper: Path):
    assert export_swapper(swapper, tmp_path / "one.onnx", identities=["c.d-e", "c.d-e"]).outputs == (
        "rgb_c.d-e",
        "mask_c.d-e",
    )
    population = saved(tmp_path / "p", "lightweight", population=True)
    assert export_swapper(population, tmp_path / "p.onnx").identities == ("ann",)


def test_an_export_that_draws_otherwise_is_not_kept(tmp_path: Path, swapper: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("forge.exchange.onnx.TOLERANCE", -1.0)
    with pytest.raises(CheckpointError, match="values up to"):
        export_swapper(swapper, tmp_path / "s.onnx")
    assert list(tmp_path.iterdir()) == []


def test_values_that_are_no_numbers_are_not_taken_for_equal(tmp_path: Path, swapper: Path):
    broken = load_swapper(swapper)
    with torch.no_grad():
        next(broken.parameters()).fill_(float("nan"))
    folder = save_swapper(broken, tmp_path / "broken")
    with pytest.raises(CheckpointError, match="nan"):
        export_swapper(folder, tmp_path / "s.onnx")
    assert not (tmp_path / "s.onnx").exists()


def test_the_command_says_how_near_it_comes(tmp_path: Path, swapper: Path, capsys: pytest.CaptureFixture[str]):
    out = str(tmp_path / "s.onnx")
    assert run(["--json", "forge", "export", str(swapper), "--to", "onnx", "--out", out]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["model"], told["opset"], told["inputs"]) == ("lightweight", 18, ["n", 3, 64, 64])
    assert run(["forge", "export", str(swapper), "--out", out]) == 2
    assert run(["forge", "export", str(swapper), "--out", out, "--force", "--identity", "ann"]) == 0
    assert "have to be labelled" in " ".join(capsys.readouterr().out.split())


@pytest.mark.parametrize(
    ("more", "said", "code"),
    [
        (["--identity", "carl"], "knows no identity 'carl'", 2),
        (["--format", "tflite"], "no format is named 'tflite'", 2),
        (["--opset", "3"], "opset 3 does not lie in 17 to 20", 2),
        (["--opset", "0"], "opset 0 does not lie in 17 to 20", 2),
    ],
)
def test_what_cannot_be_is_refused(tmp_path: Path, swapper: Path, capsys, more: list[str], said: str, code: int):
    assert run(["forge", "export", str(swapper), "--out", str(tmp_path / "s.onnx"), *more]) == code
    assert said in " ".join(capsys.readouterr().err.split())
    assert list(tmp_path.iterdir()) == []


def test_another_file_is_not_replaced_and_no_swapper_no_export(tmp_path: Path, swapper: Path, capsys):
    (tmp_path / "thesis.txt").write_text("years")
    words = ["forge", "export", str(swapper), "--force", "--out"]
    assert run([*words, str(tmp_path / "thesis.txt")]) == 2
    assert (tmp_path / "thesis.txt").read_text() == "years"
    assert run(["forge", "export", str(tmp_path), "--out", str(tmp_path / "s.onnx")]) == 1
    assert "holds no exported swapper" in " ".join(capsys.readouterr().err.split())
    with pytest.raises(UsageError):
        export_swapper(swapper, tmp_path)
