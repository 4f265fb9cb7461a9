from __future__ import annotations

import os
import pickle
import time
from pathlib import Path

import pytest

from shared.engine import make_engine
from shared.engine.local import LocalEngine
from shared.engine.tasks import Done, Task, TaskGraph
from shared.errors import MediaError, RunError, UsageError


def _add(*numbers: int) -> int:
    return sum(numbers)


def _fail(message: str) -> None:
    raise MediaError(message, hint="try another file")


def _note(path: str, word: str) -> None:
    with Path(path).open("a") as file:
        file.write(word + "\n")


def _die() -> None:
    os._exit(3)


def _process(folder: str) -> int:
    """Its process, once two of them have begun."""
    Path(folder, str(os.getpid())).touch()
    deadline = time.monotonic() + 120
    while len(list(Path(folder).iterdir())) < 2 and time.monotonic() < deadline:
        time.sleep(0.01)
    return os.getpid()


def test_tasks_wait_for_those_before_them(tmp_path):
    log = str(tmp_path / "log")
    tasks = [
        Task("c", _note, (log, "c"), after=("a", "b")),
        Task("b", _note, (log, "b"), after=("a", "done before")),
        Task("a", _note, (log, "a")),
        Task("d", _note, (log, "d")),
    ]
    done = [one.key for one in LocalEngine(1).run(tasks)]
    assert done == ["a", "b", "c", "d"]
    assert Path(log).read_text().split() == done


def test_results_come_with_their_key_and_time():
    (done,) = LocalEngine(1).run([Task("sum", _add, (1, 2, 3))])
    assert isinstance(done, Done)
    assert (done.key, done.result) == ("sum", 6)
    assert done.seconds >= 0


def test_earlier_tasks_begin_first():
    graph = TaskGraph([Task("a", _add), Task("b", _add, after=("a",)), Task("c", _add)])
    first, second = graph.take(), graph.take()
    assert first is not None
    assert second is not None
    assert (first.key, second.key, graph.take()) == ("a", "c", None)
    graph.finish("a")
    third = graph.take()
    assert third is not None
    assert third.key == "b"
    assert graph.unfinished == 2


def test_circles_and_twins_are_refused():
    with pytest.raises(ValueError, match="one another: a, b"):
        TaskGraph([Task("a", _add, after=("b",)), Task("b", _add, after=("a",)), Task("c", _add)])
    with pytest.raises(ValueError, match="one key"):
        TaskGraph([Task("a", _add), Task("a", _add)])


def test_a_failing_task_says_why_and_the_rest_is_left(tmp_path):
    log = str(tmp_path / "log")
    tasks = [Task("a", _fail, ("bad.mp4 is empty",)), Task("b", _note, (log, "b"), after=("a",))]
    with pytest.raises(MediaError, match=r"bad\.mp4") as caught:
        list(LocalEngine(1).run(tasks))
    assert caught.value.hint == "try another file"
    assert not Path(log).exists()


def test_processes_work_side_by_side_and_errors_keep_their_class_and_hint(tmp_path):
    tasks = [Task(str(n), _process, (str(tmp_path),)) for n in range(4)]
    pids = {done.result for done in LocalEngine(2).run(tasks)}
    assert os.getpid() not in pids
    assert len(pids) == 2
    with pytest.raises(MediaError, match="no") as caught:
        list(LocalEngine(2).run([Task("a", _fail, ("no",)), Task("b", _add)]))
    assert caught.value.hint == "try another file"


def test_a_worker_that_dies_is_reported():
    with pytest.raises(RunError, match="worker process died"):
        list(LocalEngine(2).run([Task("a", _die), Task("b", time.sleep, (0.2,))]))


def test_errors_travel_between_processes_with_their_hint():
    error = pickle.loads(pickle.dumps(MediaError("no", hint="do")))  # noqa: S301 - our own
    assert (type(error), str(error), error.hint) == (MediaError, "no", "do")


def test_engines_are_made_by_name():
    assert isinstance(make_engine("local", jobs=2), LocalEngine)
    for wrong in ({"name": "cloud"}, {"jobs": 0}, {"address": "here"}):
        with pytest.raises(UsageError):
            make_engine(**wrong)  # type: ignore[arg-type]
