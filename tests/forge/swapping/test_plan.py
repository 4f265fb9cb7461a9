from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from forge.swapping.people import ranked_tracks
from forge.swapping.plan import plan_swap
from shared.errors import NoFaceError, UsageError
from shared.faces.align import MEAN_FACE
from shared.types import Face, Frame, Timestamp

BASE = Fraction(1, 25)


def _face(track: int, side: float, x: float = 0.0) -> Face:
    landmarks = (MEAN_FACE * side + x).astype(np.float32)
    return Face(np.array([x, 0, x + side, side], np.float32), landmarks, 1.0, track)


def _followed(faces_of_frames: list[list[Face]]):
    image = np.zeros((8, 8, 3), np.uint8)
    return [(Frame(i, Timestamp(i, BASE), image), faces) for i, faces in enumerate(faces_of_frames)]


def test_the_main_track_covers_most_area_over_the_whole_clip():
    # Track 7 is larger, but for one frame only: 60 * 60 against 3 * 40 * 40.
    plan = plan_swap(_followed([[_face(3, 40), _face(7, 60)], [_face(3, 40)], [_face(3, 40)]]))
    assert plan.chosen == (3,)
    assert [face.track for face in plan.to_swap(0)] == [3]
    assert len(plan.faces[0]) == 2


@pytest.mark.parametrize(("choice", "expected"), [("main", (1,)), ("0", (1,)), ("1", (2,)), ("all", (1, 2))])
def test_faces_are_chosen_by_rank(choice, expected):
    plan = plan_swap(_followed([[_face(2, 20), _face(1, 40, x=50)]] * 3), face=choice)
    assert plan.chosen == expected
    assert tuple(face.track for face in plan.to_swap(1)) == expected


def test_equal_tracks_are_ranked_by_number():
    assert ranked_tracks({0: (_face(5, 10), _face(4, 10))}) == [4, 5]


def test_frames_without_a_face_are_kept_in_the_count_and_left_alone():
    plan = plan_swap(_followed([[], [_face(1, 40)], [], [_face(1, 40)]]))
    assert plan.frames == 4
    assert plan.swapped_frames == [1, 3]
    assert plan.to_swap(0) == []
    assert [time.pts for time in plan.times] == [0, 1, 2, 3]


def test_smoothing_takes_the_jitter_of_a_still_face_out(rng):
    still = MEAN_FACE * 100 + 50
    noisy = [
        [
            Face(
                np.array([50, 50, 150, 150], np.float32),
                (still + rng.normal(0, 0.3, (68, 2))).astype(np.float32),
                1.0,
                0,
            )
        ]
        for _ in range(40)
    ]

    def jitter(plan) -> float:
        return float(np.diff([plan.faces[i][0].landmarks for i in range(5, 35)], axis=0).std())

    raw, smooth = plan_swap(_followed(noisy), smooth=False), plan_swap(_followed(noisy))
    assert jitter(smooth) < 0.7 * jitter(raw)
    assert smooth.faces[20][0].landmarks == pytest.approx(still, abs=0.6)


def test_no_face_at_all_is_said_before_anything_is_written():
    with pytest.raises(NoFaceError, match="2 frames of the clip bob"):
        plan_swap(_followed([[], []]), what="the clip bob")


def test_a_face_number_that_is_not_there_is_refused():
    with pytest.raises(UsageError, match="shows 1 person,") as caught:
        plan_swap(_followed([[_face(1, 40)]] * 2), face="1")
    assert "from 0 to 0" in str(caught.value.hint)


def test_progress_is_reported_frame_by_frame():
    told: list[int] = []
    plan_swap(_followed([[_face(1, 40)]] * 3), tick=told.append)
    assert told == [1, 1, 1]
