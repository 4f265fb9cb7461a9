"""Jobs run as child processes with limits; their record is in files, and they end with the server."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from shared.errors import RunError, UsageError
from shared.web.jobs.command import CommandError, run_command
from shared.web.jobs.queue import JobQueue
from shared.web.jobs.record import Job, JobRecord, record, records
from tests.shared.web.conftest import write_case

SLEEP = "import time; print('on', flush=True); time.sleep(60)"


def wait_for(found: Callable[[], bool], seconds: float = 60.0) -> None:
    until = time.monotonic() + seconds
    while not found():
        assert time.monotonic() < until
        time.sleep(0.05)


def job(*words: str, kind: str = "inspect", memory: int = 4 << 30, seconds: float = 60.0) -> Job:
    return Job(kind, " ".join(words), words, memory, seconds, {})


@pytest.fixture
def jobs(tmp_path: Path) -> Path:
    folder = tmp_path / "serve" / "jobs"
    folder.mkdir(parents=True)
    return folder


@pytest.fixture
def program(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Has the queue run a Python program in place of a command of Assay, with the same limits."""

    def choose(code: str) -> None:
        boot = "import sys; from shared.web.jobs.limits import limit_job; "
        boot += f"limit_job(int(sys.argv.pop(1)), int(sys.argv.pop(1))); exec({code!r})"
        monkeypatch.setattr("shared.web.jobs.queue.BOOT", boot)

    return choose


def test_a_command_of_assay_runs_and_its_failure_is_its_own_sentence(jobs):
    queue = JobQueue(jobs)
    good, bad = queue.add(job("--version")), queue.add(job("case", "verify", "missing"))
    queue.start()
    wait_for(lambda: bad.state().state not in ("waiting", "running"))
    queue.close()
    assert good.state().state == "done"
    assert good.output().startswith("assay ")
    assert (bad.state().state, bad.state().code) == ("failed", 1)
    assert bad.state().why == "missing is no case"
    assert bad.shown()["why"] == "missing is no case"


def test_a_job_survives_a_reload_but_not_the_end_of_its_server(jobs, program):
    program(SLEEP)
    queue = JobQueue(jobs)
    first, second = queue.add(job("a")), queue.add(job("b"))
    queue.start()
    wait_for(lambda: first.output() == "on\n" and first.state().state == "running")
    [one, other] = records(jobs)  # what a page that is loaded anew reads
    assert (one.state().state, other.state().state) == ("running", "waiting")
    pid = first.state().pid
    queue.close()
    assert first.state().state == "stopped"
    assert first.state().why == "the server was stopped"
    assert not psutil.pid_exists(pid)
    assert second.state().state == "waiting"  # for the next server


def test_a_job_that_a_killed_server_left_is_marked(jobs):
    one = JobRecord.create(jobs, job("a"))
    one.change(state="running", pid=999_999_999, began=time.time())
    queue = JobQueue(jobs)
    queue.start()
    queue.close()
    assert (one.state().state, one.state().why) == ("stopped", "the server ended while it ran")


def test_stop_ends_what_runs_and_takes_out_what_waits(jobs, program):
    program(SLEEP)
    queue = JobQueue(jobs)
    first, second = queue.add(job("a")), queue.add(job("b"))
    queue.start()
    wait_for(lambda: first.output() == "on\n")
    queue.stop(second.key)
    wait_for(lambda: second.state().state == "stopped")
    queue.stop(first.key)
    wait_for(lambda: first.state().state == "stopped")
    queue.close()
    assert first.state().why == "stopped from the page"
    assert second.state().why == "taken out of the queue"


@pytest.mark.parametrize(
    ("code", "limits", "why"),
    [
        (SLEEP, {"seconds": 0.5}, "it took longer than its 0 minutes"),
        ("b = bytearray(3 << 30); import time; time.sleep(60)", {"memory": 1 << 29}, ""),
    ],
)
def test_a_job_over_its_limits_ends_alone(jobs, program, code, limits, why):
    program(code)
    queue = JobQueue(jobs)
    one = queue.add(job("a", **limits))
    queue.start()
    wait_for(lambda: one.state().state not in ("waiting", "running"))
    queue.close()
    assert one.state().state == "failed"
    assert why in one.state().why
    assert one.state().why


def test_a_training_has_a_place_of_its_own(jobs, program):
    program(SLEEP)
    queue = JobQueue(jobs)
    made = [queue.add(job(name, kind=kind)) for name, kind in (("a", "train"), ("b", "train"), ("c", "inspect"))]
    queue.start()
    wait_for(lambda: made[2].state().state == "running")
    assert [one.state().state for one in made] == ["running", "waiting", "running"]
    queue.close()


def test_a_job_that_came_with_the_folder_is_neither_shown_nor_run(jobs, program, tmp_path):
    program("import sys; print('ran', flush=True)")
    own = JobRecord.create(jobs, job("a"))
    foreign = [JobRecord.create(jobs, job(name)) for name in ("b", "c", "d")]
    (foreign[0].folder / "job.json").write_text((own.folder / "job.json").read_text())
    (foreign[1].folder / "job.hmac").unlink()
    for name in ("job.json", "job.hmac"):  # whole, but of another job
        (foreign[2].folder / name).write_text((own.folder / name).read_text())
    queue = JobQueue(jobs)
    queue.start()
    wait_for(lambda: own.state().state == "done")
    time.sleep(0.5)
    queue.close()
    for one in foreign:
        assert one.state().state == "waiting"
        assert one.output() == ""
        with pytest.raises(RunError):
            one.shown()


@pytest.mark.parametrize("key", ["", "..", "../x", "1", "1796138892543-9cd2a3"])
def test_a_key_that_is_none_is_refused(jobs, key):
    with pytest.raises(RunError, match="no such job"):
        record(jobs, key)


def test_a_short_command_gives_its_document_or_its_error(tmp_path):
    with pytest.raises(CommandError, match="missing is no case") as caught:
        run_command(["case", "verify", "missing"], tmp_path)
    assert caught.value.hint
    for text in ("a\0b", "a\ud800"):
        with pytest.raises(UsageError, match="cannot be handed to a command"):
            run_command(["case", "note", "missing", text], tmp_path)


def test_the_list_of_jobs_shows_output_and_removes(client, page):
    one = page.queue.add(job("case", "verify", "missing", kind="verify"))
    wait_for(lambda: one.state().state == "failed")
    shown = next(row for row in client.get("/jobs/list.json").json()["jobs"] if row["key"] == one.key)
    assert shown["state"] == "failed"
    output = client.get(f"/jobs/{one.key}/output.json").json()
    assert "missing is no case" in output["output"]
    assert output["words"] == ["assay", "case", "verify", "missing"]
    again = client.post(f"/jobs/{one.key}/again", json={}).json()["key"]
    assert client.post(f"/jobs/{again}/remove", json={}).status_code in (200, 422)
    assert client.post(f"/jobs/{one.key}/remove", json={}).status_code == 200
    assert not one.folder.exists()
    assert client.get(f"/jobs/{one.key}/output.json").status_code == 422
    assert client.get("/jobs").status_code == 200


def test_an_inspection_is_not_run_again_over_its_case(client, page, work, monkeypatch):
    monkeypatch.setattr(page.queue, "_has_room", lambda job: False)
    case = write_case(work / "serve" / "cases" / "ab12", work / "suspect.mp4")
    old = job("inspect", "a.mp4", "--out", str(case), "--force")  # as earlier versions stored it
    one = page.queue.add(dataclasses.replace(old, about={"file": "ab12"}))
    one.change(state="done")
    answer = client.post(f"/jobs/{one.key}/again", json={})
    assert answer.status_code == 422
    assert answer.json()["error"] == "the case of this file is there already"
    case.rename(work / "serve" / "cases" / "away")
    key = client.post(f"/jobs/{one.key}/again", json={}).json()["key"]
    assert record(page.queue.jobs, key).job().words == old.words[:-1]
    client.post(f"/jobs/{key}/stop", json={})
