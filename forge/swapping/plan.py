"""The first pass of a swap: which face of which frame is to be swapped, and where exactly it is.

Landmarks of the whole clip are small (half a kilobyte a face), so they are held, smoothed over time and read by the
second pass; pictures are not held.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from contextlib import closing
from dataclasses import dataclass, replace

import numpy as np

from forge.swapping.config import SwapConfig, TemporalConfig
from forge.swapping.temporal import stabilize_landmarks
from shared import config as settings
from shared.console import console, counted
from shared.errors import NoFaceError, UsageError
from shared.faces.finders.finder import FaceFinder
from shared.faces.finders.turned import turned_finder
from shared.faces.stream import FollowConfig, follow
from shared.types import Face, Frame, Timestamp


@dataclass(frozen=True, eq=False)
class SwapPlan:
    """What the second pass does.

    Attributes:
        times: of every frame of the clip.
        faces: every face found, by frame index; frames without one are absent.
        chosen: the tracks to swap, the one with most area first.
        segments: half-open ranges of frames to swap in; none is the whole clip.
        turned: degrees clockwise by which pictures had to be turned to find faces in them.
    """

    times: tuple[Timestamp, ...]
    faces: Mapping[int, tuple[Face, ...]]
    chosen: tuple[int, ...]
    segments: tuple[tuple[int, int], ...] = ()
    turned: int = 0

    @property
    def factors(self) -> dict[str, str]:
        """What a record says of how the faces were found; empty where that was ordinary."""
        return {"source_turned": f"faces found {self.turned} degrees clockwise"} if self.turned else {}

    @property
    def frames(self) -> int:
        """How many frames the clip has."""
        return len(self.times)

    def to_swap(self, frame: int) -> list[Face]:
        """The faces of a frame that are swapped, in the order of :attr:`chosen`."""
        if self.segments and not any(start <= frame < stop for start, stop in self.segments):
            return []
        faces = [face for face in self.faces.get(frame, ()) if face.track in self.chosen]
        return sorted(faces, key=lambda face: self.chosen.index(face.track or 0))

    def motion(self, frame: int, track: int) -> np.ndarray:
        """(2,): how far, in frame pixels, the face of ``track`` moves from one frame to the next, about ``frame``.

        Half of the way from the frame before to the one after, where the track has both; zero where it has neither.
        """
        places = {step: self._centre(frame + step, track) for step in (-1, 0, 1)}
        known = [(step, place) for step, place in places.items() if place is not None]
        if len(known) < 2:
            return np.zeros(2)
        (first, before), (last, after) = known[0], known[-1]
        return (after - before) / (last - first)

    def _centre(self, frame: int, track: int) -> np.ndarray | None:
        faces = (face for face in self.faces.get(frame, ()) if face.track == track)
        return next((face.landmarks.mean(axis=0, dtype=np.float64) for face in faces), None)

    @property
    def swapped_frames(self) -> list[int]:
        """Indices of the frames with a face to swap, ascending."""
        return [index for index in sorted(self.faces) if self.to_swap(index)]


def found_plan(
    frames: Iterable[Frame], config: SwapConfig, finder: FaceFinder, device: str, *, declared: int | None, what: str
) -> SwapPlan:
    """The plan for ``frames``, in which faces are found on a ``device`` of that kind and followed.

    Where no frame shows a face, turned ones are tried: a person may lie, or the file lack the tag that turns it.
    ``declared`` is how many frames there should be, None where nobody says. ``what`` names the clip in errors.

    Raises:
        NoFaceError: none was found.
        UsageError: see :func:`plan_swap`.
    """
    try:
        return _upright_plan(frames, config, finder, device, declared=declared, what=what)
    except NoFaceError:
        turned = turned_finder(frames, finder)
        if turned is None:
            raise
        console.warn(f"{what}: faces were found by turning its pictures {turned.degrees_clockwise} degrees clockwise")
        plan = _upright_plan(frames, config, turned, device, declared=declared, what=what)
        return replace(plan, turned=turned.degrees_clockwise)


def _upright_plan(
    frames: Iterable[Frame], config: SwapConfig, finder: FaceFinder, device: str, *, declared: int | None, what: str
) -> SwapPlan:
    following = replace(FollowConfig.on(device), min_face_px=config.min_face_px)
    following = settings.replace(following, detect_every=config.detect_every)
    with (
        console.progress("finding faces", declared, unit="frame") as tick,
        closing(follow(frames, finder, following)) as followed,  # type: ignore[type-var]
    ):
        return plan_swap(
            followed, face=config.face, temporal=config.temporal, segments=config.segments, what=what, tick=tick
        )


def plan_swap(
    followed: Iterable[tuple[Frame, list[Face]]],
    *,
    face: str = "main",
    smooth: bool = True,
    temporal: TemporalConfig = TemporalConfig(),  # noqa: B008 - frozen
    segments: tuple[tuple[int, int], ...] = (),
    what: str = "the clip",
    tick: Callable[[int], object] = lambda _amount: None,
) -> SwapPlan:
    """The plan for a clip whose frames come with their faces, each face with its track number.

    ``face`` chooses: ``main`` is the track that covers most area over all frames, ``all`` every track, numbers such as
    ``0,2`` the tracks of these ranks. ``temporal`` says how each track's landmarks settle; with ``smooth`` off they
    stay as they were found. ``segments`` are the ranges of frames to swap in. ``what`` names the clip in errors.

    Raises:
        NoFaceError: no face in any frame.
        UsageError: there are fewer tracks than ``face`` asks for, or fewer frames than a segment.
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
            hint="turned pictures showed none either; check the clip, or choose another --finder",
        )
    if segments and segments[-1][1] > len(times):
        raise UsageError(
            f"{what} has {counted(len(times), 'frame')}, so none is in {segments[-1]}", hint="mend the segments"
        )
    chosen = _choose(ranked_tracks(found), face, what)
    settled = smooth_tracks(found, times, temporal) if smooth else found
    return SwapPlan(tuple(times.values()), settled, chosen, segments)


def ranked_tracks(found: Mapping[int, tuple[Face, ...]]) -> list[int]:
    """Track numbers by the area they cover over all frames, largest first."""
    area: dict[int, float] = defaultdict(float)
    for faces in found.values():
        for face in faces:
            x0, y0, x1, y1 = (float(side) for side in face.box)
            area[_track(face)] += (x1 - x0) * (y1 - y0)
    return sorted(area, key=lambda track: (-area[track], track))


def smooth_tracks(
    found: Mapping[int, tuple[Face, ...]],
    times: Mapping[int, Timestamp],
    temporal: TemporalConfig = TemporalConfig(),  # noqa: B008 - frozen
) -> dict[int, tuple[Face, ...]]:
    """The same faces, by frame index, with each track's landmarks settled over time; by default nothing lags."""
    frames_of: dict[int, list[tuple[int, int]]] = defaultdict(list)
    for index, faces in sorted(found.items()):
        for place, face in enumerate(faces):
            frames_of[_track(face)].append((index, place))
    result = {index: list(faces) for index, faces in found.items()}
    for places in frames_of.values():
        landmarks = np.stack([found[index][place].landmarks for index, place in places])
        seconds = np.array([times[index].seconds for index, _place in places])
        for (index, place), points in zip(places, stabilize_landmarks(landmarks, seconds, temporal), strict=True):
            result[index][place] = replace(found[index][place], landmarks=points.astype(np.float32))
    return {index: tuple(faces) for index, faces in result.items()}


def _choose(ranked: list[int], face: str, what: str) -> tuple[int, ...]:
    if face == "all":
        return tuple(ranked)
    ranks = [0] if face == "main" else [int(part) for part in face.split(",")]
    missing = next((rank for rank in ranks if rank >= len(ranked)), None)
    if missing is not None:
        raise UsageError(
            f"{what} has {counted(len(ranked), 'face track')}, so there is no number {missing}",
            hint=f"choose --face main, all or a number from 0 to {len(ranked) - 1}",
        )
    return tuple(dict.fromkeys(ranked[rank] for rank in ranks))


def _track(face: Face) -> int:
    if face.track is None:
        raise ValueError("faces of a plan carry their track numbers")
    return face.track
