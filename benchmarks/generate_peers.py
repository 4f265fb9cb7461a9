"""Assay's GAN beside that of a package: the same faces, side, batch and processor time, and the same ruler.

The time is that of the processor, of all threads, so that a busy machine takes nothing from either. The ruler is that
of :mod:`benchmarks.generate`: kid-lite0 to the photographs, beside the distance between two halves of these.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from typing_extensions import override

from benchmarks.generate import Photographs
from benchmarks.packaged_gans import Contestant, gans
from benchmarks.schema import Measurement
from forge.generating.material import Material, open_facesets, read_material
from forge.generating.trainers import tiled
from forge.models.checks import need_between, need_size
from forge.training.step_loop import StepLoop
from shared.config import need
from shared.device import seed_everything
from shared.storage import write_bytes
from shared.training.run import Run
from shared.types import Framing
from shared.video.images import encode_png

KIND = "gan"
GANS = ("generate-gan", "torchgan-dcgan")

_FRAMING: Framing = "whole"
_NO_LIMIT = 10**9
_SAVE_EVERY, _LOG_EVERY = 200, 20


@dataclass(frozen=True)
class Effort:
    """What every GAN gets.

    Attributes:
        px: side of the faces; batch: faces in a step.
        minutes: of the processor; steps: stop after so many, if that is earlier; None for no limit.
    """

    px: int = 64
    batch: int = 16
    minutes: float = 60.0
    steps: int | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        need_size("px", self.px, (64, 128))
        need_between("batch", self.batch, 2, 1024)
        need(self.minutes > 0, f"minutes must be positive, got {self.minutes}", "60 is usual")
        need(self.steps is None or self.steps >= 1, f"steps must be at least 1, got {self.steps}", "leave it out")


class _ProcessorLoop(StepLoop):
    """A training whose minutes are those of the processor."""

    def __init__(self, *given: Any, **settings: Any) -> None:
        super().__init__(*given, **settings)
        self._started = time.process_time()

    @property
    @override
    def seconds(self) -> float:
        return self.earlier_seconds + time.process_time() - self._started


def measured(
    facesets: Sequence[Path],
    names: Sequence[str],
    work: Path,
    effort: Effort,
    *,
    samples: int,
    sheets: Path | None = None,
) -> Iterator[list[Measurement]]:
    """The measurements so far, after each GAN of ``names``.

    Each is trained in ``work/NAME``: a training that was stopped goes on, a finished one is only measured.

    Raises:
        UnknownNameError: no GAN has such a name.
        FinderError: its package is not installed.
        UsageError: there are too few photographs for a floor.
        AssayError: a faceset cannot be read, the features' weights are not installed, or a folder of ``work`` holds
            another training.
    """
    material = read_material(open_facesets(facesets), px=effort.px, framing=_FRAMING, people="file")
    photographs = Photographs(material.faces, effort.seed)
    contestants = {name: _created(name, material, effort) for name in names}
    floor = photographs.floor().tolist()
    found = [Measurement.of("photographs against photographs", "kid-lite0", floor, better="lower")]
    for name, contestant in contestants.items():
        seconds = trained(name, contestant, material, work / name, effort)
        faces = list(contestant.sampled(samples))
        found += _measurements(name, contestant, seconds, photographs.apart(faces).tolist())
        if sheets is not None:
            sheets.mkdir(parents=True, exist_ok=True)
            write_bytes(sheets / f"{name}.png", encode_png(tiled(np.stack(faces[:64]))))
        yield list(found)


def trained(name: str, contestant: Contestant, material: Material, folder: Path, effort: Effort) -> float:
    """Trains ``contestant`` in the run ``folder``, or goes on there; the seconds of the processor so far.

    Raises:
        RunError: the folder is in use, or holds a training of another GAN, with other faces or settings.
        TrainingDivergedError: a loss became infinite or not a number.
        StorageError: writing failed.
    """
    seed_everything(effort.seed)
    config = {"gan": name, **asdict(effort)}
    with Run.open_or_create(
        folder, config, seed=effort.seed, inputs=material.inputs, kind=KIND, may_change=("minutes", "steps")
    ) as run:
        loop = _ProcessorLoop(
            run, contestant.trainer, lambda _: run.path, steps=effort.steps or _NO_LIMIT, minutes=effort.minutes,
            save_every=_SAVE_EVERY, log_every=_LOG_EVERY,
        )  # fmt: skip
        loop.train()
        return loop.seconds


def _created(name: str, material: Material, effort: Effort) -> Contestant:
    seed_everything(effort.seed)
    return gans.create(name, faces=material.faces, batch=effort.batch, seed=effort.seed)


def _measurements(name: str, contestant: Contestant, seconds: float, apart: list[float]) -> list[Measurement]:
    steps = contestant.trainer.step
    generator, discriminator = (f"{count / 1e6:.1f} M" for count in contestant.sizes())
    networks = f"{contestant.source}; generator {generator}, discriminator {discriminator} parameters"
    return [
        Measurement.of(f"{name}, kernel distance", "kid-lite0", apart, better="lower", note=networks),
        Measurement.of(f"{name}, steps of training", "steps", [float(steps)]),
        Measurement.of(f"{name}, training", "min of processor", [seconds / 60], better="lower"),
        Measurement.of(f"{name}, a step", "s of processor", [seconds / max(steps, 1)], better="lower"),
    ]
