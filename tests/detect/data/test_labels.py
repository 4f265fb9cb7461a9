from __future__ import annotations

import numpy as np
import pytest

from detect.data.labels import face_label, labels_by_clip
from shared.types import ClipId, ClipRecord, FrameLabel, Label
from tests.factories import clip_record

FAKE, REAL = ClipId("set", "swap", "clip"), ClipId("set", None, "clip")
HERE, THERE = (10.0, 10.0, 50.0, 50.0), (100.0, 10.0, 140.0, 50.0)


def record(clip: ClipId, faked: tuple[tuple[int, int], ...] = ()) -> ClipRecord:
    return clip_record(
        "ann", clip.manipulation, name=clip.name, source="bob", frames=30, width=200, height=100, faked=faked
    )


def row(frame: int, label: Label, box: tuple[float, float, float, float] | None) -> FrameLabel:
    return FrameLabel(FAKE, frame, frame, frame / 25, label, track=None if box is None else 0, box=box)


ROWS = labels_by_clip(
    [row(0, "real", HERE), row(1, "fake", HERE), row(2, "real", None), row(3, "fake", HERE), row(3, "real", THERE)]
)[FAKE]


@pytest.mark.parametrize(
    ("frame", "box", "expected"),
    [
        (0, HERE, "real"),  # an untouched frame inside a fake clip
        (1, HERE, "fake"),
        (1, (12, 8, 54, 52), "fake"),  # another finder's box of the same face
        (1, THERE, None),  # a face that the labels do not know, in a forged frame
        (0, THERE, "real"),  # the same in an untouched frame
        (2, HERE, "real"),  # the swapper saw no face, so it touched none
        (3, THERE, "real"),  # two faces, each with its own label
        (3, HERE, "fake"),
        (9, HERE, "fake"),  # no row: the record's ranges decide
        (25, HERE, "real"),
    ],
)
def test_a_face_of_a_fake_clip(frame: int, box: tuple, expected: str | None):
    assert face_label(record(FAKE, ((1, 2), (3, 12))), ROWS, frame, np.array(box, np.float32)) == expected


def test_rows_without_boxes_label_every_face_of_their_frame():
    """As an imported set has them: it says which frames are forged, and not where."""
    rows = labels_by_clip([row(0, "real", None), row(1, "fake", None)])[FAKE]
    assert face_label(record(FAKE, ((1, 2),)), rows, 1, np.array(HERE)) == "fake"
    assert face_label(record(FAKE, ((1, 2),)), rows, 0, np.array(HERE)) == "real"


def test_every_face_of_a_real_clip_is_real():
    assert face_label(record(REAL), {}, 4, np.array(HERE)) == "real"


def test_without_rows_the_ranges_decide_and_without_ranges_the_clip():
    assert face_label(record(FAKE, ((5, 9),)), {}, 5, np.array(HERE)) == "fake"
    assert face_label(record(FAKE, ((5, 9),)), {}, 9, np.array(HERE)) == "real"
    assert face_label(record(FAKE), {}, 0, np.array(HERE)) == "fake"
    assert face_label(record(FAKE), ROWS, 20, np.array(HERE)) is None  # rows, but none for this frame, and no range
