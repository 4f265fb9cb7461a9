from __future__ import annotations

import dataclasses
import json
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from detect.calibration.crop_quality import CropQuality
from detect.calibration.domain import Domain, Range, codec_family, domain_note, find_domain, read_domain, write_domain
from detect.calibration.facts import FileFacts, file_facts
from detect.calibration.files import VALIDATED_NAME
from shared.errors import CheckpointError
from shared.results.scores import FrameScore
from shared.types import ClipId, VideoInfo
from tests.factories import clip_record, scored_once

CLIP = ClipId("set", None, "one")
INSIDE = FileFacts(120.0, 720.0, 2000.0, 0.1, 25.0, "h264")


def domain(**effects: float) -> Domain:
    """Faces of 90 to 250 px, 0.05 to 0.2 bits a pixel at 25 frames a second, H.264; crops with detail and grain."""
    ranges = {
        "face_px": Range(90, 150, 250, 40),
        "face_detail": Range(0.5, 0.55, 0.6, 40),
        "face_grain": Range(0.6, 0.9, 1.2, 40),
        "face_blocks": Range(0.5, 1.0, 2.0, 40),
        "bits_per_pixel": Range(0.05, 0.1, 0.2, 40),
        "frame_rate": Range(25, 25, 25, 40),
    }
    ranges = {name: dataclasses.replace(span, effect=effects.get(name)) for name, span in ranges.items()}
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
    [(90, None), (250, None), (72, None), (312.5, None), (71, 71 / 90 - 1), (45, -0.5), (313, 0.252), (500, 1.0)],
)
def test_a_range_has_a_tolerance_on_a_ratio_scale(value: float, beyond: float | None):
    found = Range(90, 150, 250, 40).beyond(value, tolerance=1.25)
    assert found == (None if beyond is None else pytest.approx(beyond))
    assert Range(90, 150, 250, 40).beyond(89.9) is not None  # none unless asked for


def test_a_file_inside_and_one_outside_in_everything():
    assert domain().outside(INSIDE) == ()
    found = domain().outside(FileFacts(45.0, 2160.0, 90_000.0, 0.01, 5.0, "mpeg4"))
    assert [each.fact for each in found] == ["bits_per_pixel", "face_px", "codec", "frame_rate"]
    assert found[1].text == (
        "the faces are smaller than validated (the faces' width: 45 px; validated: 90 to 250 px; 2 times beyond, 1.25 "
        "tolerated)"
    )
    assert (found[1].value, found[1].low, found[1].high, found[1].beyond) == (45.0, 90, 250, -0.5)
    assert "the picture is compressed more than validated (the number of bits for a pixel: 0.01 bit;" in found[0].text
    assert found[2].text == "the codec is mpeg4 (MPEG-1 to MPEG-4 part 2), validated: h264"
    assert "5 times beyond, 2.5 tolerated" in found[3].text


def test_an_ordinary_phone_or_web_clip_is_inside_a_calibration_on_files_of_another_size_and_rate():
    phone = FileFacts(300.0, 1080.0, 17_000.0, 0.14, 59.94, "hevc")
    web = FileFacts(80.0, 360.0, 400.0, 0.04, 29.97, "vp9")
    assert domain().outside(phone) == domain().outside(web) == ()


def test_crops_are_compared_in_place_of_the_container():
    squeezed = FileFacts(120.0, 720.0, 90.0, 0.004, 25.0, "h264")
    assert [each.fact for each in domain().outside(squeezed)] == ["bits_per_pixel"]
    kept = dataclasses.replace(squeezed, face_detail=0.55, face_grain=0.8)
    assert domain().outside(kept) == ()  # whatever the container says, the faces are as those seen
    soft = dataclasses.replace(INSIDE, face_detail=0.4, face_grain=0.2)
    assert [each.fact for each in domain().outside(soft)] == ["face_grain", "face_detail"]
    assert domain().outside(soft)[1].text.startswith("the faces are softer than validated (the faces' detail: 0.4; ")
    blocky = dataclasses.replace(kept, face_blocks=30.0)
    assert [each.fact for each in domain().outside(blocky)] == ["face_blocks"]
    assert domain().outside(dataclasses.replace(kept, face_blocks=0.01)) == ()  # no grid at all is no fault


def test_larger_faces_are_outside_only_where_their_crops_are_not_known():
    large = dataclasses.replace(INSIDE, face_px=900.0)
    assert [each.fact for each in domain().outside(large)] == ["face_px"]
    assert domain().outside(dataclasses.replace(large, face_detail=0.6, face_grain=1.0)) == ()


def test_reasons_are_in_the_order_of_their_effect_on_the_detector():
    far = FileFacts(45.0, 720.0, 1000.0, 0.01, 25.0, "h264")
    by_size = domain(face_px=0.9, bits_per_pixel=0.1).outside(far)
    by_bits = domain(face_px=0.1, bits_per_pixel=0.9).outside(far)
    assert [each.fact for each in by_size] == ["face_px", "bits_per_pixel"]
    assert [each.fact for each in by_bits] == ["bits_per_pixel", "face_px"]


def test_the_effect_of_a_fact_is_its_rank_correlation_with_the_score():
    clips, facts = [], []
    for number in range(20):
        for made in (None, "stripes"):
            clips.append(scored_once(clip_record(f"p{number}", made), float(number)))
            facts.append(FileFacts(100.0 + number, 720.0, 1.0, 0.1 + 0.01 * ((7 * number) % 20), 25.0, "h264"))
    found = find_domain(clips, facts, dataset="toy", manifest_sha256="c" * 64, split="val")
    assert found.ranges["face_px"].effect == pytest.approx(1.0)
    assert found.ranges["bits_per_pixel"].effect == pytest.approx(
        abs(np.corrcoef(np.arange(20), (7 * np.arange(20)) % 20)[0, 1])
    )
    assert found.ranges["frame_rate"].effect is None  # the same everywhere
    assert set(found.ranges) == {"face_px", "bits_per_pixel", "frame_rate"}
    few = find_domain(clips[:10], facts[:10], dataset="toy", manifest_sha256="c" * 64, split="val")
    assert few.ranges["face_px"].effect is None


def test_codecs_with_alike_traces_are_one_family():
    assert codec_family("hevc") == codec_family("av1") == codec_family("h264")
    assert codec_family("mpeg1video") == codec_family("mpeg4") != codec_family("h264")
    assert codec_family("prores") == "prores"


def test_what_is_not_known_is_outside_unless_something_else_stands_for_it():
    unknown = FileFacts(None, 720.0, None, None, 25.0, None)
    assert [each.text for each in domain().outside(unknown)] == [
        "the faces' width is not known, validated: 90 to 250 px",
        "the number of bits for a pixel is not known, validated: 0.05 to 0.2 bit",
        "the codec is not known, validated: h264",
    ]


def test_a_range_that_begins_at_nothing_has_no_share():
    assert Range(0, 0, 0, 3).beyond(2.0) == float("inf")
    odd = Domain("toy", "c", "val", 1, 1, 1, {"face_px": Range(0, 0, 0, 3)}, {"h264": 2})
    assert odd.outside(INSIDE)[0].beyond is None


def test_a_domain_of_an_earlier_version_is_read_and_compared(folder):
    """One with a bit rate and a picture size, which are compared only where nothing better is known."""
    ranges = {"face_px": [90, 150, 250], "short_side_px": [480, 720, 1080], "bit_rate_kbps": [500, 1500, 4000],
              "bits_per_pixel": [0.05, 0.1, 0.2]}  # fmt: skip
    old = {
        "dataset": "toy", "manifest_sha256": "c" * 64, "split": "val", "real": 20, "fake": 20, "people": 10,
        "ranges": {name: {"low": low, "middle": mid, "high": high, "clips": 40}
                   for name, (low, mid, high) in ranges.items()},
        "codecs": {"h264": 40}, "renditions": {}, "manipulations": {}, "level": "clip", "weights_sha256": "",
        "finder": "", "format": 1,
    }  # fmt: skip
    (folder / VALIDATED_NAME).write_text(json.dumps(old))
    found = read_domain(folder)
    assert found is not None
    assert found.outside(FileFacts(120.0, 4320.0, 90_000.0, 0.1, 25.0, "h264")) == ()
    assert [each.fact for each in found.outside(FileFacts(30.0, 720.0, 900.0, 0.1, 25.0, "h264"))] == ["face_px"]


def test_the_quality_of_crops_is_among_the_facts():
    facts = file_facts(video(), 999, [], crops=CropQuality(0.5, 0.9, None))
    assert (facts.face_detail, facts.face_grain, facts.face_blocks) == (0.5, 0.9, None)


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
    assert json.loads((folder / VALIDATED_NAME).read_text())["format"] == 2


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
