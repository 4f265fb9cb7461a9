from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from forge.swapping.bridging import bridge_gaps
from forge.swapping.config import SwapConfig
from forge.swapping.coverage import SwapCoverage
from forge.swapping.plan import plan_found
from forge.swapping.tracks import FoundFaces
from shared.actors import Actor, perform
from shared.faces.boxes import box_around
from shared.types import Face, Frame, Timestamp

FRAMES = 12


@pytest.fixture(scope="module")
def acted() -> list[tuple[np.ndarray, np.ndarray]]:
    return [(f.image, f.landmarks) for f in perform(Actor.from_seed(2), frames=FRAMES, px=96, seed=3)]


def _frames(images) -> list[Frame]:
    return [Frame(index, Timestamp(index, Fraction(1, 25)), image) for index, image in enumerate(images)]


def _found(acted, missing, cuts=()) -> FoundFaces:
    faces = {
        index: (Face(box_around(points).astype(np.float32), points.astype(np.float32), 1.0, 0),)
        for index, (_image, points) in enumerate(acted)
        if index not in missing
    }
    times = {index: Timestamp(index, Fraction(1, 25)) for index in range(len(acted))}
    return FoundFaces(times, faces, cuts=tuple(cuts))


def _bridged(acted, missing, images=None, cuts=(), longest=25):
    images = [image for image, _points in acted] if images is None else images
    return bridge_gaps(_found(acted, missing, cuts), [(0,)], _frames(images), longest)


@pytest.mark.parametrize("missing", [{4}, {3, 4, 5, 8}, {0, 1}, {10, 11}], ids=str)
def test_frames_that_the_finder_missed_get_the_face_that_is_there(acted, missing):
    faces, bridged = _bridged(acted, missing)
    assert bridged == missing
    assert sorted(faces) == list(range(FRAMES))
    for index in missing:
        assert np.abs(faces[index][0].landmarks - acted[index][1]).mean() < 2
        assert faces[index][0].track == 0


def test_the_middle_of_a_gap_is_the_mean_of_its_ends(acted):
    faces, _ = _bridged(acted, {5})
    assert faces[5][0].landmarks == pytest.approx((acted[4][1] + acted[6][1]) / 2, abs=1e-3)


def test_a_gap_that_is_too_long_or_has_a_cut_in_it_stays(acted):
    assert _bridged(acted, {4, 5, 6}, longest=2)[1] == frozenset()
    assert _bridged(acted, {4, 5, 6}, longest=0)[1] == frozenset()
    # On either side of the cut the face is there up to it, and from it on.
    assert _bridged(acted, {4, 5, 6}, cuts=[5])[1] == {4, 5, 6}
    assert _bridged(acted, {4, 5, 6}, cuts=[5, 6])[1] == {4, 6}


def test_a_face_that_something_covers_is_not_swapped_in_the_dark(acted, rng):
    images = [image.copy() for image, _points in acted]
    images[5][:] = rng.integers(0, 255, images[5].shape)
    faces, bridged = _bridged(acted, {4, 5, 6, 9}, images)
    assert bridged == {9}, "a gap is bridged whole or not at all"
    assert 5 not in faces


def test_where_another_face_lies_nobody_is_put(acted):
    found = _found(acted, {5})
    other = Face(found.faces[4][0].box, found.faces[4][0].landmarks, 1.0, 7)
    taken = FoundFaces(found.times, {**found.faces, 5: (other,)})
    faces, bridged = bridge_gaps(taken, [(0,)], _frames([image for image, _points in acted]), 25)
    assert bridged == frozenset()
    assert faces[5] == (other,)


def test_frames_are_read_only_where_there_is_a_gap(acted):
    def unread():
        pytest.fail("a frame was read")
        yield

    assert bridge_gaps(_found(acted, ()), [(0,)], unread(), 25)[1] == frozenset()

    read = []

    def counted():
        for frame in _frames([image for image, _points in acted]):
            read.append(frame.index)
            yield frame

    assert bridge_gaps(_found(acted, {2}), [(0,)], counted(), 25)[1] == {2}
    assert read == [0, 1, 2, 3]


def test_what_was_bridged_is_swapped_labelled_and_counted(acted):
    frames = _frames([image for image, _points in acted])
    plan = plan_found(_found(acted, {5, 6}), SwapConfig(), frames=frames)
    assert plan.swapped_frames == list(range(FRAMES))
    coverage = SwapCoverage.of(plan, plan.swapped_frames)
    assert coverage.factors() == {"frames_seen": str(FRAMES), "frames_bridged": "2"}
    assert plan_found(_found(acted, {5, 6}), SwapConfig()).swapped_frames == [
        i for i in range(FRAMES) if i not in (5, 6)
    ]
