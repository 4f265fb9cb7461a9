"""Trains a swapper on facesets, in a run folder that can be stopped and gone on with at any time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from forge.models import Swapper, build_swapper
from forge.models.checkpoint import EXPORT_FOLDER, TrainingSource
from forge.models.parts import Loaded, load_parts
from forge.training.config import WHILE_RUNNING, TrainConfig
from forge.training.coverage import cover, write_coverage
from forge.training.data import Banks, load_banks, need_enough
from forge.training.loop import TrainingLoop
from forge.training.previews import Measured
from forge.training.recorder import RunRecorder
from forge.training.trainer import SwapTrainer
from shared.console import console
from shared.device import Device, pick_device, seed_everything
from shared.errors import FacesetError, RunError, UsageError
from shared.faces.facesets.reader import Faceset
from shared.training.processes import Processes
from shared.training.run import Run, read_facts

KIND = "swapper"


@dataclass(frozen=True)
class TrainResult:
    """What a training came to.

    Convention:
        run, swapper: folders of the run and of the exported swapper in it
        steps: in all, resumed ones included; seconds: of training, in all
        faces_per_second: of this call, in all processes; loss: mean of the last logged steps
        held_out: by identity, where the settings held faces out
    """

    run: Path
    swapper: Path
    steps: int
    seconds: float
    faces_per_second: float
    loss: float
    held_out: dict[str, Measured]


@dataclass(frozen=True, eq=False)
class Prepared:
    """What a training needs before its first step: facesets, the untrained or loaded swapper, where it will live."""

    facesets: list[Faceset]
    swapper: Swapper
    device: Device
    loaded: Loaded | None

    def banks(self, config: TrainConfig) -> Banks:
        """The faces, read onto the device."""
        return load_banks(
            self.facesets,
            self.swapper.spec,
            self.device.torch_device,
            max_faces=config.max_faces,
            holdout=config.holdout,
        )


def train_swapper(facesets: Sequence[Path], run: Path, config: TrainConfig) -> TrainResult:
    """Trains a swapper between the people of ``facesets`` in the folder ``run``, or goes on with the training there.

    ``run`` then holds what :mod:`shared.training.run` describes, and the exported swapper in ``run/swapper``. Ctrl-C
    (or a termination signal) saves a checkpoint first; after a kill the run goes on from the last one, and where it is
    limited by steps on a CPU it ends in the very weights that an uninterrupted one ends in. When the loss stops being
    a number, the training goes back to the last good state and on at half the learning rate, three times.

    Under ``accelerate launch`` every process calls this; the batch of ``config`` is that of one process.

    Raises:
        UsageError: fewer than two facesets, or two of one identity; the settings ask what the model cannot do.
        FacesetError: a faceset is damaged or has too few faces.
        CheckpointError: the swapper to start from does not fit.
        RunError: the folder is in use, or holds a run with other settings or faces.
        TrainingDivergedError: the loss is not a number any more, again and again; the last good checkpoint is kept.
        StorageError: the disk refused.
    """
    processes = Processes.joined(config.device)
    console_quiet_unless(processes.first)
    try:
        ready = prepare(facesets, config, run=run, processes=processes)
        if not processes.first:
            return _train(None, run, ready, config, processes)
        with _open_run(run, ready, config) as folder:
            return _train(folder, run, ready, config, processes)
    finally:
        processes.leave()


def prepare(
    facesets: Sequence[Path], config: TrainConfig, *, run: Path | None = None, processes: Processes | None = None
) -> Prepared:
    """Checks all that can be wrong before anything is trained or written, and builds the model.

    ``run`` is where a training may be gone on with: then nothing is loaded from elsewhere.

    Raises:
        UsageError, FacesetError, CheckpointError: see :func:`train_swapper`.
    """
    processes = processes or Processes()
    opened = open_facesets(facesets)
    device = pick_device(processes.device_name(config.device), config.precision)
    seed_everything(config.seed)
    identities = [faceset.info.identity for faceset in opened]
    swapper = build_swapper(config.model, identities, width=config.width, **config.model_options)
    loaded = _earlier_start(run) or _load_start(swapper, config)
    # What the settings ask of the model is refused here, where nothing was read or written yet.
    SwapTrainer.check(swapper, device, config)
    return Prepared(opened, swapper, device, loaded)


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


def _taught_by(faceset: Faceset) -> TrainingSource:
    info = faceset.info
    return TrainingSource(identity=info.identity, rights=info.rights, faces=info.kept, digest=faceset.digest())


def _open_run(path: Path, ready: Prepared, config: TrainConfig) -> Run:
    inputs = {faceset.info.identity: faceset.digest() for faceset in ready.facesets}
    if ready.loaded is not None:
        inputs["start"] = ready.loaded.digest
    return Run.open_or_create(
        path,
        config,
        seed=config.seed,
        inputs=inputs,
        kind=KIND,
        device=ready.device.describe(),
        keep=config.keep,
        may_change=WHILE_RUNNING,
    )


def _train(folder: Run | None, path: Path, ready: Prepared, config: TrainConfig, processes: Processes) -> TrainResult:
    if folder is not None:
        report = cover(ready.facesets)
        write_coverage(report, folder.path)
        console.print(report.short())
    banks = ready.banks(config)
    trainer = SwapTrainer(ready.swapper, banks.train, ready.device, config, processes=processes)
    taught = [_taught_by(faceset) for faceset in ready.facesets]
    journal = RunRecorder(folder, banks, taught, config, None if ready.loaded is None else ready.loaded.digest)
    session = TrainingLoop(trainer, journal, config)
    session.train()
    return TrainResult(
        run=path,
        swapper=path / EXPORT_FOLDER,
        steps=trainer.step,
        seconds=session.seconds,
        faces_per_second=session.rate,
        loss=session.loss,
        held_out=journal.held_out,
    )


def _earlier_start(run: Path | None) -> Loaded | None:
    """What the run that is gone on with started from: its digest, so that the swapper itself is not needed again."""
    try:
        inputs = read_facts(run).get("inputs") if run is not None else None
    except RunError:
        return None
    start = inputs.get("start") if isinstance(inputs, dict) else None
    return Loaded(str(start), ()) if start else None


def _load_start(swapper: Swapper, config: TrainConfig) -> Loaded | None:
    if config.start_from is None:
        if config.load_parts:
            raise UsageError(f"parts {config.load_parts} of nothing", hint="name a run or swapper with --from")
        return None
    loaded = load_parts(swapper, Path(config.start_from), config.load_parts)
    console.print(f"beginning with {', '.join(loaded.parts)} of {config.start_from}")
    return loaded


def console_quiet_unless(first: bool) -> None:
    """Silences processes but the first."""
    if not first:
        console.configure(quiet=True)


__all__ = ["FacesetError", "Prepared", "TrainResult", "open_facesets", "prepare", "train_swapper"]
