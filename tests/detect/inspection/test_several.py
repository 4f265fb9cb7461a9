"""Inspections of folders, by several detectors, and again: made videos and untrained detectors."""

from __future__ import annotations

import csv
import dataclasses
import hashlib
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from detect.cases.compare import compare_cases
from detect.cases.log import read_log
from detect.cases.seal import check_case
from detect.inspection import batch
from detect.inspection.again import inspect_again
from detect.inspection.batch import case_names, inspect_folder, media_in
from detect.inspection.evidence.found import EvidenceConfig
from detect.inspection.inspect import InspectConfig, inspect_file
from detect.inspection.others import agreement_words, same_side
from detect.models import build_detector
from detect.models.checkpoint import DetectorFacts, save_detector
from shared.cli import run
from shared.errors import CaseError, RunError, UsageError
from shared.results.scores import DetectorResult, FrameScore
from shared.types import ClipId
from tests.factories import write_clip

CONFIG = InspectConfig(
    finder="toy", faces_shown=1, isolated=False, evidence=EvidenceConfig(faces=2, landmark_frames=0, rounds=5)
)


@pytest.fixture(scope="module")
def detectors(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder, made = tmp_path_factory.mktemp("detectors"), []
    for seed, name in enumerate(("first", "second")):
        torch.manual_seed(seed)
        model = build_detector("mobilenetv3_small_050", input_px=32)
        made.append(save_detector(model, folder / name, DetectorFacts(model.spec), card="# x\n"))
    return made


def _film(path: Path, seed: int = 1) -> Path:
    images = np.full((12, 96, 160, 3), 60, np.uint8)
    images[:, 12:84, 12:84] = np.random.default_rng(seed).integers(110, 200, (12, 72, 72, 3))
    return write_clip(path, images)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    _film(tmp_path / "media" / "one.mp4")
    _film(tmp_path / "media" / "sub" / "=two.mp4", seed=2)
    Image.fromarray(np.full((96, 160, 3), 150, np.uint8)).save(tmp_path / "media" / "still.png")
    (tmp_path / "media" / "broken.mp4").write_text("no video")
    (tmp_path / "media" / "notes.txt").write_text("no media")
    return tmp_path / "media"


def test_a_folder_gives_a_case_each_an_index_and_a_table(folder, detectors, tmp_path):
    out = tmp_path / "out"
    rows = inspect_folder(folder, detectors[0], out, CONFIG, device="cpu")
    assert [row.file for row in rows] == ["broken.mp4", "one.mp4", "still.png", "sub/=two.mp4"]
    assert [bool(row.error) for row in rows] == [True, False, False, False]
    assert all(check_case(out / row.case).faults == () for row in rows if row.case)
    with (out / "index.csv").open(newline="") as file:
        table = list(csv.DictReader(file))
    assert [line["verdict"] for line in table] == [row.verdict for row in rows]
    assert "broken.mp4" in table[0]["error"]
    page = (out / "index.html").read_text()
    assert 'href="cases/one.mp4/report.html"' in page
    assert "not inspected" in page


def test_a_killed_inspection_of_a_folder_goes_on_where_it_was(folder, detectors, tmp_path, monkeypatch):
    out, real, done = tmp_path / "out", batch.inspect_one, []

    def killed(path: Path, file: str, *more: object) -> object:
        if file == "still.png":
            raise KeyboardInterrupt
        done.append(file)
        return real(path, file, *more)

    monkeypatch.setattr(batch, "inspect_one", killed)
    with pytest.raises(KeyboardInterrupt):
        inspect_folder(folder, detectors[0], out, CONFIG, device="cpu")
    assert (done, (out / "index.html").exists()) == (["broken.mp4", "one.mp4"], False)
    kept = (out / "cases" / "one.mp4" / "log.jsonl").read_bytes()
    monkeypatch.setattr(batch, "inspect_one", lambda path, file, *more: (done.append(file), real(path, file, *more))[1])
    rows = inspect_folder(folder, detectors[0], out, CONFIG, device="cpu")
    assert done[2:] == ["broken.mp4", "still.png", "sub/=two.mp4"]
    assert (out / "cases" / "one.mp4" / "log.jsonl").read_bytes() == kept
    assert len(rows) == 4
    with pytest.raises(RunError, match="other detectors or settings"):
        inspect_folder(folder, detectors[1], out, CONFIG, device="cpu")
    done.clear()
    _film(folder / "one.mp4", seed=9)
    inspect_folder(folder, detectors[0], out, CONFIG, device="cpu")
    assert "one.mp4" in done


def test_cases_by_other_weights_at_the_same_path_are_not_kept(folder, detectors, tmp_path, monkeypatch):
    own, out, real = tmp_path / "own", tmp_path / "out", batch.inspect_one
    shutil.copytree(detectors[0], own)
    inspect_folder(folder, own, out, CONFIG, device="cpu")
    shutil.rmtree(own)
    shutil.copytree(detectors[1], own)
    with pytest.raises(RunError, match="other detectors or settings"):
        inspect_folder(folder, own, out, CONFIG, device="cpu")

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(batch, "inspect_one", killed)
    with pytest.raises(KeyboardInterrupt):
        inspect_folder(folder, own, out, dataclasses.replace(CONFIG, force=True), device="cpu")
    monkeypatch.setattr(batch, "inspect_one", real)
    inspect_folder(folder, own, out, CONFIG, device="cpu")
    weights = hashlib.sha256((own / "model.safetensors").read_bytes()).hexdigest()
    for name in ("one.mp4", "still.png"):
        report = json.loads((out / "cases" / name / "report.json").read_text())
        assert report["detector"]["weights_sha256"] == weights


def test_what_is_no_folder_of_media_is_refused(folder, detectors, tmp_path):
    with pytest.raises(UsageError, match="lies in the folder"):
        inspect_folder(folder, detectors[0], folder / "out", CONFIG)
    with pytest.raises(UsageError, match="holds no inspection"):
        inspect_folder(folder, detectors[0], folder.parent, CONFIG)
    (tmp_path / "empty").mkdir()
    with pytest.raises(UsageError, match="no video or picture"):
        media_in(tmp_path / "empty")


def test_names_of_cases_are_unique_and_text_is_no_formula():
    names = case_names(["a/b.mp4", "a-b.mp4", "A-B.mp4", "c.mp4"])
    assert len({name.casefold() for name in names.values()}) == 4
    assert names["c.mp4"] == "c.mp4"
    row = batch.BatchRow("=1+1", "", error="-x")
    assert "'=1+1" in batch._csv([row]).decode()


def test_several_detectors_stand_side_by_side_with_their_agreement(folder, detectors, tmp_path, capsys):
    words = ["inspect", str(folder / "one.mp4"), "--finder", "toy", "--device", "cpu", "--out", str(tmp_path / "case")]
    for detector in detectors:
        words += ["--detector", str(detector)]
    assert run(["--json", *words]) == 0
    report = json.loads(capsys.readouterr().out)
    (other,) = report["others"]
    assert (other["name"], other["faces_in_common"]) == ("second", report["score"]["frames_scored"])
    assert report["agreement"].startswith("All 2 detectors say")
    assert (tmp_path / "case" / "frames-second.parquet").is_file()
    assert check_case(tmp_path / "case").faults == ()
    assert "Several detectors" in (tmp_path / "case" / "report.html").read_text()
    assert run([*words, "--detector", str(detectors[1]), "--force"]) == 2
    assert "twice" in capsys.readouterr().err


def test_agreement_is_of_faces_by_place_and_of_verdicts():
    def score(frame: int, logit: float, left: float = 0.0) -> FrameScore:
        return FrameScore(ClipId("suspect", "unknown", "x"), frame, 0.0, 0, logit, (left, 0, left + 10, 10))

    first = [score(0, 1.0), score(1, -1.0), score(2, 1.0)]
    assert same_side(first, 0.0, [score(0, 5.0), score(1, 4.0), score(2, 9.0, left=50)], 3.0) == (0.5, 2)
    assert same_side(first, 0.0, [], 0.0) == (None, 0)
    fake = DetectorResult("b", "", "toy", "fake", "", 1.0, None, None, 0.0)
    words = agreement_words("real", [fake])
    assert words.startswith("The detectors differ: 1 say fake, 1 say real.")
    assert "none of their results" in words


def test_a_case_is_inspected_again_by_another_detector_and_the_differences_named(folder, detectors, tmp_path, capsys):
    case, out = tmp_path / "case", tmp_path / "again"
    inspect_file(folder / "one.mp4", detectors[0], case, CONFIG, device="cpu")
    words = ["case", "again", str(case), "--detector", str(detectors[1]), "--out", str(out), "--device", "cpu"]
    assert run(["--json", *words]) == 0
    said = json.loads(capsys.readouterr().out)
    named = {each["what"] for each in said["differences"]}
    assert said["same_file"] is True
    assert "detector: weights_sha256" in named
    assert not any(what.startswith("evidence") or what.startswith("tool") for what in named)
    for place, step in ((case, "inspected again"), (out, "begun from another case")):
        assert check_case(place).faults == ()
        assert step in {line.step for line in read_log((place / "log.jsonl").read_bytes())[0]}
    _, same = inspect_again(case, detectors[0], tmp_path / "same", device="cpu")
    assert same.differences == ()
    assert (case / "report.json").read_bytes() == (tmp_path / "same" / "report.json").read_bytes()
    assert compare_cases(case, out).same_file
    both, _ = inspect_again(case, detectors[0], tmp_path / "both", others=detectors[1:], device="cpu")
    assert [other.name for other in both.others] == ["second"]
    moved = folder / "one.mp4"
    moved.rename(folder / "moved.mp4")
    with pytest.raises(UsageError, match="is not there"):
        inspect_again(case, detectors[0], tmp_path / "third")
    with pytest.raises(UsageError, match="is not the file of"):
        inspect_again(case, detectors[0], tmp_path / "third", file=folder / "still.png")
    (case / "report.html").write_text("changed")
    with pytest.raises(CaseError, match="was changed"):
        inspect_again(case, detectors[0], tmp_path / "third", file=folder / "moved.mp4")


def test_an_address_is_refused_in_a_sentence(detectors, tmp_path, capsys):
    words = ["--detector", str(detectors[0]), "--out", str(tmp_path / "case")]
    assert run(["inspect", "https://example.org/clip.mp4", *words]) == 2
    assert "nothing is opened on the network" in " ".join(capsys.readouterr().err.split())
