from __future__ import annotations

import dataclasses
import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from detect.config.data import MixConfig
from detect.config.training import TrainConfig
from detect.data.batches import Batch
from detect.models import build_detector
from detect.training.train import train_detector
from detect.training.trainer import Trainer
from shared.config import write_toml
from shared.device import pick_device
from shared.errors import ConfigError
from shared.training.processes import Processes

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def shared_config(toy_config: TrainConfig) -> TrainConfig:
    """A net whose steps on halves of a batch add up: no batch norm, no dropout, an optimizer that is linear."""
    return dataclasses.replace(
        toy_config, model="test_vit", drop_rate=0.0, optimizer="sgd", lr=1e-2, steps=5, evaluate_every=2, save_every=2,
        pair_weight=0.5, spread_weight=0.5, mix=MixConfig(forged=1.0, blended=1.0),
    )  # fmt: skip


@pytest.mark.slow
def test_two_processes_end_in_the_weights_of_one_also_when_stopped(
    toy_set: Path, tmp_path: Path, shared_config: TrainConfig
):
    """Both are stopped by a signal that the first alone gets, and go on from what it saved."""
    write_toml(tmp_path / "toy.toml", shared_config)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = str(probe.getsockname()[1])
    launcher = {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "ACCELERATE_USE_CPU": "true"}
    children = [
        subprocess.Popen(
            [sys.executable, "-c", _CHILD, str(toy_set), str(tmp_path)],
            cwd=ROOT,
            env={**os.environ, **launcher, "OMP_NUM_THREADS": "1", "RANK": str(rank), "LOCAL_RANK": str(rank)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        for rank in range(2)
    ]
    alone = train_detector(toy_set, tmp_path / "alone", shared_config)
    said = []
    for child in children:
        out, error = child.communicate(timeout=600)
        assert child.returncode == 0, error.decode()[-2000:]
        said.append(out.decode())
    assert "stopped at step 3" in said[0]
    assert said[1] == ""
    together = [json.loads((tmp_path / f"rank-{rank}.json").read_text()) for rank in range(2)]
    assert together[0] == together[1]
    assert (together[0]["steps"], together[0]["best_step"]) == (5, alone.best_step)
    one, two = (load_file(tmp_path / name / "detector" / "model.safetensors") for name in ("alone", "together"))
    start = build_detector("test_vit", input_px=64).exported_state()
    assert any(not torch.allclose(one[name], start[name], atol=1e-3) for name in one)
    for name, value in one.items():
        torch.testing.assert_close(two[name], value, atol=2e-6, rtol=1e-4)
    lines = [json.loads(line) for line in (tmp_path / "together" / "metrics.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines if "val_log_loss" in line] == [2, 4, 5]


def test_a_batch_that_cannot_be_shared_is_refused_before_anything_is_written(
    toy_set: Path, tmp_path: Path, toy_config: TrainConfig
):
    with pytest.raises(ConfigError, match="10 cannot be divided among 3 processes") as caught:
        train_detector(toy_set, tmp_path / "run", dataclasses.replace(toy_config, batch=10), processes=Processes(0, 3))
    assert "multiple of 6" in str(caught.value.hint)
    assert not (tmp_path / "run").exists()


def test_processes_drop_out_differently_and_mix_their_own_faces(toy_config: TrainConfig, monkeypatch):
    """Two processes given one batch: the same rate, other dropout."""
    config = dataclasses.replace(toy_config, drop_rate=0.5, mixup=0.4)
    crops = np.random.default_rng(0).integers(0, 255, (4, 64, 64, 3), np.uint8)
    batch = Batch(1, crops, np.array([1, 0, 1, 0], np.float32))
    found = []
    for rank in (0, 0, 1):
        torch.manual_seed(0)
        model = build_detector("test_efficientnet", input_px=64, drop_rate=0.5)
        trainer = Trainer(model, pick_device("cpu", "float32"), config)
        monkeypatch.setattr(trainer.processes, "rank", rank)
        found.append(trainer.learn(batch, 0.1))
    assert found[0] == found[1]
    assert found[2]["lr"] == found[0]["lr"]
    assert found[2]["loss"] != found[0]["loss"]


_CHILD = """
import json, os, signal, sys
from pathlib import Path
import torch
torch.set_num_threads(1)
import msgspec
import tests.detect.conftest  # registers the toy finder
from detect.config.training import TrainConfig
from detect.training.train import train_detector
from detect.training.trainer import Trainer
from shared.config import load_toml
from shared.training.processes import Processes

dataset, folder = Path(sys.argv[1]), Path(sys.argv[2])
config = load_toml(TrainConfig, folder / "toy.toml")
processes = Processes.joined("cpu")
original = Trainer.learn

def interrupted(trainer, batch, progress):
    assert len(batch.crops) == config.batch // 2
    if batch.step == 3 and processes.first:
        os.kill(os.getpid(), signal.SIGINT)
    return original(trainer, batch, progress)

Trainer.learn = interrupted
try:
    train_detector(dataset, folder / "together", config, processes=processes)
    raise SystemExit("was not stopped")
except KeyboardInterrupt:
    pass
assert not (folder / "together" / "detector").exists()
Trainer.learn = original
result = msgspec.to_builtins(train_detector(dataset, folder / "together", config, processes=processes), enc_hook=str)
(folder / f"rank-{processes.rank}.json").write_text(json.dumps(result))
processes.leave()
"""
