"""Training of a swapper on facesets, in a run folder that can be stopped and resumed at any time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from forge.models import Swapper, build_swapper, shipped
from forge.models.checkpoint import EXPORT_FOLDER, TrainingSource
from forge.models.parts import Loaded, load_parts
from forge.training.config import WHILE_RUNNING, TrainConfig
from forge.training.coverage import cover, write_coverage
from forge.training.data import Banks, load_banks, need_enough
from forge.training.loop import TrainingLoop
from forge.training.previews import Measured
from forge.training.recorder import RunRecorder
from forge.training.start import start_folder
from forge.training.trainer import SwapTrainer
from shared.config import configured
from shared.console import console
from shared.device import Device, pick_device, seed_everything
from shared.errors import FacesetError, RunError, UsageError
from shared.faces.facesets.reader import Faceset
from shared.training.processes import Processes
from shared.training.run import Run, read_facts

KIND = "swapper"


@dataclass(frozen=True)
class TrainResult:
    """Result of a training.

    Convention:
        run, swapper: folders of the run and of the exported swapper in it
        steps: total, resumed ones included; seconds: total training time
        faces_per_second: in this call, over all processes; loss: mean of the last logged steps
        held_out: quality by identity, if the settings hold faces out
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
    """Inputs of a training: facesets, the untrained or loaded swapper, and the device."""

    facesets: list[Faceset]
    swapper: Swapper
    device: Device
    loaded: Loaded | None

    def banks(self, config: TrainConfig) -> Banks:
        """The faces, loaded onto the device."""
        return load_banks(
            self.facesets,
            self.swapper.spec,
            self.device.torch_device,
            max_faces=config.max_faces,
            holdout=config.holdout,
        )


def train_swapper(
    facesets: Sequence[str | Path], run: str | Path, config: TrainConfig | None = None, **settings: Any
) -> TrainResult:
    """Trains a swapper between the people of ``facesets`` in the folder ``run``, or goes on with the training there.

    ``settings`` are those of :class:`~forge.training.config.TrainConfig`, in place of ``config``'s own: ``minutes=25``.
    Those of a recipe are ``**load_recipe("assay-cpu")``, from :mod:`forge.training.recipe`.

    ``run`` then holds what :mod:`shared.training.run` describes, and the exported swapper in ``run/swapper``. Ctrl-C
    (or a termination signal) saves a checkpoint first; after a kill the run resumes from the last one; if it is
    limited by steps on a CPU, the final weights equal those of an uninterrupted run. When the loss becomes non-finite,
    the training returns to the last good state and continues at half the learning rate, up to three times.

    Under ``accelerate launch`` every process calls this; the batch of ``config`` is that of one process.

    Raises:
        ConfigError: a setting is unknown, of the wrong type or out of range.
        UsageError: fewer than two facesets, or two of one identity; the settings ask what the model cannot do.
        FacesetError: a faceset is damaged or has too few faces.
        CheckpointError: the swapper to start from does not fit.
        RunError: the folder is in use, or holds a run with other settings or faces.
        TrainingDivergedError: the loss became non-finite repeatedly; the last good checkpoint is kept.
        StorageError: writing failed.
    """
    run, config = Path(run), configured(TrainConfig, config, settings)
    processes = Processes.joined(config.device)
    console_quiet_unless(processes.first)
    try:
        ready = prepare([Path(faceset) for faceset in facesets], config, run=run, processes=processes)
        if not processes.first:
            return _train(None, run, ready, config, processes)
        with _open_run(run, ready, config) as folder:
            return _train(folder, run, ready, config, processes)
    finally:
        processes.leave()


def prepare(
    facesets: Sequence[Path], config: TrainConfig, *, run: Path | None = None, processes: Processes | None = None
) -> Prepared:
    """Checks the inputs before anything is trained or written, and builds the model.

    ``run`` is the folder of a training that may be resumed: once it has a checkpoint, no weights are loaded from
    elsewhere; before, those that it began with.

    Raises:
        UsageError, FacesetError, CheckpointError: see :func:`train_swapper`.
    """
    processes = processes or Processes()
    opened = open_facesets(facesets)
    device = pick_device(processes.device_name(config.device), config.precision)
    seed_everything(config.seed)
    identities = [faceset.info.identity for faceset in opened]
    swapper = build_swapper(config.model, identities, width=config.width, **config.model_options)
    earlier = _earlier_inputs(run)
    if earlier is None or (earlier.get("start") and not _has_checkpoint(run)):
        loaded = _load_start(swapper, config)
    else:
        loaded = _earlier_start(earlier)
    # Settings that the model does not support are refused before anything is read or written.
    SwapTrainer.check(swapper, device, config)
    return Prepared(opened, swapper, device, loaded)


def open_facesets(paths: Sequence[Path]) -> list[Faceset]:
    """The facesets at ``paths``, checked for training.

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
            raise FacesetError(f"{path} was generated by a swapper", hint="train on the faceset it was made from")
        if identity in seen:
            raise UsageError(
                f"{seen[identity]} and {path} are both of {identity!r}",
                hint="extract each person with an --identity of their own; several clips of one go into one faceset",
            )
        seen[identity] = path
        need_enough(identity, faceset.info.kept)
    return opened


def _training_source(faceset: Faceset) -> TrainingSource:
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
    sources = [_training_source(faceset) for faceset in ready.facesets]
    recorder = RunRecorder(folder, banks, sources, config, None if ready.loaded is None else ready.loaded.digest)
    loop = TrainingLoop(trainer, recorder, config)
    loop.train()
    return TrainResult(
        run=path,
        swapper=path / EXPORT_FOLDER,
        steps=trainer.step,
        seconds=loop.seconds,
        faces_per_second=loop.rate,
        loss=loop.loss,
        held_out=recorder.held_out,
    )


def _earlier_inputs(run: Path | None) -> dict[str, Any] | None:
    """What a run that is to be resumed began with; None for a new one."""
    try:
        inputs = read_facts(run).get("inputs") if run is not None else None
    except RunError:
        return None
    return inputs if isinstance(inputs, dict) else None


def _has_checkpoint(run: Path | None) -> bool:
    return run is not None and any((run / "checkpoints").glob("step-*.safetensors"))


def _earlier_start(inputs: Mapping[str, Any]) -> Loaded | None:
    """The start of a resumed run: its digest, so that the swapper it started from is not needed again."""
    start = inputs.get("start")
    return Loaded(str(start), ()) if start else None


def _load_start(swapper: Swapper, config: TrainConfig) -> Loaded | None:
    start = start_folder(swapper.spec, config)
    if start is None:
        if config.load_parts:
            raise UsageError(f"parts {config.load_parts} of nothing", hint="name a run or swapper with --from")
        return None
    loaded = load_parts(swapper, start, config.load_parts)
    is_base = start == shipped.BASE_FOLDER
    named = f"the base swapper (--from {shipped.SCRATCH} starts from random weights)" if is_base else str(start)
    console.print(f"beginning with {', '.join(loaded.parts)} of {named}")
    return loaded


def console_quiet_unless(first: bool) -> None:
    """Silences the console in all processes but the first."""
    if not first:
        console.configure(quiet=True)


__all__ = ["FacesetError", "Prepared", "TrainResult", "open_facesets", "prepare", "train_swapper"]
