"""The first pass of a swap: which face of which frame is to be swapped, and where exactly it is.

Landmarks of the whole clip are small (half a kilobyte a face), so they are held, smoothed over time and read by the
second pass; pictures are not held.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace

import numpy as np

from shared.errors import NoFaceError, UsageError
from shared.faces.track import smooth_landmarks
from shared.types import Face, Frame, Timestamp


@dataclass(frozen=True, eq=False)
class SwapPlan:
    """What the second pass does.

    Attributes:
        times: of every frame of the clip.
        faces: every face found, by frame index; frames without one are absent.
        chosen: the tracks to swap, the one with most area first.
    """

    times: tuple[Timestamp, ...]
    faces: Mapping[int, tuple[Face, ...]]
    chosen: tuple[int, ...]

    @property
    def frames(self) -> int:
        """How many frames the clip has."""
        return len(self.times)

    def to_swap(self, frame: int) -> list[Face]:
        """The faces of a frame that are swapped, in the order of :attr:`chosen`."""
        faces = [face for face in self.faces.get(frame, ()) if face.track in self.chosen]
        return sorted(faces, key=lambda face: self.chosen.index(face.track or 0))

    @property
    def swapped_frames(self) -> list[int]:
        """Indices of the frames with a face to swap, ascending."""
        return [index for index in sorted(self.faces) if self.to_swap(index)]


def plan_swap(
    followed: Iterable[tuple[Frame, list[Face]]],
    *,
    face: str = "main",
    smooth: bool = True,
    what: str = "the clip",
    tick: Callable[[int], object] = lambda _amount: None,
) -> SwapPlan:
    """The plan for a clip whose frames come with their faces, each face with its track number.

    ``face`` chooses: ``main`` is the track that covers most area over all frames, ``all`` every track, a number the
    track of that rank. ``smooth`` takes the jitter out of each track's landmarks. ``what`` names the clip in errors.

    Raises:
        NoFaceError: no face in any frame.
        UsageError: there are fewer tracks than ``face`` asks for.
    """
    times: dict[int, Timestamp] = {}
    found: dict[int, tuple[Face, ...]] = {}
    for frame, faces in followed:
        times[frame.index] = frame.time
        if faces:
            found[frame.index] = tuple(faces)
        tick(1)
    if not found:
        raise NoFaceError(
            f"no face was found in any of the {len(times)} frames of {what}",
            hint="check the clip, or choose another --finder",
        )
    chosen = _choose(ranked_tracks(found), face, what)
    return SwapPlan(tuple(times.values()), smoothed(found, times) if smooth else found, chosen)


def ranked_tracks(found: Mapping[int, tuple[Face, ...]]) -> list[int]:
    """Track numbers by the area they cover over all frames, largest first."""
    area: dict[int, float] = defaultdict(float)
    for faces in found.values():
        for face in faces:
            x0, y0, x1, y1 = (float(side) for side in face.box)
            area[_track(face)] += (x1 - x0) * (y1 - y0)
    return sorted(area, key=lambda track: (-area[track], track))


def smoothed(found: Mapping[int, tuple[Face, ...]], times: Mapping[int, Timestamp]) -> dict[int, tuple[Face, ...]]:
    """The same faces, by frame index, with each track's landmarks smoothed over time, nothing lagging."""
    frames_of: dict[int, list[tuple[int, int]]] = defaultdict(list)
    for index, faces in sorted(found.items()):
        for place, face in enumerate(faces):
            frames_of[_track(face)].append((index, place))
    result = {index: list(faces) for index, faces in found.items()}
    for places in frames_of.values():
        landmarks = np.stack([found[index][place].landmarks for index, place in places])
        seconds = np.array([times[index].seconds for index, _place in places])
        for (index, place), points in zip(places, smooth_landmarks(landmarks, seconds), strict=True):
            result[index][place] = replace(found[index][place], landmarks=points.astype(np.float32))
    return {index: tuple(faces) for index, faces in result.items()}


def _choose(ranked: list[int], face: str, what: str) -> tuple[int, ...]:
    if face == "all":
        return tuple(ranked)
    rank = 0 if face == "main" else int(face)
    if rank >= len(ranked):
        raise UsageError(
            f"{what} has {len(ranked)} face tracks, so there is no number {rank}",
            hint=f"choose --face main, all or a number from 0 to {len(ranked) - 1}",
        )
    return (ranked[rank],)


def _track(face: Face) -> int:
    if face.track is None:
        raise ValueError("faces of a plan carry their track numbers")
    return face.track
