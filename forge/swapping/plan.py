"""The first pass of a swap: which face of which frame is to be swapped, and where exactly it is.

Landmarks of the whole clip are small (half a kilobyte a face), so they are held, smoothed over time and read by the
second pass; pictures are not held.
"""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Callable, Generator, Iterable, Mapping
from contextlib import closing
from dataclasses import dataclass, field, replace

import numpy as np

from forge.swapping.bridging import bridge_gaps
from forge.swapping.config import SwapConfig, TemporalConfig
from forge.swapping.people import chosen_ranks, people_of, rejoined, track_of, unsure_frames
from forge.swapping.temporal import stabilize_landmarks
from forge.swapping.tracks import FoundFaces, collect_faces
from shared import config as settings
from shared.console import console, counted
from shared.errors import NoFaceError, UsageError
from shared.faces.finders.finder import FaceFinder, IndexedFinder
from shared.faces.finders.turned import turned_finder, turned_note
from shared.faces.identity import IdentityEmbedder
from shared.faces.stream import FollowConfig, follow
from shared.types import Face, Frame, Timestamp


@dataclass(frozen=True, eq=False)
class SwapPlan:
    """The plan of the second pass.

    Attributes:
        times: of every frame of the clip.
        faces: every face found, by frame index; frames without one are absent.
        chosen: the tracks to swap, those of the person with most area first.
        segments: half-open ranges of frames to swap in; none is the whole clip.
        notes: further factors of a record: that pictures had to be turned to find faces in them.
        ranks: of the chosen people, by area; 0 is the main person.
        bridged: frames in which landmarks of a chosen person are interpolated.
        unsure: frames without a chosen person that show a face which may be one, but not for sure.
        embedder: name of the embedder that recognised people; "" if each track counts as a person.
    """

    times: tuple[Timestamp, ...]
    faces: Mapping[int, tuple[Face, ...]]
    chosen: tuple[int, ...]
    segments: tuple[tuple[int, int], ...] = ()
    notes: Mapping[str, str] = field(default_factory=dict)
    ranks: tuple[int, ...] = (0,)
    bridged: frozenset[int] = frozenset()
    unsure: frozenset[int] = frozenset()
    embedder: str = ""

    @property
    def factors(self) -> dict[str, str]:
        """What a record says of how the faces were found."""
        return {"people_recognised_by": self.embedder or "tracks"} | dict(self.notes)

    @property
    def frames(self) -> int:
        """How many frames the clip has."""
        return len(self.times)

    @property
    def seen_frames(self) -> list[int]:
        """Indices of the frames that show a chosen person, ascending, inside the segments or not."""
        chosen = set(self.chosen)
        return [index for index, faces in sorted(self.faces.items()) if any(face.track in chosen for face in faces)]

    def in_segments(self, frame: int) -> bool:
        """Whether the frame is one to swap in."""
        return not self.segments or any(start <= frame < stop for start, stop in self.segments)

    def to_swap(self, frame: int) -> list[Face]:
        """The faces of a frame that are swapped, in the order of :attr:`chosen`."""
        if not self.in_segments(frame):
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
    frames: Iterable[Frame],
    config: SwapConfig,
    finder: FaceFinder,
    *,
    declared: int | None,
    what: str,
    embedder: IdentityEmbedder | None = None,
    single: bool = False,
) -> SwapPlan:
    """The plan for ``frames``, in which faces are found and followed.

    Where no frame shows a face, turned ones are tried: a person may lie, or the file lack the tag that turns it.

    Args:
        frames: of the clip; they can be iterated again.
        config: the settings.
        finder: finds the faces.
        declared: how many frames there should be; None where nothing says so.
        what: names the clip in errors.
        embedder: recognises people; without one each track is a person.
        single: whether the frames are single pictures, in each of which faces are found anew.

    Raises:
        NoFaceError: none was found.
        UsageError: see :func:`plan_swap`.
    """
    search = _Search(frames, config, declared, what, embedder, single)
    try:
        return search.plan(finder)
    except NoFaceError:
        turned = turned_finder(frames, finder)
        if turned is None:
            raise
        return replace(search.plan(turned), notes=turned_note(turned, what))


@dataclass(frozen=True, eq=False)
class _Search:
    """The search for faces in the frames of one clip; fields as in :func:`found_plan`."""

    frames: Iterable[Frame]
    config: SwapConfig
    declared: int | None
    what: str
    embedder: IdentityEmbedder | None
    single: bool

    def plan(self, finder: FaceFinder) -> SwapPlan:
        """The plan, from one pass with ``finder``, and a second one where there are gaps to bridge."""
        config = self.config
        following = replace(FollowConfig.suited_to(finder), min_face_px=config.min_face_px)
        following = settings.replace(following, detect_every=config.detect_every)
        unit = "picture" if self.single else "frame"
        with (
            console.progress("finding faces", self.declared, unit=unit) as tick,
            closing(
                _followed_singly(self.frames, finder, following)
                if self.single
                else follow(self.frames, finder, following)
            ) as followed,
        ):
            found = collect_faces(followed, self.embedder, single=self.single, tick=tick)
        # Faces given by a file are complete.
        frames = None if isinstance(finder, IndexedFinder) else self.frames
        return plan_found(found, config, frames=frames, what=self.what)


def _followed_singly(
    frames: Iterable[Frame], finder: FaceFinder, following: FollowConfig
) -> Generator[tuple[Frame, list[Face]], None, None]:
    """Every frame with its faces, as single pictures: each face is a track of its own."""
    number = 0
    for frame in frames:
        faces: list[Face] = []
        for _frame, faces in follow([frame], finder, following):  # noqa: B007 - one frame
            pass
        yield frame, [replace(face, track=number + place) for place, face in enumerate(faces)]
        number += len(faces)


def plan_swap(
    followed: Iterable[tuple[Frame, list[Face]]],
    *,
    face: str = "main",
    smooth: bool = True,
    segments: tuple[tuple[int, int], ...] = (),
    embedder: IdentityEmbedder | None = None,
    what: str = "the clip",
    tick: Callable[[int], object] = lambda _amount: None,
) -> SwapPlan:
    """The plan for a clip whose frames come with their tracked faces, with default settings; gaps are not bridged.

    ``face`` and ``segments`` are those of :class:`SwapConfig`. With ``smooth`` off, landmarks stay as they were found.
    ``embedder`` recognises people; without one each track is a person. ``what`` names the clip in errors.

    Raises:
        NoFaceError: no face in any frame.
        UsageError: there are fewer people than ``face`` asks for, or fewer frames than a segment.
    """
    temporal = TemporalConfig() if smooth else TemporalConfig(landmarks="none")
    config = SwapConfig(face=face, segments=segments, temporal=temporal)
    return plan_found(collect_faces(followed, embedder, tick=tick), config, what=what)


def plan_found(
    found: FoundFaces, config: SwapConfig, *, frames: Iterable[Frame] | None = None, what: str = "the clip"
) -> SwapPlan:
    """The plan for a clip whose faces are found.

    Of ``config``, ``face``, ``segments``, ``same_distance`` and ``temporal`` count. ``frames`` are those of the clip,
    for bridging gaps; None leaves gaps as they are.

    Raises:
        NoFaceError: no face in any frame.
        UsageError: there are fewer people than ``config.face`` asks for, or fewer frames than a segment.
    """
    times, segments = found.times, config.segments
    if not found.faces:
        raise NoFaceError(
            f"no face was found in any of the {len(times)} frames of {what}",
            hint="turned pictures showed none either; check the clip, or choose another --finder",
        )
    if segments and segments[-1][1] > len(times):
        short = f"{what} has {counted(len(times), 'frame')}, so none is in {segments[-1]}"
        raise UsageError(short, hint="mend the segments")
    people = people_of(found, config.same_distance)
    ranks = chosen_ranks(len(people), config.face, what)
    unsure = unsure_frames(found, people, ranks)
    faces, people = rejoined(found, people)
    chosen = [people[rank] for rank in ranks]
    bridged = frozenset[int]()
    if frames is not None and not found.single:
        longest = config.temporal.max_gap_frames
        faces, bridged = bridge_gaps(replace(found, faces=faces), chosen, frames, longest)
    return SwapPlan(
        times=tuple(times.values()),
        faces=smooth_tracks(faces, times, config.temporal),
        chosen=tuple(itertools.chain.from_iterable(chosen)),
        segments=segments,
        ranks=ranks,
        bridged=bridged,
        unsure=unsure - bridged,
        embedder=found.embedder,
    )


def smooth_tracks(
    found: Mapping[int, tuple[Face, ...]],
    times: Mapping[int, Timestamp],
    temporal: TemporalConfig = TemporalConfig(),  # noqa: B008 - frozen
) -> dict[int, tuple[Face, ...]]:
    """The same faces, by frame index, with each track's landmarks smoothed over time."""
    frames_of: dict[int, list[tuple[int, int]]] = defaultdict(list)
    for index, faces in sorted(found.items()):
        for place, face in enumerate(faces):
            frames_of[track_of(face)].append((index, place))
    result = {index: list(faces) for index, faces in found.items()}
    for places in frames_of.values():
        landmarks = np.stack([found[index][place].landmarks for index, place in places])
        seconds = np.array([times[index].seconds for index, _place in places])
        for (index, place), points in zip(places, stabilize_landmarks(landmarks, seconds, temporal), strict=True):
            result[index][place] = replace(found[index][place], landmarks=points.astype(np.float32))
    return {index: tuple(faces) for index, faces in result.items()}
