"""Bridging of short gaps of detection: frames in which the finder missed a face that is still there.

A detector near its limit (half a face at the border, a dark picture) finds a face in some frames and not in others, and
the swap would flicker on and off. Between two found faces, and from a found face to the begin or end of a scene,
landmarks are interpolated, if the pictures show that face at the interpolated place.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing, nullcontext
from dataclasses import dataclass, replace

import numpy as np

from forge.swapping.tracks import SAME_LOOK, FoundFaces
from shared.faces.boxes import overlap
from shared.faces.stream import appearance, likeness
from shared.types import Face, Frame

_SAME_PLACE = 0.3


@dataclass(frozen=True, eq=False)
class _Gap:
    """Frames ``start`` to ``stop`` (half-open) without the face that is there before, after, or both."""

    start: int
    stop: int
    before: Face | None
    after: Face | None

    @property
    def ends(self) -> list[tuple[int, Face]]:
        """The found faces on either side, with their frames."""
        sides = ((self.start - 1, self.before), (self.stop, self.after))
        return [(frame, face) for frame, face in sides if face is not None]

    def faces(self) -> list[tuple[int, Face]]:
        """The interpolated face of every frame; constant where only one side is known."""
        first, last = self.ends[0][1], self.ends[-1][1]
        found: list[tuple[int, Face]] = []
        for frame in range(self.start, self.stop):
            share = (frame - self.start + 1) / (self.stop - self.start + 1)
            box, points = (
                ((1 - share) * one + share * other).astype(np.float32)
                for one, other in ((first.box, last.box), (first.landmarks, last.landmarks))
            )
            confidence = min(first.confidence, last.confidence)
            found.append((frame, replace(first, box=box, landmarks=points, confidence=confidence)))
        return found


def bridge_gaps(
    found: FoundFaces, people: Sequence[Sequence[int]], frames: Iterable[Frame], max_gap_frames: int
) -> tuple[Mapping[int, tuple[Face, ...]], frozenset[int]]:
    """The faces of ``found`` with those of short gaps added, and the indices of the frames that got one.

    A gap is bridged whole or not at all. It is not bridged over a cut, nor where another face lies at that place.

    Args:
        found: the faces of a clip.
        people: the tracks of each person whose gaps are bridged.
        frames: of the clip; read only as far as there are gaps.
        max_gap_frames: the longest gap that is bridged; 0 for none.
    """
    gaps = [gap for tracks in people for gap in _gaps(found, set(tracks), max_gap_frames)]
    gaps = [gap for gap in gaps if not any(_taken(found, frame, face) for frame, face in gap.faces())]
    faces, bridged = dict(found.faces), set[int]()
    for gap in _shown(gaps, frames):
        for frame, face in gap.faces():
            faces[frame] = (*faces.get(frame, ()), face)
            bridged.add(frame)
    return faces, frozenset(bridged)


def _gaps(found: FoundFaces, tracks: set[int], max_gap_frames: int) -> Iterator[_Gap]:
    """The gaps of one person that are short enough, scene by scene."""
    first, end = min(found.times), max(found.times) + 1
    here = {index: next((face for face in faces if face.track in tracks), None) for index, faces in found.faces.items()}
    edges = sorted({first, end, *found.cuts})
    for scene_start, scene_end in itertools.pairwise(edges):
        there = [index for index in range(scene_start, scene_end) if here.get(index) is not None]
        if not there:
            continue
        for last, upcoming in itertools.pairwise([scene_start - 1, *there, scene_end]):
            if 0 < upcoming - last - 1 <= max_gap_frames:
                yield _Gap(
                    last + 1, upcoming, *(here.get(side) if side in there else None for side in (last, upcoming))
                )


def _taken(found: FoundFaces, frame: int, face: Face) -> bool:
    return any(overlap(face.box, other.box) > _SAME_PLACE for other in found.faces.get(frame, ()))


def _shown(gaps: Sequence[_Gap], frames: Iterable[Frame]) -> list[_Gap]:
    """The gaps in each of whose frames the face of either end is seen at the interpolated place."""
    if not gaps:
        return []
    wanted: dict[int, list[tuple[int, Face]]] = {}
    for number, gap in enumerate(gaps):
        for frame, face in (*gap.faces(), *gap.ends):
            wanted.setdefault(frame, []).append((number, face))
    looks: list[dict[int, np.ndarray]] = [{} for _ in gaps]
    iterator = iter(frames)
    close = getattr(iterator, "close", None)
    with closing(iterator) if callable(close) else nullcontext():  # type: ignore[type-var]
        for frame in iterator:
            for number, face in wanted.pop(frame.index, ()):
                looks[number][frame.index] = appearance(frame.image, face.landmarks)
            if not wanted:
                break
    return [gap for gap, seen in zip(gaps, looks, strict=True) if _is_shown(gap, seen)]


def _is_shown(gap: _Gap, looks: Mapping[int, np.ndarray]) -> bool:
    known = [looks[frame] for frame, _face in gap.ends if frame in looks]
    return all(
        frame in looks and any(likeness(looks[frame], one) >= SAME_LOOK for one in known)
        for frame in range(gap.start, gap.stop)
    )
