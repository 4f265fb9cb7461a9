"""Build throughput of one core by stage, and the speed-up of a second Ray worker.

One set is built twice from scratch: on a Ray cluster of one node with one core, and on one of two such nodes, each
time after the workers have loaded their libraries. A stage is a kind of task; its times are those that the build itself
records for its estimates. Every task runs on one thread.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import psutil

from benchmarks.schema import Measurement
from benchmarks.toy_set import fingerprint
from forge.building.build import BuildResult, build_set
from forge.building.estimate import RATES
from forge.building.spec import load_spec
from shared.actors import cast, film
from shared.engine import make_engine
from shared.engine.tasks import Engine, Task
from shared.errors import RunError, StorageError, UsageError
from shared.storage import read_json, write_text
from shared.video import probe

_PEOPLE = 4
_ACTOR_PX = 192
_NODE = {"num_cpus": 1, "object_store_memory": 80_000_000, "include_log_monitor": False}
_STAGES = {
    "shot": "cut, decode and find faces",
    "faceset": "align faces",
    "train": "train swappers",
    "master": "swap, paste and mask",
    "clips": "encode, map masks and sign",
}

_SETTINGS = """
renditions = ["c23", "c40", "reupload"]

[set]
name = "scaling"
license = "other"
finder = "{finder}"
frames = {frames}

[faces]
px = 96
embed_every = 0

[splits]
train = {train}
test = {test}

[[swapper]]
name = "light"
steps = [{steps}]
settings = {{ model = "lightweight", width = 0.25, batch = 8, preview_every = 1000 }}

[[manipulation]]
name = "alpha"
swapper = "light"
settings = {{ color = {{ method = "mkl" }} }}

[[manipulation]]
name = "poisson"
swapper = "light"
self_swaps = false
settings = {{ blend = {{ method = "poisson" }} }}
"""
_PERSON = '\n[[identity]]\nname = "{name}"\nrights = "for measurements only"\nclips = ["{clip}"]\n'


@dataclass(frozen=True)
class Build:
    """One build: its wall-clock seconds from plan to seal, result, and seconds of processor time by stage."""

    wall_seconds: float
    result: BuildResult
    stages: dict[str, float]
    digest: str


def make_settings(folder: Path, clips: Sequence[Path], *, frames: int, steps: int, finder: str) -> Path:
    """The ``set.toml`` of the set that is built: four people, of whom the first and the last two form a split each.

    Args:
        folder: of the file, and of the clips of procedural actors, if there are no others.
        clips: one per person, who is named like the file; none for actors.
        frames: of each clip; the shortest has to have that many.
        steps: of each of the two trainings.
        finder: face finder.

    Raises:
        UsageError: other than four clips.
    """
    people = list(clips) or _filmed(folder, frames)
    if len(people) != _PEOPLE:
        raise UsageError(f"{len(people)} clips were given", hint="four, of four people; or none, for actors")
    names = [clip.stem for clip in people]
    head = _SETTINGS.format(finder=finder, frames=frames, steps=steps, train=names[:2], test=names[2:])
    rest = "".join(_PERSON.format(name=clip.stem, clip=clip.resolve()) for clip in people)
    write_text(folder / "set.toml", head + rest)
    return folder / "set.toml"


def measure(
    clips: Sequence[Path],
    *,
    frames: int,
    steps: int,
    finder: str,
    say: Callable[[str], object] = lambda _: None,
) -> tuple[list[Measurement], dict[str, Any], tuple[str, ...]]:
    """Throughput of one core by stage, and the ratio of two workers to one; settings and notes that go with them.

    Raises:
        RunError: the builds differ.
        UsageError: Ray is not installed; other than four clips.
    """
    with TemporaryDirectory(prefix="assay-scaling-") as place:
        folder = Path(place)
        settings = make_settings(folder, clips, frames=frames, steps=steps, finder=finder)
        say("one worker, warm-up")
        with _cluster() as cluster:
            engine = cluster.engine()
            cluster.warm_up(engine)
            say("one worker")
            one = _build(settings, folder / "one", engine)
            cluster.add()
            cluster.warm_up(engine)
            say("two workers")
            two = _build(settings, folder / "two", engine)
        if one.digest != two.digest:
            raise RunError("one worker and two made different sets", hint="this is a defect; please report it")
        side = max(max(_size(clip)) for clip in clips) if clips else _ACTOR_PX
    facts = {
        "clips": one.result.listed, "people": _PEOPLE, "frames": frames, "longer_side_px": side, "steps": steps,
        "finder": finder, "source": "files" if clips else "procedural actors", "tasks": one.result.tasks,
    }  # fmt: skip
    return measurements(one, two), facts, _notes()


def measurements(one: Build, two: Build) -> list[Measurement]:
    """Clips per minute of one core, of every stage alone (the slowest marked), and of one and two workers."""
    clips = one.result.listed
    slowest = max(one.stages, key=lambda kind: one.stages[kind])
    found = [
        Measurement.of(
            "a whole build, of one core", "clips/min", [60 * clips / one.result.seconds], note="processor time of tasks"
        )
    ]
    for kind, seconds in one.stages.items():
        share = f"{100 * seconds / one.result.seconds:.0f} % of the time" + (", slowest" if kind == slowest else "")
        name = f"{kind}: {_STAGES[kind]}"
        found.append(Measurement.of(name, "clips/min", [60 * clips / max(seconds, 1e-9)], note=share))
    found += [
        Measurement.of("one Ray worker", "clips/min", [60 * clips / one.wall_seconds], note="wall clock"),
        Measurement.of("two Ray workers", "clips/min", [60 * clips / two.wall_seconds], note="wall clock"),
        Measurement.of("two Ray workers beside one", "times", [one.wall_seconds / two.wall_seconds]),
    ]
    return found


def _notes() -> tuple[str, ...]:
    cores = psutil.cpu_count() or 1
    load = os.getloadavg()[0]
    return (
        f"The machine has {'two' if cores == 2 else cores} cores. Each worker is a Ray node held to one of "
        "them; the command itself, which plans, lists and seals, runs on either.",
        "Both builds gave the same records, labels and masks.",
        f"The load was {load:.1f} at the end; where it is above two, other work took part of the cores.",
    )


def _build(settings: Path, out: Path, engine: Engine) -> Build:
    began = time.monotonic()
    result = build_set(load_spec(settings), out, engine=engine)
    wall = time.monotonic() - began
    known = read_json(out.with_name(f"{out.name}.build") / RATES, dict, error=StorageError)
    return Build(wall, result, {kind: known[kind][1] for kind in _STAGES if kind in known}, fingerprint(out))


class _Cluster:
    """A Ray cluster on this machine, every node with one core, and a connection that keeps its workers warm."""

    def __init__(self, cluster: Any) -> None:
        self._cluster = cluster
        self._nodes = 0
        self._pin(cluster.head_node)

    def engine(self) -> Engine:
        """An engine that uses this cluster."""
        return make_engine("ray", address=self._cluster.address)

    def add(self) -> None:
        """Adds a node."""
        self._pin(self._cluster.add_node(**_NODE))
        self._cluster.wait_for_nodes()

    def _pin(self, node: Any) -> None:
        """Pins a node, and the workers that it will start, to its own core, like a machine of one core."""
        cores = sorted(psutil.Process().cpu_affinity())
        raylet = psutil.Process(node.all_processes["raylet"][0].process.pid)
        for process in (raylet, *raylet.children(recursive=True)):
            process.cpu_affinity([cores[-1 - self._nodes % len(cores)]])
        self._nodes += 1

    def warm_up(self, engine: Engine) -> None:
        """Loads the libraries of a build on every node."""
        list(engine.run([Task(f"warm {n}", load_libraries) for n in range(2 * self._nodes)]))


def load_libraries() -> None:
    """Imports the libraries of a build, and waits for a second, so that every node gets one of these tasks."""
    import torch

    from forge.building.build import build_set

    # The first step of an optimiser imports torch's compiler.
    weight = torch.nn.Parameter(torch.zeros(1))
    torch.optim.Adam([weight]).step()
    time.sleep(1.0)
    del build_set


@contextmanager
def _cluster() -> Iterator[_Cluster]:
    make_engine("ray", address="127.0.0.1:1")  # raises the error if Ray is not installed
    import ray
    from ray.cluster_utils import Cluster

    # Ray would give its workers a lower priority than everything else on the machine.
    system = {"prestart_worker_first_driver": False, "worker_niceness": 0}
    cluster = Cluster(
        initialize_head=True, head_node_args={**_NODE, "include_dashboard": False, "_system_config": system}
    )
    try:
        ray.init(address=cluster.address, namespace="assay", log_to_driver=False, logging_level=logging.ERROR)
        yield _Cluster(cluster)
    finally:
        ray.shutdown()
        cluster.shutdown()


def _filmed(folder: Path, frames: int) -> list[Path]:
    clips = []
    for number, actor in enumerate(cast(_PEOPLE, 0)):
        path = folder / f"actor{number}.mp4"
        clips.append(film(actor, path, seconds=frames / 25, px=_ACTOR_PX, seed=number, audio=False))
    return clips


def _size(clip: Path) -> tuple[int, int]:
    info = probe(clip)
    return info.width, info.height
