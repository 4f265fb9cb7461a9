from __future__ import annotations

import json

import numpy as np
import pytest

from detect.inspection.heatmap import overlay
from detect.inspection.report import FaceExhibit, plot_timeline, write_html, write_json
from shared.results.scores import ClipScore, Evidence, ForensicReport, FrameScore, TrackScore
from shared.types import ClipId
from tests.page_width import too_wide

CLIP = ClipId("suspect", None, "clip")
PNG = b"\x89PNG\r\n\x1a\n"


def report(name="clip.mp4", **changes):
    values = {
        "path_name": name,
        "sha256_intake": "a" * 64,
        "sha256_exit": "a" * 64,
        "size_bytes": 1234567,
        "verdict": "inconclusive",
        "reason": "No usable face was found, so nothing was scored.",
        "score": ClipScore(CLIP, None, None, 50, 0, 0, 0, "mean"),
        "tracks": (),
        "evidence": (Evidence("timing", "all even", {"40.000 ms": 49}, limits="common"),),
        "analysed": ("50 frames",),
        "not_analysed": ("sound",),
        "detector": {"name": "frame", "threshold_from": "validation"},
        "tool": {"assay": "0.1.0"},
    }
    return ForensicReport(**(values | changes))


def test_json_is_the_same_twice_and_can_be_read(tmp_path):
    for name in ("one.json", "two.json"):
        write_json(tmp_path / name, report())
    assert (tmp_path / "one.json").read_bytes() == (tmp_path / "two.json").read_bytes()
    document = json.loads((tmp_path / "one.json").read_text())
    assert document["verdict"] == "inconclusive"
    assert document["score"]["logit"] is None
    assert document["score"]["clip"]["name"] == "clip"


def test_a_page_without_faces_says_so(tmp_path):
    write_html(tmp_path / "r.html", report(), timeline=None, exhibits=[], threshold=0.0)
    page = (tmp_path / "r.html").read_text()
    assert "No face was scored" in page
    assert "not scored" in page
    assert "1,234,567 bytes" in page


def test_foreign_text_is_escaped(tmp_path):
    nasty = '<script>alert(1)</script>"&.mp4'
    evil = Evidence("x<b>", "y<i>", {"<k>": "<v>"}, limits="<l>")
    write_html(tmp_path / "r.html", report(nasty, evidence=(evil,)), timeline=None, exhibits=[], threshold=0.0)
    page = (tmp_path / "r.html").read_text()
    for tag in ("<script>", "x<b>", "<k>", "<v>", "<i>"):
        assert tag not in page
    assert "&lt;script&gt;" in page


def test_pictures_are_inside_the_page(tmp_path):
    frame_scores = [FrameScore(CLIP, i, i / 25, 0, float(i), (0, 0, 5, 5)) for i in range(20)]
    timeline = plot_timeline(frame_scores, threshold=1.0, duration_seconds=0.8, gaps=[(0.2, 0.3)])
    exhibit = FaceExhibit(3, 0.12, 0, 3.0, "highest score", PNG, PNG)
    scored = report(
        verdict="fake",
        reason="above",
        score=ClipScore(CLIP, None, 9.5, 20, 20, 20, 1, "mean"),
        tracks=(TrackScore(CLIP, 0, 9.5, 20),),
        low=8.0,
        high=11.0,
    )
    write_html(tmp_path / "r.html", scored, timeline=timeline, exhibits=[exhibit], threshold=1.0)
    page = (tmp_path / "r.html").read_text()
    assert page.count("data:image/png;base64,") == 2
    assert page.count("<svg") == 1
    assert "http://" not in page
    assert "https://" not in page
    assert "+8.00 to +11.00" in page


@pytest.mark.slow
def test_nothing_is_wider_than_a_phone(tmp_path):
    scores = [FrameScore(CLIP, i, i / 25, 0, float(i), (0, 0, 5, 5)) for i in range(20)]
    timeline = plot_timeline(scores, threshold=1.0, duration_seconds=0.8, gaps=[])
    long = Evidence("container", "f" * 90, {"key_" * 30: "value", "digest": "a" * 64})
    exhibit = FaceExhibit(3, 0.12, 0, 3.0, "highest score", PNG, PNG)
    scored = report("name_" * 30 + ".mp4", evidence=(long,), tracks=(TrackScore(CLIP, 0, 9.5, 20),))
    write_html(tmp_path / "r.html", scored, timeline=timeline, exhibits=[exhibit], threshold=1.0)
    assert too_wide((tmp_path / "r.html").read_text(), tmp_path) == ""


def test_a_changed_file_is_marked_on_the_page(tmp_path):
    write_html(tmp_path / "r.html", report(sha256_exit="b" * 64), timeline=None, exhibits=[], threshold=0.0)
    assert "CHANGED WHILE INSPECTED" in (tmp_path / "r.html").read_text()


def test_an_overlay_keeps_the_crop_where_nothing_matters(rng):
    crop = np.repeat(rng.integers(0, 255, (32, 32, 1), dtype=np.uint8), 3, axis=2)
    heat = np.zeros((8, 8), np.float32)
    heat[:4] = 1.0
    mixed = overlay(crop, heat)
    assert mixed.shape == (32, 32, 3)
    assert np.abs(mixed[26:].astype(int) - crop[26:]).max() <= 1
    assert np.abs(mixed[:6].astype(int) - crop[:6]).mean() > 10


@pytest.mark.parametrize("count", [0, 1, 3])
def test_a_timeline_of_any_number_of_faces(count):
    many = [FrameScore(CLIP, i, i / 25, t, 0.5 * i, (0, 0, 5, 5)) for t in range(count) for i in range(4)]
    assert plot_timeline(many, threshold=0.0, duration_seconds=0.2, gaps=[]).svg.startswith("<svg")


def test_a_long_timeline_has_lines_and_no_dots():
    def size(count: int) -> int:
        many = [FrameScore(CLIP, i, i / 25, 0, float(i % 7), (0, 0, 5, 5)) for i in range(count)]
        return plot_timeline(many, threshold=0.0, duration_seconds=count / 25, gaps=[]).svg.count("<use")

    assert size(2000) > 2000 > size(2001)
