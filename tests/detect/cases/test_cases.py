"""A case shows any change to it: every file, the log's chain, the signature; and is packed and compared."""

from __future__ import annotations

import json
import shutil
import zipfile
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from detect.cases.compare import compare_cases
from detect.cases.export import export_case
from detect.cases.intake import read_state
from detect.cases.log import NO_LINE, Step, StepLog, chained, head_of, read_log
from detect.cases.seal import append_steps, check_case, seal_case
from detect.scoring.video import write_frame_scores
from shared.cli import run
from shared.errors import CaseError, MediaError, RunError
from shared.results.scores import FrameScore
from shared.types import ClipId

OLD = Path(__file__).parents[2] / "data" / "old" / "case"


def _steps(*names: str) -> list[Step]:
    return [Step(name, "2026-12-01T10:00:00+00:00", "2026-12-01T10:00:01+00:00", {"seed": 0}) for name in names]


def _case(folder: Path, *, verdict: str = "inconclusive", logit: float = 0.5) -> Path:
    """A small case with every kind of file."""
    (folder / "evidence").mkdir(parents=True)
    report = {"sha256_intake": "a" * 64, "verdict": verdict, "score": {"logit": logit},
              "evidence": [{"name": "timing", "finding": "even"}]}  # fmt: skip
    (folder / "report.json").write_text(json.dumps(report, indent=1))
    (folder / "report.html").write_text("<!DOCTYPE html><p>report</p>")
    (folder / "custody.json").write_text("{}")
    (folder / "evidence" / "timeline.png").write_bytes(b"\x89PNG" + bytes(range(40)))
    scores = [FrameScore(ClipId("suspect", "unknown", "x"), at, at / 25, 0, logit + at, (0, 0, 9, 9)) for at in (0, 5)]
    write_frame_scores(folder / "frames.parquet", scores)
    seal_case(folder, _steps("intake", "detector"))
    return folder


@pytest.fixture
def case(tmp_path: Path) -> Path:
    return _case(tmp_path / "case")


def test_the_state_of_a_file_is_its_hashes_size_and_times(tmp_path):
    path = tmp_path / "file.bin"
    path.write_bytes(b"abc")
    before = read_state(path)
    assert before.sha256 == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert before.sha512.startswith("ddaf35a193617abacc417349ae204131")
    assert before.size_bytes == 3
    assert before.same_content(read_state(path))
    path.write_bytes(b"abd")
    assert not before.same_content(read_state(path))
    with pytest.raises(MediaError, match="cannot be read"):
        read_state(tmp_path / "none")


def test_a_log_is_a_chain_and_any_change_of_a_line_breaks_it():
    log = chained(_steps("intake", "detector", "exit"))
    lines, faults = read_log(log)
    assert (faults, [line.step for line in lines]) == ([], ["intake", "detector", "exit"])
    assert [line.number for line in lines] == [0, 1, 2]
    assert lines[0].before == NO_LINE
    assert lines[2].before == head_of(b"".join(log.splitlines(keepends=True)[:2]))
    more = chained(_steps("again"), log)
    assert read_log(log + more)[1] == []
    pieces = log.splitlines(keepends=True)
    for changed in (
        log[:-1],
        log.replace(b"detector", b"detektor"),
        b"".join(pieces[:1] + pieces[2:]),
        b"".join([pieces[1], pieces[0], pieces[2]]),
        log.replace(b'":', b'": ', 1),
        log + b"{}\n",
    ):
        assert read_log(changed)[1], changed
    with pytest.raises(CaseError, match="cannot be continued"):
        chained(_steps("again"), log[:-1])


def test_the_steps_of_a_run_are_recorded_when_they_end():
    log = StepLog()
    with log.step("intake", seed=1) as told:
        told["sha256"] = "ab"
    with pytest.raises(ValueError, match="stop"), log.step("detector"):
        raise ValueError("stop")
    assert [(step.step, dict(step.details)) for step in log.steps] == [("intake", {"seed": 1, "sha256": "ab"})]
    assert log.steps[0].began <= log.steps[0].ended


def test_one_changed_byte_in_any_file_of_a_case_is_found(case):
    assert check_case(case).faults == ()
    files = sorted(path for path in case.rglob("*") if path.is_file())
    assert {path.name for path in files} >= {"log.jsonl", "case.json", "case.sha256", "report.json", "frames.parquet"}
    rng = np.random.default_rng(3)
    for path in files:
        whole = path.read_bytes()
        for place in (0, len(whole) - 1, *rng.integers(0, len(whole), 12).tolist()):
            for flip in (1, 0x20, 0xFF):
                changed = bytearray(whole)
                changed[place] ^= flip
                path.write_bytes(changed)
                assert check_case(case).faults, (path.name, place, flip)
        path.write_bytes(whole)
    assert check_case(case).faults == ()


def test_removed_added_and_linked_files_are_found(case, tmp_path):
    (case / "notes.txt").write_text("mine")
    assert check_case(case).faults == ("notes.txt is not listed",)
    (case / "notes.txt").unlink()
    moved = tmp_path / "elsewhere.html"
    (case / "report.html").rename(moved)
    assert check_case(case).faults == ("report.html is missing",)
    (case / "report.html").symlink_to(moved)
    assert check_case(case).faults == ("report.html was changed",)


def test_a_log_that_is_cut_or_written_anew_is_found(case):
    log = (case / "log.jsonl").read_bytes()
    (case / "log.jsonl").write_bytes(log.splitlines(keepends=True)[0])
    assert any("ends after 1 of 2 lines" in fault for fault in check_case(case).faults)
    (case / "log.jsonl").write_bytes(chained(_steps("intake", "nothing")))
    assert any("written anew" in fault for fault in check_case(case).faults)


def test_steps_are_added_to_a_sound_case_only_and_a_kill_between_log_and_signature_is_survived(case):
    append_steps(case, _steps("exported"))
    found = check_case(case)
    assert (found.faults, found.steps) == ((), 3)
    log = (case / "log.jsonl").read_bytes()
    (case / "log.jsonl").write_bytes(log + chained(_steps("killed"), log))
    assert check_case(case).faults == ("log.jsonl: 1 more lines, not signed",)
    append_steps(case, _steps("exported"))
    assert check_case(case).faults == ()
    assert [line.step for line in read_log((case / "log.jsonl").read_bytes())[0]][-3:] == [
        "killed", "left by a killed process", "exported",
    ]  # fmt: skip
    older = (case / "case.sha256").read_text()
    append_steps(case, _steps("exported"))
    (case / "case.sha256").write_text(older)  # a kill between the list and its sum
    assert check_case(case).faults == ("case.json and case.sha256 do not belong together",)
    append_steps(case, _steps("exported"))
    assert check_case(case).faults == ()
    (case / "report.html").write_text("changed")
    with pytest.raises(CaseError, match=r"report\.html was changed"):
        append_steps(case, _steps("exported"))


def test_a_case_signed_by_somebody_else_is_found(case, tmp_path, monkeypatch):
    monkeypatch.setenv("ASSAY_HOME", str(tmp_path / "another"))
    (fault,) = check_case(case).faults
    assert "unknown signer" in fault


def test_an_archive_is_checked_as_it_is_and_a_changed_one_found(case, tmp_path):
    out = tmp_path / "case.zip"
    assert export_case(case, out) == len([path for path in case.rglob("*") if path.is_file()])
    found = check_case(out)
    assert (found.faults, found.steps) == ((), 3)
    with pytest.raises(RunError, match="exists"):
        export_case(case, out)
    with zipfile.ZipFile(out) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(out, "w") as archive:
        for name, data in members.items():
            archive.writestr(name, data + b" " if name.endswith("report.html") else data)
    assert check_case(out).faults == ("report.html was changed",)
    for names in (["../x"], ["report.json"], ["one/a", "two/a"]):
        with zipfile.ZipFile(out, "w") as archive:
            for name in names:
                archive.writestr(name, b"")
        with pytest.raises(CaseError):
            check_case(out)
    (case / "report.html").write_text("changed")
    with pytest.raises(CaseError, match="was changed"):
        export_case(case, tmp_path / "other.zip")


def test_a_comparison_names_what_differs(case, tmp_path):
    other = _case(tmp_path / "other", verdict="not validated", logit=0.75)
    found = compare_cases(case, other)
    assert found.same_file
    named = {each.what: (each.first, each.second) for each in found.differences}
    assert named["verdict"] == ("inconclusive", "not validated")
    assert named["score: logit"] == ("0.5", "0.75")
    assert any("score of face 0 in frame" in what for what in named)
    assert len(named) == 3
    assert compare_cases(case, case).differences == ()


def test_an_old_case_is_compared_and_has_nothing_to_be_checked_by(case):
    assert compare_cases(OLD, OLD).differences == ()
    assert not compare_cases(OLD, case).same_file
    with pytest.raises(CaseError, match="before cases were signed"):
        check_case(OLD)


def test_the_command_line(case, tmp_path, capsys):
    assert run(["case", "verify", str(case)]) == 0
    assert run(["case", "export", str(case), str(tmp_path / "case.zip")]) == 0
    capsys.readouterr()
    assert run(["--json", "case", "verify", str(tmp_path / "case.zip")]) == 0
    assert json.loads(capsys.readouterr().out)["sound"] is True
    other = shutil.copytree(case, tmp_path / "other")
    assert run(["--json", "case", "compare", str(case), str(other)]) == 0
    assert json.loads(capsys.readouterr().out)["differences"] == []
    (other / "report.json").write_text("{}")
    assert run(["case", "verify", str(other)]) == 1
    assert "report.json was changed" in capsys.readouterr().err
    assert run(["case", "verify", str(case), "--file", str(case / "report.html")]) == 1
    assert "not the file that was inspected" in " ".join(capsys.readouterr().err.split())
    assert run(["case", "verify", str(tmp_path / "none")]) == 1
    assert run(["case", "export", str(case), str(case / "case.zip")]) == 1


def test_scores_of_a_case_are_read_as_they_were_written(case):
    assert pq.read_table(case / "frames.parquet").num_rows == 2
