"""Who is swapped: one person through cuts, gaps and changed places, and nobody else. The people are actors."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest

from forge.swapping.config import SwapConfig
from forge.swapping.coverage import SwapCoverage
from forge.swapping.people import people_of
from forge.swapping.plan import SwapPlan, found_plan, plan_found
from forge.swapping.tracks import FoundFaces, collect_faces
from shared.actors import Actor, perform
from shared.errors import UsageError
from shared.faces.boxes import box_around
from shared.faces.finders.finder import FaceFinder
from shared.faces.identity import IdentityEmbedder, make_embedder
from shared.faces.stream import follow
from shared.types import Face, Frame, Timestamp

PX, LENGTH = 96, 12
ANN, BOB = 0, 1
NOBODY = -1


class Known(FaceFinder):
    """A finder of known faces: those of the frame whose pixels it is shown, by its bytes."""

    name = "known"

    def __init__(self, shots: Sequence[Shot]) -> None:
        self.faces = {shot.image.tobytes(): [_face(points) for points in shot.people.values()] for shot in shots}

    def find(self, frames: Sequence[np.ndarray]) -> list[list[Face]]:
        return [self.faces[image.tobytes()] for image in frames]

    def refine(self, image: np.ndarray, boxes: Sequence[np.ndarray]) -> list[Face]:
        found = self.faces[image.tobytes()]
        lost = replace(_face(np.zeros((68, 2)) + np.arange(68)[:, None]), confidence=0.0)
        return [min(found, key=lambda face: float(np.abs(face.box - box).sum())) if found else lost for box in boxes]

    def describe(self) -> dict[str, str]:
        return {"finder": self.name}


class Shot:
    """A picture with the landmarks of the actors in it, by actor."""

    def __init__(self, image: np.ndarray, people: dict[int, np.ndarray]) -> None:
        self.image, self.people = image, people


def _face(points: np.ndarray) -> Face:
    return Face(box_around(points).astype(np.float32), points.astype(np.float32), 1.0)


@pytest.fixture(scope="module")
def performances() -> dict[int, list[tuple[np.ndarray, np.ndarray]]]:
    """Pictures and landmarks of two actors."""
    return {
        who: [(f.image, f.landmarks) for f in perform(Actor.from_seed(who), frames=2 * LENGTH, px=PX, seed=1)]
        for who in (ANN, BOB)
    }


@pytest.fixture(scope="module")
def embedder() -> IdentityEmbedder:
    pytest.importorskip("dlib")
    found = make_embedder()
    assert found is not None
    return found


def _scene(performances, *sides: int, start: int = 0, length: int = LENGTH) -> Iterator[Shot]:
    """People beside each other, from left to right."""
    for index in range(start, start + length):
        people, pictures = {}, []
        for place, who in enumerate(sides):
            if who == NOBODY:
                pictures.append(np.full((PX, PX, 3), 90 + index % 2, np.uint8))
                continue
            image, points = performances[who][index % (2 * LENGTH)]
            pictures.append(image)
            people[who] = points + np.array([place * PX, 0])
        yield Shot(np.concatenate(pictures, axis=1), people)


def _frames(shots: Sequence[Shot]) -> list[Frame]:
    return [Frame(index, Timestamp(index, Fraction(1, 25)), shot.image) for index, shot in enumerate(shots)]


def _plan(shots: Sequence[Shot], embedder: IdentityEmbedder | None, config: SwapConfig | None = None) -> SwapPlan:
    # Small faces, so that actors are cheap to draw.
    config = config or SwapConfig(min_face_px=16)
    frames = _frames(shots)
    return found_plan(frames, config, Known(shots), declared=None, what="clip", embedder=embedder)


def _swapped(plan: SwapPlan, shots: Sequence[Shot]) -> list[set[int]]:
    """Whose faces are swapped, frame by frame."""
    return [
        {
            who
            for face in plan.to_swap(index)
            for who, points in shot.people.items()
            if np.abs(face.landmarks - points).mean() < 5
        }
        for index, shot in enumerate(shots)
    ]


def test_people_who_change_places_at_a_cut_are_not_mistaken(performances, embedder):
    shots = [*_scene(performances, ANN, BOB), *_scene(performances, BOB, ANN, start=LENGTH)]
    for rank in ("0", "1"):
        plan = _plan(shots, embedder, SwapConfig(min_face_px=16, face=rank))
        found = _swapped(plan, shots)
        assert all(len(people) == 1 for people in found)
        assert len(set(map(frozenset, found))) == 1
        assert SwapCoverage.of(plan, plan.swapped_frames).warnings == []


def test_a_cut_to_another_person_alone_is_left_and_the_first_is_found_again(performances, embedder):
    shots = [*_scene(performances, ANN), *_scene(performances, BOB, length=6), *_scene(performances, ANN, start=LENGTH)]
    plan = _plan(shots, embedder)
    assert _swapped(plan, shots) == [{ANN}] * LENGTH + [set()] * 6 + [{ANN}] * LENGTH
    coverage = SwapCoverage.of(plan, plan.swapped_frames)
    assert (coverage.swapped, coverage.seen, coverage.read, coverage.others) == (24, 24, 30, 6)
    assert plan.bridged == frozenset()
    assert coverage.factors() == {"frames_seen": "24"}


def test_a_person_is_followed_over_a_blank_to_another_place(performances, embedder):
    shots = [
        *_scene(performances, ANN, NOBODY),
        *_scene(performances, NOBODY, NOBODY, length=5),
        *_scene(performances, NOBODY, ANN, start=LENGTH),
    ]
    plan = _plan(shots, embedder)
    assert _swapped(plan, shots) == [{ANN}] * LENGTH + [set()] * 5 + [{ANN}] * LENGTH
    assert plan.embedder == embedder.name


def test_a_dissolve_ends_the_swap_before_the_other_person_is_there(performances, embedder):
    """No frame of it is a cut, so the tracker keeps one track all the way."""
    one = list(_scene(performances, ANN, length=27))
    others = list(_scene(performances, BOB, length=40))
    points = one[-1].people[ANN]
    mixed = []
    for step in range(1, 12):
        share = step / 12
        image = (1 - share) * one[-1].image + share * others[0].image
        between = (1 - share) * points + share * others[0].people[BOB]
        mixed.append(Shot(image.round().astype(np.uint8), {ANN: between}))
    shots = [*one, *mixed, *others]
    plan = _plan(shots, embedder, SwapConfig(min_face_px=16, face="all"))
    people = [plan_of.chosen for plan_of in (_plan(shots, embedder, SwapConfig(min_face_px=16, face=f)) for f in "01")]
    assert not set(people[0]) & set(people[1])
    assert set(people[0] + people[1]) <= set(plan.chosen)
    for rank in "01":
        chosen = _swapped(_plan(shots, embedder, SwapConfig(min_face_px=16, face=rank)), shots)
        assert not {ANN, BOB} <= set().union(*(chosen[:27] + chosen[38:]))


def test_without_an_embedder_tracks_are_people_and_the_doubt_is_said(performances):
    shots = [*_scene(performances, ANN, NOBODY), *_scene(performances, NOBODY, ANN, start=LENGTH, length=6)]
    plan = _plan(shots, None)
    assert _swapped(plan, shots) == [{ANN}] * LENGTH + [set()] * 6
    coverage = SwapCoverage.of(plan, plan.swapped_frames)
    assert (coverage.unsure, coverage.factors()["frames_unsure"]) == (6, "6")
    assert len(coverage.warnings) == 1
    assert "6 frames with a face that may be the same person's" in coverage.warnings[0]
    assert plan.factors["people_recognised_by"] == "tracks"


def _found(embeddings: dict[int, list[float]], frames: Sequence[Sequence[int]], **more) -> FoundFaces:
    """Tracks of equal size by frame, and their embeddings."""
    face = _face(np.stack([np.arange(68), np.arange(68)[::-1]], 1) + 1.0)
    faces = {i: tuple(replace(face, track=track) for track in here) for i, here in enumerate(frames) if here}
    times = {index: Timestamp(index, Fraction(1, 25)) for index in range(len(frames))}
    vectors = {track: np.array(vector) for track, vector in embeddings.items()}
    return FoundFaces(times, faces, vectors, embedder="test", **more)


def test_two_faces_of_one_frame_are_two_people_however_alike():
    found = _found({0: [0, 0], 1: [0.1, 0]}, [[0, 1], [0]])
    assert people_of(found) == [(0,), (1,)]
    assert people_of(_found({0: [0, 0], 1: [0.1, 0]}, [[0], [0], [1]])) == [(0, 1)]


def test_videos_are_strict_pictures_less_so_and_the_setting_overrules_both():
    vectors, frames = {0: [0, 0], 1: [0.5, 0]}, [[0], [0], [1]]
    assert people_of(_found(vectors, frames)) == [(0,), (1,)]
    assert people_of(_found(vectors, frames, single=True)) == [(0, 1)]
    assert people_of(_found(vectors, frames), 0.55) == [(0, 1)]
    assert people_of(_found(vectors, frames, single=True), 0.45) == [(0,), (1,)]
    plan = plan_found(_found(vectors, frames), SwapConfig())
    assert (plan.seen_frames, plan.unsure) == ([0, 1], {2})
    assert plan_found(_found(vectors, frames), SwapConfig(face="all")).unsure == frozenset()


def test_a_low_share_is_warned_of_and_segments_are_no_fault():
    plan = plan_found(_found({0: [0, 0], 1: [5, 0]}, [[0], [], [], [1], []]), SwapConfig(face="0"))
    coverage = SwapCoverage.of(plan, plan.swapped_frames)
    assert coverage.warnings == ["only 1 of 5 frames are swapped: 1 show the person, 1 only others, 3 no face"]
    assert coverage.factors()["warnings"] == coverage.warnings[0]
    chosen = plan_found(_found({}, [[0]] * 6), SwapConfig(segments=((0, 2),)))
    assert SwapCoverage.of(chosen, [0, 1]).warnings == []
    assert SwapCoverage.of(chosen, [0]).warnings == ["1 of 6 frames that show the person hold no swapped pixel"]


def test_the_parts_of_a_track_that_show_one_person_are_one_track_again():
    found = _found({0: [0, 0], 5: [2, 0], 6: [0.1, 0]}, [[0], [5], [6], [6]], parts_of={5: 0, 6: 0})
    plan = plan_found(found, SwapConfig())
    assert plan.chosen == (0,)
    assert [[face.track for face in plan.faces[index]] for index in range(4)] == [[0], [5], [0], [0]]
    with pytest.raises(UsageError, match="shows 2 people, so there is no number 2"):
        plan_found(found, SwapConfig(face="2"))


def test_the_pictures_of_a_folder_are_grouped_by_size_where_nothing_tells_people_apart():
    found = replace(_found({}, [[0, 1], [2]], single=True), embedder="")
    assert people_of(found) == [(0, 2), (1,)]


def test_following_gives_what_collecting_needs(performances, embedder):
    shots = list(_scene(performances, ANN, length=4))
    found = collect_faces(follow(_frames(shots), Known(shots)), embedder)
    assert list(found.faces) == [0, 1, 2, 3]
    assert found.embeddings[0].shape == (embedder.dim,)
    assert (found.cuts, found.parts_of) == ((), {})
