"""A training run on disk: settings, facts, metrics, previews and checkpoints for exact resumption.

Independent of what is trained. A checkpoint is a mapping of names to tensors plus a small JSON document, stored as
one safetensors file; there is no pickle in it, and an unreadable checkpoint is skipped for the one before.

Layout of a run folder::

    config.toml  run.json  metrics.jsonl  events/  previews/  checkpoints/step-00001000.safetensors
"""

from __future__ import annotations

import json
import re
import types
from collections.abc import Collection, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from torch import Tensor

from shared import config as settings
from shared.console import console
from shared.errors import CheckpointError, RunError, StorageError, storage_errors
from shared.storage import folder_lock, is_draft, need_free_space, read_json, write_text
from shared.training.checkpoint import Checkpoint, is_snapshot, load_checkpoint, write_checkpoint
from shared.training.metrics import METRICS, read_metrics
from shared.training.state import run_facts

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter

_NAME = re.compile(r"step-(\d{8,12})\.safetensors")
_LOCK = ".lock"
_MAX_JSON_BYTES = 16 << 20


class Run:
    """An open run folder. Made by :meth:`open` or :meth:`open_or_create`; a context manager.

    While a run is open its folder is locked against a second trainer; the lock ends with the process.

    Attributes:
        path: the folder.
        kind: of the trained model ("swapper", "detector", ...).
        config: the settings it was created with, as plain values.
        facts: the contents of ``run.json``.
    """

    def __init__(
        self, path: Path, kind: str, config: dict[str, Any], facts: dict[str, Any], keep: int, lock: ExitStack
    ) -> None:
        self.path, self.kind, self.config, self.facts = path, kind, config, facts
        self._keep = keep
        self._events: SummaryWriter | None = None
        self._lock = lock

    @classmethod
    def _create(cls, path: Path, config: object, facts: dict[str, Any], keep: int) -> Run:
        """A new run in ``path``, which must be absent or empty."""
        _refuse_full(path)
        with _lock(path) as held:
            _refuse_full(path)  # another process may have made one meanwhile
            with storage_errors(path):
                (path / "checkpoints").mkdir(exist_ok=True)
                (path / "previews").mkdir(exist_ok=True)
            settings.write_toml(path / "config.toml", config)
            write_text(path / "run.json", json.dumps(facts, indent=2) + "\n")
            return cls(path, facts["kind"], settings.to_mapping(config), facts, keep, held.pop_all())

    @classmethod
    def open(cls, path: Path, *, kind: str | None = None, keep: int = 2) -> Run:
        """The run in ``path``.

        Raises:
            RunError: there is none, it is damaged, of another kind, or in use.
        """
        facts = read_facts(path)
        found = str(facts.get("kind", ""))
        if kind is not None and found != kind:
            raise RunError(f"{path} is a run of kind {found!r}, not {kind!r}", hint="choose the right run folder")
        run = cls(path, found, settings.read_toml(path / "config.toml"), facts, keep, _lock(path))
        for draft in (path / "checkpoints").glob(".*.part.*"):
            draft.unlink(missing_ok=True)
        return run

    @classmethod
    def open_or_create(
        cls,
        path: Path,
        config: object,
        *,
        seed: int,
        inputs: Mapping[str, str],
        kind: str,
        device: str = "cpu",
        keep: int = 2,
        may_change: tuple[str, ...] = (),
    ) -> Run:
        """The existing run in ``path``, or a new one.

        A run is resumed only with the settings and inputs it was created with; settings named in ``may_change`` are
        exempt and updated.

        Args:
            path: the folder.
            config: the resolved settings, a dataclass or a mapping.
            seed: of all random streams of the run.
            inputs: name and digest of all training data.
            kind: of the trained model.
            device: description of the device.
            keep: number of checkpoints kept beside snapshots.
            may_change: names of settings, see above.

        Raises:
            RunError: a setting or an input differs (the message names it), or the folder is not a run and not empty.
            StorageError: writing failed.
        """
        if not (path / "run.json").exists():
            return cls._create(path, config, {"kind": kind, **run_facts(device, seed, inputs)}, keep)
        run = cls.open(path, kind=kind, keep=keep)
        try:
            new = settings.to_mapping(config)
            _refuse_difference(path, settings.completed(run.config, config), new, may_change)
            _refuse_difference(path, {"input": run.facts.get("inputs", {})}, {"input": dict(inputs)}, ())
        except RunError:
            run.close()
            raise
        if new != run.config:
            settings.write_toml(path / "config.toml", config)
            run.config = new
        return run

    @property
    def previews(self) -> Path:
        """Folder of the preview images."""
        return self.path / "previews"

    @property
    def checkpoints(self) -> Path:
        """Folder of the checkpoints."""
        return self.path / "checkpoints"

    def checkpoint_path(self, step: int) -> Path:
        """Path of the checkpoint of ``step``."""
        return self.checkpoints / f"step-{step:08d}.safetensors"

    @property
    def metrics_file(self) -> Path:
        """Path of the metrics, JSON lines: ``{"step": 20, "loss": 0.1, ...}``."""
        return self.path / METRICS

    def log(self, step: int, **scalars: float) -> None:
        """Adds a line to ``metrics.jsonl`` and the same numbers to TensorBoard.

        Raises:
            StorageError: writing failed.
        """
        line = json.dumps({"step": step, **{name: float(value) for name, value in scalars.items()}})
        with storage_errors(self.metrics_file):
            with self.metrics_file.open("a", encoding="utf-8") as file:
                file.write(line + "\n")
            events = self._open_events()
            for name, value in scalars.items():
                events.add_scalar(name, value, step)

    def log_image(self, step: int, name: str, image: np.ndarray) -> None:
        """Adds an image (H, W, 3) uint8 RGB to TensorBoard.

        Raises:
            StorageError: writing failed.
        """
        with storage_errors(self.path):
            self._open_events().add_image(name, image, step, dataformats="HWC")

    def metrics(self) -> list[dict[str, float]]:
        """As :func:`read_metrics`."""
        return read_metrics(self.path)

    def save(
        self,
        step: int,
        tensors: Mapping[str, Tensor],
        meta: Mapping[str, Any],
        *,
        snapshot: bool = False,
        spare: Collection[int] = (),
    ) -> Path:
        """Saves a checkpoint atomically, and removes all but the last ``keep``.

        ``meta`` must be JSON; snapshots are never removed, and not now the newest one at or before each step of
        ``spare``.

        Raises:
            StorageError: writing failed or the disk is full.
        """
        size = sum(tensor.nbytes for tensor in tensors.values())
        need_free_space(self.checkpoints, int(size * 1.05) + _MAX_JSON_BYTES)
        path = self.checkpoint_path(step)
        write_checkpoint(path, tensors, {"step": step, "snapshot": snapshot, "meta": dict(meta)})
        spared = {self.newest_at(one) for one in spare}
        for _, old in self._numbered()[: -self._keep]:
            if old not in spared and not is_snapshot(old):
                old.unlink(missing_ok=True)
        return path

    def latest(self) -> Checkpoint | None:
        """The newest readable checkpoint; None when none was saved.

        A damaged one is skipped with a warning.

        Raises:
            CheckpointError: there are checkpoints and none can be read.
        """
        found = self._numbered()
        for _, path in reversed(found):
            try:
                return load_checkpoint(path)
            except CheckpointError as error:
                console.warn(f"{error}; trying the one before")
        if found:
            raise CheckpointError(f"no checkpoint in {self.checkpoints} can be read", hint="start a new run")
        return None

    def newest_at(self, step: int) -> Path | None:
        """The newest checkpoint of ``step`` or before; None if there is none."""
        return next((path for number, path in reversed(self._numbered()) if number <= step), None)

    def rewind(self, step: int) -> None:
        """Removes metrics of later steps, so that a resumed run does not log them twice."""
        kept = [line for line in self.metrics() if line.get("step", 0) <= step]
        if self.metrics_file.exists():
            write_text(self.metrics_file, "".join(json.dumps(line) + "\n" for line in kept))
        self._close_events()
        self._events = self._new_events(purge_step=step + 1)

    def close(self) -> None:
        """Flushes open files and unlocks the folder. Idempotent."""
        self._close_events()
        self._lock.close()

    def __enter__(self) -> Run:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: types.TracebackType | None
    ) -> None:
        self.close()

    def _open_events(self) -> SummaryWriter:
        if self._events is None:
            self._events = self._new_events(purge_step=None)
        return self._events

    def _new_events(self, purge_step: int | None) -> SummaryWriter:
        from torch.utils.tensorboard import SummaryWriter

        return SummaryWriter(str(self.path / "events"), purge_step=purge_step)

    def _close_events(self) -> None:
        if self._events is not None:
            self._events.close()
            self._events = None

    def _numbered(self) -> list[tuple[int, Path]]:
        found = ((_NAME.fullmatch(path.name), path) for path in self.checkpoints.glob("step-*.safetensors"))
        return sorted((int(match[1]), path) for match, path in found if match)


def read_facts(path: Path) -> dict[str, Any]:
    """The contents of a run's ``run.json``: kind, seed, inputs, versions and machine.

    Raises:
        RunError: the folder is not a run, or the file is damaged.
    """
    file = path / "run.json"
    if not file.is_file():
        raise RunError(f"{path} is not a run folder: it has no run.json", hint="check the path")
    return read_json(file, dict, _MAX_JSON_BYTES, error=RunError, hint="start a new run in another folder")


def _refuse_difference(
    path: Path, old: Mapping[str, Any], new: Mapping[str, Any], may_change: tuple[str, ...], prefix: str = ""
) -> None:
    for key in sorted({*old, *new}):
        if not prefix and key in may_change:
            continue
        before, now = old.get(key), new.get(key)
        if isinstance(before, Mapping) and isinstance(now, Mapping):
            _refuse_difference(path, before, now, (), f"{prefix}{key}.")
        elif before != now:
            raise RunError(
                f"{path} was created with {prefix}{key} = {before!r}, not {now!r}",
                hint="resume with the settings in its config.toml, or choose a new run folder",
            )


def _lock(path: Path) -> ExitStack:
    """Holds the folder until it is closed, or until the process ends."""
    held = ExitStack()
    try:
        held.enter_context(folder_lock(path / _LOCK, timeout_seconds=0))
    except StorageError as error:
        if not isinstance(error.__cause__, TimeoutError):
            raise
        raise RunError(f"{path} is in use by another process", hint="wait, or choose a new run folder") from error
    return held


def _refuse_full(path: Path) -> None:
    """Refuses what is neither an empty folder nor one that a process was killed in before it wrote ``run.json``."""
    if path.exists() and (not path.is_dir() or _holds_more(path)):
        hint = "choose a new run folder, or resume the run that is in it"
        raise RunError(f"{path} holds something already", hint=hint)


def _holds_more(path: Path) -> bool:
    names = {child.name for child in path.iterdir() if child.name != _LOCK and not is_draft(child.name)}
    made = {name for name in ("checkpoints", "previews") if (path / name).is_dir() and not any((path / name).iterdir())}
    return bool(names - made - ({"config.toml"} if len(made) == 2 else set()))
