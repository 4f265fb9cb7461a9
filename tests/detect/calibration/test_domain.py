from __future__ import annotations

import dataclasses
import json
from fractions import Fraction
from pathlib import Path

import pytest

from detect.calibration.domain import Domain, FileFacts, Range, domain_note, file_facts, read_domain, write_domain
from detect.calibration.files import VALIDATED_NAME
from shared.errors import CheckpointError
from shared.results.scores import FrameScore
from shared.types import ClipId, VideoInfo

CLIP = ClipId("set", None, "one")
INSIDE = FileFacts(120.0, 720.0, 2000.0, 0.1, 25.0, "h264")


def domain() -> Domain:
    """Faces of 90 to 250 px, 480 to 1080 lines, H.264 at 500 to 4000 kbit/s."""
    ranges = {
        "face_px": Range(90, 150, 250, 40),
        "short_side_px": Range(480, 720, 1080, 40),
        "bit_rate_kbps": Range(500, 1500, 4000, 40),
    }
    return Domain("toy", "c" * 64, "val", 20, 20, 10, ranges, {"h264": 40}, {"crf23": 40}, {"stripes": 20})


def video(**changes) -> VideoInfo:
    values = {
        "width": 1280, "height": 720, "frame_rate": Fraction(25), "time_base": Fraction(1, 25), "frames_declared": 50,
        "frames_counted": None, "duration_seconds": 2.0, "codec": "h264", "pixel_format": "yuv420p", "bit_depth": 8,
        "rotation": 0, "container": "mp4", "has_audio": False, "bit_rate": 1_000_000,
    }  # fmt: skip
    return VideoInfo(**(values | changes))


def test_facts_of_a_file():
    frames = [FrameScore(CLIP, i, i / 25, 0, 1.0, (10, 10, 10 + width, 90)) for i, width in enumerate((80, 100, 200))]
    facts = file_facts(video(), 999, frames)
    assert facts == FileFacts(100.0, 720.0, 1000.0, 1e6 / (25 * 1280 * 720), 25.0, "h264")


def test_a_bit_rate_that_is_not_stated_comes_from_the_size():
    facts = file_facts(video(bit_rate=None), 250_000, [])
    assert facts.bit_rate_kbps == pytest.approx(1000.0)  # 250 kB in 2 s
    assert facts.face_px is None
    nothing = file_facts(video(bit_rate=None, duration_seconds=None, frame_rate=None), 250_000, [])
    assert (nothing.bit_rate_kbps, nothing.bits_per_pixel, nothing.frame_rate) == (None, None, None)


@pytest.mark.parametrize(
    ("value", "beyond"),
    [(90, None), (250, None), (81, None), (275, None), (80, 80 / 90 - 1), (45, -0.5), (276, 0.104), (500, 1.0)],
)
def test_a_range_has_a_margin_of_a_tenth(value: float, beyond: float | None):
    assert Range(90, 150, 250, 40).beyond(value) == (None if beyond is None else pytest.approx(beyond))


def test_a_file_inside_and_one_outside_in_everything():
    assert domain().outside(INSIDE) == ()
    found = domain().outside(FileFacts(45.0, 2160.0, None, None, 25.0, "hevc"))
    assert [each.fact for each in found] == ["face_px", "short_side_px", "bit_rate_kbps", "codec"]
    assert found[0].text == "the faces' width is 45 px, 50 % below what was seen (validated: 90 to 250 px)"
    assert (found[0].value, found[0].low, found[0].high, found[0].beyond) == (45.0, 90, 250, -0.5)
    assert "2160 px, 100 % above" in found[1].text
    assert "the bit rate is not known" in found[2].text
    assert found[3].text == "the codec is hevc, validated: h264"


def test_a_range_that_begins_at_nothing_has_no_share():
    assert Range(0, 0, 0, 3).beyond(2.0) == float("inf")
    odd = Domain("toy", "c", "val", 1, 1, 1, {"face_px": Range(0, 0, 0, 3)}, {"h264": 2})
    assert odd.outside(INSIDE)[0].beyond is None


def test_a_note_on_many_clips_says_how_many_and_in_what():
    small = FileFacts(30.0, 720.0, 2000.0, 0.1, 25.0, "h264")
    old = FileFacts(30.0, 720.0, 2000.0, 0.1, 25.0, "mpeg4")
    assert domain_note(domain(), [INSIDE, INSIDE]).startswith("All 2 clips lie in")
    note = domain_note(domain(), [INSIDE, small, old])
    assert note.startswith("2 of 3 clips lie outside")
    assert note.endswith("by the codec (1), the faces' width (2).")


def test_another_finder_lies_outside_where_both_are_known():
    found_by = dataclasses.replace(domain(), finder="yunet")
    assert found_by.outside(dataclasses.replace(INSIDE, finder="yunet")) == ()
    assert found_by.outside(INSIDE) == ()
    outside = found_by.outside(dataclasses.replace(INSIDE, finder="dlib"))
    assert [(each.fact, each.text) for each in outside] == [
        ("finder", "the faces were found by dlib, validated: yunet")
    ]  # fmt: skip
    assert file_facts(video(), 999, [], finder="dlib").finder == "dlib"
    assert dict(found_by.rows())["finder"] == "yunet"


def test_a_domain_of_another_detector_counts_as_none(folder):
    write_domain(folder, domain())
    assert read_domain(folder, "a" * 64) == domain()  # from before it was written down
    own = dataclasses.replace(domain(), weights_sha256="a" * 64)
    write_domain(folder, own)
    assert read_domain(folder) == read_domain(folder, "a" * 64) == own
    assert read_domain(folder, "b" * 64) is None


def test_the_lines_of_a_table():
    rows = dict(domain().rows())
    assert rows["the faces' width"] == "90 to 250 px"
    assert rows["manipulations"] == "stripes (20)"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "model.safetensors").write_bytes(b"")
    return tmp_path


def test_a_domain_comes_back_as_it_was(folder):
    assert read_domain(folder) is None
    write_domain(folder, domain())
    assert read_domain(folder) == domain()
    write_domain(folder, read_domain(folder))
    assert json.loads((folder / VALIDATED_NAME).read_text())["format"] == 1


def test_a_file_from_before_the_format_counts_as_none(folder):
    (folder / VALIDATED_NAME).write_text('{"dataset": "toy", "clips": 12}')
    assert read_domain(folder) is None


@pytest.mark.parametrize(
    ("text", "match"),
    [("{", "damaged"), ("[1]", "no JSON object"), ('{"format": 9}', "format 9"), ('{"format": 1, "x": 2}', "unknown"),
     ("[" * 100_000, "damaged")],
)  # fmt: skip
def test_damage_is_refused(folder, text: str, match: str):
    (folder / VALIDATED_NAME).write_text(text)
    with pytest.raises(CheckpointError, match=match):
        read_domain(folder)


def test_ranges_ascend():
    with pytest.raises(ValueError, match="ascend"):
        Range(5, 4, 6, 1)
