"""Audits and scoreboards of a set: what is shown of their files, and the commands that make them."""

from __future__ import annotations

import json
import os
import shutil

import pytest

from shared.storage import sha256_file
from shared.web.found import key_of
from shared.web.jobs.record import record
from shared.web.rooms.set_results import AuditBrief, ProbeBrief
from tests.shared.web.conftest import write_audit, write_board


@pytest.fixture
def address(client) -> str:
    return f"/sets/{key_of('set')}"


@pytest.fixture
def name(work) -> str:
    return next(
        line.split('"')[1] for line in (work / "set" / "dataset.toml").read_text().splitlines() if "name" in line
    )


@pytest.fixture
def queued(page, monkeypatch):
    """Jobs wait, so that their command lines can be looked at."""
    monkeypatch.setattr(page.queue, "_has_room", lambda job: False)


def test_audits_of_a_set_are_found_with_their_result(client, work, address, name):
    digest = sha256_file(work / "set" / "manifest.jsonl")
    folder = write_audit(work / "audits" / "first", name, manifest=digest)
    other = write_audit(work / "audits" / "other", name, manifest="0" * 64)
    unknown = write_audit(work / "audits" / "unknown", name)
    (row,) = client.get(f"{address}/results.json").json()["audits"]
    assert (row["place"], row["outcome"], row["outdated"]) == ("audits/first", "to be mended", False)
    assert row["summary"].startswith("1 shortcut named; face-only AUC 0.800 [0.710, 0.900]")
    for each in (other, unknown, folder):
        shutil.rmtree(each)


@pytest.mark.parametrize(("manifest", "age", "outdated"), [("0" * 64, 0, True), ("", 0, False), ("", 1e9, True)])
def test_an_audit_made_here_is_shown_as_outdated_after_the_set_changed(
    client, work, address, name, manifest, age, outdated
):
    folder = write_audit(work / "serve" / "audits" / key_of("set"), name, manifest=manifest)
    if age:
        os.utime(folder / "audit.json", (age, age))
    (row,) = client.get(f"{address}/results.json").json()["audits"]
    assert row["outdated"] is outdated
    shutil.rmtree(folder)


def test_an_audit_is_shown_in_words_with_its_probes_and_report(client, work, name):
    folder = write_audit(work / "audits" / "shown", name)
    text = client.get(f"/audits/{key_of('audits/shown')}").text
    assert "1 shortcut named" in text
    assert "its whole interval lies above the limit" in text
    assert "0.910 to 1.000" in text
    assert "which is meant to tell" in text
    assert text.count('<svg class="interval') == 3
    answer = client.get(f"/audits/{key_of('audits/shown')}/report")
    assert "sandbox" in answer.headers["content-security-policy"]
    assert "allow-scripts" not in answer.headers["content-security-policy"]
    shutil.rmtree(folder)


@pytest.mark.parametrize(
    ("clean", "verdicts", "outcome"),
    [
        (True, ("none found", "signal", "not measured"), "nothing named"),
        (True, ("none found", "undecided"), "not decided"),
        (True, ("not measured", "not measured"), "not decided"),
        (True, (), "not decided"),
        (True, ("too few to judge", "signal"), "not decided"),
        (False, ("shortcut", "undecided"), "to be mended"),
    ],
)
def test_an_audit_without_enough_people_is_not_called_clean(clean, verdicts, outcome):
    audit = AuditBrief("x", "y", clean, findings=tuple(ProbeBrief(verdict=one) for one in verdicts))
    assert audit.outcome == outcome


@pytest.mark.parametrize("damage", ["", "{}", '{"dataset": "x", "summary": "y", "clean": 3}'])
def test_a_damaged_audit_is_one_sentence_and_is_not_listed(client, work, address, name, damage):
    folder = write_audit(work / "audits" / "damaged", name)
    (folder / "audit.json").write_text(damage)
    answer = client.get(f"/audits/{key_of('audits/damaged')}")
    assert answer.status_code == 422
    assert "audit.json" in answer.text
    assert client.get(f"{address}/results.json").json()["audits"] == []
    shutil.rmtree(folder)


def test_a_scoreboard_is_shown_by_manipulation_and_detector(client, work, address, name):
    digest = sha256_file(work / "set" / "manifest.jsonl")
    folder = write_board(work / "boards" / "one", {"name": name, "manifest_sha256": digest})
    here = write_board(work / "serve" / "boards" / key_of("set"), {"name": name, "manifest_sha256": "0" * 64})
    write_board(work / "boards" / "three", {"name": name, "manifest_sha256": "1" * 64})
    rows = {row["place"]: row for row in client.get(f"{address}/results.json").json()["boards"]}
    made_here = here.relative_to(work).as_posix()
    assert set(rows) == {"boards/one", made_here}
    assert (rows["boards/one"]["outdated"], rows[made_here]["outdated"]) == (False, True)
    shutil.rmtree(here)
    assert rows["boards/one"]["auc"] == ["0.810 (0.71 to 0.91)", "0.620 (0.52 to 0.72)"]
    text = client.get(f"/boards/{key_of('boards/one')}").text
    assert "AUC of assay minus toy: +0.190 (+0.020 to +0.310), p 0.03, on 18 clips" in text
    assert "Clip AUC" in text
    assert "Equal error rate" not in text
    assert "<b>" not in text.split("<main", 1)[1]
    assert client.get(f"/boards/{key_of('boards/one')}/picture.png").status_code == 404
    (folder / "scoreboard.json").write_text("[]")
    assert client.get(f"/boards/{key_of('boards/one')}").status_code == 400
    shutil.rmtree(work / "boards")


@pytest.mark.usefixtures("queued")
def test_an_audit_and_a_scoreboard_are_jobs_of_the_command_line(client, page, work, address):
    key = client.post(f"{address}/audit", json={}).json()["job"]
    place = work / "serve" / "audits" / key_of("set")
    job = record(page.queue.jobs, key).job()
    assert job.words == ("dataset", "audit", str(work / "set"), "--out", str(place))
    assert (job.kind, job.about) == ("audit", {"set": key_of("set")})
    assert [one["key"] for one in client.get(f"{address}/results.json").json()["jobs"]] == [key]
    again = client.post(f"{address}/audit", json={})
    assert (again.status_code, "waiting for this already" in again.text) == (422, True)
    assert client.get(f"{address}/results.json").json()["splits"] == ["val", "train", "all"]
    assert client.post(f"{address}/score", json={"detectors": ["assay"], "split": "--out"}).status_code == 400
    key = client.post(f"{address}/score", json={"detectors": ["assay"]}).json()["job"]
    words = record(page.queue.jobs, key).job().words
    assert words[:5] == ("score", str(work / "set"), "--split", "all", "--no-quality")
    assert words[5:] == ("--detector", "assay", "--out", str(work / "serve" / "boards" / key_of("set")))


@pytest.mark.parametrize(
    "detectors", [None, [], "assay", [1], ["assay"] * 17, ["../x"], ["0123456789abcdef"], [{"a": 1}]]
)
def test_detectors_that_are_not_in_the_folder_are_refused(client, work, address, detectors):
    before = sorted(path.name for path in (work / "serve" / "jobs").iterdir())
    assert client.post(f"{address}/score", json={"detectors": detectors}).status_code in (400, 404)
    assert sorted(path.name for path in (work / "serve" / "jobs").iterdir()) == before


def test_runs_of_detectors_are_offered_and_others_are_not(client, work, address):
    run = work / "runs" / "meso"
    run.mkdir(parents=True)
    (run / "config.toml").write_text("")
    (run / "run.json").write_text(json.dumps({"kind": "detector", "started": "2026-12-01"}))
    offered = client.get(f"{address}/results.json").json()["detectors"]
    assert [one["name"] for one in offered] == ["the one in the package", "runs/meso"]
    assert offered[0]["key"] == "assay"
    shutil.rmtree(run)
