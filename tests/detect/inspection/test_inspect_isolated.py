"""Inspections whose decoder dies, hangs or eats memory; and of what is no video."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from detect.inspection.inspect import InspectConfig, inspect_file
from detect.models import build_detector
from detect.models.checkpoint import DetectorFacts, save_detector
from shared.cli import run
from shared.video import child
from tests.factories import write_clip

pytestmark = pytest.mark.slow

FRAMES = 60


@pytest.fixture(scope="module")
def detector(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    model = build_detector("mobilenetv3_small_050", input_px=64)
    return save_detector(
        model, tmp_path_factory.mktemp("detector") / "detector", DetectorFacts(model.spec), card="# x\n"
    )


def _face() -> np.ndarray:
    image = np.full((96, 160, 3), 60, np.uint8)
    image[12:84, 12:84] = np.random.default_rng(1).integers(110, 200, (72, 72, 3))
    return image


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    return write_clip(tmp_path / "seen.mp4", np.stack([_face()] * FRAMES))


@pytest.fixture
def inspected(detector, tmp_path, capsys):
    """Runs ``assay inspect`` of a file; exit code, what it said, and the report, where there is one."""

    def inspect(path: Path, *more: str, limits: str = "") -> tuple[int, str, dict]:
        settings, out = tmp_path / "inspect.toml", tmp_path / "case"
        settings.write_text(f"[limits]\n{limits}\n")
        words = ["inspect", str(path), "--detector", str(detector), "--out", str(out), "--device", "cpu"]
        code = run([*words, "--finder", "toy", "--config", str(settings), *more])
        report = json.loads((out / "report.json").read_text()) if (out / "report.json").exists() else {}
        said = capsys.readouterr()
        return code, " ".join((said.out + said.err).split()), report

    return inspect


def _at_frame(number: int, fault: str) -> str:
    """A child's program in which something happens in place of frame ``number`` of every pass."""
    return f"""
import os, sys, time
sys.path[:] = sys.argv[1:]
from shared.video import child_process, reader
decoded = reader.VideoReader._stamped
def stamped(self):
    for index, item in enumerate(decoded(self)):
        if index == {number}:
            {fault}
        yield item
reader.VideoReader._stamped = stamped
child_process.serve()
"""


def _findings(report: dict, name: str) -> list[str]:
    return [each["finding"] for each in report["evidence"] if each["name"] == name]


@pytest.mark.skipif(sys.platform == "win32", reason="has no signals")
def test_a_decoder_that_dies_leaves_a_report_of_what_came_before(inspected, clip, monkeypatch):
    monkeypatch.setattr(child, "_BOOT", _at_frame(37, "os.kill(os.getpid(), 11)"))
    code, said, report = inspected(clip)
    assert code == 0
    because = "the decoder died with signal 11"
    assert _findings(report, "reading") == [f"stopped after 37 frames, because {because}"]
    assert report["not_analysed"][0] == f"what comes behind frame 37: {because}"
    assert because in said
    assert report["score"]["frames_scored"] == 8
    assert report["score"]["logit"] is not None
    assert "All of this is about the first 37 frames" in report["reason"]
    assert _findings(report, "group-of-pictures structure")


@pytest.mark.skipif(sys.platform == "win32", reason="has no signals")
def test_a_decoder_that_dies_at_once_is_one_sentence(inspected, clip, monkeypatch, tmp_path):
    monkeypatch.setattr(child, "_BOOT", _at_frame(0, "os.kill(os.getpid(), 6)"))
    code, said, report = inspected(clip)
    assert (code, report) == (1, {})
    assert f"{clip} could not be read: the decoder died with signal 6" in said.replace(" seen.mp4", "seen.mp4")
    assert not (tmp_path / "case").exists()


def test_a_decoder_that_hangs_is_ended(inspected, clip, monkeypatch):
    monkeypatch.setattr(child, "_START_SECONDS", 30.0)  # a pass without frames to wait for hangs as well
    monkeypatch.setattr(child, "_BOOT", _at_frame(37, "time.sleep(600)"))
    code, said, report = inspected(clip, limits="silence_seconds = 3")
    assert code == 0
    assert _findings(report, "reading") == [
        "stopped after 37 frames, because the decoder sent nothing for 3 s and was ended"
    ]
    assert "sent nothing for 3 s" in said


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="memory cannot be limited")
def test_a_decoder_that_eats_memory_is_ended(inspected, clip, monkeypatch):
    monkeypatch.setattr(child, "_BOOT", _at_frame(37, "held = bytearray(3 << 30)"))
    code, said, report = inspected(clip, limits="memory_gb = 2.0")
    assert code == 0
    because = "the decoder needed more than its 2 GB of memory"
    assert _findings(report, "reading") == [f"stopped after 37 frames, because {because}"]
    assert because in said


@pytest.mark.usefixtures("real_plots")
def test_the_report_is_the_same_in_one_process(detector, clip, tmp_path):
    reports = []
    for isolated in (True, False):
        out = tmp_path / f"case-{isolated}"
        config = InspectConfig(finder="toy", isolated=isolated)
        inspect_file(clip, detector, out, config, device="cpu")
        report = json.loads((out / "report.json").read_text())
        report["tool"].pop("settings")
        pictures = {path.name: path.read_bytes() for path in (out / "evidence").iterdir()}
        reports.append((report, (out / "frames.parquet").read_bytes(), pictures))
        custody = json.loads((out / "custody.json").read_text())
        assert ("process of its own" in custody["decoded"]) == isolated
    assert reports[0] == reports[1]


def test_a_photograph_is_inspected_with_what_it_says_of_its_making(inspected, tmp_path):
    path = tmp_path / "photo.mp4"  # content decides, not the name
    exif = Image.Exif()
    exif[0x010F], exif[0x0110], exif[0x0131] = "Acme", "Snapper 3", "Retouch 9"
    exif.get_ifd(0x8769)[0x9003] = "2021:05:06 07:08:09"
    exif.get_ifd(0x8825)[0x0002] = (52.0, 30.0, 0.0)
    Image.fromarray(_face()).save(path, format="JPEG", exif=exif, xmp=b"<x:xmpmeta>note</x:xmpmeta>", quality=95)
    code, said, report = inspected(path)
    assert code == 0, said
    assert report["score"]["frames_scored"] == 1
    assert report["score"]["logit"] is not None
    assert _findings(report, "still picture") == ["jpeg, 160x96"]
    (made,) = _findings(report, "what the file says of its making")
    for told in ("make Acme", "model Snapper 3", "software Retouch 9", "date 2021:05:06 07:08:09", "location (52.0"):
        assert told in made
    (tags,) = (each["details"] for each in report["evidence"] if each["name"] == "what the file says of its making")
    assert tags["xmp"] == "<x:xmpmeta>note</x:xmpmeta>"
    assert any("a single picture" in line for line in report["limits"])
    assert not any("sound" in line or "motion" in line for line in report["not_analysed"])
    page = (tmp_path / "case" / "report.html").read_text()
    assert "The file is a single picture, so there is no timeline" in page


def test_a_picture_in_turned_storage_is_seen_upright(inspected, tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    path = tmp_path / "turned.jpg"
    Image.fromarray(np.rot90(_face())).save(path, exif=exif, quality=95)
    _, _, report = inspected(path)
    assert _findings(report, "still picture") == ["jpeg, 160x96"]
    assert report["score"]["frames_scored"] == 1


@pytest.mark.parametrize(
    ("make", "expected", "told"),
    [
        (lambda path: path.mkdir(), 2, "holds no video or picture"),
        (lambda path: None, 1, "does not exist"),
        (lambda path: path.write_bytes(b"\xff\xd8\xff\xe0 broken"), 1, "is not a video that can be read"),
        (lambda path: path.write_bytes(b""), 1, "is empty"),
    ],
)
def test_what_cannot_be_inspected_is_named(inspected, tmp_path, make, expected, told):
    make(tmp_path / "suspect.jpg")
    code, said, _ = inspected(tmp_path / "suspect.jpg")
    assert code == expected
    assert told in said


def test_files_planted_beside_the_suspect_are_named_and_not_believed(inspected, clip):
    _, _, before = inspected(clip)
    assert _findings(before, "files beside it") == []
    for suffix in (".landmarks.parquet", ".json", ".c2pa"):
        clip.with_suffix(suffix).write_bytes(b"planted")
    _, _, report = inspected(clip, "--force")
    (found,) = _findings(report, "files beside it")
    assert found == "3 go by its name: seen.c2pa, seen.json, seen.landmarks.parquet"
    assert report["score"] == before["score"]
    (credentials,) = _findings(report, "content credentials (C2PA)")
    assert credentials.endswith("in a file beside it that anybody may have put there")


def test_a_file_that_is_cut_off_says_how_many_of_its_frames_were_read(inspected, clip):
    data = clip.read_bytes()
    clip.write_bytes(data[: len(data) * 4 // 5])
    code, said, report = inspected(clip)
    assert code == 0, said
    read = report["score"]["frames_read"]
    assert 0 < read < FRAMES
    assert any(f"{read} of {FRAMES} declared frames could be read" in line for line in report["analysed"])
    missing = f"{FRAMES - read} frames that the file declares and that could not be read"
    assert missing in report["not_analysed"]


@pytest.mark.needs_media
@pytest.mark.parametrize("name", ["09-avif-grid/grid2x3.avif", "10-heic-in-folder/c.heic", "10-heic-in-folder/d.jp2"])
def test_pictures_of_phones_are_inspected(inspected, media, name):
    code, said, report = inspected(media / "cases" / name)
    assert code == 0, said
    size = "477x640" if name.endswith("jp2") else "512x768"
    assert any(size in one["finding"] for one in report["evidence"])
