from __future__ import annotations

import importlib.util
import logging
import os
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from benchmarks.toy_set import fingerprint, toy_set
from forge.building import build
from forge.building.build import build_set
from forge.building.spec import load_spec
from shared.engine import make_engine
from shared.engine import ray as engine_ray
from shared.engine.local import LocalEngine
from shared.engine.tasks import Task
from shared.errors import MediaError, RunError, StorageError, UsageError
from shared.faces.facesets.extract_config import ExtractConfig
from shared.faces.facesets.extract_each import extract_each, people_in
from shared.home import config_home

pytestmark = pytest.mark.slow

if importlib.util.find_spec("ray") is None:
    pytest.skip("Ray is not installed", allow_module_level=True)
ray = engine_ray._load_ray()

NODE = {"num_cpus": 1, "object_store_memory": 80_000_000, "include_log_monitor": False}


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    """Two nodes of one core each. The settings shorten what a lost node costs."""
    from ray.cluster_utils import Cluster

    # Where the tests were started in the background, Ctrl-C is ignored, and workers would inherit that.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    # Workers need not import this file, and with it torch, for each test.
    ray.cloudpickle.register_pickle_by_value(sys.modules[__name__])
    system = {
        "health_check_initial_delay_ms": 0,
        "health_check_period_ms": 200,
        "health_check_failure_threshold": 5,
        "prestart_worker_first_driver": False,
        "worker_niceness": 0,
    }
    cluster = Cluster(
        initialize_head=True, head_node_args={**NODE, "include_dashboard": False, "_system_config": system}
    )
    cluster.add_node(**NODE)
    yield cluster
    ray.shutdown()
    cluster.shutdown()
    signal.signal(signal.SIGINT, before)
    ray.cloudpickle.unregister_pickle_by_value(sys.modules[__name__])
    logging.getLogger("ray").setLevel(logging.NOTSET)


@pytest.fixture
def session(cluster: Any) -> Any:
    """The cluster with a connection that stays, as a caller may have one."""
    if not ray.is_initialized():
        ray.init(address=cluster.address, namespace="assay", log_to_driver=False, logging_level=logging.ERROR)
    return cluster


def _add(*numbers: int) -> int:
    return sum(numbers)


def _refuse(message: str) -> None:
    raise MediaError(message, hint="try another file")


def _stumble() -> None:
    raise LookupError("no such thing")


def _warn(message: str) -> None:
    from shared.console import console

    console.warn(message)


def _node(folder: str) -> str:
    """Its node, once two of them have begun."""
    node = ray.get_runtime_context().get_node_id()
    Path(folder, node).touch()
    deadline = time.monotonic() + 120
    while len(list(Path(folder).iterdir())) < 2 and time.monotonic() < deadline:
        time.sleep(0.02)
    return node


def _node_but(lost: str, folder: str) -> str:
    """Its node, once another task has begun on the node that will be lost, where none ever ends."""
    node = ray.get_runtime_context().get_node_id()
    if node == lost:
        Path(folder, "begun").touch()
        time.sleep(300)
    assert _comes(Path(folder, "begun"), seconds=120)
    return node


def _die_once(mark: str) -> str:
    """The first time, its worker is killed in the middle."""
    if not Path(mark).exists():
        Path(mark).touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return "done"


def _wait_or_say(folder: str) -> None:
    """Says that it began, and that it was asked to end."""
    try:
        # Asked to end from here on: the one who waits for this file may ask at once.
        Path(folder, "began").touch()
        for _ in range(1200):
            time.sleep(0.05)
    except KeyboardInterrupt:
        Path(folder, "ended").touch()
        raise


def test_tasks_in_their_order_on_both_nodes_with_their_results(cluster, tmp_path):
    tasks = [Task(f"node{n}", _node, (str(tmp_path),)) for n in range(6)]
    tasks += [Task("sum", _add, (1, 2), after=("node0", "node5"))]
    ray.shutdown()
    done = {one.key: one for one in make_engine("ray", address=cluster.address).run(tasks)}
    order = list(done)
    assert order.index("sum") > max(order.index("node0"), order.index("node5"))
    assert done["sum"].result == 3
    assert len({done[f"node{n}"].result for n in range(6)}) == 2
    assert not ray.is_initialized()


def test_no_cluster_and_wrong_words_are_refused(monkeypatch):
    ray.shutdown()
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    for wrong in ({"jobs": 0}, {"address": "ray://host:10001"}):
        with pytest.raises(UsageError):
            make_engine("ray", **wrong)  # type: ignore[arg-type]
    monkeypatch.setenv("RAY_ADDRESS", "ray://host:10001")
    with pytest.raises(UsageError, match="is not HOST:PORT"):
        make_engine("ray")
    monkeypatch.delenv("RAY_ADDRESS")
    engine = make_engine("ray", address="127.0.0.1:1")
    assert list(engine.run([])) == []
    with pytest.raises(UsageError, match=r"no Ray cluster answers at 127\.0\.0\.1:1: .*refused"):
        list(engine.run([Task("a", _add)]))
    monkeypatch.setattr(ray, "init", _no_answer)
    with pytest.raises(UsageError, match="no Ray cluster answers on this machine: nobody there") as caught:
        list(make_engine("ray").run([Task("a", _add)]))
    assert "ray start" in (caught.value.hint or "")
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(UsageError, match="not installed"):
        make_engine("ray")


def _no_answer(**_: object) -> None:
    raise ConnectionError("nobody there\nmore words")


@pytest.mark.slow
def test_a_build_gives_what_the_local_engine_gives_and_a_lost_worker_changes_nothing(
    session, tmp_path, monkeypatch, capsys
):
    settings = toy_set(tmp_path / "clips")
    # Every kind of task, few of each.
    settings.write_text(settings.read_text().partition('[[manipulation]]\nname = "ladder"')[0])
    spec = load_spec(settings)
    build_set(spec, tmp_path / "here", engine=LocalEngine(1))
    mark = str(tmp_path / "killed")
    monkeypatch.setitem(build._FUNCTIONS, "shot", _Killed("make_shot", mark))
    result = build_set(spec, tmp_path / "there", engine=make_engine("ray", address=session.address))
    assert Path(mark).exists()
    assert capsys.readouterr().out == ""
    assert result.made == result.listed == 12
    assert fingerprint(tmp_path / "there") == fingerprint(tmp_path / "here")
    assert [path for path in tmp_path.rglob(".assay-seen*")] == []


def test_facesets_of_many_clips_are_what_one_machine_extracts(session, tmp_path):
    """After the build, whose workers have the libraries."""
    toy_set(tmp_path / "clips")
    config = ExtractConfig("each", "synthetic", finder="sidecar", px=48, min_face_px=16, embed_every=0)
    people = people_in([tmp_path / "clips"])
    here = extract_each(people, tmp_path / "here", config, engine=LocalEngine(1))
    there = extract_each(people, tmp_path / "there", config, engine=make_engine("ray", address=session.address))
    assert there == here
    assert [one.kept for one in here] == [8, 8]
    for path in (tmp_path / "here").rglob("*.*"):
        assert (
            path.is_dir()
            or path.read_bytes() == (tmp_path / "there" / path.relative_to(tmp_path / "here")).read_bytes()
        )


class _Killed:
    """A task of a build whose worker is killed once before it."""

    def __init__(self, name: str, mark: str) -> None:
        self.name, self.mark = name, mark

    def __call__(self, order: Any) -> Any:
        _die_once(self.mark)
        return getattr(importlib.import_module("forge.building.steps"), self.name)(order)


def test_errors_keep_class_and_hint_and_warnings_are_shown(session, capsys):
    engine = make_engine("ray", address=session.address)
    with pytest.raises(MediaError, match=r"^bad\.mp4 is empty$") as caught:
        list(engine.run([Task("a", _refuse, ("bad.mp4 is empty",))]))
    assert caught.value.hint == "try another file"
    with pytest.raises(LookupError, match="no such thing"):
        list(engine.run([Task("a", _stumble)]))
    list(engine.run([Task("a", _warn, ("one packet is damaged",))]))
    assert "one packet is damaged" in capsys.readouterr().err


def test_a_machine_that_sees_other_files_is_refused(session, tmp_path, monkeypatch):
    clip = tmp_path / "clip.mp4"
    clip.write_bytes(b"12345")
    engine = make_engine("ray", address=session.address)
    engine.need([tmp_path / "out"], [clip])
    real = engine_ray._setup_for
    monkeypatch.setattr(engine_ray, "_setup_for", lambda marks, files: _longer(real(marks, files)))
    with pytest.raises(StorageError, match="does not see") as caught:
        list(engine.run([Task("a", _add, (2,))]))
    assert str(tmp_path) in str(caught.value)


def _longer(setup: Any) -> Any:
    """As if the driver saw one byte more of each file than the workers do."""
    from dataclasses import replace

    return replace(setup, files=tuple((path, size + 1) for path, size in setup.files), patience_seconds=0.0)


def test_a_run_that_is_left_ends_its_tasks(session, tmp_path):
    run = make_engine("ray", address=session.address).run(
        [Task("quick", _add, (1,)), Task("slow", _wait_or_say, (str(tmp_path),))]
    )
    assert next(run).key == "quick"
    # A worker on a busy machine takes its time to start, and a cancelled task to write.
    assert _comes(tmp_path / "began", seconds=90)
    run.close()  # type: ignore[attr-defined]
    assert _comes(tmp_path / "ended", seconds=90)


def _comes(path: Path, *, seconds: float) -> bool:
    """Whether ``path`` is there within so many seconds."""
    deadline = time.monotonic() + seconds
    while not path.exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    return path.exists()


def test_what_a_worker_checks_before_its_first_task(tmp_path, monkeypatch):
    mark = tmp_path / "mark"
    mark.touch()
    engine_ray._prepare(engine_ray._Setup((str(mark),), patience_seconds=0.0, versions=engine_ray._versions()))
    with pytest.raises(StorageError, match="does not see"):
        engine_ray._prepare(engine_ray._Setup((str(tmp_path / "none" / "mark"),), patience_seconds=0.0))
    with pytest.raises(RunError, match=r"torch .*, not 0\.1; nothing missing, not 3"):
        engine_ray._prepare(engine_ray._Setup((), versions=(("torch", "0.1"), ("nothing", "3"))))
    home = engine_ray._Setup((), home=str(config_home()))
    engine_ray._prepare(home)
    monkeypatch.setenv("ASSAY_HOME", str(tmp_path / "elsewhere"))
    with pytest.raises(StorageError, match="signing keys"):
        engine_ray._prepare(engine_ray._Setup((), home=home.home, patience_seconds=1.0))


def test_gpus_are_asked_for_by_device():
    def gpus(device: str, there: int) -> float:
        return engine_ray._gpus(Task("a", _add, device=device), {"GPU": there})

    assert [gpus("cpu", 1), gpus("cuda", 0), gpus("auto", 0), gpus("auto", 2)] == [0, 1, 0, 1]
    with pytest.raises(UsageError, match="cuda:1"):
        gpus("cuda:1", 4)


def test_the_tasks_of_a_lost_machine_are_done_by_another(session, tmp_path):
    third = session.add_node(**NODE)
    tasks = [Task(f"node{n}", _node_but, (third.node_id, str(tmp_path))) for n in range(6)]
    nodes = []
    for done in make_engine("ray", address=session.address).run(tasks):
        if not nodes:
            session.remove_node(third, allow_graceful=False)
        nodes.append(done.result)
    assert len(nodes) == 6
    assert third.node_id not in nodes
