"""Hardware utilisation of swapper training: images/s, share of the matrix product rate, share of data preparation.

The faces are random images of the right size: speed does not depend on the contents. The settings of one model are
timed alternately, so that their ratios are from one run: eager float32, bfloat16 in channels-last, and that compiled.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace

import torch
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.schema import Measurement
from forge.models import build_swapper
from forge.models.contract import Option
from forge.training.config import TrainConfig
from forge.training.data import PLANES, FaceBank, stored_side_px
from forge.training.loss_config import AdversarialConfig, LossConfig
from forge.training.trainer import SwapTrainer
from shared.device import Device, pick_device, seed_everything

_IDENTITIES = ("one", "other")
_FACES = 512


@dataclass(frozen=True)
class Case:
    """One model at one batch size; ``options`` are its family's own, ``adversarial`` adds a patch discriminator."""

    model: str
    batch: int
    width: float = 1.0
    options: tuple[tuple[str, Option], ...] = ()
    adversarial: bool = False

    @property
    def label(self) -> str:
        """Name of the case in tables."""
        options = "".join(f" {value}" for _name, value in self.options)
        return f"{self.model}{options} x{self.width:g} batch {self.batch}"


CASES = (
    Case("original", 64),
    Case("saehd", 16, options=(("architecture", "df-ud"), ("resolution", 128))),
    Case("saehd", 8, options=(("architecture", "liae-ud"), ("resolution", 256))),
    Case("gan", 16, options=(("resolution", 128),), adversarial=True),
)


def matrix_rate(device: Device, dtype: torch.dtype, *, side: int, seconds: float = 1.0) -> float:
    """Measured floating-point operations per second of a (side, side) matrix product on random values."""
    a = torch.randn(side, side, device=device.torch_device).to(dtype)
    b = torch.randn(side, side, device=device.torch_device).to(dtype)
    out = torch.empty_like(a)
    for _ in range(3):
        torch.mm(a, b, out=out)
    _wait(device)
    started = time.perf_counter()
    done = 0
    while time.perf_counter() - started < seconds:
        for _ in range(5):
            torch.mm(a, b, out=out)
        _wait(device)
        done += 5
    return done * 2 * side**3 / (time.perf_counter() - started)


def measure(
    device_name: str = "auto", *, cases: tuple[Case, ...] = CASES, repeats: int = 5, seconds: float = 2.0
) -> list[Measurement]:
    """Images/s of every case in every setting, with the ratios that have targets."""
    device = pick_device(device_name)
    side = 8192 if device.kind == "cuda" else 1024
    best = device.autocast_dtype or torch.float32
    rate = matrix_rate(device, best, side=side)
    found = [Measurement.of(f"matrix product, {str(best).removeprefix('torch.')}", "TFLOP/s", [rate / 1e12])]
    for case in cases:
        found += _measure_case(case, device_name, rate, repeats, seconds)
    return found


def _measure_case(case: Case, device_name: str, rate: float, repeats: int, seconds: float) -> list[Measurement]:
    plain = _rates(case, pick_device(device_name, "float32"), False, repeats, seconds)
    mixed_device = pick_device(device_name)
    mixed = _rates(case, mixed_device, False, repeats, seconds)
    found = [
        Measurement.of(f"{case.label}: eager float32", "images/s", plain),
        Measurement.of(f"{case.label}: mixed precision", "images/s", mixed),
    ]
    fastest = mixed
    if mixed_device.kind == "cuda":
        fastest = _rates(case, mixed_device, True, repeats, seconds)
        found.append(Measurement.of(f"{case.label}: mixed precision, compiled", "images/s", fastest))
    flops = flops_per_image(case)
    middle = sorted(fastest)[len(fastest) // 2]
    ratio = [value / base for value, base in zip(sorted(fastest), sorted(plain), strict=True)]
    found.append(Measurement.of(f"{case.label}: times eager float32", "x", ratio, target=5.0))
    found.append(
        Measurement.of(
            f"{case.label}: share of the measured matrix rate",
            "%",
            [100 * value * flops / rate for value in fastest],
            target=50.0,
            note=f"{flops / 1e9:.2f} GFLOP an image, forward and backward, at {middle:.0f} images/s",
        )
    )
    found.append(
        Measurement.of(
            f"{case.label}: share of a step spent on making the batch",
            "%",
            [100 * _data_share(case, mixed_device)],
            better="lower",
        )
    )
    return found


def trainer_for(case: Case, device: Device, *, compiled: bool = False) -> SwapTrainer:
    """A trainer of ``case`` on random faces."""
    seed_everything(0)
    config = TrainConfig(
        model=case.model,
        width=case.width,
        model_options=dict(case.options),
        batch=case.batch,
        compile=compiled,
        steps=1_000_000,
        loss=LossConfig(adversarial=AdversarialConfig(kind="lsgan", weight=0.1)) if case.adversarial else LossConfig(),
    )
    swapper = build_swapper(case.model, _IDENTITIES, width=case.width, **dict(case.options))
    inner = 2 * swapper.spec.output_px
    side = stored_side_px(inner)
    generator = torch.Generator().manual_seed(0)
    planes = torch.randint(0, 256, (_FACES, PLANES, side, side), dtype=torch.uint8, generator=generator)
    banks = [FaceBank(name, planes.to(device.torch_device), inner / side) for name in _IDENTITIES]
    return SwapTrainer(swapper, banks, device, config)


def _rates(case: Case, device: Device, compiled: bool, repeats: int, seconds: float) -> list[float]:
    trainer = trainer_for(case, device, compiled=compiled)
    for _ in range(12 if device.kind == "cuda" else 2):
        trainer.train_step(0.3)
    _wait(device)
    rates = []
    for _ in range(repeats):
        started = time.perf_counter()
        steps = 0
        while time.perf_counter() - started < seconds:
            trainer.train_step(0.3)
            steps += 1
            if steps % 8 == 0:
                _wait(device)
        _wait(device)
        rates.append(steps * trainer.faces_per_step / (time.perf_counter() - started))
    del trainer
    if device.kind == "cuda":
        torch.cuda.empty_cache()
    return rates


def flops_per_image(case: Case) -> float:
    """Floating-point operations of convolutions and products, forward and backward, for one face of one step."""
    device = pick_device("cpu", "float32")
    trainer = trainer_for(replace(case, batch=2), device)
    with FlopCounterMode(display=False) as counter:
        trainer.train_step(0.3)
    return counter.get_total_flops() / trainer.faces_per_step


def _data_share(case: Case, device: Device, steps: int = 20) -> float:
    """Time to make the batches of a step over the time of the step, both with a synchronised device."""
    trainer = trainer_for(case, device)
    spec, config = trainer.swapper.spec, trainer.config
    for _ in range(3):
        trainer.train_step(0.3)
    _wait(device)
    started = time.perf_counter()
    for _ in range(steps):
        for bank in trainer.banks:
            bank.batch(case.batch, spec, config.augment, trainer.generator)
    _wait(device)
    making = time.perf_counter() - started
    started = time.perf_counter()
    for _ in range(steps):
        trainer.train_step(0.3)
    _wait(device)
    return making / (time.perf_counter() - started)


def _wait(device: Device) -> None:
    if device.kind == "cuda":
        torch.cuda.synchronize(device.torch_device)
