"""Measures the training speed of this machine, by steps of a small swapper on random images, for ``assay doctor``."""

from __future__ import annotations

import statistics
import time

import torch

from forge.models import build_swapper
from forge.training.config import TrainConfig
from forge.training.data import PLANES, FaceBank, stored_side_px
from forge.training.trainer import SwapTrainer
from shared.device import pick_device

MODEL, BATCH = "lightweight", 4
_FACES, _MOST_STEPS, _MOST_SECONDS = 8, 20, 2.0


def step_milliseconds(device: str) -> float:
    """Median time of one training step of the family :data:`MODEL` with :data:`BATCH` faces of each of two people.

    Raises:
        UsageError: no such device is here.
        RuntimeError: the device cannot run the step.
    """
    place = pick_device(device)
    config = TrainConfig(model=MODEL, batch=BATCH, device=device)
    swapper = build_swapper(MODEL, ["one", "other"])
    px = swapper.spec.output_px
    side = stored_side_px(px)
    noise = torch.Generator().manual_seed(0)
    banks = []
    for name in swapper.spec.identities:
        planes = torch.randint(0, 256, (_FACES, PLANES, side, side), dtype=torch.uint8, generator=noise)
        banks.append(FaceBank(name, planes.to(place.torch_device), px / side))
    trainer = SwapTrainer(swapper, banks, place, config)
    found = [_timed(trainer) for _ in range(2)][1:]  # the first chooses kernels
    while len(found) < _MOST_STEPS and sum(found) < 1000 * _MOST_SECONDS:
        found.append(_timed(trainer))
    return statistics.median(found)


def _timed(trainer: SwapTrainer) -> float:
    began = time.perf_counter()
    losses = trainer.train_step(0.0)
    float(next(iter(losses.values())).total)  # waits for the device
    return 1000 * (time.perf_counter() - began)
