"""Values refuse bad shapes and self-contradiction when they are made."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest

from shared.types import (
    AlignedFace,
    ClipId,
    ClipRecord,
    Face,
    Frame,
    Masks,
    SwappedFace,
    Timestamp,
    VideoInfo,
    check_name,
)

TIME = Timestamp(0, Fraction(1, 25))
LANDMARKS = np.zeros((68, 2), np.float32)
BOX = np.array([1, 2, 11, 22], np.float32)
SHA = "0123456789abcdef" * 4


@pytest.mark.parametrize("name", ["a", "lp_d9", "GRID.s1-bbaf2n", "x@2+y=3", "0" * 200])
def test_safe_names_pass(name):
    assert check_name(name) == name


@pytest.mark.parametrize("name", ["", ".hidden", "..", "a/b", "a\\b", "a b", "ä", "a\n", "-x", "0" * 201, "a\0"])
def test_names_that_could_leave_a_folder_are_refused(name):
    with pytest.raises(ValueError, match="may hold letters"):
        check_name(name)


def test_seconds_are_exact():
    moment = Timestamp(1_001, Fraction(1, 30_000))
    assert moment.exact_seconds == Fraction(1_001, 30_000)
    assert moment.seconds == pytest.approx(0.0333666, abs=1e-6)


def test_timestamps_compare_as_moments_whatever_their_clock():
    one, same, later = Timestamp(1, Fraction(1, 25)), Timestamp(512, Fraction(1, 12_800)), Timestamp(3, Fraction(1, 60))
    assert one == same
    assert len({one, same}) == 1
    assert one != later
    assert one < later
    assert later > same
    assert one <= same
    assert sorted([later, one]) == [one, later]
    assert one != 0.04


def test_a_clock_must_run_forwards():
    for wrong in (Fraction(0), Fraction(-1, 25)):
        with pytest.raises(ValueError, match="time_base"):
            Timestamp(0, wrong)


def info(**changes):
    facts = {
        "width": 64,
        "height": 48,
        "frame_rate": Fraction(25),
        "time_base": Fraction(1, 25),
        "frames_declared": 3,
        "frames_counted": None,
        "duration_seconds": 0.12,
        "codec": "h264",
        "pixel_format": "yuv420p",
        "bit_depth": 8,
        "rotation": 0,
        "container": "mp4",
        "has_audio": False,
    }
    return VideoInfo(**(facts | changes))


@pytest.mark.parametrize("changes", [{"width": 0}, {"height": -1}, {"rotation": 45}, {"rotation": -90}])
def test_video_facts_that_cannot_be_are_refused(changes):
    assert info().rotation == 0
    with pytest.raises(ValueError, match=r"size|rotation"):
        info(**changes)


@pytest.mark.parametrize(
    "image", [np.zeros((4, 4), np.uint8), np.zeros((4, 4, 4), np.uint8), np.zeros((4, 4, 3), np.float32)]
)
def test_a_frame_is_rgb_bytes(image):
    assert Frame(0, TIME, np.zeros((4, 5, 3), np.uint8)).image.shape == (4, 5, 3)
    with pytest.raises(ValueError, match="image must be"):
        Frame(0, TIME, image)


def test_a_face_knows_its_width():
    assert Face(BOX, LANDMARKS, 0.9).width_px == 10


@pytest.mark.parametrize(
    ("box", "landmarks"),
    [
        (BOX[:3], LANDMARKS),
        (BOX, LANDMARKS[:5]),
        (BOX, LANDMARKS.T),
        (np.array([11, 2, 1, 22], np.float32), LANDMARKS),
        (np.array([1, 2, 11, 2], np.float32), LANDMARKS),
        (BOX, np.full((68, 2), np.nan, np.float32)),
        (np.array([1, 2, np.inf, 22], np.float32), LANDMARKS),
    ],
)
def test_a_face_without_sense_is_refused(box, landmarks):
    with pytest.raises(ValueError, match=r"box|landmarks"):
        Face(box, landmarks, 0.9)


def test_crops_are_square_and_matrices_affine():
    crop, matrix = np.zeros((8, 8, 3), np.uint8), np.eye(2, 3)
    assert AlignedFace(crop, LANDMARKS, matrix, 0).frame == 0
    with pytest.raises(ValueError, match="crop"):
        AlignedFace(crop[:6], LANDMARKS, matrix, 0)
    with pytest.raises(ValueError, match="frame_to_crop"):
        AlignedFace(crop, LANDMARKS, np.eye(3), 0)
    with pytest.raises(ValueError, match="mask"):
        SwappedFace(crop.astype(np.float32), np.zeros((7, 8), np.float32), matrix)


@pytest.mark.parametrize("clip", [ClipId("grid", None, "bbaf2n"), ClipId("set", "lightweight", "ann+bob")])
def test_clip_ids_survive_text(clip):
    assert ClipId.parse(str(clip)) == clip


def test_a_real_clip_reads_real():
    assert str(ClipId("grid", None, "bbaf2n")) == "grid/real/bbaf2n"


@pytest.mark.parametrize("text", ["grid/bbaf2n", "a/b/c/d", "", "a//c", "../real/x", "a/real/../b"])
def test_other_text_is_no_clip_id(text):
    with pytest.raises(ValueError, match=r"clip id|may hold"):
        ClipId.parse(text)


def test_no_manipulation_is_called_real():
    with pytest.raises(ValueError, match="real"):
        ClipId("set", "real", "x")


def real(**changes):
    facts = {
        "id": ClipId("set", None, "bob"),
        "kind": "real",
        "label": "real",
        "path": "media/bob.mp4",
        "sha256": SHA,
        "target_identity": "bob",
        "rights": "consent",
        "frames": 10,
        "width": 64,
        "height": 48,
        "codec": "h264",
    }
    return ClipRecord(**(facts | changes))


def fake(**changes):
    facts = {
        "id": ClipId("set", "lightweight", "bob"),
        "kind": "swap",
        "label": "fake",
        "source_identity": "ann",
        "faked": ((0, 4), (6, 10)),
    }
    return real(**(facts | changes))


def test_who_is_in_a_clip():
    assert real().identities == ("bob",)
    assert fake().identities == ("bob", "ann")
    assert fake(source_identity="bob").identities == ("bob",)


@pytest.mark.parametrize(
    ("make", "changes", "says"),
    [
        (real, {"label": "fake"}, "names its manipulation"),
        (real, {"kind": "swap"}, "contradicts kind"),
        (real, {"source_identity": "ann"}, "a real clip has no"),
        (real, {"faked": ((0, 1),)}, "a real clip has no"),
        (real, {"masks": Masks("a", "c", "r")}, "a real clip has no"),
        (real, {"sha256": "0" * 63}, "sha256"),
        (real, {"sha256": "G" * 64}, "sha256"),
        (fake, {"source_identity": None}, "names the source"),
        (fake, {"id": ClipId("set", None, "bob")}, "names its manipulation"),
        (fake, {"faked": ((0, 11),)}, "faked ranges"),
        (fake, {"faked": ((4, 4),)}, "faked ranges"),
        (fake, {"faked": ((5, 8), (0, 2))}, "faked ranges"),
        (fake, {"faked": ((0, 4), (4, 6))}, "faked ranges"),
        (fake, {"faked": ((-1, 4),)}, "faked ranges"),
        (real, {"frames": 2**40}, "more than any clip has"),
        (real, {"width": -1}, "more than any clip has"),
    ],
)
def test_records_that_contradict_themselves_are_refused(make, changes, says):
    make()
    with pytest.raises(ValueError, match=says):
        make(**changes)


def test_values_are_frozen():
    record = real()
    with pytest.raises(AttributeError):
        record.label = "fake"
    assert replace(record, split="train").split == "train"
