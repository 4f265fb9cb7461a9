from __future__ import annotations

import dataclasses
import json
import math
import os
import re
import shutil
import signal
from pathlib import Path

import cv2
import numpy as np
import pytest
import timm
import torch
from safetensors.torch import load_file

import detect.training.loop
from detect.config.scoring import EvaluateConfig
from detect.config.training import TrainConfig
from detect.data.batches import Batch
from detect.evaluation.evaluate import evaluate_detector
from detect.models import build_detector
from detect.models.checkpoint import load_detector
from detect.models.training_record import clip_mark, read_training_record
from detect.training.choice import OWN, GradeScore, ValScore
from detect.training.train import TrainResult, train_detector
from detect.training.trainer import Trainer, learning_rate
from shared.dataset import DatasetFolder
from shared.device import pick_device
from shared.errors import ConfigError, ManifestError, RunError, TrainingDivergedError

STEPS = 24


def weights(run: Path) -> dict[str, torch.Tensor]:
    return load_file(run / "detector" / "model.safetensors")


def same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


@pytest.fixture(scope="module")
def trained(toy_set: Path, tmp_path_factory: pytest.TempPathFactory) -> TrainResult:
    """A run that has learned the toy forgery."""
    config = TrainConfig(**_learnable())
    return train_detector(toy_set, tmp_path_factory.mktemp("trained") / "run", config)


def _learnable() -> dict:
    from detect.config.data import AugmentConfig
    from detect.config.scoring import FaceConfig

    return {
        "model": "test_efficientnet",
        "pretrained": False,
        "input_px": 64,
        "frames_per_clip": 4,
        "steps": STEPS,
        "batch": 16,
        "lr": 1e-2,
        "warmup_steps": 4,
        "ema_decay": 0.8,
        "evaluate_every": 8,
        "save_every": 8,
        "device": "cpu",
        "precision": "float32",
        "faces": FaceConfig(finder="toy", min_face_px=8),
        "augment": AugmentConfig(p_jpeg=0.0, p_blur=0.0, p_downscale=0.0, p_noise=0.0),
    }


def test_a_run_leaves_all_it_promises(trained: TrainResult):
    run = trained.run
    for name in ("config.toml", "run.json", "metrics.jsonl", "previews/first-batch.jpg", "evaluations/val/curves.png"):
        assert (run / name).is_file(), name
    assert {path.name for path in trained.detector.iterdir()} == {
        "config.json", "model.safetensors", "README.md", "validated.json", "learned.json",
    }  # fmt: skip
    assert cv2.imread(str(run / "previews" / "first-batch.jpg")) is not None
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert {line["step"] for line in lines if "val_log_loss" in line} == {8, 16, 24}
    assert trained.steps == STEPS
    assert trained.best_step in (8, 16, 24)


def test_it_learns_the_toy_forgery_and_knows_new_people(trained: TrainResult, toy_set: Path, tmp_path: Path):
    result, folder = evaluate_detector(
        trained.run, toy_set, EvaluateConfig(device="cpu", precision="float32"), out=tmp_path / "eval"
    )
    assert (result.counts.real, result.counts.fake) == (2, 2)
    assert result.find("auc").value == 1.0
    assert result.find("auc", "frame").num_real == 2 * 8
    assert not [note for note in result.notes if "learned from" in note]
    assert (folder / "scores.jsonl").is_file()


def test_the_exported_detector_loads_with_plain_timm(trained: TrainResult):
    detector, facts = load_detector(trained.run)
    plain = timm.create_model(f"local-dir:{trained.detector}", pretrained=True).eval()
    batch = torch.randn(2, 3, 64, 64)
    with torch.inference_mode():
        torch.testing.assert_close(plain(batch).squeeze(1), detector(batch).logit)
    assert facts.finder == {"name": "toy", "version": "1"}
    assert "val split of toy" in facts.operating_point.chosen_on


def test_the_card_says_what_counts(trained: TrainResult):
    card = (trained.detector / "README.md").read_text()
    assert card.index("## Calibration\n\nNone: the score is not a probability") < card.index("## Limits")
    for text in ("| train | 8 | 4 | 4 | 4 |", "| val | 4 | 2 | 2 | 2 |", "stripes (6)", "chosen on the val split"):
        assert text in card
    assert "| test |" not in card
    assert "leaked" not in card
    described = card + (trained.detector / "config.json").read_text() + (trained.detector / "learned.json").read_text()
    assert not re.search(r"\b(ann|bob|cid|dan|eve|fay)\b", described)  # names of people stay at home


def test_nothing_of_the_test_split_is_learned_or_chosen_by(toy_set: Path, tmp_path: Path, toy_config: TrainConfig):
    """Its files are gone, garbage or of other people: the very same steps are taken, kept and told."""
    shutil.copytree(toy_set, tmp_path / "toy", ignore=shutil.ignore_patterns(".faces"))
    dataset = DatasetFolder.open(tmp_path / "toy")
    tested = dataset.records(split="test")
    gone, garbage, *others = (dataset.media_path(record) for record in tested)
    gone.unlink()
    garbage.write_bytes(b"no video" * 99)
    learned = dataset.media_path(dataset.records(split="train")[0]).read_bytes()
    for path in others:
        path.write_bytes(learned + b"0")
    config = dataclasses.replace(toy_config, steps=2, allow_leak=True)
    result = train_detector(dataset.path, tmp_path / "run", config)
    whole = train_detector(toy_set, tmp_path / "whole", config)
    assert same(weights(tmp_path / "run"), weights(tmp_path / "whole"))
    assert result.validation == whole.validation
    marks = {clip_mark(record) for record in tested}
    assert marks.isdisjoint(read_training_record(result.detector).clips)
    cached = {path.name.split("-")[0] for path in (dataset.path / ".faces").glob("*/*") if path.is_dir()}
    assert len(cached) > 4
    assert cached.isdisjoint(record.sha256[:24] for record in tested)


def test_the_best_step_of_the_val_split_is_kept_not_the_last(
    toy_set: Path, tmp_path: Path, toy_config: TrainConfig, monkeypatch: pytest.MonkeyPatch
):
    """AUC on val is made to fall after the first evaluation, so its weights must be the exported ones."""
    values = iter((0.9, 0.8, 0.7, 0.7))
    seen: list[dict[str, torch.Tensor]] = []
    original = detect.training.loop.TrainingLoop._validate

    def record(session: detect.training.loop.TrainingLoop) -> None:
        seen.append({name: tensor.clone() for name, tensor in session.trainer.average.net.state_dict().items()})
        original(session)

    monkeypatch.setattr(detect.training.loop.TrainingLoop, "_validate", record)
    monkeypatch.setattr(detect.training.loop, "own_score", lambda *_: GradeScore(OWN, next(values)))
    config = dataclasses.replace(toy_config, steps=6, evaluate_every=2)
    result = train_detector(toy_set, tmp_path / "run", config)
    assert result.best_step == 2
    assert same(weights(tmp_path / "run"), seen[0])
    assert not same(seen[0], seen[2])


def test_training_ends_when_val_does_not_get_better(
    toy_set: Path,
    tmp_path: Path,
    toy_config: TrainConfig,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture,
):
    monkeypatch.setattr(detect.training.loop, "own_score", lambda *_: GradeScore(OWN, 0.5))
    losses = iter([0.5, *([0.7] * 20)])
    monkeypatch.setattr(detect.training.loop, "log_loss", lambda *_: next(losses))
    config = dataclasses.replace(toy_config, steps=40, evaluate_every=1, patience=3)
    result = train_detector(toy_set, tmp_path / "run", config)
    assert (result.best_step, result.steps) == (1, 4)
    kept = (tmp_path / "run" / "detector" / "model.safetensors").stat().st_mtime_ns
    capsys.readouterr()
    assert train_detector(toy_set, tmp_path / "run", config).steps == 4
    said = " ".join(capsys.readouterr().out.split())
    assert "has ended at step 4, by its patience of 3 evaluations: nothing is left to train" in said
    assert "going on" not in said
    assert (tmp_path / "run" / "detector" / "model.safetensors").stat().st_mtime_ns == kept
    more = train_detector(toy_set, tmp_path / "run", dataclasses.replace(config, patience=5))
    assert (more.best_step, more.steps) == (1, 6)
    assert "going on from step 4" in " ".join(capsys.readouterr().out.split())


def test_a_stopped_run_ends_in_the_very_weights_of_one_that_was_not(
    toy_set: Path, tmp_path: Path, toy_config: TrainConfig, monkeypatch: pytest.MonkeyPatch
):
    config = dataclasses.replace(toy_config, drop_rate=0.5)
    train_detector(toy_set, tmp_path / "whole", config)
    original = Trainer.learn

    def killed(trainer: Trainer, batch: Batch, progress: float) -> dict[str, float]:
        if batch.step == 4:
            raise RuntimeError("killed")
        return original(trainer, batch, progress)

    monkeypatch.setattr(Trainer, "learn", killed)
    with pytest.raises(RuntimeError, match="killed"):
        train_detector(toy_set, tmp_path / "run", config)
    monkeypatch.setattr(Trainer, "learn", original)
    with pytest.raises(RunError, match="lr"):
        train_detector(toy_set, tmp_path / "run", dataclasses.replace(config, lr=1e-4))
    result = train_detector(toy_set, tmp_path / "run", dataclasses.replace(config, workers=1))
    assert result.steps == config.steps
    assert same(weights(tmp_path / "run"), weights(tmp_path / "whole"))
    finished = train_detector(toy_set, tmp_path / "run", config)  # nothing left to do
    assert finished.steps == config.steps
    assert same(weights(tmp_path / "run"), weights(tmp_path / "whole"))


def test_ctrl_c_saves_and_the_same_command_goes_on(
    toy_set: Path, tmp_path: Path, toy_config: TrainConfig, monkeypatch: pytest.MonkeyPatch
):
    original = Trainer.learn

    def interrupted(trainer: Trainer, batch: Batch, progress: float) -> dict[str, float]:
        if batch.step == 3:
            os.kill(os.getpid(), signal.SIGINT)
        return original(trainer, batch, progress)

    monkeypatch.setattr(Trainer, "learn", interrupted)
    with pytest.raises(KeyboardInterrupt):
        train_detector(toy_set, tmp_path / "run", toy_config)
    monkeypatch.setattr(Trainer, "learn", original)
    assert not (tmp_path / "run" / "detector").exists()
    assert (tmp_path / "run" / "checkpoints" / "step-00000003.safetensors").is_file()
    train_detector(toy_set, tmp_path / "run", toy_config)
    train_detector(toy_set, tmp_path / "whole", toy_config)
    assert same(weights(tmp_path / "run"), weights(tmp_path / "whole"))


def test_time_can_be_the_limit(toy_set: Path, tmp_path: Path, toy_config: TrainConfig):
    config = dataclasses.replace(toy_config, steps=100_000, minutes=0.02)
    result = train_detector(toy_set, tmp_path / "run", config)
    assert 0 < result.steps < 2000
    assert (result.detector / "model.safetensors").is_file()
    assert train_detector(toy_set, tmp_path / "run", config).steps == result.steps  # its time is over
    longer = dataclasses.replace(config, minutes=result.seconds / 60 + 0.02)
    more = train_detector(toy_set, tmp_path / "run", longer)
    assert more.steps > result.steps
    assert more.seconds > result.seconds


def test_a_finished_run_goes_on_with_more_steps(
    toy_set: Path, tmp_path: Path, toy_config: TrainConfig, capsys: pytest.CaptureFixture
):
    first = train_detector(toy_set, tmp_path / "run", toy_config)
    longer = dataclasses.replace(toy_config, steps=toy_config.steps + 4)
    more = train_detector(toy_set, tmp_path / "run", longer)
    assert (first.steps, more.steps) == (toy_config.steps, toy_config.steps + 4)
    assert f"going on from step {first.steps}" in capsys.readouterr().out
    logged = [json.loads(line)["step"] for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    assert logged == sorted(logged)
    assert logged[-1] == more.steps
    assert f"steps = {more.steps}" in (tmp_path / "run" / "config.toml").read_text()
    assert train_detector(toy_set, tmp_path / "run", longer).steps == more.steps  # it is over again
    with pytest.raises(RunError, match="batch"):
        train_detector(toy_set, tmp_path / "run", dataclasses.replace(longer, steps=99, batch=2 * longer.batch))


def test_a_loss_that_is_no_number_ends_the_training(toy_set: Path, tmp_path: Path, toy_config: TrainConfig):
    config = dataclasses.replace(toy_config, lr=1e30, warmup_steps=1, steps=20, evaluate_every=50)
    with pytest.raises(TrainingDivergedError) as caught:
        train_detector(toy_set, tmp_path / "run", config)
    assert "--lr" in str(caught.value.hint)
    assert not (tmp_path / "run" / "detector").exists()


def test_missing_splits_and_leaks_are_refused_before_anything_is_written(
    toy_set: Path, tmp_path: Path, toy_config: TrainConfig
):
    shutil.copytree(toy_set, tmp_path / "toy", ignore=shutil.ignore_patterns(".faces"))
    dataset = DatasetFolder.open(tmp_path / "toy")
    people = ("ann", "bob", "cid", "dan", "eve", "fay", "gus", "hal")
    dataset.assign_groups({"train": people})
    with pytest.raises(ManifestError, match="val split"):
        train_detector(dataset.path, tmp_path / "run", toy_config)
    assert not (tmp_path / "run").exists()


def test_evaluating_on_what_was_learned_is_noticed(trained: TrainResult, toy_set: Path, tmp_path: Path):
    config = EvaluateConfig(split="all", device="cpu", replicates=20)
    result, _ = evaluate_detector(trained.detector, toy_set, config, out=tmp_path / "eval")
    assert any("learned from 12 of these 16 clips" in note for note in result.notes)
    assert result.counts.real == 8


def test_class_of_val_score():
    first = ValScore(1, 0.8, 0.5)
    assert first.better_than(None)
    assert ValScore(2, 0.9, 0.9).better_than(first)
    assert not ValScore(2, 0.7, 0.1).better_than(first)
    assert ValScore(2, 0.8, 0.4).better_than(first)
    assert not ValScore(2, 0.8, 0.5).better_than(first)
    assert ValScore(2, None, 0.4).better_than(ValScore(1, None, 0.5))


def test_learning_rate_warms_up_and_falls():
    config = TrainConfig(lr=1.0, warmup_steps=10)
    assert learning_rate(config, 1, 0.0) == pytest.approx(0.1)
    assert learning_rate(config, 10, 0.0) == pytest.approx(1.0)
    assert learning_rate(config, 3, 0.1) == pytest.approx(0.97, abs=0.01)  # a short training warms up sooner
    assert learning_rate(config, 100, 0.5) == pytest.approx(0.505)
    assert learning_rate(config, 100, 1.0) == pytest.approx(0.01)
    rates = [learning_rate(config, 50, share) for share in np.linspace(0, 1, 20)]
    assert rates == sorted(rates, reverse=True)


def test_the_average_follows_the_weights_and_the_optimizer_learns(toy_config: TrainConfig):
    torch.manual_seed(0)
    config = dataclasses.replace(toy_config, label_smoothing=0.1)
    trainer = Trainer(build_detector("test_efficientnet", input_px=64), pick_device("cpu", "float32"), config)
    crops = np.random.default_rng(0).integers(0, 80, (8, 64, 64, 3), np.uint8)
    crops[::2] += 100
    batch = Batch(1, crops, np.tile([1.0, 0.0], 4).astype(np.float32))
    losses = [trainer.learn(dataclasses.replace(batch, step=step), 0.2)["loss"] for step in range(1, 16)]
    assert losses[-1] < 0.6 * losses[0]
    floor = -(0.95 * math.log(0.95) + 0.05 * math.log(0.05))  # smoothed labels cannot be met exactly
    assert losses[-1] > 0.9 * floor
    predicted = trainer.predictor().logits(crops)
    assert (predicted[::2] > predicted[1::2]).all()
    before = {name: tensor.clone() for name, tensor in trainer.average.state_dict().items()}
    trainer.learn(dataclasses.replace(batch, step=16), 0.2)
    moved = [
        (now - before[name]).abs().sum() > 0
        for name, now in trainer.average.state_dict().items()
        if now.is_floating_point()
    ]
    assert all(moved)


@pytest.mark.parametrize(
    "change", [{"batch": 7}, {"batch": 0}, {"steps": 0}, {"lr": 0.0}, {"ema_decay": 1.0}, {"minutes": 0.0}]
)
def test_bad_settings_are_refused(change: dict):
    with pytest.raises(ConfigError):
        TrainConfig(**change)
