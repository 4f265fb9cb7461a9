"""Who is in a clip: its tracks grouped by person, and which of them are swapped."""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np

from forge.swapping.tracks import STRICT, FoundFaces
from shared.console import counted
from shared.errors import UsageError
from shared.faces.people import group_by_person
from shared.types import Face

Person = tuple[int, ...]
"""The tracks of one person."""


def people_of(found: FoundFaces, same_distance: float | None = None) -> list[Person]:
    """The people of a clip, each with its tracks; the one who covers most area over all frames is first.

    Tracks are one person's if their embeddings are nearer than ``same_distance`` on average and no frame shows both. By
    default it is two thirds of the embedder's threshold in a video, and the threshold itself in single pictures. A
    track without an embedding is a person of its own; in single pictures without an embedder, person ``n`` is the
    ``n``-th largest face of each.
    """
    area, order = areas(found.faces), ranked_tracks(found.faces)
    if found.single and not found.embedder:
        people = _by_size(found.faces)
    else:
        limit = same_distance or found.same_distance * (1.0 if found.single else STRICT)
        place = {track: index for index, track in enumerate(order)}
        apart = {(place[a], place[b]) for a, b in _seen_together(found.faces)}
        groups = group_by_person([found.embeddings.get(track) for track in order], limit, apart)
        people = [tuple(order[index] for index in group) for group in groups]
    return sorted(people, key=lambda tracks: (-sum(area[track] for track in tracks), tracks))


def ranked_tracks(faces: Mapping[int, Sequence[Face]]) -> list[int]:
    """Track numbers by the area they cover over all frames, largest first."""
    area = areas(faces)
    return sorted(area, key=lambda track: (-area[track], track))


def areas(faces: Mapping[int, Sequence[Face]]) -> dict[int, float]:
    """By track: the sum of its boxes' areas over all frames, in square pixels."""
    area: dict[int, float] = defaultdict(float)
    for face in itertools.chain.from_iterable(faces.values()):
        x0, y0, x1, y1 = (float(side) for side in face.box)
        area[track_of(face)] += (x1 - x0) * (y1 - y0)
    return area


def track_of(face: Face) -> int:
    """The track number of a tracked face.

    Raises:
        ValueError: it has none.
    """
    if face.track is None:
        raise ValueError("faces of a plan carry their track numbers")
    return face.track


def _by_size(faces: Mapping[int, Sequence[Face]]) -> list[Person]:
    ranked = [sorted(here, key=lambda face: (-face.width_px, track_of(face))) for _index, here in sorted(faces.items())]
    columns = itertools.zip_longest(*ranked)
    return [tuple(track_of(face) for face in column if face is not None) for column in columns]


def _seen_together(faces: Mapping[int, Sequence[Face]]) -> set[tuple[int, int]]:
    together: set[tuple[int, int]] = set()
    for here in faces.values():
        together.update(itertools.combinations(sorted(track_of(face) for face in here), 2))
    return together


def chosen_ranks(people: int, face: str, what: str) -> tuple[int, ...]:
    """The ranks that ``face`` (``main``, ``all`` or numbers) chooses among that many people.

    Raises:
        UsageError: one is beyond the last.
    """
    if face == "all":
        return tuple(range(people))
    ranks = [0] if face == "main" else [int(part) for part in face.split(",")]
    missing = next((rank for rank in ranks if rank >= people), None)
    if missing is not None:
        raise UsageError(
            f"{what} shows {counted(people, 'person', 'people')}, so there is no number {missing}",
            hint=f"choose --face main, all or a number from 0 to {people - 1}",
        )
    return tuple(dict.fromkeys(ranks))


def unsure_frames(found: FoundFaces, people: Sequence[Person], ranks: Sequence[int]) -> frozenset[int]:
    """Frames without a chosen person that show a face which may be one, but not for sure.

    In a video that is one between the strict distance and the embedder's own threshold; without an embedder, any that
    no frame shows together with the chosen person. In single pictures there is none.
    """
    if found.single:
        return frozenset()
    frames = {person: _frames_with(found.faces, person) for person in people}
    chosen = [people[rank] for rank in ranks]
    unsure: set[int] = set()
    for other in (person for person in people if person not in chosen):
        if any(not frames[one] & frames[other] and _may_be_one(found, one, other) for one in chosen):
            unsure |= frames[other]
    return frozenset(unsure.difference(*(frames[one] for one in chosen)))


def _frames_with(faces: Mapping[int, Sequence[Face]], person: Person) -> set[int]:
    tracks = set(person)
    return {index for index, here in faces.items() if any(face.track in tracks for face in here)}


def _may_be_one(found: FoundFaces, one: Person, other: Person) -> bool:
    if not found.embedder:
        return True
    pairs = list(_distances(found, one, other))
    return bool(pairs) and float(np.mean(pairs)) < found.same_distance


def _distances(found: FoundFaces, one: Person, other: Person) -> Iterator[float]:
    for here, there in itertools.product(one, other):
        if here in found.embeddings and there in found.embeddings:
            yield float(np.linalg.norm(found.embeddings[here] - found.embeddings[there]))


def rejoined(found: FoundFaces, people: Sequence[Person]) -> tuple[dict[int, tuple[Face, ...]], list[Person]]:
    """The faces and the people, with the parts of one tracker's track that show one person joined to one track."""
    name: dict[int, int] = {}
    for person in people:
        first: dict[int, int] = {}
        for track in sorted(person):
            name[track] = first.setdefault(found.parts_of.get(track, track), track)
    faces = {
        index: tuple(replace(face, track=name[track_of(face)]) for face in here) for index, here in found.faces.items()
    }
    return faces, [tuple(dict.fromkeys(name[track] for track in person)) for person in people]
