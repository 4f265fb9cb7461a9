from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from forge.reenacting.performance import performance_of
from forge.swapping.plan import SwapPlan
from shared.errors import UsageError
from shared.types import Face, Timestamp
from tests.forge.reenacting.conftest import performance, talking


def test_the_face_at_rest_has_its_mouth_shut_and_the_widest_mouth_is_open():
    acted = performance()
    assert acted.neutral() % 6 == 0
    assert acted.widest_mouth() % 6 == 3
    assert acted.mouth_openings[acted.widest_mouth()] == pytest.approx(0.12, abs=0.01)


def test_a_blink_is_not_rest():
    acted = performance()
    for place in (0, 6, 12):
        acted.landmarks[place, [41, 40, 47, 46]] = acted.landmarks[place, [37, 38, 43, 44]]
    assert acted.neutral() == 18


def test_a_frame_without_the_face_cannot_be_at_rest():
    acted = performance()
    assert acted.place_of(5) == 5
    with pytest.raises(UsageError, match="frame 99 shows no face"):
        acted.place_of(99)


def test_only_the_chosen_person_performs():
    times = tuple(Timestamp(tick, Fraction(1, 25)) for tick in range(6))
    faces = {}
    for frame in (0, 1, 3, 4):
        points = talking(frame)
        box = np.array([*points.min(0), *points.max(0)], np.float32)
        other = Face(box + 2, points + 2, 1.0, track=7)
        faces[frame] = (other, Face(box, points, 1.0, track=2))
    plan = SwapPlan(times, faces, chosen=(2,), segments=((0, 1),))
    acted = performance_of(plan, width=96, height=96)
    assert acted.frames.tolist() == [0, 1, 3, 4]
    assert acted.tracks.tolist() == [2, 2, 2, 2]
    np.testing.assert_allclose(acted.landmarks[2], talking(3))
    assert np.ptp(acted.yaw) < 3
