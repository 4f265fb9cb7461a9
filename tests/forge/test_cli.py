from __future__ import annotations

import json
import math
import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from forge.cli import app
from forge.models import build_swapper
from forge.models.checkpoint import save_swapper
from forge.models.restorer import RESTORER_FILE
from forge.quality.dataset import find_cases
from forge.training.config import TrainConfig
from shared.console import console
from shared.dataset import DatasetFolder, add_real_clip
from shared.errors import AssayError, ConfigError, MediaError, UsageError
from shared.faces.align import MEAN_FACE
from shared.storage import sha256_file
from shared.types import ClipId
from tests.factories import write_clip, write_landmarks

WIDTH, HEIGHT, FRAMES = 96, 96, 6
BASE = Fraction(1, 25)


def _landmarks(frame: int) -> np.ndarray:
    return (MEAN_FACE * 44 + [26 + frame, 24]).astype(np.float32)


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("clip") / "bob.mp4"
    pictures = np.clip(np.random.default_rng(1).normal(80, 6, (FRAMES, HEIGHT, WIDTH, 3)), 0, 255).astype(np.uint8)
    for frame, picture in enumerate(pictures):
        cv2.fillConvexPoly(picture, cv2.convexHull(_landmarks(frame).round().astype(np.int32)), (190, 150, 130))
    write_clip(path, pictures)
    write_landmarks(path.with_suffix(".parquet"), {frame: _landmarks(frame) for frame in range(FRAMES)})
    return path


@pytest.fixture(scope="module")
def swapper(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    model = build_swapper("lightweight", ["ann", "bob"], width=0.125)
    return save_swapper(model, tmp_path_factory.mktemp("run") / "swapper")


def _run(capsys: pytest.CaptureFixture[str], *words: object) -> dict:
    """The JSON result of a command; its errors are raised."""
    console.configure(json_mode=True)
    capsys.readouterr()
    try:
        result = CliRunner().invoke(app, [str(word) for word in words], catch_exceptions=False)
    finally:
        console.configure()
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def _swap(capsys, target: Path, swapper: Path, out: Path, *more: object) -> dict:
    finder = f"sidecar:{target.with_suffix('.parquet')}"
    basics = (
        "--run",
        swapper,
        "--source",
        "ann",
        "--out",
        out,
        "--finder",
        finder,
        "--rights",
        "consent",
        "--device",
        "cpu",
    )
    return _run(capsys, "swap", target, *basics, *more)


def test_swap_makes_a_listed_fake_and_says_where_it_is(capsys, target, swapper, tmp_path):
    made = _swap(capsys, target, swapper, tmp_path / "set", "--name", "one", "--color", "none", "--crf", 20)
    assert made["id"] == "set/lightweight/one"
    assert made["faked"] == [[0, FRAMES]]
    record = DatasetFolder.open(tmp_path / "set").record(ClipId.parse(made["id"]))
    assert Path(made["path"]).is_file()
    assert (record.factors["color"], record.rendition, record.rights) == ("none", "h264-crf20", "consent")


def test_flags_overrule_the_settings_file_which_overrules_the_defaults(capsys, target, swapper, tmp_path):
    (tmp_path / "swap.toml").write_text('[color]\nmethod = "average"\ngamma = 1.5\n[blend]\nmethod = "poisson"\n')
    made = _swap(capsys, target, swapper, tmp_path / "set", "--config", tmp_path / "swap.toml", "--color", "lct")
    factors = DatasetFolder.open(tmp_path / "set").record(ClipId.parse(made["id"])).factors
    assert (factors["color"], factors["blend"], factors["mask"]) == ("lct", "poisson", "auto")
    assert factors["color.gamma"] == "1.5"


def test_a_restored_swap_names_the_weights_that_drew_it(capsys, target, swapper, tmp_path):
    plain, restored = (
        _swap(capsys, target, swapper, tmp_path / "set", "--name", name, *more)
        for name, more in (("plain", ()), ("restored", ("--enlarge", "restorer")))
    )
    folder = DatasetFolder.open(tmp_path / "set")
    one, other = (folder.record(ClipId.parse(made["id"])).factors for made in (plain, restored))
    assert "enlarge_sha256" not in one
    assert other["enlarge_sha256"] == sha256_file(RESTORER_FILE)
    assert sha256_file(Path(plain["path"])) != sha256_file(Path(restored["path"]))


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--color", "rct"), "Invalid enum value 'rct'"),
        (("--face", "left"), "main, all, or numbers"),
        (("--feather", "3"), "mask.feather must lie between"),
        (("--crf", "99"), "crf 99 is not on the scale of libx264"),
        (("--enlarge", "restored"), "'restored' is not known"),
    ],
)
def test_settings_that_cannot_be_are_refused(capsys, target, swapper, tmp_path, words, message):
    with pytest.raises(ConfigError, match=message):
        _swap(capsys, target, swapper, tmp_path / "set", *words)
    assert not (tmp_path / "set").exists()


def _stills(folder: Path, count: int = 2) -> Path:
    """Pictures of the painted face, each a little larger than the one before."""
    folder.mkdir()
    for index in range(count):
        picture = np.full((HEIGHT, WIDTH + 2 * index, 3), 80, np.uint8)
        cv2.fillConvexPoly(picture, cv2.convexHull(_landmarks(index).round().astype(np.int32)), (130, 150, 190))
        cv2.imwrite(str(folder / f"{index}.png"), picture)
    return folder


def test_the_result_says_how_many_frames_were_swapped_seen_and_read(capsys, target, swapper, tmp_path):
    made = _swap(capsys, target, swapper, tmp_path / "set")
    assert (made["swapped"], made["seen"], made["read"]) == (FRAMES, FRAMES, FRAMES)
    stills = _stills(tmp_path / "stills")
    write_landmarks(stills.with_suffix(".parquet"), {index: _landmarks(index) for index in range(2)})
    made = _swap(capsys, stills, swapper, tmp_path / "out", "--frames")
    assert (made["swapped"], made["seen"], made["read"]) == (2, 2, 2)


def test_a_low_share_is_warned_of_and_recorded(capsys, target, swapper, tmp_path):
    known = tmp_path / "few.parquet"
    write_landmarks(known, {0: _landmarks(0)})
    words = ("swap", target, "--run", swapper, "--source", "ann", "--out", tmp_path / "set", "--rights", "consent")
    with console.warnings_kept() as warnings:
        made = _run(capsys, *words, "--finder", f"sidecar:{known}", "--device", "cpu")
    assert (made["swapped"], made["seen"], made["read"]) == (1, 1, FRAMES)
    record = DatasetFolder.open(tmp_path / "set").record(ClipId.parse(made["id"]))
    assert record.factors["warnings"].startswith(f"only 1 of {FRAMES} frames are swapped")
    assert any(record.factors["warnings"] in warning for warning in warnings)


@pytest.mark.parametrize("more", [(), ("--frames",)])
def test_a_video_is_no_folder_of_pictures(capsys, target, swapper, tmp_path, more):
    with pytest.raises(UsageError, match=r"bob\.mp4 is no folder of pictures") as caught:
        _swap(capsys, target, swapper, tmp_path / "out", "--sequence", *more)
    assert "--sequence" in str(caught.value.hint)
    stills = _stills(tmp_path / "stills")
    write_landmarks(stills.with_suffix(".parquet"), {0: _landmarks(0)})
    with pytest.raises(MediaError, match="98x96, the first picture 96x96"):
        _swap(capsys, stills, swapper, tmp_path / "out", "--sequence", "--frames")
    assert not (tmp_path / "out").exists()


def test_quality_of_a_dataset_finds_the_targets_by_their_hash(capsys, target, swapper, tmp_path):
    folder = DatasetFolder.init(tmp_path / "set", "set")
    real = add_real_clip(folder, target, identity="bob", rights="consent")
    made = _swap(capsys, target, swapper, tmp_path / "set", "--name", "one")
    fake = DatasetFolder.open(tmp_path / "set").record(ClipId.parse(made["id"]))
    assert fake.parent == real.id
    measured = _run(
        capsys, "quality", tmp_path / "set", "--run", swapper, "--last", 0.5, "--device", "cpu",
        "--finder", f"sidecar:{target.with_suffix('.parquet')}",
    )["quality"]  # fmt: skip
    assert len(measured) == 1
    assert (measured[0]["start"], measured[0]["stop"], measured[0]["frames_found"]) == (3, 6, 3)
    assert measured[0]["same_times"]
    assert measured[0]["landmark_distance"]["median"] == 0
    assert measured[0]["self_ssim"]["n"] == measured[0]["seam_ratio"]["n"] == 3


def test_targets_are_named_or_found_and_never_guessed(capsys, target, swapper, tmp_path):
    made = _swap(capsys, target, swapper, tmp_path / "set", "--name", "one")
    fake = Path(made["path"])
    with pytest.raises(UsageError, match="not to be found") as caught:
        find_cases([tmp_path / "set"])
    assert "--target" in str(caught.value.hint)
    assert find_cases([tmp_path / "set"], [target])[0].target == target
    assert find_cases([fake], [target])[0].record.id.name == "one"
    loose = tmp_path / "loose.mp4"
    loose.write_bytes(fake.read_bytes())
    with pytest.raises(UsageError, match="no record"):
        find_cases([loose])
    assert find_cases([loose], [target])[0].record is None
    DatasetFolder.init(tmp_path / "empty", "empty")
    with pytest.raises(UsageError, match="no swap in"):
        find_cases([tmp_path / "empty"])


def test_a_real_clip_is_not_measured_as_a_fake(target, tmp_path):
    folder = DatasetFolder.init(tmp_path / "set", "set")
    real = add_real_clip(folder, target, identity="bob", rights="consent")
    with pytest.raises(UsageError, match="no swap but real"):
        find_cases([folder.media_path(real)])


def test_models_are_listed_with_their_sizes(capsys):
    listed = {row["name"]: row for row in _run(capsys, "models")["models"]}
    assert listed["lightweight"]["input_px"] == 64
    assert listed["lightweight"]["parameters"] > 50e6
    assert listed["original"]["parameters"] > listed["lightweight"]["parameters"]


def test_train_hands_flags_over_defaults_and_options_with_their_types(monkeypatch, capsys, tmp_path):
    import forge.training.train

    seen: list[tuple[list[Path], Path, TrainConfig]] = []

    def remember(facesets: list[Path], run: Path, config: TrainConfig) -> forge.training.train.TrainResult:
        seen.append((facesets, run, config))
        return forge.training.train.TrainResult(run, run / "swapper", 5, 60.0, 3.0, 0.25, {})

    monkeypatch.setattr("forge.training.train.train_swapper", remember)
    words = (
        "--run",
        tmp_path / "r",
        "--steps",
        5,
        "--lr",
        1e-4,
        "--option",
        "mask=false",
        "--option",
        "mask_width=0.5",
    )
    result = _run(capsys, "train", "faces/ann", "faces/bob", *words)
    assert result["steps"] == 5
    config = TrainConfig(steps=5, learning_rate=1e-4, model_options={"mask": False, "mask_width": 0.5})
    assert seen == [([Path("faces/ann"), Path("faces/bob")], tmp_path / "r", config)]
    with pytest.raises(UsageError, match="name=value"):
        _run(capsys, "train", "faces/ann", "faces/bob", "--run", tmp_path / "r", "--option", "mask")


@pytest.mark.parametrize(
    ("flags", "loss", "said", "left"),
    [
        (["--minutes", 3], 0.25, ["5 steps in 1.0 min, loss 0.2500", "--steps 5 without --minutes"], ["nan"]),
        (["--steps", 5], 0.25, ["loss 0.2500"], ["clock"]),
        (["--steps", 5], math.nan, ["5 steps in 1.0 min"], ["nan", "loss"]),
    ],
)
def test_train_says_at_the_end_what_drove_it(monkeypatch, capsys, tmp_path, flags, loss, said, left):
    import forge.training.train

    result = forge.training.train.TrainResult(tmp_path, tmp_path / "swapper", 5, 60.0, 3.0, loss, {})
    monkeypatch.setattr("forge.training.train.train_swapper", lambda *_given: result)
    words = ["train", "faces/ann", "faces/bob", "--run", tmp_path, *flags]
    found = _run(capsys, *words)
    assert found["loss"] == (loss if math.isfinite(loss) else None)
    told = " ".join(CliRunner().invoke(app, [str(word) for word in words], catch_exceptions=False).output.split())
    assert all(each in told for each in said)
    assert not any(each in told.replace(str(tmp_path), "") for each in left)


def test_train_names_recipes_and_what_minutes_do():
    told = " ".join(CliRunner().invoke(app, ["train", "--help"], env={"COLUMNS": "200"}).output.split())
    assert "assay-cpu" in told
    assert "assay-quality" in told
    assert "follow this clock too" in told


def test_a_missing_faceset_is_said_in_a_sentence(capsys, tmp_path):
    with pytest.raises(AssayError) as caught:
        _run(capsys, "train", tmp_path / "ann", tmp_path / "bob", "--run", tmp_path / "r")
    assert str(tmp_path / "ann") in str(caught.value)
    assert caught.value.hint
    assert not (tmp_path / "r").exists()


def test_the_command_line_loads_without_torch():
    code = "import forge.cli, sys; raise SystemExit(len({'torch', 'cv2', 'av'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize("command", ["train", "swap", "quality", "models"])
def test_every_command_explains_itself_with_an_example(command):
    result = CliRunner().invoke(app, [command, "--help"])
    assert result.exit_code == 0
    assert f"assay forge {command}" in " ".join(result.output.split())
