"""Trains a swapper on facesets, in a run folder that can be stopped and gone on with at any time."""

from __future__ import annotations

import math
import signal
import time
import types
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch

from forge.config import WHILE_RUNNING, TrainConfig
from forge.data import Banks, load_banks, need_enough
from forge.export import EXPORT_FOLDER, TaughtBy, save_swapper
from forge.losses import Losses
from forge.models import build_swapper
from forge.models.contract import Option
from forge.previews import Measured, jpeg, loss_plot, measure, preview
from forge.schedule import fraction_done
from forge.trainer import SwapTrainer
from shared.console import Tick, console
from shared.device import Device, pick_device, seed_everything
from shared.errors import FacesetError, TrainingDivergedError, UsageError
from shared.faces.faceset import Faceset
from shared.runs import Run
from shared.storage import write_bytes

KIND = "swapper"


@dataclass(frozen=True)
class TrainResult:
    """What a training came to.

    Convention:
        run, swapper: folders of the run and of the exported swapper in it
        steps: in all, resumed ones included; seconds: of training, in all
        faces_per_second: of this call; loss: mean of the last logged steps
        held_out: by identity, where the settings held faces out
    """

    run: Path
    swapper: Path
    steps: int
    seconds: float
    faces_per_second: float
    loss: float
    held_out: dict[str, Measured]


def train_swapper(facesets: Sequence[Path], run: Path, config: TrainConfig) -> TrainResult:
    """Trains a swapper between the people of ``facesets`` in the folder ``run``, or goes on with the training there.

    ``run`` then holds what :mod:`shared.runs` describes, and the exported swapper in ``run/swapper``. Ctrl-C (or a
    termination signal) saves a checkpoint first; after a kill the run goes on from the last one, and where it is
    limited by steps on a CPU it ends in the very weights that an uninterrupted one ends in.

    Raises:
        UsageError: fewer than two facesets, or two of one identity.
        FacesetError: a faceset is damaged or has too few faces.
        RunError: the folder is in use, or holds a run with other settings or faces.
        TrainingDivergedError: the loss is not a number any more; the last good checkpoint is kept.
        StorageError: the disk refused.
    """
    opened = open_facesets(facesets)
    device = pick_device(config.device, config.precision)
    seed_everything(config.seed)
    identities = [faceset.info.identity for faceset in opened]
    swapper = build_swapper(config.model, identities, width=config.width, **config.model_options)
    taught = tuple(_taught_by(faceset) for faceset in opened)
    with Run.open_or_create(
        run,
        config,
        seed=config.seed,
        inputs={each.identity: each.digest for each in taught},
        kind=KIND,
        device=device.describe(),
        keep=config.keep,
        may_change=WHILE_RUNNING,
    ) as folder:
        banks = load_banks(
            opened, swapper.spec, device.torch_device, max_faces=config.max_faces, holdout=config.holdout
        )
        trainer = SwapTrainer(swapper, banks.train, device, config)
        return _Session(folder, trainer, banks, taught, config, device).train()


def open_facesets(paths: Sequence[Path]) -> list[Faceset]:
    """The facesets at ``paths``, checked for what a training needs before anything is begun.

    Raises:
        UsageError: fewer than two, or two of one identity.
        FacesetError: one is damaged or has too few faces.
    """
    if len(paths) < 2:
        raise UsageError(f"training needs two or more facesets, got {len(paths)}", hint="name one faceset per person")
    opened = [Faceset.open(path) for path in paths]
    seen: dict[str, Path] = {}
    for path, faceset in zip(paths, opened, strict=True):
        identity = faceset.info.identity
        if faceset.info.drawn_by:
            raise FacesetError(f"{path} is drawn by a swapper", hint="train on the faceset it was made from")
        if identity in seen:
            raise UsageError(
                f"{seen[identity]} and {path} are both of {identity!r}",
                hint="extract each person with an --identity of their own; several clips of one go into one faceset",
            )
        seen[identity] = path
        need_enough(identity, faceset.info.kept)
    return opened


def _taught_by(faceset: Faceset) -> TaughtBy:
    info = faceset.info
    return TaughtBy(identity=info.identity, rights=info.rights, faces=info.kept, digest=faceset.digest())


class _Session:
    """One call of :func:`train_swapper`: the loop, and all that happens beside it."""

    def __init__(
        self,
        run: Run,
        trainer: SwapTrainer,
        banks: Banks,
        taught: tuple[TaughtBy, ...],
        config: TrainConfig,
        device: Device,
    ) -> None:
        self.run = run
        self.trainer = trainer
        self.banks = banks
        self.taught = taught
        self.config = config
        self.device = device
        self.earlier_seconds = 0.0
        self.first_step = 0
        self.saved_step = -1
        self.previewed_step = -1
        self.loss = math.nan
        self.held_out: dict[str, Measured] = {}
        self.pending: list[dict[str, Losses]] = []
        self.began = time.monotonic()

    def train(self) -> TrainResult:
        self._resume()
        self.began = time.monotonic()
        with ExitStack() as stack:
            stopped = stack.enter_context(_signals_noted())
            tick = stack.enter_context(self._progress())
            while self.trainer.step < self.config.steps and self._fraction() < 1 and not stopped:
                self._step(tick)
        if stopped:
            self._save()
            self._say_how_to_go_on()
            raise KeyboardInterrupt
        self._flush_losses()
        if self.previewed_step != self.trainer.step:
            self._preview()
        if self.saved_step != self.trainer.step or not (self.run.path / EXPORT_FOLDER).exists():
            self._save()
        return self._result()

    @property
    def seconds(self) -> float:
        return self.earlier_seconds + time.monotonic() - self.began

    def _fraction(self) -> float:
        return fraction_done(self.trainer.step, self.seconds, self.config)

    def _step(self, tick: Tick) -> None:
        config, trainer = self.config, self.trainer
        before = self.seconds
        self.pending.append(trainer.train_step(self._fraction()))
        step = trainer.step
        if step % config.log_every == 0 or self.device.kind == "cpu":
            self._check_finite()
        if step % config.log_every == 0:
            self._flush_losses()
        if step % config.preview_every == 0:
            self._preview()
        if step % config.save_every == 0:
            self._save(snapshot=bool(config.snapshot_every) and step % config.snapshot_every == 0)
        note = f"step {step}  loss {self.loss:.4f}"
        if config.minutes is None:
            tick(trainer.faces_per_step, note=note)
        else:
            tick(round(self.seconds) - round(before), note=f"{note}  {self._rate():.0f} faces/s")

    def _rate(self) -> float:
        steps = self.trainer.step - self.first_step
        return steps * self.trainer.faces_per_step / max(time.monotonic() - self.began, 1e-9)

    @contextmanager
    def _progress(self) -> Iterator[Tick]:
        """A bar over faces, or over seconds where time is the limit and the number of steps is not known."""
        config = self.config
        if config.minutes is None:
            per_step = self.trainer.faces_per_step
            total, done, unit = config.steps * per_step, self.trainer.step * per_step, "faces"
        else:
            total, done, unit = round(60 * config.minutes), round(self.seconds), "s"
        with console.progress("training", total, unit=unit, done=done) as tick:
            yield tick

    def _resume(self) -> None:
        checkpoint = self.run.latest()
        if checkpoint is None:
            return
        self.trainer.restore(checkpoint.tensors, checkpoint.meta)
        self.earlier_seconds = float(checkpoint.meta.get("seconds", 0.0))
        self.first_step = self.saved_step = self.trainer.step
        self.run.rewind(self.trainer.step)
        told = [line["loss"] for line in self.run.metrics() if "loss" in line]
        self.loss = told[-1] if told else math.nan
        console.print(f"going on from step {self.trainer.step} of {self.run.path}")

    def _check_finite(self) -> None:
        """Raises when any loss since the last check is not a number. On a GPU this waits for it, so not every step."""
        recent = self.pending[-1:] if self.device.kind == "cpu" else self.pending
        totals = [loss.total for losses in recent for loss in losses.values()]
        if totals and not bool(torch.isfinite(torch.stack(totals)).all()):
            self._diverged()

    def _diverged(self) -> None:
        kept = f"the state of step {self.saved_step} is kept" if self.saved_step >= 0 else "no state was saved yet"
        raise TrainingDivergedError(
            f"the loss stopped being a number by step {self.trainer.step}; {kept} in {self.run.path}",
            hint=f"begin a new run with a lower learning rate than {self.config.learning_rate:g}",
        )

    def _flush_losses(self) -> None:
        """Logs the mean of the losses since the last time."""
        if not self.pending:
            return
        self._check_finite()
        scalars: dict[str, float] = {}
        for part in Losses._fields:
            values = [getattr(loss, part) for losses in self.pending for loss in losses.values()]
            scalars["loss" if part == "total" else part] = float(torch.stack(values).mean())
        for identity in {name for losses in self.pending for name in losses}:
            own = [losses[identity].total for losses in self.pending if identity in losses]
            scalars[f"loss/{identity}"] = float(torch.stack(own).mean())
        self.pending.clear()
        self.loss = scalars["loss"]
        self.run.log(self.trainer.step, faces_per_second=self._rate(), seconds=self.seconds, **scalars)

    def _preview(self) -> None:
        """Draws the previews, and measures what was held out."""
        step = self.trainer.step
        with self.trainer.shipped() as swapper:
            picture = preview(swapper, self.banks.held or self.banks.train, self.device)
            self.held_out = {bank.identity: measure(swapper, bank, self.device) for bank in self.banks.held}
        data = jpeg(picture)
        write_bytes(self.run.previews / f"step-{step:08d}.jpg", data)
        write_bytes(self.run.previews / "latest.jpg", data)
        write_bytes(self.run.previews / "loss.png", loss_plot(self.run.metrics()))
        self.previewed_step = step
        if step == self.first_step:
            return  # a finished run, opened again: it was logged when it ended
        self.run.log_image(step, "preview", picture)
        for identity, found in self.held_out.items():
            self.run.log(step, **{f"held_out/{identity}/{key}": value for key, value in found._asdict().items()})

    def _save(self, *, snapshot: bool = False) -> None:
        """Saves a checkpoint and the export, unless the weights are damaged."""
        if not self.trainer.all_finite():
            self._diverged()
        step = self.trainer.step
        tensors, meta = self.trainer.state()
        self.run.save(step, tensors, {**meta, "seconds": self.seconds}, snapshot=snapshot)
        self.saved_step = step
        self._export()

    def _export(self) -> None:
        training: dict[str, Option] = {
            "steps": self.trainer.step,
            "seconds": round(self.seconds, 1),
            "faces_seen": self.trainer.step * self.trainer.faces_per_step,
            "seed": self.config.seed,
            "device": self.device.describe(),
            "assay": str(self.run.facts.get("versions", {}).get("assay", "")),
        }
        if math.isfinite(self.loss):
            training["loss"] = round(self.loss, 6)
        with self.trainer.shipped() as swapper:
            save_swapper(swapper, self.run.path / EXPORT_FOLDER, facesets=self.taught, training=training)

    def _say_how_to_go_on(self) -> None:
        console.print(f"stopped at step {self.trainer.step}, saved; the same command goes on from there")

    def _result(self) -> TrainResult:
        return TrainResult(
            run=self.run.path,
            swapper=self.run.path / EXPORT_FOLDER,
            steps=self.trainer.step,
            seconds=self.seconds,
            faces_per_second=self._rate(),
            loss=self.loss,
            held_out=self.held_out,
        )


@contextmanager
def _signals_noted() -> Iterator[list[int]]:
    """Yields a list that an interrupt or a termination signal is put into, so that a step is never cut in two.

    A second signal does what it always does. Off the main thread, where signals cannot be had, nothing changes.
    """
    noted: list[int] = []
    before: dict[int, object] = {}

    def note(number: int, _frame: types.FrameType | None) -> None:
        noted.append(number)
        _put_back(before)

    for number in (signal.SIGINT, signal.SIGTERM):
        try:
            before[number] = signal.signal(number, note)
        except ValueError:
            break
    try:
        yield noted
    finally:
        _put_back(before)


def _put_back(handlers: dict[int, object]) -> None:
    for number, handler in handlers.items():
        signal.signal(number, handler)  # type: ignore[arg-type]
    handlers.clear()


__all__ = ["FacesetError", "TrainResult", "open_facesets", "train_swapper"]
