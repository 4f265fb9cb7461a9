from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from detect.config.scoring import EvaluateConfig
from detect.config.training import TrainConfig
from shared.cli import run
from shared.commands.options import resolve
from shared.config import write_toml
from shared.errors import ConfigError


def test_flags_overrule_the_file_and_the_file_the_defaults(tmp_path: Path):
    (tmp_path / "t.toml").write_text('lr = 0.01\nbatch = 8\n[faces]\nfinder = "dlib"\nmax_faces = 2\n')
    config = resolve(TrainConfig, tmp_path / "t.toml", {"batch": 16, "steps": None, "faces": {"finder": "yunet"}})
    assert (config.lr, config.batch, config.steps) == (0.01, 16, TrainConfig().steps)
    assert (config.faces.finder, config.faces.max_faces) == ("yunet", 2)
    assert resolve(EvaluateConfig, None, {"aggregate": {"method": None}}).aggregate is None
    assert resolve(TrainConfig, None, {}) == TrainConfig()


@pytest.mark.parametrize(
    "text", ["lrr = 1.0", 'lr = "fast"', "batch = 7", '[aggregate]\nmethod = "mena"', '[faces]\nfindr = "dlib"', "lr ="]
)
def test_bad_settings_are_named(tmp_path: Path, text: str):
    (tmp_path / "t.toml").write_text(text)
    with pytest.raises(ConfigError):
        resolve(TrainConfig, tmp_path / "t.toml", {})


def test_train_and_evaluate_from_the_command_line(
    toy_set: Path, tmp_path: Path, toy_config: TrainConfig, capsys: pytest.CaptureFixture
):
    write_toml(tmp_path / "toy.toml", toy_config)
    run_path = tmp_path / "run"
    assert run(["detect", "train", str(toy_set), "--run", str(run_path), "--config", str(tmp_path / "toy.toml"),
                "--steps", "2"]) == 0  # fmt: skip
    assert "intervals are over filmed people" in " ".join(capsys.readouterr().out.split())  # two people of one group
    assert run(["--json", "detect", "evaluate", str(run_path), str(toy_set), "--replicates", "10"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["counts"]["real"] == 2
    assert document["split"] == "test"
    assert (run_path / "evaluations" / "toy-test" / "evaluation.json").is_file()
    folder = run_path / "evaluations" / "toy-test"
    assert {json.loads(line)["cluster"] for line in (folder / "scores.jsonl").read_text().splitlines()} == {0, 1}
    part = ["--only", "identity=gus", "--replicates", "10", "--out", str(tmp_path / "part")]
    assert run(["--json", "detect", "evaluate", str(run_path), str(toy_set), *part]) == 0
    assert json.loads(capsys.readouterr().out)["only"] == ["identity=gus"]
    assert run(["detect", "evaluate", str(run_path), str(toy_set), "--only", "identity=guss"]) == 2
    assert run(["detect", "evaluate", str(run_path), str(toy_set), "--split", "all", "--protocol", "cross-set"]) != 0
    assert "learned from" in " ".join(capsys.readouterr().err.split())
    assert run(["--json", "detect", "compare", str(folder), str(folder), "--out", str(tmp_path / "c.json")]) == 0
    compared = json.loads(capsys.readouterr().out)
    assert compared["delong"]["difference"] == 0.0
    assert compared["clusters"] == 2
    assert (tmp_path / "c.json").is_file()
    some = ["detect", "compare", str(folder), str(folder), "--only", "identity=gus"]
    assert run(["--json", *some]) == 0
    assert json.loads(capsys.readouterr().out)["num_real"] < compared["num_real"]
    assert run([*some, "--only", "mood=happy"]) == 2
    assert "clips have no 'mood'" in capsys.readouterr().err
    assert run(["detect", "evaluate", str(run_path), str(toy_set), "--out", str(tmp_path)]) == 2
    assert (tmp_path / "toy.toml").is_file()


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["detect", "train", "nowhere", "--run", "r"], 1, "not a dataset"),
        (["detect", "train", "SET", "--run", "r", "--model", "tf_eficientnet_lite0"], 2, "tf_efficientnet_lite0"),
        (["detect", "train", "SET", "--run", "r", "--model", "resnet18"], 1, "--no-pretrained"),
        (["detect", "train", "SET", "--run", "r", "--batch", "3"], 2, "even"),
        (["detect", "train", "SET", "--run", "r", "--device", "gpu"], 2, "auto, cpu, cuda"),
        (["detect", "train", "SET", "--run", "r", "--no-pretrained", "--finder", "toi"], 2, "toy"),
        (["detect", "evaluate", "nowhere", "SET"], 1, "no detector"),
        (["detect", "evaluate", "nowhere", "SET", "--split", "tset"], 2, "tset"),
        (["detect", "models", "no-such-net"], 2, "no model"),
        (["detect", "train"], 2, ""),
    ],
)
def test_bad_calls_end_in_one_sentence(
    toy_set: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture,
    arguments: list[str], code: int, said: str,
):  # fmt: skip
    monkeypatch.chdir(tmp_path)
    assert run([str(toy_set) if word == "SET" else word for word in arguments]) == code
    caught = capsys.readouterr().err
    assert said in " ".join(caught.split())
    assert "Traceback" not in caught
    assert list(tmp_path.iterdir()) == []


def test_folds_of_a_set_are_listed_with_their_commands(toy_set: Path, capsys: pytest.CaptureFixture):
    assert run(["--json", "detect", "folds", str(toy_set), "--by", "group"]) == 0
    found = json.loads(capsys.readouterr().out)["folds"]
    assert [fold["left_out"] for fold in found] == ["ann", "eve", "gus"]
    assert (found[0]["learns_from"], found[0]["judged_by_real"], found[0]["judged_by_fake"]) == (8, 4, 4)
    assert run(["detect", "folds", str(toy_set), "--by", "codec"]) == 2
    assert run(["detect", "folds", str(toy_set)]) == 1  # one manipulation: nothing to leave out in turn


def test_models_are_listed(capsys: pytest.CaptureFixture):
    assert run(["detect", "models", "efficientnet_lite0"]) == 0
    assert "tf_efficientnet_lite0" in capsys.readouterr().out.split()


def test_help_does_not_load_torch():
    code = "import sys, detect.cli; sys.exit('torch' in sys.modules or 'timm' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False, timeout=600).returncode == 0
