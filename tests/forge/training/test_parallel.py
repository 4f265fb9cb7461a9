from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from forge.models import build_swapper
from forge.training.config import TrainConfig
from forge.training.data import FaceBank
from forge.training.losses.objective import Losses
from forge.training.trainer import _STREAM, SwapTrainer
from shared.device import pick_device
from shared.training.checkpoint import read_checkpoint
from shared.training.processes import Processes

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[3]
NAMES = ("p0", "p1")
SETTINGS = {"width": 0.03, "batch": 2, "steps": 4, "warmup_steps": 0, "learning_rate": 1e-3, "optimizer": "rmsprop"}


def small_trainer(config: TrainConfig, kind: type[SwapTrainer] = SwapTrainer) -> SwapTrainer:
    torch.manual_seed(config.seed)
    chance = torch.Generator().manual_seed(5)
    banks = [FaceBank(name, torch.randint(0, 256, (9, 6, 80, 80), generator=chance).byte(), 0.8) for name in NAMES]
    return kind(build_swapper("lightweight", NAMES, width=0.03), banks, pick_device("cpu", "float32"), config)


class Alternating(SwapTrainer):
    """One process that draws the batches of two, one after the other: what two must come to."""

    def _learn(self, settings: TrainConfig, warp: float) -> dict[str, Losses]:
        if self.drawn % 2:
            kept = self.generator.get_state()
            self.generator.manual_seed(self.config.seed + _STREAM * (self.step * 2 + 1))
            found = super()._learn(settings, warp)
            self.generator.set_state(kept)
        else:
            found = super()._learn(settings, warp)
        self.drawn += 1
        return found

    drawn = 0


def test_two_processes_stay_equal_and_do_what_one_does_with_both_their_batches(tmp_path):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = str(probe.getsockname()[1])
    shared = {**os.environ, "WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "OMP_NUM_THREADS": "1"}
    children = [
        subprocess.Popen(
            [sys.executable, "-c", _CHILD, str(tmp_path), json.dumps(SETTINGS)],
            cwd=ROOT,
            env={**shared, "RANK": str(rank), "LOCAL_RANK": str(rank), "ACCELERATE_USE_CPU": "true"},
            stderr=subprocess.PIPE,
        )
        for rank in range(2)
    ]
    for child in children:
        _, error = child.communicate(timeout=600)
        assert child.returncode == 0, error.decode()[-2000:]
    one, two = (read_checkpoint(tmp_path / f"rank-{rank}.safetensors") for rank in range(2))
    assert one[1]["faces_seen"] == 16
    for name, value in one[0].items():
        assert torch.equal(value, two[0][name]), name
    reference = small_trainer(TrainConfig(**SETTINGS, accumulate=2), Alternating)
    start = {name: value.clone() for name, value in reference.swapper.state_dict().items()}
    for _ in range(2):
        reference.train_step(0.0)
    moved = 0.0
    for name, value in reference.swapper.state_dict().items():
        moved = max(moved, float((value - start[name]).abs().max()))
        assert torch.allclose(value, one[0][name], atol=2e-4), name
    assert moved > 2e-3


@pytest.mark.parametrize("rank", [0, 1])
def test_processes_but_the_first_draw_other_faces(rank):
    trainer = small_trainer(TrainConfig(**SETTINGS))
    trainer.processes = Processes(rank, 2)
    before = trainer.generator.get_state()
    trainer._own_stream()
    assert torch.equal(trainer.generator.get_state(), before) == (rank == 0)


_CHILD = """
import json, sys
from pathlib import Path
import torch
torch.set_num_threads(1)
from forge.training.config import TrainConfig
from forge.training.trainer import SwapTrainer
from shared.training.processes import Processes
from shared.training.checkpoint import write_checkpoint
from tests.forge.training.test_parallel import small_trainer

processes = Processes.joined("cpu")

class Joined(SwapTrainer):
    def __init__(self, *arguments):
        super().__init__(*arguments, processes=processes)

trainer = small_trainer(TrainConfig(**json.loads(sys.argv[2])), Joined)
for _ in range(2):
    trainer.train_step(0.0)
assert processes.any_of(processes.rank == 1)
assert processes.from_first(processes.rank) == 0
folder = Path(sys.argv[1])
meta = {"faces_seen": trainer.faces_seen}
write_checkpoint(folder / f"rank-{processes.rank}.safetensors", trainer.swapper.state_dict(), meta)
processes.leave()
"""
