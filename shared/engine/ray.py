"""The Ray engine: tasks on a cluster of machines, scheduled by Ray.

Ray gives a task to any machine with a free core (or GPU), rebalances queues, and repeats the tasks of a lost machine.
Added here: dependencies between tasks, a check that every machine sees the same files and has the same versions, and
clean termination.

Every machine must see the same folders under the same paths, and have Assay installed.
"""

from __future__ import annotations

import importlib
import logging
import os
import secrets
import signal
import socket
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from shared.console import console
from shared.engine.tasks import Done, Engine, Task, TaskGraph, run_task
from shared.errors import AssayError, RunError, StorageError, UsageError, storage_errors
from shared.home import config_home

_TRIES = 4
_QUEUED_A_CORE = 2
_PATIENCE_SECONDS = 10.0
_CANCEL_SECONDS = 10.0
_SHARED_ENVIRONMENT = ("ASSAY_", "XDG_CONFIG_HOME")
# Libraries that determine the output bytes.
_VERSIONS = ("assay", "torch", "timm", "numpy", "opencv-python", "dlib-bin", "av", "pyarrow", "c2pa-python")


class RayEngine(Engine):
    """Runs tasks on a Ray cluster. This process must run on one of its machines.

    If a worker or its machine dies, Ray repeats the task elsewhere, up to three times. When the run ends early, running
    tasks are cancelled; a training then saves its state first.

    Args:
        address: HOST:PORT of the cluster; None for the one in RAY_ADDRESS, or the one this machine belongs to.
        jobs: number of parallel tasks on all machines together; None for one per core.

    Raises:
        UsageError: fewer than one job, an address of another kind, or Ray is not installed.
    """

    def __init__(self, address: str | None = None, *, jobs: int | None = None) -> None:
        if jobs is not None and jobs < 1:
            raise UsageError(f"jobs must be 1 or more, got {jobs}", hint="leave it out for one per core")
        address = address or os.environ.get("RAY_ADDRESS") or "auto"
        if "://" in address:
            raise UsageError(
                f"{address} is not HOST:PORT",
                hint="run the command on a machine of the cluster (ray start --address HOST:6379 makes it one)",
            )
        self.address = address
        self.jobs = jobs
        self._ray = _load_ray()
        self._folders: dict[str, Path] = {}
        self._files: dict[Path, Path] = {}

    def need(self, folders: Sequence[Path], files: Sequence[Path] = ()) -> None:
        """See :class:`shared.engine.tasks.Engine`. Of the files of one folder, only one is checked."""
        self._folders.update({str(folder.resolve()): folder.resolve() for folder in folders})
        for file in files:
            self._files.setdefault(file.absolute().parent, file.absolute())

    def run(self, tasks: Sequence[Task]) -> Iterator[Done]:
        """See :class:`shared.engine.tasks.Engine`.

        Raises:
            UsageError: no cluster answers.
            StorageError: a machine does not see the same files.
            RunError: a machine has other versions, or a task failed too often.
        """
        graph = TaskGraph(tasks)
        if not len(graph):
            return
        with ExitStack() as stack:
            stack.enter_context(_connected(self._ray, self.address))
            marks = stack.enter_context(_marked(list(self._folders.values())))
            setup = self._ray.put(_setup_for(marks, list(self._files.values())))
            yield from _Run(self._ray, graph, setup, self.jobs).results()


class _Run:
    """One run on a connected cluster."""

    def __init__(self, ray: Any, graph: TaskGraph, setup: Any, jobs: int | None) -> None:
        self._ray, self._graph, self._setup, self._jobs = ray, graph, setup, jobs
        self._remote = ray.remote(_work)
        self._running: dict[Any, Task] = {}
        self._warned = False

    def results(self) -> Iterator[Done]:
        try:
            while self._graph.unfinished:
                self._submit()
                ready, _ = self._ray.wait(list(self._running), timeout=_PATIENCE_SECONDS)
                if not ready:
                    self._warn_without_workers()
                for reference in ready:
                    yield self._done(reference, self._running.pop(reference))
        finally:
            self._cancel()

    def _submit(self) -> None:
        """Submits ready tasks, only as many as keep every core busy, so that their order stays ours."""
        resources = self._ray.cluster_resources()
        most = self._jobs or max(2, _QUEUED_A_CORE * int(resources.get("CPU", 1)))
        while len(self._running) < most and (task := self._graph.take()) is not None:
            options = {"num_cpus": 1, "num_gpus": _gpus(task, resources), "max_retries": _TRIES - 1}
            remote = self._remote.options(**options, name=f"assay {task.key}"[:200])
            self._running[remote.remote(self._setup, task.function, task.arguments)] = task

    def _done(self, reference: Any, task: Task) -> Done:
        outcome = self._fetched(reference, task)
        for warning in outcome.warnings:
            console.warn(warning)
        if outcome.error is not None:
            raise outcome.error
        self._graph.finish(task.key)
        return Done(task.key, outcome.result, outcome.seconds)

    def _fetched(self, reference: Any, task: Task) -> _Outcome:
        errors = self._ray.exceptions
        try:
            return self._ray.get(reference)
        except errors.RayTaskError as error:
            if "failed to import" in str(error) or isinstance(error.cause, ModuleNotFoundError):
                raise RunError(
                    f"a machine of the cluster cannot run {task.key}: Assay, or a part of it, is missing there",
                    hint="install the same Assay with the same extras on every machine, then ray start there again",
                ) from error
            raise error.cause from error
        except errors.RayError as error:
            raise RunError(
                f"{task.key} could not be finished: its worker or its machine was lost {_TRIES} times, "
                f"or the cluster is gone ({type(error).__name__})",
                hint="look at ray status and at the machines' memory; run the same command again, "
                "what was finished is kept",
            ) from error

    def _warn_without_workers(self) -> None:
        resources = self._ray.cluster_resources()
        wanted = {"CPU"} | {"GPU" for task in self._running.values() if _gpus(task, resources)}
        missing = sorted(name for name in wanted if resources.get(name, 0) < 1)
        if missing and not self._warned:
            console.warn(f"no machine of the cluster has a {' or '.join(missing)}: waiting for one (see ray status)")
        self._warned = bool(missing)

    def _cancel(self) -> None:
        """Cancels running tasks: gracefully first, then by force."""
        left = list(self._running)
        for force in (False, True):
            for reference in left:
                self._ray.cancel(reference, force=force)
            if left:
                _, left = self._ray.wait(left, num_returns=len(left), timeout=_CANCEL_SECONDS)


@dataclass(frozen=True)
class _Setup:
    """Checks of a worker before its first task.

    Attributes:
        marks: marker files in the folders that tasks write to; files: files that tasks read, with sizes.
        home: folder of the driver's signing key, if tasks sign.
        environment: variables that tasks read.
        versions: of the libraries that determine the output bytes.
        patience_seconds: how long to wait for a file on a network drive.
    """

    marks: tuple[str, ...]
    files: tuple[tuple[str, int], ...] = ()
    home: str | None = None
    environment: tuple[tuple[str, str], ...] = ()
    versions: tuple[tuple[str, str], ...] = ()
    patience_seconds: float = _PATIENCE_SECONDS


@dataclass(frozen=True)
class _Outcome:
    """Outcome of a task: its result or its ``AssayError``, and its warnings."""

    result: Any = None
    seconds: float = 0.0
    error: AssayError | None = None
    warnings: list[str] = field(default_factory=list)


def _work(setup: _Setup, function: Any, arguments: tuple[Any, ...]) -> _Outcome:
    """Runs a task on a worker. An ``AssayError`` is returned, because Ray would wrap it in pages of text."""
    with console.warnings_kept() as said:
        try:
            _prepare(setup)
            result, seconds = run_task(function, arguments)
        except AssayError as error:
            return _Outcome(error=error, warnings=said)
    return _Outcome(result, seconds, warnings=said)


@lru_cache(maxsize=4)
def _prepare(setup: _Setup) -> None:
    """Checks once per worker that this machine is set up like the others.

    Raises:
        RunError: other versions.
        StorageError: other files.
    """
    os.environ.update(setup.environment)
    console.configure(quiet=True)
    host = socket.gethostname()
    _check_versions(setup, host)
    for path, size in (*((mark, None) for mark in setup.marks), *setup.files):
        _see(Path(path), size, host, setup.patience_seconds)
    if setup.home is not None and str(config_home()) != setup.home:
        raise StorageError(
            f"{host} keeps signing keys in {config_home()}, this machine in {setup.home}",
            hint="set ASSAY_HOME to one folder that every machine sees",
        )


def _check_versions(setup: _Setup, host: str) -> None:
    here = dict(_versions())
    other = [
        f"{name} {here.get(name, 'missing')}, not {wanted}"
        for name, wanted in setup.versions
        if here.get(name) != wanted
    ]
    if other:
        raise RunError(
            f"{host} has other versions, and would give other results: {'; '.join(other)}",
            hint="install the same versions on every machine",
        )


def _see(path: Path, size: int | None, host: str, patience_seconds: float) -> None:
    """Waits until ``path`` exists, with ``size`` if given; network drives are slow."""
    end = time.monotonic() + patience_seconds
    while not path.is_file() or size not in (None, path.stat().st_size):
        if time.monotonic() >= end:
            raise StorageError(
                f"{host} does not see {path.parent} as the machine that gave the command does",
                hint="use folders that all machines see, under the same paths: a network drive",
            )
        time.sleep(min(0.2, patience_seconds))
    if size is None and not os.access(path.parent, os.W_OK):
        raise StorageError(f"{host} may not write into {path.parent}", hint="check the folder's owner and permissions")


def _setup_for(marks: Sequence[Path], files: Sequence[Path]) -> _Setup:
    environment = {name: os.environ[name] for name in sorted(os.environ) if name.startswith(_SHARED_ENVIRONMENT)}
    sizes = [(str(file), file.stat().st_size) for file in files if file.is_file()]
    signs = any(mark.parent == config_home().resolve() for mark in marks)
    return _Setup(
        tuple(str(mark) for mark in marks),
        tuple(sizes),
        str(config_home()) if signs else None,
        tuple(environment.items()),
        _versions(),
    )


def _versions() -> tuple[tuple[str, str], ...]:
    """Versions of Python (without its last number) and of the libraries that determine the output bytes."""
    found = [("python", f"{sys.version_info.major}.{sys.version_info.minor}")]
    for name in _VERSIONS:
        try:
            found.append((name, version(name)))
        except PackageNotFoundError:
            continue
    return tuple(found)


@contextmanager
def _marked(folders: Sequence[Path]) -> Iterator[list[Path]]:
    """Creates a randomly named file in each folder, for workers to check; removed afterwards."""
    name = f".assay-seen-{secrets.token_hex(8)}"
    marks = [folder / name for folder in folders]
    try:
        for mark in marks:
            with storage_errors(mark):
                mark.parent.mkdir(parents=True, exist_ok=True)
                mark.touch()
        yield marks
    finally:
        for mark in marks:
            mark.unlink(missing_ok=True)


@contextmanager
def _connected(ray: Any, address: str) -> Iterator[None]:
    """A connection to the cluster; an existing one is reused and left open."""
    if ray.is_initialized():
        yield
        return
    before = signal.getsignal(signal.SIGTERM)
    try:
        _check_reachable(address)
        ray.init(address=address, namespace="assay", log_to_driver=False, logging_level=logging.ERROR)
    except (ConnectionError, RuntimeError, ValueError, OSError, TimeoutError) as error:
        where = "on this machine" if address == "auto" else f"at {address}"
        raise UsageError(
            f"no Ray cluster answers {where}: {str(error).splitlines()[0] if str(error) else type(error).__name__}",
            hint="ray start --head on one machine, ray start --address HOST:6379 on this one and the others, "
            "then --address HOST:6379",
        ) from error
    try:
        yield
    finally:
        ray.shutdown()
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, before)


def _check_reachable(address: str) -> None:
    """Checks that HOST:PORT accepts connections: Ray itself would wait for minutes.

    Raises:
        OSError: it does not.
    """
    host, colon, port = address.rpartition(":")
    if colon and port.isdigit():
        socket.create_connection((host.strip("[]"), int(port)), timeout=_PATIENCE_SECONDS).close()


def _gpus(task: Task, resources: dict[str, float]) -> float:
    """Number of GPUs a task needs; Ray assigns them, so an index after ``cuda:`` is not supported.

    Raises:
        UsageError: the task names an index.
    """
    if task.device.startswith("cuda:"):
        raise UsageError(f"on a cluster {task.device} cannot be reserved", hint='write device = "cuda": Ray chooses')
    if task.device == "cuda":
        return 1
    return 1 if task.device == "auto" and resources.get("GPU", 0) >= 1 else 0


def _load_ray() -> Any:
    # Before the import, which reads them: no usage statistics, and no log lines of workers in our output.
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    os.environ.setdefault("RAY_DEDUP_LOGS_SKIP_REGEX", ".")
    try:
        return importlib.import_module("ray")
    except ImportError as error:
        raise UsageError("Ray is not installed", hint="pip install 'assay[ray]', on every machine") from error
