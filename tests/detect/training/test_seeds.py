from __future__ import annotations

import dataclasses
import json
import os
import signal
from pathlib import Path

import pytest
from safetensors.torch import load_file

import detect.training.seeds
from detect.config.training import TrainConfig
from detect.data.batches import Batch
from detect.training.seeds import SeedRun, spreads, train_seeds
from detect.training.train import train_detector
from detect.training.trainer import Trainer
from shared.cli import run
from shared.config import write_toml
from shared.errors import RunError, UsageError


def seed_run(seed: int, **metrics: float) -> SeedRun:
    named = {name.replace("_", " ", 1): value for name, value in metrics.items()}
    return SeedRun(seed, f"seed-{seed}/detector", "", 10, 5, 1.0, named)


def test_spread_and_range_by_hand():
    """0.5, 0.7 and 0.9: mean 0.7, and sqrt((0.04 + 0 + 0.04) / 2) = 0.2 for one seed."""
    found = spreads([seed_run(0, clip_auc=0.5, frame_auc=0.6), seed_run(1, clip_auc=0.9), seed_run(2, clip_auc=0.7)])
    clip, frame = found
    assert (clip.level, clip.metric, clip.seeds) == ("clip", "auc", 3)
    assert (clip.mean, clip.spread, clip.low, clip.high) == pytest.approx((0.7, 0.2, 0.5, 0.9))
    assert (frame.level, frame.mean, frame.spread, frame.seeds) == ("frame", 0.6, None, 1)


def test_seeds_are_runs_and_a_kill_costs_one_of_them_a_step(
    toy_set: Path, tmp_path: Path, toy_config: TrainConfig, monkeypatch: pytest.MonkeyPatch
):
    original, taken = Trainer.learn, []
    config = dataclasses.replace(toy_config, steps=4)

    def first_interrupt(trainer: Trainer, batch: Batch, progress: float) -> dict[str, float]:
        if (trainer.config.seed, batch.step) == (1, 3):
            os.kill(os.getpid(), signal.SIGINT)
        taken.append((trainer.config.seed, batch.step))
        return original(trainer, batch, progress)

    monkeypatch.setattr(Trainer, "learn", first_interrupt)
    out = tmp_path / "seeds"
    with pytest.raises(KeyboardInterrupt):
        train_seeds(toy_set, out, config, (0, 1))
    document = json.loads((out / "seeds.json").read_text())
    assert ([each["seed"] for each in document["runs"]], document["asked"]) == ([0], [0, 1])
    monkeypatch.setattr(Trainer, "learn", lambda t, b, p: taken.append((t.config.seed, b.step)) or original(t, b, p))
    result = train_seeds(toy_set, out, config, (0, 1))
    assert taken == [(seed, step) for seed in (0, 1) for step in (1, 2, 3, 4)]
    document = json.loads((out / "seeds.json").read_text())
    assert [each["seed"] for each in document["runs"]] == [0, 1]
    auc = next(each for each in result.metrics if (each.level, each.metric) == ("clip", "auc"))
    values = [each.metrics["clip auc"] for each in result.runs]
    assert (auc.low, auc.high, auc.seeds) == (min(values), max(values), 2)
    assert auc.mean == pytest.approx(sum(values) / 2)
    assert len({each.sha256 for each in result.runs}) == 2
    train_detector(toy_set, tmp_path / "alone", dataclasses.replace(config, seed=1))
    one, other = (load_file(path / "detector/model.safetensors") for path in (out / "seed-1", tmp_path / "alone"))
    assert all(one[name].equal(other[name]) for name in other)
    with pytest.raises(RunError, match="lr"):
        train_seeds(toy_set, out, dataclasses.replace(config, lr=1e-5), (0, 1))
    with pytest.raises(UsageError, match="run of one seed"):
        train_seeds(toy_set, out / "seed-0", config, (0, 1))


def test_what_is_finished_is_not_measured_again(
    toy_set: Path, tmp_path: Path, toy_config: TrainConfig, monkeypatch: pytest.MonkeyPatch
):
    config = dataclasses.replace(toy_config, steps=1)
    before = train_seeds(toy_set, tmp_path / "out", config, (3,))
    monkeypatch.setattr("detect.training.loop.score_clips", lambda *_, **__: pytest.fail("scored again"))
    same = train_seeds(toy_set, tmp_path / "out", config, (3,))
    assert (same.metrics, same.runs[0].sha256) == (before.metrics, before.runs[0].sha256)
    (tmp_path / "out" / "seed-3" / "evaluations" / "val" / "evaluation.json").write_text("{")
    monkeypatch.undo()
    again = train_seeds(toy_set, tmp_path / "out", config, (3,))
    assert again.metrics == before.metrics


def test_seeds_from_the_command_line(
    toy_set: Path, tmp_path: Path, toy_config: TrainConfig, capsys: pytest.CaptureFixture
):
    write_toml(tmp_path / "toy.toml", toy_config)
    words = ["detect", "train", str(toy_set), "--run", str(tmp_path / "o"), "--config", str(tmp_path / "toy.toml")]
    assert run([*words, "--steps", "1", "--seeds", "0, 7"]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "over 2 seeds" in said
    assert "seed 7: step 1 of 1 kept" in said
    table = (tmp_path / "o" / "seeds.md").read_text()
    assert "seeds 0, 7" in table
    assert "| clip | auc |" in table
    assert run(["--json", *words, "--steps", "1", "--seeds", "0,7"]) == 0
    assert [each["seed"] for each in json.loads(capsys.readouterr().out)["runs"]] == [0, 7]


@pytest.mark.parametrize(
    ("more", "says"),
    [
        (["--seeds", "0,1", "--seed", "2"], "at once"),
        (["--seeds", "0,0"], "different whole numbers"),
        (["--seeds", "0,-1"], "different whole numbers"),
        (["--seeds", ""], "different whole numbers"),
    ],
)
def test_seeds_that_are_none_are_refused(
    toy_set: Path, tmp_path: Path, capsys: pytest.CaptureFixture, more: list[str], says: str
):
    assert run(["detect", "train", str(toy_set), "--run", str(tmp_path / "o"), *more]) == 2
    assert says in " ".join(capsys.readouterr().err.split())
    assert not (tmp_path / "o").exists()


def test_seeds_are_different_ones(toy_set: Path, tmp_path: Path, toy_config: TrainConfig):
    for seeds in ((), (1, 1)):
        with pytest.raises(UsageError, match="must differ"):
            detect.training.seeds.train_seeds(toy_set, tmp_path / "o", toy_config, seeds)
