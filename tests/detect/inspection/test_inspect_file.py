"""A whole inspection, of a made video by an untrained detector."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch

from detect.calibration.domain import Domain, Range, write_domain
from detect.calibration.maps import write_calibration
from detect.cases.seal import check_case
from detect.inspection.hearing import Heard
from detect.inspection.heatmap import heat_maps
from detect.inspection.inspect import InspectConfig, inspect_file
from detect.models import build_detector
from detect.models.checkpoint import DetectorFacts, save_detector, weights_digest
from shared.cli import run
from shared.errors import CheckpointError, MediaError, RunError, UsageError
from shared.video import VideoReader
from shared.video.child import NoChild
from tests.factories import write_clip

PX = 64
FRAMES = 60
CONFIG = InspectConfig(finder="toy")


@pytest.fixture(scope="module")
def detector(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    model = build_detector("mobilenetv3_small_050", input_px=PX)
    return save_detector(
        model, tmp_path_factory.mktemp("detector") / "detector", DetectorFacts(model.spec), card="# x\n"
    )


@pytest.fixture
def film(tmp_path: Path):
    def make(name: str, *, face: bool) -> Path:
        rng = np.random.default_rng(1)
        images = np.full((FRAMES, 96, 160, 3), 60, np.uint8)
        if face:
            images[:, 12:84, 12:84] = rng.integers(110, 200, (FRAMES, 72, 72, 3))
        return write_clip(tmp_path / name, images)

    return make


def test_a_case_holds_everything_and_says_what_was_not_looked_at(film, detector, tmp_path):
    out = tmp_path / "case"
    report = inspect_file(film("seen.mp4", face=True), detector, out, CONFIG, device="cpu")
    assert report.score.frames_read == FRAMES
    assert report.sha256_intake == report.sha256_exit
    assert any("12 of 60 frames" in line for line in report.analysed)
    assert any(line.startswith("48 frames between") for line in report.not_analysed)
    assert not any("no usable face" in line for line in report.not_analysed)
    assert any(line.startswith("motion over time") for line in report.not_analysed)
    assert any(line.startswith("12 frames of this file were scored, one in 5") for line in report.limits)
    assert pq.read_table(out / "frames.parquet").num_rows == report.score.frames_scored == 12
    page = (out / "report.html").read_text()
    assert "one in 5; threshold and calibration come from a set number of frames" in page
    pictures = list((out / "evidence").glob("face-*.png"))
    assert pictures
    named = [picture for each in report.evidence for picture in each.pictures]
    assert all((out / picture.file).is_file() and picture.alt in page for picture in named)
    assert page.count("data:image/png") == len(pictures) + len(named)
    assert page.count("<svg") == 1  # the timeline, which is a PNG file too
    custody = json.loads((out / "custody.json").read_text())
    assert (custody["file"], custody["unchanged at exit"], len(custody["sha512"])) == ("seen.mp4", True, 128)
    assert check_case(out).faults == ()
    steps = [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]
    assert [step["step"] for step in steps][:3] == ["intake", "container, streams and credentials", "detector"]
    assert {"weights_sha256", "setting seed", "setting evidence.faces", "device used"} <= steps[2]["details"].keys()
    assert [step["step"] for step in steps][-2:] == ["exit", "writing"]
    assert "fake" not in " ".join(f"{each.finding} {each.limits} {each.reference}" for each in report.evidence)
    assert all(each.limits for each in report.evidence if each.finding)


def test_a_detector_that_draws_a_region_leaves_a_map_of_every_scored_face_in_the_case(film, detector, tmp_path):
    torch.manual_seed(0)
    model = build_detector("test_efficientnet", family="multitask", input_px=PX)
    own = save_detector(model, tmp_path / "own", DetectorFacts(model.spec), card="# x\n")
    clip, out = film("seen.mp4", face=True), tmp_path / "case"
    inspect_file(clip, own, out, CONFIG, device="cpu")
    scores, maps = (pq.read_table(out / f"{name}.parquet") for name in ("frames", "regions"))
    assert [maps[name].to_pylist() for name in ("frame", "track")] == [
        scores[name].to_pylist() for name in ("frame", "track")
    ]
    assert check_case(out).faults == ()
    data = bytearray((out / "regions.parquet").read_bytes())
    data[len(data) // 2] ^= 1
    (out / "regions.parquet").write_bytes(data)
    assert any("regions.parquet" in fault for fault in check_case(out).faults)
    inspect_file(clip, detector, tmp_path / "other", CONFIG, device="cpu")
    assert not (tmp_path / "other" / "regions.parquet").exists()


def test_a_detector_of_sequences_is_not_said_to_miss_motion(film, tmp_path):
    torch.manual_seed(0)
    model = build_detector("test_efficientnet+gru3", family="temporal", input_px=PX)
    own = save_detector(model, tmp_path / "own", DetectorFacts(model.spec), card="# x\n")
    report = inspect_file(film("seen.mp4", face=True), own, tmp_path / "case", CONFIG, device="cpu")
    assert report.score.logit is not None
    assert not any(line.startswith("motion over time") for line in report.not_analysed)


@pytest.mark.usefixtures("real_plots")
def test_the_same_file_gives_the_same_report_byte_for_byte(film, detector, tmp_path):
    path = film("seen.mp4", face=True)
    for name in ("one", "two"):
        inspect_file(path, detector, tmp_path / name, CONFIG, device="cpu")
    one, two = tmp_path / "one", tmp_path / "two"
    equal = [file.relative_to(one) for file in sorted(one.rglob("*")) if file.is_file()]
    timed = {"custody.json", "log.jsonl", "case.json", "case.sha256"}
    assert {"report.json", "report.html", "frames.parquet"} <= {str(name) for name in equal}
    for name in equal:
        assert str(name) in timed or (one / name).read_bytes() == (two / name).read_bytes(), name


def test_a_file_without_a_face_is_inconclusive(film, detector, tmp_path):
    report = inspect_file(film("wall.mp4", face=False), detector, tmp_path / "case", CONFIG, device="cpu")
    assert report.verdict == "inconclusive"
    assert report.score.logit is None
    assert "No face was scored" in (tmp_path / "case" / "report.html").read_text()
    assert any("no usable face" in line for line in report.not_analysed)
    assert report.limits == ()


def test_a_case_is_not_overwritten_unasked(film, detector, tmp_path):
    path, out = film("seen.mp4", face=True), tmp_path / "case"
    out.mkdir()
    (out / "notes.txt").write_text("mine")
    with pytest.raises(RunError, match="exists"):
        inspect_file(path, detector, out, CONFIG, device="cpu")
    for place in (out, path, path.parent):
        with pytest.raises(UsageError, match=r"no case|made from"):
            inspect_file(path, detector, place, replace(CONFIG, force=True), device="cpu")
    assert (out / "notes.txt").read_text() == "mine"
    assert path.is_file()


def test_what_fails_leaves_no_case(film, detector, tmp_path):
    with pytest.raises(MediaError):
        inspect_file(tmp_path / "none.mp4", detector, tmp_path / "case", CONFIG, device="cpu")
    with pytest.raises(CheckpointError):
        inspect_file(film("seen.mp4", face=True), tmp_path / "no-detector", tmp_path / "case", CONFIG, device="cpu")
    assert not (tmp_path / "case").exists()


def test_the_command_line_shows_the_outcome(film, detector, tmp_path, capsys):
    path, out = film("seen.mp4", face=True), tmp_path / "case"
    words = ["inspect", str(path), "--detector", str(detector), "--out", str(out), "--finder", "toy", "--device", "cpu"]
    assert run(["--json", *words]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["verdict"] == "not validated"
    assert run(words) == 1
    assert "--force" in capsys.readouterr().err
    assert run([*words, "--force"]) == 0  # a case gives way to a case


def test_a_calibrated_detector_gives_ratio_and_probability_inside_its_domain_and_says_when_outside(
    film, detector, tmp_path, make_calibration, capsys
):
    path, own = film("seen.mp4", face=True), shutil.copytree(detector, tmp_path / "own")
    bare = inspect_file(path, own, tmp_path / "bare", CONFIG, device="cpu")
    assert (bare.calibrated, bare.score.probability, bare.outside) == (None, None, ())
    assert "has not been calibrated" in bare.calibration
    assert "has not been calibrated" in (tmp_path / "bare" / "report.html").read_text()
    mark, facts = weights_digest(own), DetectorFacts(build_detector("mobilenetv3_small_050", input_px=PX).spec)
    write_calibration(own, replace(make_calibration(), weights_sha256=mark, aggregate=facts.aggregate))
    ranges = {
        "short_side_px": Range(90, 96, 100, 9),
        "frame_rate": Range(25, 25, 25, 9),
        "face_px": Range(30, 40, 90, 9),
    }
    write_domain(own, Domain("toy", "c" * 64, "val", 5, 5, 5, ranges, {"h264": 10}))

    inside = inspect_file(path, own, tmp_path / "inside", CONFIG, device="cpu")
    assert inside.outside == ()
    assert inside.calibrated.holds
    document = json.loads((tmp_path / "inside" / "report.json").read_text())
    assert document["score"]["probability"] == document["calibrated"]["probability"] == inside.calibrated.probability
    assert document["score"]["llr"] == pytest.approx(inside.score.logit / np.log(10))
    assert "log10 likelihood ratio" in document["reason"]

    write_domain(own, Domain("toy", "c" * 64, "val", 5, 5, 5, {"face_px": Range(200, 220, 250, 9)}, {"mjpeg": 10}))
    words = ["inspect", str(path), "--detector", str(own), "--out", str(tmp_path / "outside"), "--finder", "toy"]
    assert run([*words, "--device", "cpu"]) == 0
    assert "outside the domain" in " ".join(capsys.readouterr().out.split())
    document = json.loads((tmp_path / "outside" / "report.json").read_text())
    assert [each["fact"] for each in document["outside"]] == ["face_px", "codec"]
    assert document["verdict"] == "not validated"
    assert (document["score"]["probability"], document["calibrated"]["holds"]) == (None, False)
    assert "Outside the validated domain" in (tmp_path / "outside" / "report.html").read_text()


@pytest.mark.parametrize("name", ["mobilenetv3_small_050", "resnet10t"])
def test_a_heat_map_covers_the_crop_and_points_where_the_logit_depends(name):
    torch.manual_seed(0)
    model = build_detector(name, input_px=PX).eval()
    maps = heat_maps(model, torch.randn(2, 3, PX, PX))
    assert maps.shape == (2, PX, PX)
    assert maps.min() >= 0
    assert maps.max() <= 1 + 1e-6
    assert not model.training


def test_container_facts_of_a_made_file(film):
    from detect.inspection.evidence.container import container_evidence, read_packets

    path = film("seen.mp4", face=True)
    facts = read_packets(path)
    assert facts.packets == FRAMES
    assert facts.intervals == ((Fraction(1, 25), FRAMES - 1),)
    assert facts.missing_times == 0
    info, evidence = container_evidence(NoChild(path), VideoReader(path))
    assert info.frames_counted == FRAMES
    named = {item.name: item for item in evidence}
    assert named["frame counts"].finding == f"{FRAMES} frames declared and counted"
    assert "40.000 ms" in named["timing"].finding
    assert all(item.limits for item in evidence)


def test_a_stream_that_cannot_be_demuxed_to_its_end_is_said_and_the_rest_is_kept(film, monkeypatch):
    from detect.inspection.evidence import container

    def refuse(path: Path) -> container.PacketFacts:
        raise MediaError(f"{path.name} cannot be demuxed: invalid data")

    path = film("seen.mp4", face=True)
    monkeypatch.setattr(container, "read_packets", refuse)
    info, evidence = container.container_evidence(NoChild(path), VideoReader(path))
    assert info.frames_counted == FRAMES
    assert "because seen.mp4 cannot be demuxed: invalid data" in evidence[0].finding
    assert {"container and streams", "what the file says of its making"} <= {item.name for item in evidence}


def test_a_folder_that_cannot_be_listed_is_said(tmp_path):
    from detect.inspection.evidence.container import files_beside

    (found,) = files_beside(tmp_path / "missing" / "seen.mp4")
    assert "cannot be listed" in found.finding
    assert found.limits


def test_missing_provenance_is_not_called_evidence_of_forgery(film):
    from detect.inspection.evidence.provenance import provenance_evidence

    found = provenance_evidence(NoChild(film("seen.mp4", face=True)))
    assert found.details == {"present": False}
    assert "not evidence of forgery" in found.limits


class _SoundCalledFake(Heard):
    called_fake = True


def test_a_film_whose_sound_is_called_fake_is_not_called_real(film, detector, tmp_path, monkeypatch):
    heard = _SoundCalledFake(None, why="nothing is shown of it here")
    monkeypatch.setattr("detect.inspection.inspect.hear", lambda *_, **__: heard)
    monkeypatch.setattr("detect.inspection.inspect.speaks_against_real", lambda *_: "")
    for number, (given, verdict, words) in enumerate(
        (
            ("real", "inconclusive", "Not called real although the whole scores below: the detector of speech calls"),
            ("not validated", "not validated", "That is about the faces: the detector of speech calls the sound fake."),
        )
    ):
        monkeypatch.setattr("detect.inspection.inspect.decide", lambda *_, given=given: (given, "It scores so."))
        report = inspect_file(
            film(f"{number}.mp4", face=True), detector, tmp_path / str(number), CONFIG, device="cpu", isolated=False
        )
        assert report.verdict == verdict
        assert words in report.reason
