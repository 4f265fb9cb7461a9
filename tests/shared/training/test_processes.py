from __future__ import annotations

import torch

from shared.training.processes import Processes


def test_one_process_needs_nothing(monkeypatch):
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    alone = Processes.joined("cpu")
    module = torch.nn.Linear(1, 1)
    assert (alone.rank, alone.count, alone.first) == (0, 1, True)
    assert alone.wrapped(module) is module
    assert alone.any_of(True)
    assert not alone.any_of(False)
    assert alone.from_first("mine") == "mine"
    assert alone.mean_of(0.25) == 0.25
    assert alone.device_name("auto") == "auto"
